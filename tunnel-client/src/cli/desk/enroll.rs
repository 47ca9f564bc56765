//! `enroll` and `keys rotate`: where the enrollment is, and an approver's word on an inventory entry.

use clap::{Args, Subcommand};
use tunnel_certs::{statement::approval::Subject, words::Words};
use tunnel_protos::{
    Digest,
    approvers::{self as api, EnrollmentState},
};
use tunnel_runtime::exit::Exit;

use super::{super::output, Console, Daemon, Failed, answered, signing::Signing};
use crate::{approvers::ConfirmError, clock};

/// What to do about the enrollment.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Enroll {
    /// Show where the enrollment is, the words of the registration, and what to do next.
    #[command(after_help = STATUS)]
    Status {
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Confirm the inventory entry whose 8 words the vendor's administrator reads out; needs an approver.
    Confirm(Confirm),
}

/// Arguments of `enroll confirm`.
#[derive(Debug, Args)]
#[command(after_help = CONFIRM)]
pub(in crate::cli) struct Confirm {
    /// The 8 words, as they were read out.
    #[arg(required = true, value_name = "WORDS")]
    words: Vec<String>,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    daemon: Daemon,
}

/// Arguments of `keys rotate`.
#[derive(Debug, Args)]
#[command(after_help = ROTATE)]
pub(in crate::cli) struct RotateKeys {
    #[command(flatten)]
    daemon: Daemon,
}

/// Where the enrollment is; 4 while it waits for somebody.
pub(super) async fn status(daemon: &Daemon, console: &mut Console) -> Result<Exit, Failed> {
    let mut membership = daemon.membership(console).await?;
    let view = answered(membership.get_enrollment(api::GetEnrollmentRequest {})).await?;
    show(&view, console)?;
    Ok(match view.state() {
        EnrollmentState::Enrolled if view.next.is_empty() => Exit::Ok,
        EnrollmentState::Failed => Exit::Failed,
        // Enrolled, and keys that are to replace others wait for somebody.
        EnrollmentState::Enrolled
        | EnrollmentState::Redeeming
        | EnrollmentState::Registered
        | EnrollmentState::EntryWaits
        | EnrollmentState::Unspecified => Exit::Waiting,
    })
}

impl Confirm {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let words: Words =
            self.words.join(" ").parse().map_err(|error| Failed::Usage(format!("the words: {error}")))?;
        let mut membership = self.daemon.membership(console).await?;
        let view = answered(membership.get_enrollment(api::GetEnrollmentRequest {})).await?;
        let approval = match Digest::try_from(&view.waiting_entry_digest[..]) {
            Ok(entry) if Words::of(&entry) == words => {
                let mut client = self.daemon.connect(console).await?;
                self.signing.sign(&mut client, Subject::EnrollConfirm { entry }, console).await?
            }
            // Nobody signs what was not compared.
            Ok(_) if self.signing.is_signed() => {
                return Err(Failed::Usage(ConfirmError::WrongWords.to_string()));
            }
            // The client says what is wrong, and counts it.
            _ => Vec::new(),
        };
        let note = self.signing.note();
        let asked = api::ConfirmEntryRequest { words: words.to_string(), approval, note };
        let view = answered(membership.confirm_entry(asked)).await?;
        show(&view, console)?;
        Ok(Exit::Ok)
    }
}

impl RotateKeys {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let mut membership = self.daemon.membership(console).await?;
        let view = answered(membership.rotate_keys(api::RotateKeysRequest {})).await?;
        show(&view, console)?;
        Ok(Exit::Waiting)
    }
}

fn show(view: &api::EnrollmentView, console: &mut Console) -> Result<(), Failed> {
    let text = output::enrollment(view, clock::wall());
    Ok(console.result(&text, &output::json::enrollment(view))?)
}

const STATUS: &str = "\
Example:
  tunnel-client enroll status --output json

Exit codes: 0 enrolled · 1 failed · 4 it waits for somebody";

const CONFIRM: &str = "\
Examples:
  tunnel-client enroll confirm one two three four five six seven eight
  tunnel-client enroll confirm one two three four five six seven eight --key alice.key --note 'heard by phone'

The words come from the vendor's administrator, who sees them after `tunnelctl enroll confirm`; this client never shows
them. Hear them over a way that you trust.

Exit codes: 0 confirmed · 1 failed · 2 not understood, or other words · 3 you may not";

const ROTATE: &str = "\
Example:
  tunnel-client keys rotate      # then `enroll status` and `enroll confirm`, as at the enrollment

The old keys stay in force until an approver has confirmed the entry of the new ones, and open requests for 24 h more.";
