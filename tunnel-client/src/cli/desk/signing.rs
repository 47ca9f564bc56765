//! The approver key: approvals signed where the command runs, so that the user id there does not matter.

use std::path::PathBuf;

use clap::Args;
use prost::Message;
use tunnel_certs::{
    key::{KeyError, SigningKey},
    statement::approval::{Approval, Subject},
};
use tunnel_protos::{ApproverName, PersonText, approvers as api};

use super::{Client, Console, Failed, answered};
use crate::clock;

/// Who says so: the user id of the caller, or an approver key.
#[derive(Debug, Args)]
pub(super) struct Signing {
    /// Sign with this approver key (0600; `-` reads it from standard input) instead of by your user id.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The approver's name in the policy; without it, the key file's name (`alice.key` is alice).
    #[arg(long = "as", value_name = "NAME", requires = "key")]
    name: Option<ApproverName>,
    /// Why; of a request, its operator is told, and it stands in the record.
    #[arg(long, default_value = "")]
    note: String,
}

impl Signing {
    pub(super) fn note(&self) -> String {
        self.note.clone()
    }

    /// Whether an approver key signs, rather than the user id.
    pub(super) fn is_signed(&self) -> bool {
        self.key.is_some()
    }

    /// Whether standard input is the key, so that nobody can be asked.
    pub(super) fn takes_input(&self) -> bool {
        self.key.as_ref().is_some_and(|path| path.as_os_str() == "-")
    }

    /// The encoded approval of `subject`; empty to go by the user id.
    pub(super) async fn sign(
        &self,
        client: &mut Client,
        subject: Subject,
        console: &mut Console,
    ) -> Result<Vec<u8>, Failed> {
        let Some(path) = &self.key else { return Ok(Vec::new()) };
        let approver = self.approver(path)?;
        let key = if self.takes_input() {
            SigningKey::from_pem(&console.read_all()?)
        } else {
            SigningKey::load(path)
        };
        let status = answered(client.get_status(api::GetStatusRequest {})).await?;
        let unreadable = |_| Failed::Usage("the client does not say its label".into());
        let label = status.label.parse().map_err(unreadable)?;
        let approval = Approval { label, approver, time: clock::wall(), note: self.checked_note()?, subject };
        sign(&approval, key)
    }

    fn checked_note(&self) -> Result<PersonText, Failed> {
        self.note.parse().map_err(|error| Failed::Usage(format!("the note is {error}")))
    }

    fn approver(&self, path: &std::path::Path) -> Result<ApproverName, Failed> {
        let stem = || path.file_stem()?.to_str()?.parse().ok();
        let missing =
            || Failed::Usage("whose key is it? say `--as NAME`, the approver's name in the policy".into());
        self.name.clone().or_else(stem).ok_or_else(missing)
    }
}

fn sign(approval: &Approval, key: Result<SigningKey, KeyError>) -> Result<Vec<u8>, Failed> {
    let envelope = approval.make(&key.map_err(Failed::Key)?).map_err(Failed::Sign)?;
    Ok(envelope.encode_to_vec())
}
