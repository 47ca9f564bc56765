//! A replica that does what a test tells it, honest or not.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::Span;
use tunnel_certs::{credential::Credential, tls};
use tunnel_protos::{
    Door,
    v1::{
        BrokerMessage, Doors, Health, Hello, ProbeReply, Received, ReceivedStatus, ReplicaMessage,
        SealedOutcome, SealedRequest, TargetHealth, Welcome, broker_message, replica_message,
    },
};
use tunnel_runtime::tasks::Task;
use tunnel_transport::{
    Closed, Code, Kind, Limits, Offer, Tunnel,
    control::{Control, ControlLimits, ControlSender},
    quic::{ALPN, ClientTls, Dial, DialError, dial},
};

use crate::{World, in_time, vendor::label};

type ReplicaControl = Control<ReplicaMessage, BrokerMessage>;

/// How a replica behaves.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) credential: Option<Credential>,
    pub(crate) label: char,
    pub(crate) id: &'static str,
    pub(crate) epoch: u64,
    pub(crate) versions: (u32, u32),
    pub(crate) capabilities: Vec<String>,
    pub(crate) doors: Vec<Door>,
    pub(crate) answers_probes: bool,
    pub(crate) acknowledges_pushes: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            credential: None,
            label: 'a',
            id: "r0",
            epoch: 1,
            versions: (1, 1),
            capabilities: vec!["requests".to_owned()],
            doors: vec![door(1)],
            answers_probes: true,
            acknowledges_pushes: true,
        }
    }
}

/// An attached replica.
pub(crate) struct Replica {
    pub(crate) tunnel: Tunnel,
    pub(crate) sender: ControlSender<ReplicaMessage>,
    /// What the broker said, pushes aside, with the id to acknowledge.
    pub(crate) said: mpsc::Receiver<BrokerMessage>,
    /// What the broker pushed: trust bundle, entry, rotation, each as often as it came.
    pub(crate) pushed: mpsc::Receiver<BrokerMessage>,
    /// Streams that the broker opened.
    pub(crate) offers: mpsc::Receiver<Offer>,
    _tasks: [Task<()>; 2],
}

pub(crate) fn door(n: u8) -> Door {
    Door::from_random([n; 17])
}

impl Replica {
    /// Attaches, announces its doors and waits until it is routable.
    pub(crate) async fn attach(world: &World, script: Script) -> Self {
        let mut replica = Self::open(world, script.clone()).await.unwrap();
        let welcome = replica.welcome().await;
        assert_eq!((welcome.version, welcome.broker_id.as_str()), (1, "b0"));
        replica.announce(&script.doors);
        if script.answers_probes {
            // A probe that was answered stands for doors that were taken: messages keep their order.
            in_time("second probe", replica.probed()).await;
        }
        replica
    }

    /// Dials and says hello.
    pub(crate) async fn open(world: &World, script: Script) -> Result<Self, DialError> {
        let tunnel = connect(world, &script).await?;
        let control = control(&tunnel).await;
        let sender = control.sender();
        let hello = Hello {
            min_version: script.versions.0,
            max_version: script.versions.1,
            capabilities: script.capabilities.clone(),
            epoch: script.epoch,
            build: "test".to_owned(),
        };
        send(&sender, replica_message::Body::Hello(hello));
        let (said_sender, said) = mpsc::channel(256);
        let (offer_sender, offers) = mpsc::channel(256);
        let (push_sender, pushed) = mpsc::channel(256);
        let talk = talk(control, sender.clone(), script, [said_sender, push_sender]);
        let tasks = [
            Task::spawn(Span::none(), talk),
            Task::spawn(Span::none(), take_streams(tunnel.clone(), offer_sender)),
        ];
        Ok(Self { tunnel, sender, said, pushed, offers, _tasks: tasks })
    }

    pub(crate) async fn welcome(&mut self) -> Welcome {
        match in_time("welcome", self.said.recv()).await.unwrap().body {
            Some(broker_message::Body::Welcome(welcome)) => welcome,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn announce(&self, doors: &[Door]) {
        let added = doors.iter().map(ToString::to_string).collect();
        let doors = Doors { full: true, added, removed: Vec::new() };
        let message = ReplicaMessage { id: 0, body: Some(replica_message::Body::Doors(doors)) };
        drop(self.sender.keep(message).unwrap());
    }

    /// Waits for two more probes: the first of them may have been under way before.
    pub(crate) async fn probed(&mut self) {
        let mut probes = 0;
        while probes < 2 {
            let message = self.said.recv().await.expect("the tunnel lives");
            probes += u32::from(matches!(message.body, Some(broker_message::Body::Probe(_))));
        }
    }

    /// The next message that is not a probe.
    pub(crate) async fn told(&mut self) -> BrokerMessage {
        loop {
            let message = in_time("message", self.said.recv()).await.expect("the tunnel lives");
            if !matches!(message.body, Some(broker_message::Body::Probe(_))) {
                return message;
            }
        }
    }

    /// The next push.
    pub(crate) async fn push(&mut self) -> broker_message::Body {
        in_time("push", self.pushed.recv()).await.expect("the tunnel lives").body.unwrap()
    }

    /// Waits for a push that is what a test waits for, and gives it.
    pub(crate) async fn push_of<T>(&mut self, wanted: impl Fn(broker_message::Body) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.push().await) {
                return found;
            }
        }
    }

    /// Sends what is to be acknowledged, and waits until it is.
    pub(crate) async fn tell(&self, body: replica_message::Body) {
        let message = ReplicaMessage { id: 0, body: Some(body) };
        in_time("acknowledgement", self.sender.keep(message).unwrap()).await.unwrap();
    }

    /// The next request delivered, acknowledged.
    pub(crate) async fn delivered(&mut self) -> SealedRequest {
        let message = self.told().await;
        self.sender.handled(message.id);
        match message.body {
            Some(broker_message::Body::Deliver(sealed)) => sealed,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn receive(&self, envelope_id: &[u8], status: ReceivedStatus) {
        let received = Received { envelope_id: envelope_id.to_vec(), status: status.into() };
        let message = ReplicaMessage { id: 0, body: Some(replica_message::Body::Received(received)) };
        drop(self.sender.keep(message).unwrap());
    }

    /// Sends an outcome and waits until the broker has it.
    pub(crate) async fn answer(&self, outcome: SealedOutcome) {
        let message = ReplicaMessage { id: 0, body: Some(replica_message::Body::Outcome(outcome)) };
        in_time("acknowledgement", self.sender.keep(message).unwrap()).await.unwrap();
    }

    /// The code that the broker closed the tunnel with.
    pub(crate) async fn closed(&self) -> Code {
        match in_time("close", self.tunnel.closed()).await {
            Closed::ByPeer { code, .. } => code,
            other => panic!("{other:?}"),
        }
    }
}

/// A connection that has not said hello.
pub(crate) async fn connect(world: &World, script: &Script) -> Result<Tunnel, DialError> {
    let vendor = &world.vendor;
    let own = || vendor.replica(label(script.label), script.id);
    let credential = script.credential.clone().unwrap_or_else(own);
    let config = tls::mesh_client(&credential, vendor.verifier(), &[ALPN]).unwrap();
    let how = Dial {
        address: world.addresses.quic,
        server_name: "b0.tunnel.example".to_owned(),
        tls: ClientTls { config, verifier: vendor.verifier() },
        limits: Limits::default(),
        deadline: Duration::from_secs(5),
    };
    dial(&how).await
}

/// The code with which a replica is turned away before anything else.
pub(crate) async fn refusal(world: &World, script: Script) -> Code {
    let tunnel = connect(world, &script).await.unwrap();
    match in_time("refusal", tunnel.closed()).await {
        Closed::ByPeer { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

/// The control stream, which comes first.
pub(crate) async fn control(tunnel: &Tunnel) -> ReplicaControl {
    let deadline = Duration::from_secs(5);
    let incoming = in_time("control stream", tunnel.accept()).await.unwrap();
    let offer = incoming.header(deadline).await.unwrap();
    assert_eq!(offer.header().kind, Kind::Control);
    Control::new(offer.accept(deadline).await.unwrap(), ControlLimits::default())
}

pub(crate) fn send(sender: &ControlSender<ReplicaMessage>, body: replica_message::Body) {
    sender.send(&ReplicaMessage { id: 0, body: Some(body) }).unwrap();
}

async fn talk(
    mut control: ReplicaControl,
    sender: ControlSender<ReplicaMessage>,
    script: Script,
    [said, pushed]: [mpsc::Sender<BrokerMessage>; 2],
) {
    use broker_message::Body::{InventoryEntry, Probe, Rotation, TrustBundle};
    while let Ok(message) = control.next().await {
        // A test that does not listen does not stop the tunnel.
        match &message.body {
            Some(TrustBundle(_) | InventoryEntry(_) | Rotation(_)) => {
                if script.acknowledges_pushes {
                    sender.handled(message.id);
                }
                let _ = pushed.try_send(message);
                continue;
            }
            Some(Probe(probe)) if script.answers_probes => {
                let health = TargetHealth { target: "default".to_owned(), health: Health::Serving.into() };
                let reply = ProbeReply { nonce: probe.nonce.clone(), targets: vec![health] };
                send(&sender, replica_message::Body::ProbeReply(reply));
            }
            _ => {}
        }
        let _ = said.try_send(message);
    }
}

async fn take_streams(tunnel: Tunnel, offers: mpsc::Sender<Offer>) {
    while let Ok(incoming) = tunnel.accept().await {
        if let Ok(offer) = incoming.header(Duration::from_secs(5)).await {
            let _ = offers.try_send(offer);
        }
    }
}
