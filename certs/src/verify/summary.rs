//! What a certificate says of itself, for people: proves nothing.

use tunnel_protos::UnixMillis;

use super::{Leaf, Serial, SubjectName, VerifyError};
use crate::{identity::Role, key::PublicKey};

/// A certificate's fields, unverified.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The subject as text.
    pub subject: String,
    /// URI and DNS names; others as `?`.
    pub names: Vec<String>,
    /// Its role, if its only name is an identity of ours.
    pub role: Option<Role>,
    /// Whether it is a CA.
    pub is_ca: bool,
    /// Extended key usages that have a meaning here.
    pub usages: Vec<&'static str>,
    /// First moment.
    pub not_before: UnixMillis,
    /// Last moment.
    pub not_after: UnixMillis,
    /// None if longer than ours.
    pub serial: Option<Serial>,
    /// None if of another algorithm than ours.
    pub key: Option<PublicKey>,
}

impl Summary {
    /// Reads a DER certificate.
    pub fn read(der: &[u8]) -> Result<Self, VerifyError> {
        let leaf = Leaf::read(der)?;
        Ok(Self {
            names: leaf.names.iter().map(name).collect(),
            role: leaf.identity().ok().map(|identity| identity.role()),
            is_ca: leaf.is_ca,
            usages: usages(&leaf),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            serial: leaf.serial,
            subject: leaf.subject,
            key: leaf.key,
        })
    }
}

fn name(name: &SubjectName) -> String {
    match name {
        SubjectName::Uri(text) | SubjectName::Dns(text) => text.clone(),
        SubjectName::Other => "?".to_owned(),
    }
}

fn usages(leaf: &Leaf) -> Vec<&'static str> {
    let all = [
        (leaf.usages.server_auth, "serverAuth"),
        (leaf.usages.client_auth, "clientAuth"),
        (leaf.usages.others, "others"),
    ];
    all.into_iter().filter_map(|(present, name)| present.then_some(name)).collect()
}
