//! The life of one tunnel, from the control stream to its end.
//!
//! Invariant: nothing in the loop waits for a disk, an engine or an operator; probes are answered at once.

use std::{future::Future, sync::Arc, time::Duration};

use prost::Message;
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, info, info_span};
use tunnel_certs::statement::envelope::MAX_ENVELOPE;
use tunnel_protos::v1::{self, broker_message::Body as FromBroker, replica_message::Body as ToBroker};
use tunnel_runtime::{
    chain,
    drain::{self, Watch},
    tasks::Tasks,
};
use tunnel_transport::{
    Code, Kind, Tunnel,
    control::{Control, ControlLimits, ControlSender},
};

use super::{
    Dialing, Inbox, News, Rooms, Sessions, Settings, Vendor,
    board::State,
    doors::Announced,
    end::End,
    metrics,
    outcomes::Outcomes,
    streams,
    vendor::{Letter, Talk},
};
use crate::{
    clock,
    metrics::{Queue, refused},
    requests::Admission,
};

type ReplicaControl = Control<v1::ReplicaMessage, v1::BrokerMessage>;
type Sender = ControlSender<v1::ReplicaMessage>;

/// A tunnel, and what goes with it.
pub(super) struct Served<'s> {
    pub(super) tunnel: &'s Tunnel,
    pub(super) settings: &'s Settings,
    /// Who dialed it.
    pub(super) dialing: &'s Dialing,
    /// The client goes away.
    pub(super) drain: &'s Watch,
    /// Another tunnel took its place.
    pub(super) replaced: watch::Receiver<bool>,
    /// Hears once the broker routes sessions over this tunnel, to every door.
    pub(super) routed: &'s watch::Sender<bool>,
}

/// Attaches and serves until the tunnel ends, telling its state by `set`.
pub(super) async fn serve<I: Inbox, S: Sessions, V: Vendor>(
    served: Served<'_>,
    rooms: &Rooms<I, S, V>,
    set: impl Fn(State),
) -> End {
    let Served { tunnel, settings, .. } = served;
    let attaching = timeout(settings.deadlines.handshake, attach(tunnel, settings));
    let (control, welcome) = match attaching.await {
        Ok(Ok(attached)) => attached,
        Ok(Err(end)) => return end,
        Err(_) => return End::Late("attach"),
    };
    info!(broker = %tunnel.peer(), address = %tunnel.remote_address(), "Tunnel attached");
    set(State::Attached { broker: welcome.broker_id.clone() });
    let _carried = metrics::Carried::new(tunnel);
    // What is talked about the vendor does not keep a tunnel from draining; sessions do.
    let (tasks, talks) = (Tasks::new(), Tasks::new());
    let (letters, queue) = mpsc::channel(LETTERS);
    let talk = Talk { vendor: rooms.vendor.clone(), sender: control.sender(), leaf: served.dialing.leaf };
    talks.spawn(info_span!("vendor"), talk.run(queue));
    let (parting, parted) = drain::channel();
    let life = Life::new(&served, &control, &welcome, rooms, &tasks, (letters, parted));
    talks.supervise(tasks.supervise(life.run(control, parting, set))).await
}

/// Takes the control stream, says Hello, and waits for the Welcome.
async fn attach(tunnel: &Tunnel, settings: &Settings) -> Result<(ReplicaControl, v1::Welcome), End> {
    let first = tunnel.accept().await.map_err(End::Closed)?;
    let offer = first.header(settings.deadlines.header).await.map_err(|_| End::NoControl)?;
    if offer.header().kind != Kind::Control {
        offer.refuse(Code::UnknownKind);
        return Err(End::NoControl);
    }
    let stream =
        offer.accept(settings.deadlines.open).await.map_err(|_| End::Late("open its control stream"))?;
    let mut control = Control::new(stream, ControlLimits::default());
    control.sender().send(&message(ToBroker::Hello(hello(settings)))).map_err(End::Send)?;
    loop {
        let received: v1::BrokerMessage = control.next().await.map_err(End::Control)?;
        match received.body {
            Some(FromBroker::Welcome(welcome)) if welcome.version == VERSION => {
                return Ok((control, welcome));
            }
            Some(FromBroker::Welcome(welcome)) => return Err(End::Version(welcome.version)),
            other => {
                debug!(message = ?other.map(|body| std::mem::discriminant(&body)), "Message before Welcome");
            }
        }
    }
}

fn hello(settings: &Settings) -> v1::Hello {
    v1::Hello {
        min_version: VERSION,
        max_version: VERSION,
        capabilities: takes_requests(settings).then(|| REQUESTS.to_owned()).into_iter().collect(),
        epoch: settings.epoch,
        build: settings.build.clone(),
    }
}

/// Whether brokers may deliver.
pub(super) fn takes_requests(settings: &Settings) -> bool {
    matches!(*settings.admission.borrow(), Admission::Open)
}

struct Life<'l, I, S, V> {
    tunnel: &'l Tunnel,
    settings: &'l Settings,
    drain: &'l Watch,
    replaced: watch::Receiver<bool>,
    routed: &'l watch::Sender<bool>,
    rooms: &'l Rooms<I, S, V>,
    tasks: &'l Tasks,
    sender: Sender,
    /// What is to be looked at beside the loop.
    letters: mpsc::Sender<Letter>,
    /// Tells the tunnel's sessions that it goes.
    parted: Watch,
    /// Places for requests that are being stored; a broker must not fill memory faster than the disk takes it.
    deliveries: Arc<Semaphore>,
    doors: Announced,
    /// The announcement after the first answered probe: once it is acknowledged, the broker has seen both.
    proof: Option<oneshot::Receiver<()>>,
    outcomes: Outcomes,
    /// Two probes and some jitter.
    patience: Duration,
    silent_at: Instant,
    expires_at: Instant,
}

impl<'l, I: Inbox, S: Sessions, V: Vendor> Life<'l, I, S, V> {
    fn new(
        served: &Served<'l>,
        control: &ReplicaControl,
        welcome: &v1::Welcome,
        rooms: &'l Rooms<I, S, V>,
        tasks: &'l Tasks,
        (letters, parted): (mpsc::Sender<Letter>, Watch),
    ) -> Self {
        let interval =
            Duration::from_millis(welcome.probe_interval_ms.into()).clamp(SHORTEST_PROBE, LONGEST_PROBE);
        let patience = interval * 5 / 2;
        let left = left(served.tunnel, served.dialing);
        let now = Instant::now();
        Self {
            tunnel: served.tunnel,
            settings: served.settings,
            drain: served.drain,
            replaced: served.replaced.clone(),
            routed: served.routed,
            rooms,
            tasks,
            sender: control.sender(),
            letters,
            parted,
            deliveries: Arc::new(Semaphore::new(DELIVERIES)),
            doors: Announced::default(),
            proof: None,
            outcomes: Outcomes::default(),
            patience,
            silent_at: now + patience,
            expires_at: now + left,
        }
    }

    async fn run(mut self, mut control: ReplicaControl, parting: drain::Drain, set: impl Fn(State)) -> End {
        let mut doors = self.rooms.grants.changes();
        let mut outcomes = self.rooms.inbox.outcome_changes();
        let mut drained = Box::pin(self.drained(parting));
        if let Err(end) = self.announce().and_then(|()| self.send_outcomes()) {
            return end;
        }
        loop {
            let step = tokio::select! {
                biased;
                received = control.next() => received.map_err(End::Control).and_then(|m| self.receive(m, &set)),
                incoming = self.tunnel.accept() => incoming.map_err(End::Closed).map(|stream| self.stream(stream)),
                Ok(()) = doors.changed() => self.announce(),
                Ok(()) = outcomes.changed() => self.send_outcomes(),
                outcome = self.outcomes.acknowledged() => self.acknowledged(outcome),
                () = acknowledged(&mut self.proof) => {
                    self.routed.send_replace(true);
                    Ok(())
                }
                () = sleep_until(self.silent_at) => Err(End::Silent(self.patience)),
                () = sleep_until(self.expires_at) => Err(End::Expired),
                end = &mut drained => Err(end),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn receive(&mut self, received: v1::BrokerMessage, set: &impl Fn(State)) -> Result<(), End> {
        match received.body {
            Some(FromBroker::Probe(probe)) => return self.answer(probe),
            Some(FromBroker::Deliver(sealed)) => self.deliver(received.id, sealed),
            Some(FromBroker::Drain(_)) => {
                set(State::Draining);
                self.sender.handled(received.id);
            }
            Some(FromBroker::TrustBundle(envelope)) => self.pass_on(received.id, News::TrustBundle(envelope)),
            Some(FromBroker::InventoryEntry(envelope)) => self.pass_on(received.id, News::Entry(envelope)),
            Some(FromBroker::RenewedLeaf(leaf)) => self.pass_on(received.id, News::Leaf(leaf.certificate)),
            Some(FromBroker::Rotation(rotation)) => {
                self.pass_on(received.id, News::Rotation(rotation.phase()));
            }
            // The fleet is not spoken yet; acknowledged, or it would be repeated.
            _ => self.sender.handled(received.id),
        }
        Ok(())
    }

    /// What does not fit comes again; what nobody honest sends does not.
    fn pass_on(&self, id: u64, news: News) {
        let size = match &news {
            News::TrustBundle(envelope) | News::Entry(envelope) => envelope.encoded_len(),
            News::Leaf(certificate) => certificate.len(),
            News::Rotation(_) => 0,
        };
        if size > MAX_ENVELOPE {
            news.count_refused();
            return self.sender.handled(id);
        }
        if self.letters.try_send((id, news)).is_err() {
            refused(Queue::News);
            debug!("News of the broker dropped; it repeats them");
        }
    }

    fn answer(&mut self, probe: v1::Probe) -> Result<(), End> {
        self.silent_at = Instant::now() + self.patience;
        metrics::probed();
        let targets = (self.rooms.health)();
        self.send(ToBroker::ProbeReply(v1::ProbeReply { nonce: probe.nonce, targets }))?;
        self.prove()
    }

    /// After the first answered probe all doors are announced once more: messages keep their order, so who acknowledges
    /// this has taken the answer, too, and routes.
    fn prove(&mut self) -> Result<(), End> {
        if *self.routed.borrow() || self.proof.is_some() {
            return Ok(());
        }
        self.doors = Announced::default();
        self.proof = self.announced()?;
        Ok(())
    }

    /// Storing takes a disk's time, so it happens beside the loop; what does not fit comes again.
    fn deliver(&self, id: u64, sealed: v1::SealedRequest) {
        let envelope_id = tunnel_certs::seal::envelope_id(&sealed);
        let (inbox, sender) = (self.rooms.inbox.clone(), self.sender.clone());
        let Ok(place) = Arc::clone(&self.deliveries).try_acquire_owned() else {
            return refused(Queue::Deliveries);
        };
        self.tasks.spawn(info_span!("deliver", envelope.id = %envelope_id), async move {
            let _place = place;
            let Ok(status) = timeout(DELIVERY, inbox.deliver(sealed)).await else { return };
            metrics::delivered(status);
            let received =
                v1::Received { envelope_id: envelope_id.as_bytes().to_vec(), status: status.into() };
            // When the tunnel is gone or full, the broker delivers again.
            if sender.send(&message(ToBroker::Received(received))).is_ok() {
                sender.handled(id);
            }
        });
    }

    fn stream(&self, incoming: tunnel_transport::Incoming) {
        let (sessions, drain) = (self.rooms.sessions.clone(), self.parted.clone());
        let serving = streams::serve(incoming, sessions, self.settings.deadlines, drain);
        self.tasks.spawn(info_span!("stream"), serving);
    }

    fn announce(&mut self) -> Result<(), End> {
        self.announced().map(drop)
    }

    /// Repeated until acknowledged, of which the receiver hears; nothing if the broker was told already.
    fn announced(&mut self) -> Result<Option<oneshot::Receiver<()>>, End> {
        let Some(doors) = self.doors.update(self.rooms.grants.doors()) else { return Ok(None) };
        self.sender.keep(message(ToBroker::Doors(doors))).map(Some).map_err(End::Send)
    }

    fn send_outcomes(&mut self) -> Result<(), End> {
        let sender = self.sender.clone();
        self.outcomes
            .send(self.rooms.inbox.outcomes(), |outcome| sender.keep(message(ToBroker::Outcome(outcome))));
        Ok(())
    }

    fn acknowledged(&mut self, outcome: v1::SealedOutcome) -> Result<(), End> {
        let inbox = self.rooms.inbox.clone();
        self.tasks.spawn(info_span!("acknowledge"), async move { inbox.acknowledged(outcome).await });
        self.send_outcomes()
    }

    fn send(&self, body: ToBroker) -> Result<(), End> {
        self.sender.send(&message(body)).map_err(End::Send)
    }

    /// Tells broker and sessions that this tunnel goes, and ends once the sessions have, or are cut: by the client's
    /// own end, or just before a certificate's.
    fn drained(&self, parting: drain::Drain) -> impl Future<Output = End> + use<'l, I, S, V> {
        let (drain, mut replaced) = (self.drain, self.replaced.clone());
        let (sender, tasks, grace) = (self.sender.clone(), self.tasks, self.settings.grace);
        let last_call = self.expires_at.checked_sub(FAREWELL).unwrap_or(self.expires_at);
        async move {
            let end = tokio::select! {
                () = drain.draining() => End::Drained,
                Ok(_) = replaced.wait_for(|replaced| *replaced) => End::Replaced,
                () = sleep_until(last_call) => End::Expired,
            };
            parting.begin();
            let left =
                if matches!(end, End::Drained) { grace } else { last_call.duration_since(Instant::now()) };
            let until_ms = clock::wall().plus(left).0;
            let told = sender.send(&message(ToBroker::Draining(v1::Draining { until_ms })));
            if let Err(error) = told {
                debug!(error = %chain(&error), "Broker not told of the drain");
            }
            let cut = tokio::select! {
                () = tasks.idle() => false,
                () = drain.cut() => true,
                () = sleep_until(last_call) => true,
            };
            parting.cut();
            if cut {
                drop(timeout(FAREWELL, tasks.idle()).await);
            }
            end
        }
    }
}

/// Until the first certificate of the tunnel ends.
pub(super) fn left(tunnel: &Tunnel, dialing: &Dialing) -> Duration {
    tunnel.peer_not_after().min(dialing.until).since(clock::wall()).min(FAR)
}

fn message(body: ToBroker) -> v1::ReplicaMessage {
    v1::ReplicaMessage { id: 0, body: Some(body) }
}

/// The capability of replicas that brokers deliver requests to.
const REQUESTS: &str = "requests";
/// The only version of the control protocol so far.
const VERSION: u32 = 1;
/// A broker that probes more often than this only wants to wear the replica out; its interval is not believed.
const SHORTEST_PROBE: Duration = Duration::from_secs(1);
/// Waits for an acknowledgement; for ever without one to wait for. Cancel-safe.
async fn acknowledged(waiting: &mut Option<oneshot::Receiver<()>>) {
    if let Some(receiver) = waiting
        && receiver.await.is_ok()
    {
        *waiting = None;
        return;
    }
    *waiting = None;
    std::future::pending::<()>().await;
}

/// With a longer interval a dead tunnel would count as attached for too long.
const LONGEST_PROBE: Duration = Duration::from_secs(60);
/// Farther than any certificate, nearer than any overflow.
const FAR: Duration = Duration::from_secs(400 * 24 * 3600);
/// Deliveries being stored at a time: of the largest control messages, 64 MiB.
const DELIVERIES: usize = 64;
/// After a cut, for sessions to tell their operators why.
const FAREWELL: Duration = Duration::from_millis(500);
/// More than an honest broker brings at once; each at most as large as an envelope.
const LETTERS: usize = 16;
/// A disk that takes longer is broken; the broker delivers again.
const DELIVERY: Duration = Duration::from_secs(30);
