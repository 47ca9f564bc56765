//! Another certificate after one ran out, further replicas, and roots that were replaced meanwhile.

use std::{sync::Arc, time::Duration};

use rustls_pki_types::CertificateDer;
use tunnel_certs::{
    csr,
    identity::Role,
    issue::CaKind,
    reissue,
    roots::Roots,
    verify::{MeshVerifier, REISSUE_GRACE},
};
use tunnel_protos::{
    approvers::EnrollmentState,
    v1::{self, EnrollRefusal, TokenKind, enroll_reply::Body as Reply, enroll_request::Body as Ask},
};

use crate::enrollment::testing::*;

/// Puts a certificate in the folder that ended so long ago.
fn ran_out(site: &Site, vendor: &Vendor, ago: Duration) {
    let keys = crate::enrollment::home::keys(&site.state()).unwrap();
    let leaf =
        vendor.certify_at(tunnel_certs::key::Signer::public(&*keys.mesh), &label(), now().minus(ago + DAY));
    let pem = tunnel_certs::credential::certificate_to_pem(&leaf);
    tunnel_certs::file::write_private(&site.state().join("mesh.pem"), pem.as_bytes()).unwrap();
}

/// Checks the proof as a broker must, and says what an honest one says.
fn reissues(vendor: &Arc<Vendor>) -> impl FnMut(Ask) -> Answer + Send + use<> {
    let (vendor, mut shown) = (vendor.clone(), Vec::new());
    move |ask| match ask {
        Ask::Challenge(challenge) => {
            shown = challenge.certificate;
            Answer::Say(Reply::Challenge(v1::Challenge { nonce: vec![9; 32] }))
        }
        Ask::Reissue(asked) => {
            let roots = Roots::new(vec![vendor.mesh_ca.certificate().clone()]).unwrap();
            let verifier = MeshVerifier::new(self::vendor(), roots);
            let chain = [CertificateDer::from(shown.clone())];
            let peer = verifier.verify_expired(&chain, Role::Replica, now(), REISSUE_GRACE).unwrap();
            reissue::verify(&peer.key, &[9; 32], &asked.csr, &asked.signature).unwrap();
            assert_eq!(csr::public_key(&asked.csr).unwrap(), peer.key);
            Answer::Say(Reply::Issued(issued(&vendor, &asked.csr)))
        }
        ask => honest(&vendor)(ask),
    }
}

#[tokio::test]
async fn a_certificate_that_ran_out_is_reissued_to_whoever_proves_its_key() {
    let vendor = Arc::new(Vendor::new());
    let broker = Broker::start(&vendor.broker(), reissues(&vendor)).await;
    let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
    drop(site.start());
    ran_out(&site, &vendor, 20 * DAY);
    std::fs::remove_file(site.path("b")).unwrap();
    let bare = Site {
        folder: site.folder,
        ..Site::new(&[&broker.address], "cluster: {name: acme/prod, label: k3v7aaaaaa}")
    };
    let client = bare.start();
    client.eventually("a new certificate", |_| !is_over(&client)).await;
    client.eventually_is(EnrollmentState::Registered).await;
    let last = broker.asks.lock().last().cloned();
    assert!(matches!(last, Some(Ask::Reissue(_))));
}

#[tokio::test]
async fn one_that_ran_out_too_long_ago_or_is_banned_takes_a_new_bundle() {
    for ago in [31 * DAY, DAY] {
        let vendor = Arc::new(Vendor::new());
        let mut say = honest(&vendor);
        let broker = Broker::start(&vendor.broker(), move |ask| match ask {
            Ask::Challenge(_) => Answer::Refuse(EnrollRefusal::Banned),
            ask => say(ask),
        })
        .await;
        let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
        drop(site.start());
        let bundle = std::fs::read(site.path("b")).unwrap();
        std::fs::remove_file(site.path("b")).unwrap();
        ran_out(&site, &vendor, ago);
        let yaml = format!("{}\ncluster: {{name: acme/prod, label: {LABEL}}}\n", site.yaml);
        // What the first start left behind stands for an enrollment of long ago.
        let record = format!(r#"{{"cluster":"acme/prod","label":"{LABEL}","member":"first"}}"#);
        tunnel_certs::file::write_private(&site.state().join("enrollment.json"), record.as_bytes()).unwrap();
        let site = Site { yaml, ..site };
        let client = site.start();
        client.eventually_is(EnrollmentState::Failed).await;
        client.eventually_fails_with(if ago > REISSUE_GRACE { "30 days" } else { "banned" }).await;
        assert!(broker.redeems().is_empty());
        tunnel_certs::file::write_private(&site.path("b"), &bundle).unwrap();
        client.eventually("a new certificate", |_| !is_over(&client)).await;
        client.eventually_is(EnrollmentState::Registered).await;
    }
}

#[tokio::test]
async fn a_further_replica_joins_by_token_or_account_and_takes_no_requests() {
    let vendor = Arc::new(Vendor::new());
    let broker = Broker::start(&vendor.broker(), honest(&vendor)).await;
    let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Replica));
    let client = site.start();
    client.eventually_is(EnrollmentState::Enrolled).await;
    let [redeem] = &broker.redeems()[..] else { panic!("one redeem") };
    assert!(redeem.registration.is_none() && redeem.mac.is_empty(), "no keys of its own go to the vendor");
    assert!(!client.takes_requests() && client.view().registration_words.is_empty());
    // By a service account: trust comes by files.
    let more = "enrollment: {serviceAccountToken: token}\ncluster: {name: acme/prod, label: k3v7aaaaaa}\n\
                trust: {bundle: trust.pb, vendorKeys: [v.pem]}";
    let site = Site::new(&[&broker.address], more);
    let trust = prost::Message::encode_to_vec(&vendor.trust(5, &vendor.key));
    std::fs::write(site.path("trust.pb"), trust).unwrap();
    std::fs::write(site.path("v.pem"), tunnel_certs::key::Signer::public(&vendor.key).to_pem()).unwrap();
    std::fs::write(site.path("token"), "a.b.c\n").unwrap();
    let client = site.start();
    client.eventually("a certificate", |_| client.has_certificate()).await;
    client.eventually_is(EnrollmentState::Enrolled).await;
    let last = broker.asks.lock().last().cloned();
    let Some(Ask::Join(join)) = last else { panic!("{last:?}") };
    assert_eq!((join.label.as_str(), join.token.as_str()), (LABEL, "a.b.c"));
    assert!(!client.takes_requests());
}

#[tokio::test]
async fn a_used_token_gives_way_to_the_service_account() {
    let vendor = Arc::new(Vendor::new());
    let mut say = honest(&vendor);
    let broker = Broker::start(&vendor.broker(), move |ask| match ask {
        Ask::Redeem(_) => Answer::Refuse(EnrollRefusal::Used),
        ask => say(ask),
    })
    .await;
    let site = Site::new(&[&broker.address], "enrollment: {bundle: b, serviceAccountToken: token}");
    site.put_bundle(&vendor.bundle(TokenKind::Cluster));
    std::fs::write(site.path("token"), "a.b.c").unwrap();
    let client = site.start();
    client.eventually_is(EnrollmentState::Enrolled).await;
    assert!(!client.takes_requests(), "it is a further replica");
    drop(client);
    let client = site.start();
    client.eventually_is(EnrollmentState::Enrolled).await;
}

#[tokio::test]
async fn roots_that_were_replaced_meanwhile_are_fetched_and_prove_themselves() {
    for forged in [false, true] {
        let vendor = Arc::new(Vendor::new());
        let (next, liar) = (ca(CaKind::Mesh), ed25519());
        let newer = vendor.trust_of(6, if forged { &liar } else { &vendor.key }, &next);
        let credential = broker_of(&next);
        let site = Site::new(&["127.0.0.1:9"], "enrollment: {bundle: b}");
        site.put_bundle(&vendor.bundle(TokenKind::Cluster));
        drop(site.start());
        let keys = crate::enrollment::home::keys(&site.state()).unwrap();
        let (key, id) = (tunnel_certs::key::Signer::public(&*keys.mesh), "replica-1".parse().unwrap());
        let leaf = next.issue_replica(key, &self::vendor(), &label(), &id, DAY, now()).unwrap().to_vec();
        let broker = Broker::start(&credential, move |ask| match ask {
            Ask::TrustBundle(_) => Answer::Say(Reply::TrustBundle(newer.clone())),
            _ => Answer::Say(Reply::Issued(v1::Issued {
                certificate: leaf.clone(),
                trust_bundle: Some(newer.clone()),
                inventory_entry: None,
            })),
        })
        .await;
        let site = Site { yaml: site.yaml.replace("127.0.0.1:9", &broker.address), folder: site.folder };
        let client = site.start();
        if forged {
            client.eventually_fails_with("handshake").await;
            assert!(broker.redeems().is_empty() && !client.has_certificate());
        } else {
            client.eventually_is(EnrollmentState::Registered).await;
            assert_eq!(client.trust.belief().borrow().bundle.sequence, 6);
        }
    }
}

fn is_over(client: &Running) -> bool {
    let belief = client.trust.belief().borrow().clone();
    belief.leaf.as_ref().is_none_or(|leaf| leaf.not_after() < now())
}
