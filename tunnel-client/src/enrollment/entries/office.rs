//! The one task that decides about entries.

use std::{path::Path, sync::Arc, time::Duration};

use prost::Message;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::{debug, info, warn};
use tunnel_certs::{
    crypto, file,
    statement::inventory::{self, Opened},
    words::Words,
};
use tunnel_protos::{UnixMillis, v1};
use tunnel_runtime::chain;

use super::{
    Command, Confirmation, OfferError, Settings, Shared, Shown,
    judge::{self, Offer, Ours, Refused},
    open::ring,
    view,
};
use crate::{
    approvers::{ConfirmError, RotateKeysError, StoreFault, Who},
    audit::{By, Event, Millis},
    clock::Clock,
    disk::Disk,
    enrollment::{Member, guard::Guard, metrics, record::Confirmed},
    keys::{Keys, KeysError, Next},
    mark::{Mark, mark},
    requests::Admission,
};

/// Decides about entries; runs in a task of its own.
pub struct Office {
    pub(super) settings: Settings,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) next: Option<Next>,
    pub(super) confirmed: Option<Confirmed>,
    pub(super) waiting: Option<Waiting>,
    /// Of the registration of keys that took the place of others in this run.
    pub(super) words: Option<Words>,
    pub(super) guard: Guard,
    /// The configured entry's file as it was read last.
    pub(super) mark: Mark,
    /// When it is read once more, though it may not change: what was wrong with it may pass.
    pub(super) again: Option<Instant>,
    pub(super) disk: Disk,
    /// Why the configured entry does not count; empty if it does.
    pub(super) file_fault: String,
    /// Why the newest entry of a broker was not taken.
    pub(super) refused: String,
}

/// An entry whose keys nobody has confirmed.
pub(super) struct Waiting {
    opened: Opened,
    envelope: Vec<u8>,
}

impl Office {
    /// Looks at the configured entry for the first time.
    pub async fn begin(&mut self, now: UnixMillis) {
        self.look(now).await;
        self.refresh(now);
    }

    /// Decides until drained by the drop of the last handle.
    pub async fn run(mut self, clock: Clock) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.serve(command, clock.now()).await,
                    None => return,
                },
                changed = self.settings.belief.changed() => if changed.is_err() { return },
                changed = self.settings.progress.changed() => if changed.is_err() { return },
                _ = looks.tick() => self.look(clock.now()).await,
            }
            self.refresh(clock.now());
        }
    }

    /// Whoever asked and went away is not told; what was done stays done.
    async fn serve(&mut self, command: Command, now: UnixMillis) {
        match command {
            Command::Offer(entry, reply) => {
                let taken = self.offer(&entry, now).await;
                self.refresh(now);
                drop(reply.send(taken));
            }
            Command::Confirm(said, reply) => {
                let confirmed = self.confirm(*said, now).await;
                self.refresh(now);
                drop(reply.send(confirmed));
            }
            Command::Rotate(by, reply) => {
                let rotated = self.rotate(&by).await;
                self.refresh(now);
                drop(reply.send(rotated));
            }
        }
    }

    async fn offer(&mut self, entry: &v1::Envelope, now: UnixMillis) -> Result<(), OfferError> {
        let taken = self.consider(entry.encode_to_vec(), now).await;
        self.refused = match &taken {
            Ok(()) => String::new(),
            Err(error) => {
                metrics::entry_refused();
                debug!(error = %chain(error), "Inventory entry not taken");
                chain(error).to_string()
            }
        };
        taken
    }

    async fn consider(&mut self, envelope: Vec<u8>, now: UnixMillis) -> Result<(), OfferError> {
        let opened = self.open(&envelope, now)?;
        let judged = match self.judge(&opened) {
            // The first replica's keys; requests are its business.
            Err(Refused::OtherKeys) if self.is_further() => return Ok(()),
            judged => judged?,
        };
        match judged {
            Offer::Know => Ok(()),
            Offer::Hold => Ok(self.hold(opened, envelope)?),
            Offer::Renew => {
                let (sequence, expires) = (opened.entry.sequence, opened.entry.expires);
                let event = Event::EntryRenewed { sequence, digest: opened.digest, expires: Millis(expires) };
                self.accept_recorded(&opened, envelope, (event, now)).await.map_err(OfferError::NotStored)?;
                info!(sequence, expires = %expires, "Inventory entry renewed");
                Ok(())
            }
        }
    }

    /// The newest waits; an older one than that is an old one that somebody kept.
    fn hold(&mut self, opened: Opened, envelope: Vec<u8>) -> Result<(), Refused> {
        if let Some(waiting) = &self.waiting {
            let (seen, got) = (waiting.opened.entry.sequence, opened.entry.sequence);
            if waiting.opened.digest == opened.digest {
                return Ok(());
            }
            if got < seen {
                return Err(Refused::Open(inventory::OpenError::Older { seen, got }));
            }
        }
        info!(sequence = opened.entry.sequence, "Inventory entry waits for an approver who knows its words");
        self.waiting = Some(Waiting { opened, envelope });
        Ok(())
    }

    async fn confirm(&mut self, said: Confirmation, now: UnixMillis) -> Result<(), ConfirmError> {
        let waiting = self.waiting.as_ref().ok_or(ConfirmError::NothingWaits)?;
        if waiting.opened.digest != said.entry {
            return Err(ConfirmError::Changed);
        }
        if let Some(wait) = self.guard.wait() {
            return Err(ConfirmError::TooMany(wait));
        }
        let by = Who::from(said.by.clone()).record(said.note.as_str());
        if !same(said.words, waiting.opened.words) {
            self.guard.count();
            metrics::wrong_words();
            warn!(by = %said.by, "Wrong words for the inventory entry that waits");
            self.settings.audit.note(Event::WrongWords { by });
            return Err(ConfirmError::WrongWords);
        }
        let envelope = waiting.envelope.clone();
        let over = |error: &Refused| ConfirmError::Over(chain(error).to_string());
        let opened = self.open(&envelope, now).map_err(|error| over(&error))?;
        self.judge(&opened).map_err(|error| over(&error))?;
        let event = confirmed_event(&opened, by);
        self.accept_recorded(&opened, envelope, (event, now)).await.map_err(ConfirmError::NotStored)?;
        info!(by = %said.by, sequence = opened.entry.sequence, "Inventory entry confirmed");
        Ok(())
    }

    async fn rotate(&mut self, by: &Who) -> Result<(), RotateKeysError> {
        let Settings { folder, keys, cluster, facts, .. } = &self.settings;
        let own = keys.pair().public();
        if self.confirmed.as_ref().is_none_or(|confirmed| confirmed.keys != own) {
            return Err(RotateKeysError::NotEnrolled);
        }
        let (folder, keys, facts, label) = (folder.clone(), keys.clone(), facts.clone(), cluster.label);
        let make = move || match Keys::next(&folder)? {
            Some(next) => Ok(next),
            None => keys.make_next(&folder, &facts.ticket(label)),
        };
        let made: Result<Next, KeysError> = self.disk.run(make).await;
        let next = made.map_err(|error| RotateKeysError::NotStored(Box::new(error)))?;
        if self.next.is_none() {
            self.settings
                .audit
                .note(Event::KeysRegistered { words: next.words.to_string(), by: by.record("") });
            info!(%by, words = %next.words, "New keys registered");
        }
        self.next = Some(next);
        Ok(())
    }

    /// Records what puts an entry in force, and then does so.
    async fn accept_recorded(
        &mut self,
        opened: &Opened,
        envelope: Vec<u8>,
        (event, now): (Event, UnixMillis),
    ) -> Result<(), StoreFault> {
        self.settings.audit.record(event).await?;
        self.accept(opened, envelope, now).await
    }

    /// Puts an entry in force: stored first, at once.
    async fn accept(
        &mut self,
        opened: &Opened,
        envelope: Vec<u8>,
        now: UnixMillis,
    ) -> Result<(), StoreFault> {
        let keys = judge::keys(&opened.entry);
        let before = self.settings.keys.pair();
        let rotates = keys != before.public();
        let kept = self.confirmed.as_ref().and_then(|confirmed| confirmed.previous_until);
        let confirmed = Confirmed {
            keys,
            sequence: opened.entry.sequence,
            digest: opened.digest,
            envelope,
            previous_until: if rotates { Some(now.plus(OVERLAP)) } else { kept },
        };
        let (folder, written) = (self.settings.folder.clone(), confirmed.clone());
        self.disk.run(move || written.write(&folder)).await?;
        if rotates {
            self.promote(&confirmed).await;
        }
        self.confirmed = Some(confirmed);
        self.waiting = None;
        Ok(())
    }

    /// What is not done here is done at the next start: the record says which keys are in force.
    async fn promote(&mut self, confirmed: &Confirmed) {
        let Some(next) = self.next.take() else { return };
        let (folder, keys) = (self.settings.folder.clone(), confirmed.keys.clone());
        if let Err(error) = self.disk.run(move || Keys::promote(&folder, &keys)).await {
            warn!(error = %chain(&error), "Key files not moved, the next start does it");
        }
        let before = self.settings.keys.pair();
        self.words = Some(next.words);
        (self.settings.keys.cluster, self.settings.keys.sealing) =
            (next.pair.cluster.clone(), next.pair.sealing.clone());
        let ring = ring(&next.pair, confirmed.previous_until.map(|until| (before, until)));
        self.shared.keys.send_replace(Arc::new(ring));
        info!("Cluster and sealing key replaced");
    }

    fn open(&self, envelope: &[u8], now: UnixMillis) -> Result<Opened, Refused> {
        let belief = self.settings.belief.borrow();
        inventory::open(envelope, &belief.bundle.vendor_keys, now).map_err(Refused::Open)
    }

    fn judge(&self, opened: &Opened) -> Result<Offer, Refused> {
        let (keys, next) =
            (self.settings.keys.pair().public(), self.next.as_ref().map(|next| next.pair.public()));
        let confirmed = self.confirmed.as_ref();
        let ours = Ours { cluster: &self.settings.cluster, keys: &keys, next: next.as_ref(), confirmed };
        judge::judge(ours, opened)
    }

    /// Reads the configured entry if its file changed, or if what was wrong with it may have passed.
    async fn look(&mut self, now: UnixMillis) {
        let Some(path) = self.settings.configured.clone() else { return };
        let seen = mark(&path);
        let again = self.again.take_if(|at| *at <= Instant::now()).is_some();
        if seen.is_some() && seen == self.mark && !again {
            return;
        }
        self.mark = seen;
        self.file_fault = self.configured(&path, now).await.err().unwrap_or_default();
        self.again = (!self.file_fault.is_empty()).then(|| Instant::now() + AGAIN);
    }

    async fn configured(&mut self, path: &Path, now: UnixMillis) -> Result<(), String> {
        let envelope = file::read(path).map_err(|error| chain(&error).to_string())?;
        let opened = self.open(&envelope, now).map_err(|error| chain(&error).to_string())?;
        match self.judge(&opened) {
            Ok(Offer::Know) | Err(Refused::Open(inventory::OpenError::Older { .. })) => Ok(()),
            Ok(Offer::Renew | Offer::Hold) => {
                let by = By { by: FILE.to_owned(), note: String::new(), approval: Vec::new() };
                let event = confirmed_event(&opened, by);
                let taken = self.accept_recorded(&opened, envelope, (event, now)).await;
                taken.map_err(|error| chain(&*error).to_string())?;
                info!(sequence = opened.entry.sequence, "Inventory entry of the configuration taken");
                Ok(())
            }
            Err(error) => Err(chain(&error).to_string()),
        }
    }

    /// Publishes what follows from all of it.
    pub(super) fn refresh(&mut self, now: UnixMillis) {
        let waits = self.waiting.as_ref().is_some_and(|waiting| self.open(&waiting.envelope, now).is_ok());
        self.waiting = self.waiting.take().filter(|_| waits);
        let in_force = self.in_force(now);
        let entry = in_force.as_ref().ok().map(|opened| &opened.entry);
        let shown = Shown {
            waiting: self.waiting.as_ref().map(|waiting| waiting.opened.digest),
            sequence: entry.map_or(0, |entry| entry.sequence),
            expires: entry.map(|entry| entry.expires),
            words: self.words,
            next_words: self.next.as_ref().map(|next| next.words),
            refused: self.refused.clone(),
        };
        crate::metrics::entry_expiry(shown.expires);
        let admission = match in_force {
            Ok(_) => Admission::Open,
            Err(why) => Admission::Refusing(self.refusing(why, &shown)),
        };
        let open = admission == Admission::Open;
        let awaited = view::awaited(&shown, &self.settings.progress.borrow(), open);
        *self.shared.shown.lock() = shown;
        self.shared.awaited.send_if_modified(|now| std::mem::replace(now, awaited) != awaited);
        let registration = self.next.as_ref().map(|next| next.registration.clone());
        self.shared.registration.send_if_modified(|now| {
            let changed = *now != registration;
            *now = registration;
            changed
        });
        self.shared.admission.send_if_modified(|now| {
            let changed = *now != admission;
            *now = admission;
            changed
        });
    }

    /// The entry under which requests are taken, or why there is none; empty for none that anybody confirmed.
    fn in_force(&self, now: UnixMillis) -> Result<Opened, String> {
        let own = self.settings.keys.pair().public();
        let confirmed = self.confirmed.as_ref().filter(|confirmed| confirmed.keys == own);
        let confirmed = confirmed.ok_or_else(String::new)?;
        self.open(&confirmed.envelope, now).map_err(|error| chain(&error).to_string())
    }

    fn is_further(&self) -> bool {
        self.settings.progress.borrow().member == Member::Further
    }

    fn refusing(&self, why: String, shown: &Shown) -> String {
        let progress = self.settings.progress.borrow();
        let own = self.waiting.is_some() || progress.member == Member::Further;
        let said = [why, self.file_fault.clone()].into_iter().find(|text| !text.is_empty() && !own);
        said.unwrap_or_else(|| view::refusing(shown, &progress))
    }
}

fn confirmed_event(opened: &Opened, by: By) -> Event {
    let expires = Millis(opened.entry.expires);
    Event::EntryConfirmed { sequence: opened.entry.sequence, digest: opened.digest, expires, by }
}

/// Compared by digest, so that the time says nothing about how many words are right.
fn same(one: Words, other: Words) -> bool {
    let digest = |words: Words| crypto::sha256(words.to_string().as_bytes());
    digest(one) == digest(other)
}

/// Soon enough for people who have just written a file.
const LOOK: Duration = Duration::from_secs(1);
/// Seldom enough for the audit log while a disk is full.
const AGAIN: Duration = Duration::from_secs(5);
/// Whoever still holds the old entry gets the new one within a day.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// Who confirmed an entry that the configuration names.
const FILE: &str = "configuration";
