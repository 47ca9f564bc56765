//! A broker that does exactly what a test tells it.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::mpsc, time::timeout};
use tracing::Span;
use tunnel_certs::{
    credential::Credential,
    identity::Role,
    issue::{Authority, CaKind},
    key::{Algorithm, Signer, SigningKey},
    tls,
    verify::MeshVerifier,
};
use tunnel_protos::{
    UnixMillis, VendorName,
    v1::{
        BrokerMessage, Doors, Hello, ReplicaMessage, SealedOutcome, Welcome,
        broker_message::Body as FromBroker, replica_message::Body as ToBroker,
    },
};
use tunnel_runtime::tasks::Task;
use tunnel_transport::{
    Header, Kind, Limits, Tunnel,
    control::{Control, ControlLimits, ControlSender},
    quic::{Admission, Listener, ResetKey, ServerTls},
};

use super::{super::Deadlines, PATIENCE};
use crate::trust::testing;

const LIFE: Duration = Duration::from_secs(3600);

pub(super) struct Broker {
    pub(super) mesh: Arc<Authority>,
    /// Another root, whose replicas are taken, too.
    pub(super) next: Authority,
    listener: Listener,
}

/// A tunnel that has said Hello and got its Welcome.
pub(super) struct Attached {
    pub(super) tunnel: Tunnel,
    pub(super) hello: Hello,
    pub(super) sender: ControlSender<BrokerMessage>,
    messages: mpsc::Receiver<ReplicaMessage>,
    _control: Task<()>,
}

impl Broker {
    pub(super) fn start() -> Self {
        Self::with_life(LIFE)
    }

    /// A broker whose own certificate lives that long.
    pub(super) fn with_life(life: Duration) -> Self {
        Self::of(Arc::new(testing::ca_of(CaKind::Mesh, now().minus(LIFE))), life)
    }

    /// Another broker of the same vendor.
    pub(super) fn beside(&self) -> Self {
        Self::of(self.mesh.clone(), LIFE)
    }

    fn of(mesh: Arc<Authority>, life: Duration) -> Self {
        let next = testing::ca(CaKind::Mesh);
        let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
        let leaf = mesh.issue_broker(key.public(), &vendor(), &"b1".parse().unwrap(), life, now()).unwrap();
        let credential = Credential::new(vec![leaf], key).unwrap();
        let verifier = MeshVerifier::new(vendor(), testing::roots(&[&mesh, &next]));
        let config = tls::mesh_server(&credential, verifier.clone(), Role::Replica, &[b"postern/1"]).unwrap();
        let tls = ServerTls { config, verifier, peer: Role::Replica };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener =
            Listener::bind(any, tls, &ResetKey::new([1; 32]), Limits::default(), Admission::default())
                .unwrap();
        Self { mesh, next, listener }
    }

    pub(super) fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    pub(super) async fn accept(&mut self) -> Tunnel {
        let attempt = timeout(PATIENCE, self.listener.accept()).await.unwrap().unwrap();
        attempt.finish(PATIENCE).await.unwrap()
    }

    pub(super) async fn attach(&mut self) -> Attached {
        let tunnel = self.accept().await;
        let stream = tunnel.open(&Header::new(Kind::Control), Deadlines::default().open).await.unwrap();
        let mut control: Control<BrokerMessage, ReplicaMessage> =
            Control::new(stream, ControlLimits::default());
        let sender = control.sender();
        let first = timeout(PATIENCE, control.next()).await.unwrap().unwrap();
        let Some(ToBroker::Hello(hello)) = first.body else { panic!("the first message is {first:?}") };
        let welcome =
            Welcome { version: 1, broker_id: "b1".into(), probe_interval_ms: 1000, ..Default::default() };
        sender.send(&message(FromBroker::Welcome(welcome))).unwrap();
        let (queue, messages) = mpsc::channel(64);
        let control = Task::spawn(Span::none(), async move {
            while let Ok(message) = control.next().await {
                let _ = queue.send(message).await;
            }
        });
        Attached { tunnel, hello, sender, messages, _control: control }
    }
}

impl Attached {
    pub(super) fn send(&self, body: FromBroker) {
        self.sender.send(&message(body)).unwrap();
    }

    /// The next message that `pick` wants; others are passed over.
    pub(super) async fn next<T>(&mut self, pick: impl Fn(ToBroker) -> Option<T>) -> T {
        self.next_with_id(pick).await.1
    }

    pub(super) async fn doors(&mut self) -> Doors {
        let pick = |body| if let ToBroker::Doors(doors) = body { Some(doors) } else { None };
        let (id, doors) = self.next_with_id(pick).await;
        self.sender.handled(id);
        doors
    }

    pub(super) async fn outcome(&mut self) -> (u64, SealedOutcome) {
        self.next_with_id(|body| if let ToBroker::Outcome(outcome) = body { Some(outcome) } else { None })
            .await
    }

    async fn next_with_id<T>(&mut self, pick: impl Fn(ToBroker) -> Option<T>) -> (u64, T) {
        loop {
            let message = timeout(PATIENCE, self.messages.recv()).await.unwrap().unwrap();
            if let Some(found) = message.body.and_then(&pick) {
                return (message.id, found);
            }
        }
    }
}

pub(super) fn message(body: FromBroker) -> BrokerMessage {
    BrokerMessage { id: 0, body: Some(body) }
}

fn vendor() -> VendorName {
    "vendor".parse().unwrap()
}

fn now() -> UnixMillis {
    UnixMillis::from_system(SystemTime::now())
}
