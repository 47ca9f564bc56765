//! Outcomes and releases for tests.

use prost::Message;
use tunnel_certs::{
    key::{Algorithm, SigningKey},
    statement::{
        outcome::{Granted, Outcome},
        release::{Image, Release},
    },
};
use tunnel_protos::{
    Digest, TargetName, UnixMillis,
    v1::{GrantLevel, RequestState},
};

use super::{reader::Newest, record::Answer};
use crate::testing::{NOW, deadlines};

/// An outcome in `state`, the first of its request.
pub(crate) fn outcome(state: RequestState) -> Outcome {
    let granted = Granted {
        methods: vec![("a.B/C".parse().unwrap(), GrantLevel::Auto)],
        targets: vec![TargetName::default_target()],
    };
    Outcome {
        request_digest: Digest::new([7; 32]),
        sequence: 1,
        state,
        time: NOW,
        reason: String::new(),
        rule: String::new(),
        approvals_had: 0,
        approvals_needed: 1,
        notified: vec![("alice".into(), NOW)],
        deadlines: deadlines(NOW),
        granted: (state != RequestState::Pending).then_some(granted),
        issued: None,
    }
}

/// What is remembered of an answer in `state` until 15 minutes from now.
pub(crate) fn answer(state: RequestState) -> Answer {
    Answer {
        newest: Newest { sequence: 1, sha256: [5; 32] },
        state,
        until: NOW.plus(std::time::Duration::from_secs(900)),
        granted: vec!["a.B/C".into()],
        live: true,
        at: NOW,
        reason: String::new(),
        rule: String::new(),
        deadlines: deadlines(NOW),
    }
}

/// The bytes of a manifest of release 2.4.1 of a component, signed by a key that nobody knows.
pub(crate) fn manifest(component: &str) -> Vec<u8> {
    let image: Image = format!("node=r.example/x@sha256:{}", "07".repeat(32)).parse().unwrap();
    let release = Release {
        product: "db".parse().unwrap(),
        component: component.parse().unwrap(),
        name: "2.4.1".parse().unwrap(),
        seq: 2,
        images: vec![image],
        min_source_seq: 0,
        configuration_schema: 0,
        expires: UnixMillis(i64::MAX),
    };
    release.make(&[&SigningKey::generate(Algorithm::Ed25519).unwrap()]).unwrap().encode_to_vec()
}
