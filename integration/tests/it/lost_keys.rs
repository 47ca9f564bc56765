//! The table of lost and stolen keys in `SECURITY.md`, row by row: what its last column says is done by the real
//! programs, and then it holds. The enrollment bundle's row is in `enrollment::bundles`, release keys' in
//! `enrollment::rotations`, a broker's leaf in `tunnel-broker/src/enroll/leaf`.

use std::{fs, path::Path, time::Duration};

use prost::Message;
use tokio::time::Instant;
use tonic::Code;
use tunnel_certs::{
    credential::{Credential, certificate_to_pem},
    key::Signer,
    statement::trust_bundle::TrustBundle,
    tls,
    verify::MeshVerifier,
};
use tunnel_integration::{
    generated::admin::v1::{GetStatusRequest, admin_client::AdminClient},
    harness::{
        PATIENCE,
        broker::ADMINISTRATOR,
        command::run,
        operator::{Operator, Pass, access_to},
        vendor::now,
        wait::until,
        world::World,
    },
};
use tunnel_protos::{
    operators::{GetTrustRequest, ListClustersRequest, ListReplicasRequest},
    v1::RequestState,
};
use tunnel_transport::{
    Limits,
    quic::{self, ALPN, ClientTls, Dial},
};

use crate::{
    cutting::stalled,
    enrollment::lab::{Lab, STATUS, Site, cluster},
};

const STALL: &str = "engine.admin.v1.Faults/Stall";
const SECOND: Duration = Duration::from_secs(1);

async fn enrolled() -> (Lab, Site) {
    let lab = Lab::start().await;
    let (bundle, _) = lab.invites("acme.bundle", &[]).await;
    let site = lab.site("customer", &bundle);
    lab.enrolls(&site).await;
    lab.is_called().await;
    (lab, site)
}

async fn call(pass: &Pass) -> Result<(), Code> {
    let mut admin = AdminClient::new(pass.channel().unwrap());
    admin.get_status(GetStatusRequest {}).await.map(drop).map_err(|status| status.code())
}

#[tokio::test]
async fn vendor_key_the_next_one_is_handed_over_as_files() {
    let mut world = World::start().await.unwrap();
    world.stop_client().await.unwrap();
    world.drain_broker().await.unwrap();
    world.vendor.replace_key().unwrap();
    let registration = fs::read(world.client_settings.folder.join("registration.pb")).unwrap();
    world.client_settings.trust_bundle = world.vendor.trust_bundle(&[]).unwrap();
    world.broker_settings.trust_bundle = world.client_settings.trust_bundle.clone();
    world.client_settings.register(&world.vendor, &registration).unwrap();
    world.client_settings.publish(&world.broker_settings.entries).unwrap();
    world.start_broker().await.unwrap();
    world.start_client().await.unwrap();
    world.online().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    assert_eq!(call(&pass).await, Ok(()));
}

#[tokio::test]
async fn mesh_ca_a_rotation_leaves_the_stolen_one_out_and_whoever_it_certified() {
    let (mut lab, _site) = enrolled().await;
    let label = lab.operator("ada").entry(&cluster()).await.unwrap().label;
    let stolen = lab.vendor.mesh_replica(&label, &"thief".parse().unwrap()).unwrap();
    assert!(dialed(&lab, &stolen).await, "before");
    let rotated = lab.certs(&["rotate", "mesh", "--poll", "100ms"]).await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    lab.is_called().await;
    assert!(!dialed(&lab, &stolen).await, "after");
    // Of those that the broker made itself, one is kept.
    let rotated = lab.certs(&["rotate", "mesh", "--poll", "100ms"]).await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let kept = files_of(&lab.broker_settings.state.join("mesh-ca"), "");
    let keys = kept.iter().filter(|path| path.extension().is_some_and(|end| end == "key")).count();
    assert_eq!(keys, 1, "{kept:?}");
    lab.broker.stop(PATIENCE).await.unwrap();
    lab.start_broker().await;
    lab.is_called().await;
    assert!(!dialed(&lab, &stolen).await, "after a start");
}

/// Whether the broker lets this certificate in as a tunnel's.
async fn dialed(lab: &Lab, shown: &Credential) -> bool {
    let roots = lab.operator(ADMINISTRATOR).administration().get_trust(GetTrustRequest {}).await.unwrap();
    let envelope = roots.into_inner().trust_bundle.unwrap().encode_to_vec();
    let bundle = TrustBundle::open(&envelope, &[lab.vendor.key().public().clone()], now()).unwrap();
    let verifier = MeshVerifier::new(bundle.vendor, bundle.mesh_roots);
    let config = tls::mesh_client(shown, verifier.clone(), &[ALPN]).unwrap();
    let dialing = Dial {
        address: lab.broker_settings.listen.quic,
        server_name: "broker.tunnel.example".to_owned(),
        tls: ClientTls { config, verifier },
        limits: Limits::default(),
        deadline: PATIENCE,
    };
    let Ok(tunnel) = quic::dial(&dialing).await else { return false };
    matches!(tokio::time::timeout(PATIENCE, tunnel.accept()).await, Ok(Ok(_)))
}

#[tokio::test]
async fn operator_ca_a_trust_bundle_without_it_cuts_off_whoever_it_certified() {
    let (mut lab, _site) = enrolled().await;
    let (thief, stolen) = (lab.operator("eve"), lab.path("operator-ca-1.pem"));
    fs::write(&stolen, certificate_to_pem(lab.vendor.operators().certificate())).unwrap();
    let (now, next) = (lab.path("now.pb"), lab.path("next.pb"));
    let added = lab.vendor.next_operator_ca().unwrap();
    lab.types(&["trust", "show", "--out", &now.display().to_string()]).await;
    let mut made = lab.desk.program("tunnel-certs", &["statement", "trust-bundle", "--from"]).unwrap();
    made.arg(&now).arg("--add-operator-root").arg(added).arg("--remove-operator-root").arg(stolen);
    made.arg("--key").arg(lab.vendor.private_key_file().unwrap()).arg("--out").arg(&next);
    run(made).await.unwrap();
    lab.types(&["trust", "publish", &next.display().to_string()]).await;
    until("the broker has the bundle", PATIENCE, || async {
        let listed = thief.api().list_clusters(ListClustersRequest::default()).await;
        if listed.is_err() { Ok(()) } else { Err("the thief is still let in") }
    })
    .await
    .unwrap();
    // Identities of the new one are let in, the administrator's too.
    lab.is_called().await;
    lab.logs_in().await;
    lab.types(&["replicas"]).await;
}

#[tokio::test]
async fn cluster_and_sealing_key_stolen_others_take_their_place_by_words() {
    let (lab, site) = enrolled().await;
    site.rotates_keys(&lab).await;
    lab.is_called().await;
}

#[tokio::test]
async fn cluster_and_sealing_key_lost_another_bundle_brings_new_ones() {
    let (lab, mut site) = enrolled().await;
    let before = lab.operator("ada").entry(&cluster()).await.unwrap();
    site.client.kill().await.unwrap();
    fs::remove_dir_all(site.settings.folder.join("state")).unwrap();
    let (another, _) = lab.invites("another.bundle", &[]).await;
    fs::copy(another, site.settings.bundle.as_ref().unwrap()).unwrap();
    site.restarts();
    lab.enrolls(&site).await;
    lab.is_called().await;
    let after = lab.operator("ada").entry(&cluster()).await.unwrap();
    assert!(after.cluster_key != before.cluster_key && after.sealing_key != before.sealing_key);
    assert_eq!((after.label, after.sequence), (before.label, before.sequence + 1));
}

#[tokio::test]
async fn access_ca_without_its_files_another_is_made_and_the_old_certificates_open_nothing() {
    let (lab, mut site) = enrolled().await;
    let old = lab.operator("ada").pass(&cluster(), &[STATUS]).await.unwrap();
    site.client.stop(PATIENCE).await.unwrap();
    for file in files_of(&site.settings.folder.join("state"), "access-ca") {
        fs::remove_file(file).unwrap();
    }
    site.restarts();
    lab.is_called().await;
    assert!(call(&old).await.is_err(), "the anchors that it knows are gone");
    let new = lab.operator("ada").pass(&cluster(), &[STATUS]).await.unwrap();
    let forged = new.peer_as(&new.host, &old.credential).unwrap().channel();
    let opened = AdminClient::new(forged).get_status(GetStatusRequest {}).await;
    assert!(opened.is_err(), "a certificate of the old CA opens a door of the new one");
}

fn files_of(folder: &Path, prefix: &str) -> Vec<std::path::PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = paths
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    assert!(!found.is_empty());
    found
}

#[tokio::test]
async fn operator_key_live_grants_are_revoked_and_another_identity_asks_again() {
    let (lab, site) = enrolled().await;
    let stolen = lab.operator("ada");
    let pass = stolen.pass(&cluster(), &[STATUS]).await.unwrap();
    let denied = site.customer.ask(&["operators", "deny", "ada", "--note", "a stolen key"]).await.unwrap();
    assert_eq!(denied["operator"], "ada", "{denied}");
    assert!(call(&pass).await.is_err());
    assert_eq!(state(&stolen).await, RequestState::Denied);
    site.customer.ask(&["operators", "allow", "ada", "--key", &site.key]).await.unwrap();
    assert_eq!(state(&lab.operator("ada")).await, RequestState::Approved);
}

async fn state(operator: &Operator) -> RequestState {
    let asked = operator.ask(&cluster(), access_to(&[STATUS]).unwrap()).await.unwrap();
    operator.outcome(&asked, |_| true).await.unwrap().state
}

#[tokio::test]
async fn grant_key_revoking_its_grant_cuts_it_within_a_second() {
    let (lab, site) = enrolled().await;
    let pass = lab.operator("ada").pass(&cluster(), &[STATUS, STALL]).await.unwrap();
    let mut stream = stalled(pass.channel().unwrap()).await;
    site.customer.ask(&["revoke", &pass.grant.to_string()]).await.unwrap();
    let revoked = Instant::now();
    let cut = tokio::time::timeout(PATIENCE, stream.message()).await.expect("the stream is cut");
    assert!(cut.is_err() && revoked.elapsed() < SECOND, "{cut:?} after {:?}", revoked.elapsed());
    assert_eq!(call(&pass).await, Err(Code::Unauthenticated));
}

#[tokio::test]
async fn outcome_key_asking_again_draws_another() {
    let (lab, _site) = enrolled().await;
    let ada = lab.operator("ada");
    let lost = ada.ask(&cluster(), access_to(&[STATUS]).unwrap()).await.unwrap();
    let again = ada.ask(&cluster(), access_to(&[STATUS]).unwrap()).await.unwrap();
    assert_ne!(lost.request.outcome_key, again.request.outcome_key);
    assert_eq!(ada.outcome(&again, |_| true).await.unwrap().state, RequestState::Approved);
}

#[tokio::test]
async fn leaf_key_of_a_replica_a_ban_ends_its_tunnels_within_a_second_and_lets_it_in_no_more() {
    let (mut lab, mut site) = enrolled().await;
    let adam = lab.operator(ADMINISTRATOR);
    assert_eq!(tunnels(&adam).await, 1);
    lab.types(&["ban", "acme/prod", "--reason", "a stolen leaf key"]).await;
    let banned = Instant::now();
    while tunnels(&adam).await > 0 {
        assert!(banned.elapsed() < SECOND, "a tunnel is left after {:?}", banned.elapsed());
    }
    // Neither the certificate that it has, nor a renewed one, nor a start of either side lets it in.
    site.client.stop(PATIENCE).await.unwrap();
    site.restarts();
    lab.broker.stop(PATIENCE).await.unwrap();
    lab.start_broker().await;
    until("the client hears that it is banned", PATIENCE, || async {
        let said = site.customer.run(&["status"]).await?;
        anyhow::ensure!(said.stdout.contains("banned"), "{said:?}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(tunnels(&lab.operator(ADMINISTRATOR)).await, 0);
    lab.types(&["unban", "acme/prod", "--reason", "a new key"]).await;
    lab.is_called().await;
}

/// By the broker's word, over an administrator's own connection.
async fn tunnels(administrator: &Operator) -> usize {
    let asked = ListReplicasRequest { page_size: 100, ..Default::default() };
    let listed = administrator.administration().list_replicas(asked).await.unwrap().into_inner();
    listed.replicas.iter().filter(|replica| replica.connected).count()
}
