//! A broker that was taken over can delay or refuse, and nothing else.

use prost::Message;
use tunnel_certs::{key::SealingKey, seal};
use tunnel_integration::harness::{
    hostile::{Captive, HostileBroker},
    operator::{Operator, access_to},
    vendor::now,
    world::{Plan, World},
};
use tunnel_protos::v1::{ReceivedStatus, SealedRequest};

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";

/// A client attached to a hostile broker, an operator, and one genuine request that was sealed but not delivered.
struct Siege {
    world: World,
    captive: Captive,
    operator: Operator,
    outcome_key: SealingKey,
    envelope: Vec<u8>,
    sealed: SealedRequest,
}

impl Siege {
    async fn lay() -> Self {
        let mut world = Plan::new().unwrap().start_offline().await.unwrap();
        let evil = HostileBroker::bind(&world.vendor).unwrap();
        world.client_settings.brokers = vec![evil.address().unwrap()];
        let operator = world.operator("ada").unwrap();
        let entry = operator.entry(&world.cluster()).await.unwrap();
        world.start_client().await.unwrap();
        let captive = evil.attach().await.unwrap();
        let outcome_key = SealingKey::generate().unwrap();
        let request = operator.draft(&entry, &outcome_key, access_to(&[STATUS]).unwrap()).unwrap();
        let envelope = operator.sign(&request).unwrap().encode_to_vec();
        let sealed = seal::seal_request(&envelope, &entry.label, &entry.sealing_key).unwrap();
        Self { world, captive, operator, outcome_key, envelope, sealed }
    }

    async fn reseal(&self, envelope: &[u8]) -> SealedRequest {
        let entry = self.operator.entry(&self.world.cluster()).await.unwrap();
        seal::seal_request(envelope, &entry.label, &entry.sealing_key).unwrap()
    }

    async fn requests(&self) -> usize {
        self.world.approver().requests().await.unwrap().len()
    }
}

#[tokio::test]
async fn an_altered_or_truncated_request_is_unproven_and_leaves_no_trace() {
    let mut siege = Siege::lay().await;
    let mut altered = siege.sealed.clone();
    let mut bytes = altered.ciphertext.to_vec();
    bytes[40] ^= 1;
    altered.ciphertext = bytes.into();
    let mut truncated = siege.sealed.clone();
    truncated.ciphertext = truncated.ciphertext.slice(..truncated.ciphertext.len() - 1);
    let mut forged_envelope = siege.envelope.clone();
    let middle = forged_envelope.len() / 2;
    forged_envelope[middle] ^= 1;
    let forged = siege.reseal(&forged_envelope).await;
    for sealed in [altered, truncated, forged] {
        assert_eq!(siege.captive.deliver(sealed).await.unwrap(), ReceivedStatus::Unproven);
    }
    assert_eq!(siege.requests().await, 0);
}

#[tokio::test]
async fn a_request_sealed_to_another_key_is_said_to_be_so() {
    let mut siege = Siege::lay().await;
    let other = SealingKey::generate().unwrap();
    let sealed =
        seal::seal_request(&siege.envelope, &siege.world.client_settings.label, other.public()).unwrap();
    assert_eq!(siege.captive.deliver(sealed).await.unwrap(), ReceivedStatus::UnknownKey);
}

#[tokio::test]
async fn a_replayed_request_makes_no_second_grant() {
    let mut siege = Siege::lay().await;
    let sealed = siege.sealed.clone();
    assert_eq!(siege.captive.deliver(sealed.clone()).await.unwrap(), ReceivedStatus::Taken);
    assert_eq!(siege.captive.deliver(sealed).await.unwrap(), ReceivedStatus::Known);
    // The same signed bytes in another seal are another envelope: the request's id gives it away.
    let resealed = siege.reseal(&siege.envelope.clone()).await;
    siege.captive.deliver(resealed).await.unwrap();
    let grants = siege.world.approver().status().await.unwrap().grants_live;
    assert_eq!((siege.requests().await, grants <= 1), (1, true));
}

#[tokio::test]
async fn an_outcome_opens_for_the_asker_only_and_an_altered_one_does_not_open() {
    let mut siege = Siege::lay().await;
    let id = seal::envelope_id(&siege.sealed);
    siege.captive.deliver(siege.sealed.clone()).await.unwrap();
    let outcome = siege.captive.outcome().await.unwrap();
    seal::open_outcome(&outcome, &id, &siege.outcome_key).unwrap();
    assert!(seal::open_outcome(&outcome, &id, &SealingKey::generate().unwrap()).is_err());
    let mut altered = outcome.clone();
    altered.ciphertext = altered.ciphertext.slice(1..);
    assert!(seal::open_outcome(&altered, &id, &siege.outcome_key).is_err());
}

#[tokio::test]
async fn a_request_held_back_until_it_expired_is_refused() {
    let mut siege = Siege::lay().await;
    let entry = siege.operator.entry(&siege.world.cluster()).await.unwrap();
    let key = SealingKey::generate().unwrap();
    let mut request = siege.operator.draft(&entry, &key, access_to(&[STATUS]).unwrap()).unwrap();
    request.issued = now().minus(std::time::Duration::from_secs(30));
    request.expires = now().minus(std::time::Duration::from_secs(10));
    let envelope = siege.operator.sign(&request).unwrap().encode_to_vec();
    let stale = siege.reseal(&envelope).await;
    siege.captive.deliver(stale).await.unwrap();
    assert_eq!(siege.world.approver().status().await.unwrap().grants_live, 0);
}
