//! Sees to it that this replica has a mesh certificate: the first one, and another when tunnels could not renew it in
//! time. Asks for ever; what cannot succeed is asked slowly, and the process stays up and says what to do.

use std::{path::PathBuf, time::Duration};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{info, warn};
use tunnel_certs::{crypto, enrollment::OpenError, file::FileError, words::Words};
use tunnel_protos::{Label, TokenId, v1::TokenKind};
use tunnel_runtime::{chain, drain::Watch};
use tunnel_transport::backoff::Backoff;

use super::{
    Entries, Facts, Home, HomeError, Member,
    attempt::Asker,
    home, metrics,
    progress::{Phase, Progress},
    ways::{self, Means, Step, Way},
};
use crate::{
    clock,
    config::EnrollmentConfig,
    disk::Disk,
    keys::Ticket,
    mark::{Mark, mark},
    trust::Trust,
};

/// Keeps a mesh certificate; [`Enrollment::run`] it in a task of its own.
pub struct Enrollment {
    asker: Asker,
    config: Option<EnrollmentConfig>,
    brokers: Vec<String>,
    pace: Pace,
    progress: watch::Sender<Progress>,
}

/// What an enrollment works with.
pub struct Parts {
    /// The state folder.
    pub folder: PathBuf,
    /// Where this client belongs.
    pub home: Home,
    /// How it may enroll.
    pub config: Option<EnrollmentConfig>,
    /// The brokers that the customer's own configuration names; empty for the vendor's.
    pub brokers: Vec<String>,
    /// Takes certificates and trust bundles.
    pub trust: Trust,
    /// Takes inventory entries.
    pub entries: Entries,
    /// Where the entries hear how it goes.
    pub progress: watch::Sender<Progress>,
    /// How hastily it asks.
    pub pace: Pace,
}

/// How hastily brokers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The first pause between two attempts; they grow from there.
    pub first: Duration,
    /// Longest pause while it may succeed unchanged.
    pub longest: Duration,
    /// Longest pause while it cannot.
    pub slow: Duration,
    /// For each step of an attempt at one broker.
    pub deadline: Duration,
}

impl Pace {
    /// As the configuration's timeouts say.
    pub fn of(deadline: Duration, longest: Duration) -> Self {
        // Whoever mends it waits for this long at most; a new bundle is seen at once.
        Self { first: Duration::from_secs(1), longest, slow: Duration::from_secs(300), deadline }
    }
}

/// All that was tried was in vain.
#[derive(Default)]
struct Vain {
    /// Each reason once.
    said: Vec<String>,
    /// Whether any of it may succeed unchanged, so that it is asked again soon.
    may_succeed: bool,
}

impl Vain {
    fn add(&mut self, why: String, is_final: bool) {
        self.may_succeed |= !is_final;
        if !self.said.contains(&why) {
            self.said.push(why);
        }
    }
}

impl Progress {
    /// How far it is at a start.
    pub fn channel(home: &Home, trust: &Trust) -> watch::Sender<Self> {
        let certified = trust.belief().borrow().leaf.is_some();
        let phase = if certified { Phase::Certified } else { Phase::Asking { until: None } };
        watch::Sender::new(Self { member: home.member, phase, words: None, last_error: String::new() })
    }
}

impl Enrollment {
    /// Asks nobody yet; makes the registration, so that its words can be read from the start.
    pub fn new(parts: Parts) -> Self {
        let Parts { folder, home, config, brokers, trust, entries, progress, pace } = parts;
        let facts = Facts::of(config.as_ref());
        let (deadline, disk) = (pace.deadline, Disk::default());
        let asker = Asker { folder, cluster: home.cluster, facts, trust, entries, deadline, disk };
        let this = Self { asker, config, brokers, pace, progress };
        this.show(this.spoken().and_then(Spoken::words));
        this
    }

    /// Runs until drained.
    pub async fn run(self, drain: Watch) {
        tokio::select! {
            () = drain.draining() => {}
            () = self.keep() => {}
        }
    }

    async fn keep(self) {
        let fresh = || Backoff::new(self.pace.first, self.pace.longest.max(self.pace.first));
        let Ok(mut backoff) = fresh() else { return };
        loop {
            let random = u64::from_ne_bytes(crypto::random());
            let seen = self.marks();
            let pause = match ways::step(self.means(), clock::wall()) {
                Step::Rest(end) => {
                    self.tell(Phase::Certified, String::new());
                    end.since(clock::wall()).min(LOOK)
                }
                Step::Stuck(why) => self.stuck(why, random),
                Step::Try(ways) => match self.attempt(&ways).await {
                    Ok(member) => {
                        backoff = fresh().unwrap_or(backoff);
                        self.enrolled(member);
                        self.pace.first
                    }
                    Err(Vain { said, may_succeed: false }) => self.stuck(said.join("; "), random),
                    Err(Vain { said, may_succeed: true }) => {
                        metrics::attempt("failed");
                        self.tell(Phase::Asking { until: until(&ways) }, said.join("; "));
                        backoff.next_delay(random)
                    }
                },
            };
            self.wait(pause.max(LEAST), seen).await;
        }
    }

    /// Every way at every broker, until one leads there.
    async fn attempt(&self, ways: &[Way]) -> Result<Member, Vain> {
        self.show_words().await;
        let mut vain = Vain::default();
        for way in ways {
            if let Some(member) = self.go(way, &mut vain).await {
                return Ok(member);
            }
        }
        Err(vain)
    }

    /// One broker that may be mistaken or hostile does not end it while another may know better.
    async fn go(&self, way: &Way, vain: &mut Vain) -> Option<Member> {
        let addresses = self.addresses(way);
        if addresses.is_empty() {
            vain.add("there is no broker to ask".to_owned(), false);
        }
        for address in addresses {
            match self.asker.ask(&address, way).await {
                Ok(member) => return Some(member),
                Err(error) => vain.add(chain(&error).to_string(), error.is_final()),
            }
        }
        None
    }

    /// The customer's own word about addresses stands above the vendor's; beginning anywhere, so that no broker is
    /// always the first.
    fn addresses(&self, way: &Way) -> Vec<String> {
        if !self.brokers.is_empty() {
            return self.brokers.clone();
        }
        let mut addresses = self.asker.trust.belief().borrow().bundle.broker_addresses.clone();
        if let Way::Redeem(opened) = way {
            let more = opened.bundle.broker_addresses.iter();
            let more: Vec<_> = more.filter(|address| !addresses.contains(address)).cloned().collect();
            addresses.extend(more);
        }
        let turn = usize::from(u16::from_ne_bytes(crypto::random())) % addresses.len().max(1);
        addresses.rotate_left(turn);
        addresses
    }

    fn means(&self) -> Means {
        let leaf = self.asker.trust.belief().borrow().leaf.as_ref().map(|leaf| leaf.credential.clone());
        let config = self.config.as_ref();
        let bundle = config.and_then(|config| config.bundle.as_deref()).map(home::load);
        let bundle = match bundle {
            Some(Err(HomeError::Bundle(_, OpenError::File(error)))) if error.is_missing() => None,
            Some(Err(error)) => Some(Err(chain(&error).to_string())),
            Some(Ok(opened)) if home::cluster(&opened) != self.asker.cluster => Some(Err(OTHER.to_owned())),
            Some(Ok(opened)) => Some(Ok(opened)),
            None => None,
        };
        Means { leaf, bundle, token: config.and_then(|config| config.service_account_token.clone()) }
    }

    async fn show_words(&self) {
        let words = match self.spoken() {
            Some(spoken) => {
                self.asker.disk.run(move || Ok::<_, FileError>(spoken.words())).await.ok().flatten()
            }
            None => None,
        };
        self.show(words);
    }

    fn show(&self, words: Option<Words>) {
        self.progress.send_if_modified(|progress| {
            let changed = progress.words != words;
            progress.words = words;
            changed
        });
    }

    /// The registration that is to be redeemed, or the one there is.
    fn spoken(&self) -> Option<Spoken> {
        let Asker { folder, cluster, facts, .. } = &self.asker;
        let means = self.means();
        let bundle = match (&means.leaf, &means.bundle) {
            (None, Some(Ok(opened))) if opened.bundle.kind == TokenKind::Cluster => {
                Some((opened.sha256, opened.bundle.token))
            }
            (None, Some(Ok(_))) => return None,
            _ if self.progress.borrow().member == Member::Further => return None,
            _ => None,
        };
        Some(Spoken { folder: folder.clone(), label: cluster.label, facts: facts.clone(), bundle })
    }

    fn enrolled(&self, member: Member) {
        metrics::attempt("issued");
        info!(?member, "Mesh certificate issued by enrollment");
        self.progress.send_modify(|progress| {
            (progress.member, progress.phase) = (member, Phase::Certified);
            progress.last_error.clear();
        });
    }

    fn stuck(&self, why: String, random: u64) -> Duration {
        metrics::attempt("refused");
        self.tell(Phase::Failed, why);
        let share = (u128::from(random) * self.pace.slow.as_nanos()) >> 65;
        self.pace.slow / 2 + Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
    }

    /// Logs what is new only: it is tried again for ever.
    fn tell(&self, phase: Phase, why: String) {
        let known = self.progress.borrow().last_error == why;
        if !known && !why.is_empty() {
            match phase {
                Phase::Failed => warn!(error = why, "Enrollment failed, it needs somebody"),
                Phase::Asking { .. } | Phase::Certified => {
                    warn!(error = why, "Not enrolled, it is tried again");
                }
            }
        }
        self.progress.send_if_modified(|progress| {
            let changed = progress.phase != phase || progress.last_error != why;
            (progress.phase, progress.last_error) = (phase, why);
            changed
        });
    }

    /// Until then, or until the bundle, the token or what is believed has changed.
    async fn wait(&self, pause: Duration, seen: [Mark; 2]) {
        let mut belief = self.asker.trust.belief();
        belief.mark_unchanged();
        tokio::select! {
            () = sleep(pause) => {}
            () = self.files_changed(seen) => {}
            // An error says that the trust is gone, and the process with it.
            _ = belief.changed() => sleep(LEAST).await,
        }
    }

    async fn files_changed(&self, seen: [Mark; 2]) {
        let mut looks = interval(POLL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.marks() == seen {
            looks.tick().await;
        }
    }

    /// Of the bundle and of the service account's token.
    fn marks(&self) -> [Mark; 2] {
        let config = self.config.as_ref();
        let bundle = config.and_then(|config| config.bundle.as_deref());
        let token = config.and_then(|config| config.service_account_token.as_deref());
        [bundle, token].map(|path| path.and_then(mark))
    }
}

/// A registration whose words people compare.
struct Spoken {
    folder: PathBuf,
    label: Label,
    facts: Facts,
    bundle: Option<([u8; 32], TokenId)>,
}

impl Spoken {
    /// Blocks for the disk.
    fn words(self) -> Option<Words> {
        let Self { folder, label, facts, bundle } = self;
        let keys = home::keys(&folder).ok()?;
        let made = match bundle {
            Some(bundle) => facts.registration(&keys, &folder, (label, bundle)),
            None => keys.registration(&folder, &Ticket::of(label)),
        };
        made.map(|made| made.words).ok()
    }
}

fn until(ways: &[Way]) -> Option<tunnel_protos::UnixMillis> {
    ways.iter().find_map(|way| match way {
        Way::Redeem(opened) => Some(opened.bundle.expires),
        Way::Reissue(_) | Way::Join(_) => None,
    })
}

/// Set clocks are seen within a minute.
const LOOK: Duration = Duration::from_secs(60);
/// Full jitter may come close to none.
const LEAST: Duration = Duration::from_millis(200);
/// Soon enough for people who have just written a file.
const POLL: Duration = Duration::from_secs(1);
const OTHER: &str = "the enrollment bundle is for another cluster; a state folder serves one cluster only";
