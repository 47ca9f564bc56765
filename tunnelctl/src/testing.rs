//! A vendor, a cluster and a broker for tests: real keys and statements, no network.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use prost::Message;
use rustls_pki_types::CertificateDer;
use tunnel_certs::{
    credential::Credential,
    issue::{Authority, CaKind, GrantTerms},
    key::{Algorithm, SealingKey, Signer, SigningKey},
    roots::Roots,
    seal,
    statement::{
        inventory::Entry,
        outcome::{self, Issued, Outcome},
        request::{self, Kind, Opened, Place, Request},
    },
    verify::OperatorVerifier,
};
use tunnel_protos::{
    ClusterName, Door, GrantId, Label, TargetName, UnixMillis, operators,
    v1::{Deadlines, RequestState, SealedOutcome, SealedRequest},
};

use crate::{operator::Operator, surroundings::Clock};

pub(crate) mod broker;
pub(crate) mod hall;
pub(crate) mod operations;

/// An output that can be read back.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

/// The time of every test.
pub(crate) const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

pub(crate) fn clock() -> Clock {
    Clock::new(|| NOW)
}

/// Who signs entries and certifies operators.
pub(crate) struct Vendor {
    now: UnixMillis,
    pub(crate) key: SigningKey,
    pub(crate) operators: Authority,
}

impl Vendor {
    pub(crate) fn new() -> Self {
        Self::at(NOW)
    }

    /// A vendor at another time: TLS looks at the real clock.
    pub(crate) fn at(now: UnixMillis) -> Self {
        let ca = SigningKey::generate(Algorithm::P256).unwrap();
        let operators = Authority::create(CaKind::Operator, "acme-db", Arc::new(ca), now).unwrap();
        Self { now, key: SigningKey::generate(Algorithm::Ed25519).unwrap(), operators }
    }

    fn clock(&self) -> Clock {
        let now = self.now;
        Clock::new(move || now)
    }

    pub(crate) fn operator(&self) -> Operator {
        let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
        let (vendor, name) = ("acme-db".parse().unwrap(), "dana".parse().unwrap());
        let life = std::time::Duration::from_secs(3600);
        let certificate =
            self.operators.issue_operator(key.public(), &vendor, &name, life, self.now).unwrap();
        let credential = Credential::new(vec![certificate], key).unwrap();
        let (_, not_after) = credential.validity();
        Operator { credential, name, vendor, not_after }
    }

    /// What an honest broker says of a cluster with this entry.
    pub(crate) fn listed(&self, entry: &Entry) -> operators::Cluster {
        operators::Cluster {
            cluster: entry.cluster.to_string(),
            label: entry.label.to_string(),
            entry: Some(entry.make(&self.key).unwrap()),
            ..operators::Cluster::default()
        }
    }
}

/// Verifies the vendor's operators.
pub(crate) fn operators(vendor: &Vendor) -> OperatorVerifier {
    let roots = Roots::new(vec![vendor.operators.certificate().clone()]).unwrap();
    OperatorVerifier::new("acme-db".parse().unwrap(), roots)
}

/// The customer's side of `acme/prod`.
pub(crate) struct Cluster {
    pub(crate) clock: Clock,
    /// How long certificates live, and when grants end.
    pub(crate) lives: Mutex<(Duration, UnixMillis)>,
    pub(crate) name: ClusterName,
    pub(crate) label: Label,
    pub(crate) key: SigningKey,
    pub(crate) sealing: SealingKey,
    pub(crate) access: Authority,
    /// The target of the doors that it gives.
    pub(crate) target: Mutex<TargetName>,
    /// Anchors that outcomes name beside that of `access`, while the access CA is replaced.
    pub(crate) anchors: Mutex<Vec<CertificateDer<'static>>>,
    verifier: OperatorVerifier,
}

impl Cluster {
    pub(crate) fn new(vendor: &Vendor) -> Self {
        let ca = SigningKey::generate(Algorithm::P256).unwrap();
        Self {
            clock: vendor.clock(),
            lives: Mutex::new((Duration::from_secs(900), vendor.now.plus(Duration::from_secs(1800)))),
            name: "acme/prod".parse().unwrap(),
            label: "aaaaaaaaaa".parse().unwrap(),
            key: SigningKey::generate(Algorithm::Ed25519).unwrap(),
            sealing: SealingKey::generate().unwrap(),
            access: Authority::create(CaKind::Access, "aaaaaaaaaa", Arc::new(ca), vendor.now).unwrap(),
            target: Mutex::new(TargetName::default_target()),
            anchors: Mutex::default(),
            verifier: operators(vendor),
        }
    }

    pub(crate) fn entry(&self) -> Entry {
        Entry {
            cluster: self.name.clone(),
            label: self.label,
            cluster_key: self.key.public().clone(),
            sealing_key: *self.sealing.public(),
            sequence: 1,
            expires: self.clock.now().plus(Duration::from_secs(90 * 24 * 3600)),
        }
    }

    /// Opens a request with every check that a client makes.
    pub(crate) fn open(&self, sealed: &SealedRequest) -> Opened {
        let bytes = seal::open_request(sealed, &self.label, &[&self.sealing]).unwrap();
        let place = Place { operators: &self.verifier, cluster: &self.name, label: &self.label };
        request::open(&bytes, place, self.clock.now(), self.clock.now()).unwrap()
    }

    /// Signs and seals an answer.
    pub(crate) fn answer(
        &self,
        sealed: &SealedRequest,
        request: &Request,
        outcome: &Outcome,
    ) -> SealedOutcome {
        answer_by(&self.key, sealed, request, outcome)
    }

    /// The answer to a request in `state`, with a certificate where one was asked for.
    pub(crate) fn settle(&self, sealed: &SealedRequest, sequence: u64, state: RequestState) -> SealedOutcome {
        self.say(sealed, sequence, state, "")
    }

    /// The same, with a sentence.
    pub(crate) fn say(
        &self,
        sealed: &SealedRequest,
        sequence: u64,
        state: RequestState,
        reason: &str,
    ) -> SealedOutcome {
        let opened = self.open(sealed);
        let issued = match &opened.request.kind {
            Kind::Certificate(ask) if state == RequestState::Done => Some(self.certify(&ask.csr, ask.grant)),
            _ => None,
        };
        let work_until_ms = self.lives.lock().1.0;
        let deadlines = Deadlines { work_until_ms, ..deadlines(self.clock.now()) };
        let (time, reason) = (self.clock.now(), reason.into());
        let outcome = Outcome { issued, deadlines, time, reason, ..outcome(&opened, sequence, state) };
        self.answer(sealed, &opened.request, &outcome)
    }

    pub(crate) fn certify(&self, csr: &[u8], grant: GrantId) -> Issued {
        let (life, end) = *self.lives.lock();
        let until = self.clock.now().plus(life).min(end);
        let terms = GrantTerms { label: self.label, grant, ttl: life, grant_end: until };
        Issued {
            certificate: self.access.issue_grant(csr, &terms, self.clock.now()).unwrap().certificate,
            doors: vec![(self.target.lock().clone(), Door::from_random([7; 17]))],
            anchors: {
                let own = std::iter::once(self.access.certificate().clone());
                self.anchors.lock().iter().cloned().chain(own).collect()
            },
        }
    }
}

/// As the cluster's answer, but signed by `signer`.
pub(crate) fn answer_by(
    signer: &dyn Signer,
    sealed: &SealedRequest,
    request: &Request,
    outcome: &Outcome,
) -> SealedOutcome {
    let envelope = outcome::make(outcome, signer).unwrap().encode_to_vec();
    seal::seal_outcome(&envelope, &seal::envelope_id(sealed), &request.outcome_key).unwrap()
}

pub(crate) fn outcome(opened: &Opened, sequence: u64, state: RequestState) -> Outcome {
    Outcome { request_digest: opened.digest, sequence, ..crate::requester::samples::outcome(state) }
}

/// The deadlines of a grant that was just given.
pub(crate) fn deadlines(now: UnixMillis) -> Deadlines {
    let in_secs = |secs| now.plus(std::time::Duration::from_secs(secs)).0;
    Deadlines {
        pending_until_ms: in_secs(3600),
        claim_until_ms: in_secs(3600),
        work_until_ms: in_secs(1800),
        certificate_until_ms: in_secs(900),
    }
}
