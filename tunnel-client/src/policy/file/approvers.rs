//! `approvers`: who may say yes, each by a user id, a key, or both.

use std::collections::BTreeMap;

use tunnel_certs::key::PublicKey;
use tunnel_protos::ApproverName;
use tunnel_runtime::config::{FromSection, Section};

use crate::policy::{Approver, Approvers};

/// The approvers; a user id or key belongs to one of them only.
pub(super) fn read(section: &mut Section<'_>) -> Option<Approvers> {
    let mut approvers = BTreeMap::<ApproverName, Approver>::new();
    for (text, approver) in section.named::<Approver>("approvers")? {
        let Ok(name) = text.parse::<ApproverName>() else {
            let problem = format!("{text:?} is not a name: 1 to 32 of a-z, 0-9 and '-'");
            return section.reject("approvers", problem);
        };
        if let Some((other, _)) = approvers.iter().find(|(_, other)| approver.shares(other)) {
            return section.reject("approvers", format!("{other} and {name} have the same uid or key"));
        }
        approvers.insert(name, approver);
    }
    Some(approvers.into_iter().collect())
}

impl FromSection for Approver {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (key, uid) = (key(section), uid(section));
        match (key?, uid?) {
            (None, None) => section.reject("key", "give a key, a uid or both"),
            (key, uid) => Some(Self { key, uid }),
        }
    }
}

impl Approver {
    fn shares(&self, other: &Self) -> bool {
        let uid = self.uid.is_some() && self.uid == other.uid;
        let key = self.key.is_some() && self.key == other.key;
        uid || key
    }
}

fn key(section: &mut Section<'_>) -> Option<Option<PublicKey>> {
    let Some(text) = section.optional::<String>("key")? else { return Some(None) };
    match text.parse() {
        Ok(key) => Some(Some(key)),
        Err(_) => section.reject(
            "key",
            "not `ed25519:` and the base64 of a public key; `tunnel-certs inspect alice.pub` prints it",
        ),
    }
}

fn uid(section: &mut Section<'_>) -> Option<Option<u32>> {
    match section.optional("uid")? {
        Some(uid) if NOBODY.contains(&uid) => {
            section.reject("uid", format!("{uid} can never approve: it is root or nobody in particular"))
        }
        uid => Some(uid),
    }
}

/// Root acts for everybody, the overflow ids stand for users that the kernel cannot name, and -1 is no user at all.
const NOBODY: [u32; 3] = [0, 65_534, u32::MAX];
