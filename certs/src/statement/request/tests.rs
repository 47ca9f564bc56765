//! Every check of a request that needs no client state, one broken thing each.

mod grammar;
mod operations;
mod proof;
mod times;

use super::*;
use crate::{
    issue::CaKind,
    key::SigningKey,
    testing::{Ca, HOUR, NOW, alice, label, p256},
    verify::OperatorVerifier,
};

/// An operator, and the cluster that is asked.
struct World {
    ca: Ca,
    key: SigningKey,
    certificate: CertificateDer<'static>,
    operators: OperatorVerifier,
    cluster: ClusterName,
    label: Label,
}

impl World {
    fn new() -> Self {
        let ca = Ca::new(CaKind::Operator);
        let key = p256();
        Self {
            certificate: ca.operator(key.public(), NOW),
            operators: ca.operators(),
            cluster: "acme/prod".parse().unwrap(),
            label: label(),
            ca,
            key,
        }
    }

    fn place(&self) -> Place<'_> {
        Place { operators: &self.operators, cluster: &self.cluster, label: &self.label }
    }

    /// A good request for methods.
    fn request(&self) -> Request {
        Request {
            id: RequestId::random(),
            cluster: self.cluster.clone(),
            label: self.label,
            operator: alice(),
            issued: NOW,
            expires: NOW.plus(4 * HOUR),
            reason: Reason {
                occasion: Occasion::Incident,
                text: "disk full on n3".parse().unwrap(),
                ticket: "OPS-17".parse().unwrap(),
            },
            outcome_key: SealingPublicKey::try_from(&[7; 32][..]).unwrap(),
            kind: Kind::Access(Access {
                methods: vec!["a.B/Get".parse().unwrap(), "a.C/*".parse().unwrap()],
                targets: vec![TargetName::default_target()],
                raw: false,
                wanted: HOUR,
            }),
        }
    }

    fn sign(&self, message: &v1::Request) -> Vec<u8> {
        self.sign_bytes(message.encode_to_vec())
    }

    fn sign_bytes(&self, payload: Vec<u8>) -> Vec<u8> {
        let signers: [(&dyn Signer, _); 1] = [(&self.key, Some(&self.certificate))];
        envelope::sign(PayloadType::Request, payload, &signers).unwrap().encode_to_vec()
    }

    fn open(&self, bytes: &[u8]) -> Result<Opened, OpenError> {
        open(bytes, self.place(), NOW, NOW)
    }

    /// What is wrong with a good request after `change`.
    fn fault(&self, change: impl FnOnce(&mut v1::Request)) -> Fault {
        let mut message = self.request().to_message();
        assert!(self.open(&self.sign(&message)).is_ok(), "good before the change");
        change(&mut message);
        fault_of(self.open(&self.sign(&message)).unwrap_err())
    }
}

fn fault_of(error: OpenError) -> Fault {
    match error {
        OpenError::Refused { fault, .. } => *fault,
        unproven => panic!("{unproven:?}"),
    }
}

fn all_kinds(world: &World) -> Vec<Request> {
    let csr = p256().csr().unwrap();
    let grant = RequestId::random();
    let kinds = [
        world.request().kind,
        Kind::Certificate(Certificate { grant: grant.into(), csr }),
        Kind::Withdraw(Withdraw { request: grant }),
    ];
    kinds.map(|kind| Request { kind, ..world.request() }).to_vec()
}

#[test]
fn opens_what_it_makes_of_every_kind() {
    let world = World::new();
    for request in all_kinds(&world) {
        let envelope = make(&request, &world.key, &world.certificate).unwrap();
        let opened = world.open(&envelope.encode_to_vec()).unwrap();
        assert_eq!(opened.request, request);
        assert_eq!(opened.digest, envelope::digest(&envelope));
        assert_eq!(opened.words, Words::of(&opened.digest));
    }
}
