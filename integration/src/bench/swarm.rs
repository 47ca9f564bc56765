//! Many replicas at rest: real certificates, the real transport, probes answered; no gate and no engine behind them.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::task::JoinSet;
use tunnel_certs::{
    credential::Credential,
    crypto::random,
    issue::Authority,
    key::{Algorithm, Signer, SigningKey},
    roots::Roots,
    tls,
    verify::MeshVerifier,
};
use tunnel_protos::{
    Label, VendorName,
    v1::{BrokerMessage, Hello, ProbeReply, ReplicaMessage, broker_message, replica_message::Body},
};
use tunnel_transport::{
    Kind, Limits, Stream, Tunnel,
    control::{Control, ControlLimits},
    quic::{ALPN, ClientTls, Dial, dial},
};

use crate::harness::vendor::now;

/// Which broker, and who vouches for the swarm.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The broker's UDP address.
    #[arg(long)]
    pub broker: SocketAddr,
    /// How many tunnels.
    #[arg(long, default_value_t = 2000)]
    pub count: usize,
    /// The vendor's name in identities.
    #[arg(long, default_value = "vendor")]
    pub vendor: VendorName,
    /// Certificate of the mesh CA (PEM); each replica gets a leaf of its own.
    #[arg(long)]
    pub mesh_ca: PathBuf,
    /// Key of the mesh CA (PEM).
    #[arg(long)]
    pub mesh_ca_key: PathBuf,
}

/// Attaches all replicas, calls `attached` once every one is welcomed, and keeps them until one fails.
pub async fn run(options: &Options, attached: impl FnOnce()) -> Result<()> {
    let mesh = Authority::load(&options.mesh_ca, &options.mesh_ca_key)?;
    let mut replicas = JoinSet::new();
    let mut dialing = JoinSet::new();
    for _ in 0..options.count {
        if dialing.len() >= AT_A_TIME {
            keep(&mut replicas, dialing.join_next().await)?;
        }
        dialing.spawn(attach(replica(options, &mesh)?));
    }
    while let Some(done) = dialing.join_next().await {
        keep(&mut replicas, Some(done))?;
    }
    attached();
    match replicas.join_next().await {
        Some(ended) => bail!("a tunnel ended: {:?}", ended?),
        None => bail!("no tunnels were asked for"),
    }
}

type Attached = (Tunnel, Control<ReplicaMessage, BrokerMessage>);

fn keep(
    replicas: &mut JoinSet<Result<()>>,
    attached: Option<Result<Result<Attached>, tokio::task::JoinError>>,
) -> Result<()> {
    let (tunnel, control) = attached.context("nothing dials")???;
    replicas.spawn(rest(tunnel, control));
    Ok(())
}

fn replica(options: &Options, mesh: &Authority) -> Result<Dial> {
    let key = Arc::new(SigningKey::generate(Algorithm::P256)?);
    let label = Label::from_random(random::<17>());
    let (life, id) = (Duration::from_secs(3600), "r1".parse()?);
    let certificate = mesh.issue_replica(key.public(), &options.vendor, &label, &id, life, now())?;
    let credential = Credential::new(vec![certificate], key)?;
    let roots = Roots::new(vec![mesh.certificate().clone()])?;
    let verifier = MeshVerifier::new(options.vendor.clone(), roots);
    let config = tls::mesh_client(&credential, verifier.clone(), &[ALPN])?;
    Ok(Dial {
        address: options.broker,
        server_name: "broker.tunnel.example".to_owned(),
        tls: ClientTls { config, verifier },
        limits: Limits::default(),
        deadline: DEADLINE,
    })
}

/// Dials, says hello and waits for the welcome.
async fn attach(replica: Dial) -> Result<Attached> {
    let tunnel = dial(&replica).await?;
    let stream = tokio::time::timeout(DEADLINE, next(&tunnel)).await.context("no control stream")??;
    let mut control: Control<ReplicaMessage, BrokerMessage> = Control::new(stream, ControlLimits::default());
    let hello = Hello { min_version: 1, max_version: 1, epoch: 1, ..Default::default() };
    control.sender().send(&ReplicaMessage { id: 0, body: Some(Body::Hello(hello)) })?;
    tokio::time::timeout(DEADLINE, welcome(&mut control)).await.context("no welcome")??;
    Ok((tunnel, control))
}

async fn welcome(control: &mut Control<ReplicaMessage, BrokerMessage>) -> Result<()> {
    loop {
        let message = control.next().await?;
        let welcomed = matches!(message.body, Some(broker_message::Body::Welcome(_)));
        answer(control, message)?;
        if welcomed {
            return Ok(());
        }
    }
}

/// Answers probes, on the control stream and on streams of their own.
async fn rest(tunnel: Tunnel, mut control: Control<ReplicaMessage, BrokerMessage>) -> Result<()> {
    let mut echoes = JoinSet::new();
    loop {
        tokio::select! {
            message = control.next() => answer(&control, message?)?,
            stream = next(&tunnel) => { echoes.spawn(echo(stream?)); }
            Some(_) = echoes.join_next() => {}
        }
    }
}

fn answer(control: &Control<ReplicaMessage, BrokerMessage>, message: BrokerMessage) -> Result<()> {
    control.sender().handled(message.id);
    if let Some(broker_message::Body::Probe(probe)) = message.body {
        let reply = ProbeReply { nonce: probe.nonce, targets: Vec::new() };
        control.sender().send(&ReplicaMessage { id: 0, body: Some(Body::ProbeReply(reply)) })?;
    }
    Ok(())
}

/// The next stream, accepted; a session is refused, since there is no gate.
async fn next(tunnel: &Tunnel) -> Result<Stream> {
    loop {
        let offer = tunnel.accept().await?.header(DEADLINE).await?;
        match offer.header().kind {
            Kind::Control | Kind::Probe => return Ok(offer.accept(DEADLINE).await?),
            Kind::Session { .. } | Kind::Forward { .. } => offer.refuse(tunnel_transport::Code::NotHere),
        }
    }
}

async fn echo(mut stream: Stream) -> std::io::Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut bytes = Vec::new();
    (&mut stream).take(64).read_to_end(&mut bytes).await?;
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

/// Handshakes under way; the broker bounds them, and so does the machine.
const AT_A_TIME: usize = 32;
const DEADLINE: Duration = Duration::from_secs(20);
