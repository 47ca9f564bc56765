//! The life of an attached tunnel: one task that reads control messages, probes, hands mail over and says goodbye.
//! Invariant: nothing a replica sends ends more than its own tunnel.

use parking_lot::MutexGuard;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tracing::{debug, info, warn};
use tunnel_certs::crypto;
use tunnel_protos::{
    EnvelopeId, TargetName,
    v1::{
        BrokerMessage, Doors, Drain, Probe, ProbeReply, RenewedLeaf, ReplicaMessage, SealedRequest,
        broker_message, replica_message::Body,
    },
};
use tunnel_runtime::chain;
use tunnel_transport::{
    Code, Tunnel,
    control::{ControlError, SendError},
};

use super::{
    Live, Presence,
    attach::BrokerControl,
    errands::{Done, Errand, Errands},
    mail::{Effect, Job, Mail},
    probe::{Due, NONCE, Prober},
    pushes::{Push, Pushes},
    registry::{Answered, DoorsError, Registry},
};
use crate::{
    clock,
    metrics::{self, Routable},
};

/// Attends to one tunnel.
pub(crate) struct Attendant {
    presence: Presence,
    tunnel: Tunnel,
    control: BrokerControl,
    prober: Prober,
    mail: Option<Mail>,
    pushes: Pushes,
    /// Made with the first: most tunnels have none for hours.
    errands: Option<Box<Errands>>,
    expires: Instant,
    told_of_drain: bool,
    routable: Option<Routable>,
}

/// How a tunnel ended, seen from here.
#[derive(Debug)]
struct Ended {
    code: Code,
    reason: &'static str,
}

impl Attendant {
    /// Mail is for replicas that take requests.
    pub(super) fn new(
        presence: Presence,
        tunnel: Tunnel,
        control: BrokerControl,
        mail: Option<Mail>,
        pushes: Pushes,
        expires: Instant,
    ) -> Self {
        let prober = Prober::new(presence.tunnels.terms.probe_interval, Instant::now());
        let (errands, told_of_drain, routable) = Default::default();
        Self { presence, tunnel, control, prober, mail, pushes, errands, expires, told_of_drain, routable }
    }

    /// Runs until the tunnel ends. Boxed, since a future keeps its arguments twice.
    pub(crate) async fn run(mut self: Box<Self>) {
        let ended = loop {
            if let Err(ended) = self.step().await {
                break ended;
            }
        };
        info!(label = %self.presence.label, reason = ended.reason, code = %ended.code, "Tunnel ended");
        metrics::tunnel_ended(ended.reason);
        self.tunnel.close(ended.code);
    }

    async fn step(&mut self) -> Result<(), Ended> {
        let wake = self.prober.due().min(self.expires);
        tokio::select! {
            message = self.control.next() => self.message(message.map_err(|error| lost(&error))?),
            effect = next(&mut self.mail) => self.effect(effect),
            push = self.pushes.next(&self.presence.tunnels.around) => self.push(push),
            done = next_done(&mut self.errands) => self.done(done),
            () = sleep_until(wake) => self.wake(),
            () = self.presence.tunnels.drain.draining(), if !self.told_of_drain => self.say_drain(),
        }
    }

    fn message(&mut self, message: ReplicaMessage) -> Result<(), Ended> {
        let id = message.id;
        match message.body {
            // These are acknowledged when they are stored.
            Some(Body::Received(received)) => self.mail(Job::Received(id, received)),
            Some(Body::Outcome(sealed)) => self.mail(Job::Outcome(id, sealed)),
            Some(Body::RenewCsr(renew)) => self.errand(Errand::Renew(id, renew.csr)),
            Some(Body::RotationAck(envelope)) => self.errand(Errand::Acknowledgement(id, envelope)),
            Some(Body::Registration(envelope)) => self.errand(Errand::Registration(id, envelope)),
            Some(body) => {
                self.note(body)?;
                self.control.sender().handled(id);
            }
            None => {}
        }
        Ok(())
    }

    fn note(&mut self, body: Body) -> Result<(), Ended> {
        match body {
            Body::ProbeReply(reply) => self.probe_reply(reply)?,
            Body::Doors(doors) => self.doors(&doors)?,
            Body::Draining(_) => {
                let (label, id) = self.presence.entry();
                self.registry().leaving(label, id);
                self.routable = None;
            }
            Body::Hello(_) => return Err(Ended { code: Code::Malformed, reason: "second_hello" }),
            // Checkpoints are for later versions; the rest does not come here.
            _ => debug!("Control message not used"),
        }
        Ok(())
    }

    /// A replica that did not say that it takes requests has no mail; what it sends all the same is not kept.
    fn mail(&mut self, job: Job) {
        match &mut self.mail {
            Some(mail) => mail.push(job),
            None => self.control.sender().handled(job.id()),
        }
    }

    fn errand(&mut self, errand: Errand) {
        let presence = &self.presence;
        let errands = self.errands.get_or_insert_with(|| Box::new(presence.errands()));
        if let Some(hopeless) = errands.push(errand) {
            self.control.sender().handled(hopeless);
        }
    }

    fn probe_reply(&mut self, reply: ProbeReply) -> Result<(), Ended> {
        let Some(round_trip) = self.prober.answered(&reply.nonce, Instant::now()) else { return Ok(()) };
        metrics::probe(round_trip);
        let mut targets = reply.targets;
        targets.retain(|target| target.target.parse::<TargetName>().is_ok());
        targets.truncate(TARGETS);
        let (label, id) = self.presence.entry();
        let answered = self.registry().answered(label, id, targets, clock::now());
        match answered {
            Answered::Noted => {}
            Answered::Routable => {
                self.routable = Some(Routable::new());
                debug!(%label, ?round_trip, "Tunnel routable");
            }
            Answered::Duplicate => {
                warn!(%label, replica = %self.presence.replica, "Two processes share one replica's identity");
                return Err(Ended { code: Code::Superseded, reason: "duplicate" });
            }
        }
        Ok(())
    }

    fn doors(&mut self, doors: &Doors) -> Result<(), Ended> {
        let (label, id) = self.presence.entry();
        self.registry().announce(label, id, doors).map_err(|error| match error {
            DoorsError::TooMany => {
                metrics::refused(metrics::Queue::Doors);
                Ended { code: Code::TooLarge, reason: "doors" }
            }
            DoorsError::Malformed => Ended { code: Code::Malformed, reason: "doors" },
            DoorsError::NotAttached => Ended { code: Code::Superseded, reason: "superseded" },
        })
    }

    fn wake(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        if now >= self.expires {
            return Err(Ended { code: Code::Expired, reason: "expired" });
        }
        let nonce = crypto::random::<NONCE>();
        match self.prober.fire(now, nonce, nonce[0]) {
            Due::Dead => Err(Ended { code: Code::Silent, reason: "silent" }),
            Due::Send => {
                let probe = Probe { nonce: nonce.to_vec() };
                self.send(broker_message::Body::Probe(probe))
            }
        }
    }

    fn say_drain(&mut self) -> Result<(), Ended> {
        self.told_of_drain = true;
        let until = clock::now().plus(self.presence.tunnels.terms.drain_grace);
        self.send(broker_message::Body::Drain(Drain { until_ms: until.0 }))
    }

    fn effect(&mut self, effect: Effect) -> Result<(), Ended> {
        match effect {
            Effect::Handled(id) => self.control.sender().handled(id),
            Effect::Deliver(requests) => {
                requests.into_iter().for_each(|(id, sealed)| self.deliver(id, sealed));
            }
            Effect::None => {}
        }
        Ok(())
    }

    fn push(&mut self, push: Push) -> Result<(), Ended> {
        let Push { body, then } = push;
        match self.keep(body)? {
            Some(acknowledged) => self.pushes.sent(then, acknowledged),
            None => self.pushes.not_sent(),
        }
        Ok(())
    }

    fn done(&mut self, done: Done) -> Result<(), Ended> {
        match done {
            Done::Handled(id) => self.control.sender().handled(id),
            Done::Renewed(id, certificate) => {
                // The acknowledgement of one that found no room is left out, too: the replica asks again.
                if self.keep(broker_message::Body::RenewedLeaf(RenewedLeaf { certificate }))?.is_some() {
                    self.control.sender().handled(id);
                }
            }
            Done::Failed => {}
        }
        Ok(())
    }

    fn deliver(&mut self, id: EnvelopeId, sealed: SealedRequest) {
        let message = BrokerMessage { id: 0, body: Some(broker_message::Body::Deliver(sealed)) };
        // Whether it arrived shows in its `Received`; the repeats until then are the control stream's.
        if let Err(error) = self.control.sender().keep(message) {
            metrics::refused(metrics::Queue::Control);
            warn!(label = %self.presence.label, error = %chain(&error), "Request not sent, it will be tried again");
            self.mail.iter_mut().for_each(|mail| mail.not_sent(id));
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry<Live>> {
        self.presence.tunnels.registry.lock()
    }

    /// Sends what is repeated until it is acknowledged; none if there is no room now.
    fn keep(&self, body: broker_message::Body) -> Result<Option<oneshot::Receiver<()>>, Ended> {
        match self.control.sender().keep(BrokerMessage { id: 0, body: Some(body) }) {
            Ok(acknowledged) => Ok(Some(acknowledged)),
            Err(SendError::Full(_)) => {
                metrics::refused(metrics::Queue::Control);
                Ok(None)
            }
            Err(SendError::Frame(_) | SendError::Closed) => {
                Err(Ended { code: Code::Internal, reason: "control" })
            }
        }
    }

    /// What is lost here is repeated by its own clock.
    fn send(&self, body: broker_message::Body) -> Result<(), Ended> {
        match self.control.sender().send(&BrokerMessage { id: 0, body: Some(body) }) {
            Err(SendError::Full(_)) => metrics::refused(metrics::Queue::Control),
            Err(SendError::Frame(_) | SendError::Closed) => {
                return Err(Ended { code: Code::Internal, reason: "control" });
            }
            Ok(()) => {}
        }
        Ok(())
    }
}

/// Waits for ever where there is no mail.
async fn next(mail: &mut Option<Mail>) -> Effect {
    match mail {
        Some(mail) => mail.next().await,
        None => std::future::pending().await,
    }
}

/// Waits for ever where there are none.
async fn next_done(errands: &mut Option<Box<Errands>>) -> Done {
    match errands {
        Some(errands) => errands.next().await,
        None => std::future::pending().await,
    }
}

fn lost(error: &ControlError) -> Ended {
    debug!(error = %chain(error), "Control stream lost");
    let reason = match error {
        ControlError::Stream(_) | ControlError::Ended => "closed",
        ControlError::Frame(_) | ControlError::Decode(_) => "malformed",
        ControlError::Stalled => "stalled",
    };
    Ended { code: error.code(), reason }
}

/// Engine health is kept of so many targets per tunnel, as many as a request may name.
const TARGETS: usize = 64;
