//! What an idle tunnel costs the broker in resident memory: `cargo run --example idle -- [COUNT [PROBES]]`.
//!
//! Some queues of the QUIC stack take their full size only after some dozen packets: compare 0 and 64 probes.
//! This process is the broker (one thread, one control stream per tunnel); a child process holds the replicas.
#![expect(clippy::unwrap_used, reason = "a measurement has nobody to hand errors to")]

#[expect(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../src/quic/tests/mesh.rs"]
mod mesh;

use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use tokio::{task::JoinSet, time::timeout};
use tunnel_certs::{
    credential::{Credential, certificate_to_pem, certificates_from_pem},
    identity::Role,
    roots::Roots,
    verify::MeshVerifier,
};
use tunnel_protos::v1::{BrokerMessage, Probe, ProbeReply, ReplicaMessage, broker_message, replica_message};
use tunnel_transport::{
    Header, Kind, Limits, Tunnel,
    control::{Control, ControlLimits},
    quic::{Admission, ClientTls, Dial, Listener, ResetKey, ServerTls, dial},
};

const DEADLINE: Duration = Duration::from_secs(60);
/// Until what handshakes left behind is given back.
const SETTLED: Duration = Duration::from_secs(5);
/// Handshakes at a time: more would measure the handshakes.
const AT_A_TIME: usize = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["replicas", folder, address, count, probes] => {
            let (count, probes) = (count.parse().unwrap(), probes.parse().unwrap());
            replicas(Path::new(folder), address.parse().unwrap(), count, probes).await;
        }
        [count, probes] => broker(count.parse().unwrap(), probes.parse().unwrap()).await,
        [count] => broker(count.parse().unwrap(), 0).await,
        _ => broker(2000, 0).await,
    }
}

async fn broker(count: usize, probes: usize) {
    let (mesh, folder) = (mesh::Mesh::new(), tempfile::tempdir().unwrap());
    save(&mesh, folder.path());
    let tls =
        ServerTls { config: mesh.server(&mesh.broker()), verifier: mesh.verifier(), peer: Role::Replica };
    let (any, key) = (SocketAddr::from(([127, 0, 0, 1], 0)), ResetKey::new([7; 32]));
    let listener = Listener::bind(any, tls, &key, Limits::default(), Admission::default()).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let before = resident();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "replicas",
            folder.path().to_str().unwrap(),
            &address,
            &count.to_string(),
            &probes.to_string(),
        ])
        .spawn()
        .unwrap();
    let _tunnels = accept(&listener, count, probes).await;
    tokio::time::sleep(SETTLED).await;
    let kib = resident().saturating_sub(before);
    println!("{count} tunnels, {probes} probes, {kib} KiB, {:.1} KiB each", kib as f64 / count as f64);
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn accept(listener: &Listener, count: usize, probes: usize) -> JoinSet<()> {
    let mut tunnels = JoinSet::new();
    for _ in 0..count {
        let handshaking = listener.accept().await.unwrap();
        tunnels.spawn(async move {
            let tunnel = handshaking.finish(DEADLINE).await.unwrap();
            let stream = tunnel.open(&Header::new(Kind::Control), DEADLINE).await.unwrap();
            let mut control = Control::<BrokerMessage, ReplicaMessage>::new(stream, ControlLimits::default());
            for _ in 0..probes {
                control.sender().send(&probe()).unwrap();
                control.next().await.unwrap();
            }
            let _ = control.next().await;
            drop(tunnel);
        });
    }
    tunnels
}

async fn replicas(folder: &Path, address: SocketAddr, count: usize, probes: usize) {
    let credential = Credential::load(&folder.join("replica.pem"), &folder.join("replica.key")).unwrap();
    let roots = certificates_from_pem(&fs::read(folder.join("ca.pem")).unwrap()).unwrap();
    let verifier = MeshVerifier::new("vend".parse().unwrap(), Roots::new(roots).unwrap());
    let config = tunnel_certs::tls::mesh_client(&credential, verifier.clone(), &[]).unwrap();
    let tls = ClientTls { config, verifier };
    let to = Dial { address, server_name: "b1".into(), tls, limits: Limits::default(), deadline: DEADLINE };
    let (mut held, mut dialing) = (Vec::new(), JoinSet::new());
    for _ in 0..count {
        let to = to.clone();
        dialing.spawn(async move { attach(&to, probes).await });
        if dialing.len() >= AT_A_TIME {
            held.push(dialing.join_next().await.unwrap().unwrap());
        }
    }
    held.extend(dialing.join_all().await);
    std::future::pending::<()>().await;
}

fn probe() -> BrokerMessage {
    let nonce = vec![7; 16];
    BrokerMessage { id: 0, body: Some(broker_message::Body::Probe(Probe { nonce })) }
}

fn reply() -> ReplicaMessage {
    let (nonce, targets) = (vec![7; 16], Vec::new());
    ReplicaMessage { id: 0, body: Some(replica_message::Body::ProbeReply(ProbeReply { nonce, targets })) }
}

async fn attach(to: &Dial, probes: usize) -> (Tunnel, Control<ReplicaMessage, BrokerMessage>) {
    let tunnel = dial(to).await.unwrap();
    let offer = tunnel.accept().await.unwrap().header(DEADLINE).await.unwrap();
    let mut control = Control::new(offer.accept(DEADLINE).await.unwrap(), ControlLimits::default());
    for _ in 0..probes {
        control.next().await.unwrap();
        control.sender().send(&reply()).unwrap();
    }
    // Writes the last reply.
    let _ = timeout(Duration::from_millis(20), control.next()).await;
    (tunnel, control)
}

/// Resident memory of this process in KiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// Written by the broker's side, read by the replicas'.
fn save(mesh: &mesh::Mesh, folder: &Path) {
    let replica = mesh.replica();
    fs::write(folder.join("ca.pem"), certificate_to_pem(mesh.authority.certificate())).unwrap();
    fs::write(folder.join("replica.pem"), certificate_to_pem(replica.certificate())).unwrap();
    replica.key().save(&folder.join("replica.key")).unwrap();
}
