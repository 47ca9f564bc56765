//! An approver's own key, made by the real command line, and the policy that knows it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use prost::Message;
use tunnel_certs::{
    key::SigningKey,
    statement::approval::{Approval, Subject},
};
use tunnel_protos::Label;

use super::{binaries, command::run, vendor::now};

/// The key of an approver named `alice`.
#[derive(Debug, Clone)]
pub struct ApproverKey {
    /// The private key's file.
    pub file: PathBuf,
    line: String,
}

impl ApproverKey {
    /// Makes `alice.key` in `folder`.
    pub async fn create(folder: &Path) -> Result<Self> {
        let file = folder.join("alice.key");
        let mut command = binaries::command("tunnel-certs", &[])?;
        command.args(["key", "approver", "--out"]).arg(&file);
        let said = run(command).await?;
        let entry = said.split("key: \"").nth(1).context("no line for the policy")?;
        let line = entry.split('"').next().unwrap_or_default().to_owned();
        Ok(Self { file, line })
    }

    /// Alice's word on `subject`, encoded.
    pub fn sign(&self, label: Label, subject: Subject) -> Result<Vec<u8>> {
        let (approver, note) = (NAME.parse()?, "a test".parse()?);
        let approval = Approval { label, approver, time: now(), note, subject };
        Ok(approval.make(&SigningKey::load(&self.file)?)?.encode_to_vec())
    }

    /// A policy whose approvers are alice, by this key and by user id 1001, and bob, by user id 1002.
    pub fn policy(&self, access: &str) -> String {
        let alice = format!("{NAME}: {{ key: \"{}\", uid: {ALICE} }}", self.line);
        format!("version: 1\napprovers: {{ {alice}, bob: {{ uid: {BOB} }} }}\naccess:\n{access}")
    }
}

/// As the policy names her.
pub const NAME: &str = "alice";
/// The user id of alice.
pub const ALICE: u32 = 1001;
/// The user id of bob.
pub const BOB: u32 = 1002;
