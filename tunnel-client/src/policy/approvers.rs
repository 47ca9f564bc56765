//! Who may say yes, as the policy names them.

use std::collections::BTreeMap;

use tunnel_certs::key::PublicKey;
use tunnel_protos::ApproverName;

/// How one approver is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// The key whose signature counts, whatever the user id.
    pub key: Option<PublicKey>,
    /// The user id that counts on the approvers' socket.
    pub uid: Option<u32>,
}

/// All approvers of a policy, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approvers(BTreeMap<ApproverName, Approver>);

impl Approvers {
    /// The approver of this name.
    pub fn get(&self, name: &ApproverName) -> Option<&Approver> {
        self.0.get(name)
    }

    /// The approver that this user id stands for; a policy gives a user id to one of them only.
    pub fn by_uid(&self, uid: u32) -> Option<&ApproverName> {
        let mut named = self.0.iter().filter(|(_, approver)| approver.uid == Some(uid));
        match (named.next(), named.next()) {
            (Some((name, _)), None) => Some(name),
            _ => None,
        }
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ApproverName, &Approver)> {
        self.0.iter()
    }

    /// Whether nobody may say yes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(ApproverName, Approver)> for Approvers {
    fn from_iter<I: IntoIterator<Item = (ApproverName, Approver)>>(named: I) -> Self {
        Self(named.into_iter().collect())
    }
}
