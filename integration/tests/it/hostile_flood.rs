//! A broker that floods a replica with garbage harms no session but those it could cut anyway.

use tokio::{io::AsyncWriteExt as _, task::JoinSet, time::timeout};
use tonic::transport::{Channel, Endpoint};
use tunnel_certs::crypto::random;
use tunnel_integration::{
    generated::admin::v1::{GetStatusRequest, admin_client::AdminClient},
    harness::{
        PATIENCE,
        hostile::{Captive, HostileBroker},
        operator::Pass,
        world::{Plan, World},
    },
};
use tunnel_protos::{
    Door,
    v1::{SealedRequest, broker_message::Body},
};

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";

struct Captured {
    world: World,
    captive: Captive,
    pass: Pass,
    _evil: HostileBroker,
}

impl Captured {
    /// A client attached to a hostile broker, after an operator got a pass through the honest one.
    async fn new() -> Self {
        let mut world = Plan::new().unwrap().start().await.unwrap();
        let pass = world.pass(&[STATUS]).await.unwrap();
        let evil = HostileBroker::bind(&world.vendor).unwrap();
        world.stop_client().await.unwrap();
        world.client_settings.brokers = vec![evil.address().unwrap()];
        world.start_client().await.unwrap();
        let captive = evil.attach().await.unwrap();
        Self { world, captive, pass, _evil: evil }
    }

    /// A session as an honest operator has it.
    async fn session(&self) -> AdminClient<Channel> {
        let config = self.pass.peer().unwrap().tls;
        let stream = self.captive.tls(self.pass.doors[0].1, &self.pass.host, config).await.unwrap();
        let mut once = Some(hyper_util::rt::TokioIo::new(stream));
        let connect = tower::service_fn(move |_| {
            let taken = once.take().ok_or_else(|| std::io::Error::other("the session is gone"));
            std::future::ready(taken)
        });
        let endpoint = Endpoint::from_shared(format!("https://{}", self.pass.host)).unwrap();
        AdminClient::new(endpoint.connect_with_connector(connect).await.unwrap())
    }
}

async fn answers(session: &mut AdminClient<Channel>) {
    let status = timeout(PATIENCE, session.get_status(GetStatusRequest {})).await.expect("no hang");
    assert!(status.unwrap().into_inner().healthy);
}

#[tokio::test]
async fn garbage_deliveries_leave_sessions_working() {
    let captured = Captured::new().await;
    let mut open = captured.session().await;
    answers(&mut open).await;
    for _ in 0..FLOOD {
        let garbage = SealedRequest { ciphertext: random::<200>().to_vec().into(), ..Default::default() };
        // A queue that is full is the flood's own limit.
        let _ = captured.captive.send(Body::Deliver(garbage));
    }
    answers(&mut open).await;
    answers(&mut captured.session().await).await;
    assert!(captured.world.approver().requests().await.unwrap().len() <= 2, "garbage left requests behind");
}

#[tokio::test]
async fn garbage_streams_leave_sessions_working() {
    let captured = Captured::new().await;
    let mut open = captured.session().await;
    answers(&mut open).await;
    let door = captured.pass.doors[0].1;
    let mut streams = JoinSet::new();
    for n in 0..FLOOD {
        let unknown = Door::from_random(random::<17>());
        let door = if n % 2 == 0 { door } else { unknown };
        let tunnel = captured.captive.tunnel.clone();
        streams.spawn(async move {
            let header = tunnel_transport::Header {
                kind: tunnel_transport::Kind::Session { door },
                peer: None,
                trace: None,
            };
            // Refused streams are what the flood is for.
            let Ok(mut stream) = tunnel.open(&header, PATIENCE).await else { return };
            let _ = stream.write_all(&random::<1000>()).await;
        });
    }
    answers(&mut open).await;
    timeout(PATIENCE, streams.join_all()).await.expect("each stream is refused or served");
    answers(&mut open).await;
    answers(&mut captured.session().await).await;
}

/// Far more than a replica takes at once.
const FLOOD: usize = 2_000;
