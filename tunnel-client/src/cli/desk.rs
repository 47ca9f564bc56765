//! The customer's commands to the running daemon.

mod answer;
mod bundles;
mod enroll;
mod loosen;
mod signing;
mod tighten;
mod trust;
mod watch;

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use tunnel_protos::approvers as api;
use tunnel_runtime::exit::Exit;

pub(super) use self::enroll::RotateKeys;
use self::{
    answer::{Approve, Deny},
    bundles::{Bundle, Cancel},
    enroll::Enroll,
    loosen::{AllowOperator, ResetClock, Resume},
    tighten::{DenyOperator, Pause, Revoke},
    trust::{Ca, Roots},
};
use super::{
    console::Console,
    customer::{self, Bundles, Client, Failed, Membership, answered},
    output::{self, Format, Pasted},
};
use crate::{approvers::may_be_approver, clock};

/// What a customer asks of the running client.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List requests: those that wait for you first, then live grants.
    #[command(
        after_help = "Examples:\n  tunnel-client requests --watch\n  tunnel-client requests --all --output json"
    )]
    Requests {
        /// Ended ones too.
        #[arg(long)]
        all: bool,
        /// Print the list again whenever it changes, until interrupted.
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Show one request: who asks for what, why, until when, and how to answer it.
    #[command(after_help = "Example:\n  tunnel-client show 3fa8")]
    Show {
        /// The request's id, or its first characters.
        id: String,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Say yes to a pending request, exactly as it is shown here.
    Approve(Approve),
    /// Say no to a pending request, for ever.
    Deny(Deny),
    /// End a grant for ever; its sessions are cut within a second.
    Revoke(Revoke),
    /// Stop an operation before its next step; it is rolled back if its plan says so.
    Cancel(Cancel),
    /// Debug bundles: list them, look into them, let them leave, delete them.
    #[command(subcommand)]
    Bundle(Bundle),
    /// Stop everything: sessions are cut, and nothing is let in until an approver resumes.
    Pause(Pause),
    /// End the pause in force; needs an approver.
    Resume(Resume),
    /// List operators that asked here; deny one, or allow it again.
    Operators {
        #[command(subcommand)]
        command: Option<Operators>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Sessions that are open now.
    #[command(subcommand)]
    Sessions(Sessions),
    /// The time by which requests live.
    #[command(subcommand)]
    Clock(Clock),
    /// Whom this client trusts of the vendor: list roots, import a newer trust bundle, stop trusting a root.
    #[command(subcommand)]
    Roots(Roots),
    /// The CA that issues operators' certificates: look, or replace it.
    #[command(subcommand)]
    Ca(Ca),
    /// Become a cluster of the vendor: where that is, what to do next, and an approver's word on it.
    Enroll {
        #[command(subcommand)]
        command: Option<Enroll>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Show tunnels, engine, policy, certificates and what is open, and what needs you.
    #[command(after_help = "Example:\n  tunnel-client status --output json")]
    Status {
        #[command(flatten)]
        daemon: Daemon,
    },
}

/// What becomes of one operator.
#[derive(Debug, Subcommand)]
pub(super) enum Operators {
    /// Refuse an operator from now on: its requests are denied, its grants revoked, its sessions cut.
    Deny(DenyOperator),
    /// Take an operator off the deny list; needs an approver.
    Allow(AllowOperator),
}

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub(super) enum Sessions {
    /// Show who calls what now, each second; on a terminal `x` cuts the selected session by revoking its grant at
    /// once, elsewhere each line is one JSON document.
    #[command(
        after_help = "Examples:\n  tunnel-client sessions watch\n  tunnel-client sessions watch | head -1"
    )]
    Watch {
        #[command(flatten)]
        daemon: Daemon,
    },
}

/// What to do with the time.
#[derive(Debug, Subcommand)]
pub(super) enum Clock {
    /// Set the highest time ever seen back, after a clock ran ahead; needs an approver.
    Reset(ResetClock),
}

/// Where the daemon is and how to print.
#[derive(Debug, Args)]
pub(super) struct Daemon {
    /// The running client's socket.
    #[arg(long, value_name = "PATH", env = "POSTERN_SOCKET", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// A customer's command, ready to run.
#[derive(Debug)]
pub struct Ask(Kind);

#[derive(Debug)]
enum Kind {
    Command(Command),
    RotateKeys(RotateKeys),
}

impl From<Command> for Ask {
    fn from(command: Command) -> Self {
        Self(Kind::Command(command))
    }
}

impl From<RotateKeys> for Ask {
    fn from(rotate: RotateKeys) -> Self {
        Self(Kind::RotateKeys(rotate))
    }
}

impl Ask {
    /// Asks the running client and prints what it says.
    pub async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        match self.0 {
            Kind::Command(command) => command.run(console).await,
            Kind::RotateKeys(rotate) => rotate.run(console).await,
        }
    }
}

impl Command {
    async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        match self {
            Command::Requests { watch: true, all, daemon } => watch::requests(&daemon, all, console).await,
            Command::Requests { watch: false, all, daemon } => requests(&daemon, all, console).await,
            Command::Show { id, daemon } => show(&daemon, id, console).await,
            Command::Approve(approve) => approve.run(console).await,
            Command::Deny(deny) => deny.run(console).await,
            Command::Revoke(revoke) => revoke.run(console).await,
            Command::Cancel(cancel) => cancel.run(console).await,
            Command::Bundle(bundle) => bundle.run(console).await,
            Command::Pause(pause) => pause.run(console).await,
            Command::Resume(resume) => resume.run(console).await,
            Command::Operators { command: None, daemon } => operators(&daemon, console).await,
            Command::Operators { command: Some(Operators::Deny(deny)), .. } => deny.run(console).await,
            Command::Operators { command: Some(Operators::Allow(allow)), .. } => allow.run(console).await,
            Command::Sessions(Sessions::Watch { daemon }) => watch::sessions(&daemon, console).await,
            Command::Clock(Clock::Reset(reset)) => reset.run(console).await,
            Command::Roots(roots) => roots.run(console).await,
            Command::Ca(ca) => ca.run(console).await,
            Command::Enroll { command: None, daemon } => enroll::status(&daemon, console).await,
            Command::Enroll { command: Some(Enroll::Status { daemon }), .. } => {
                enroll::status(&daemon, console).await
            }
            Command::Enroll { command: Some(Enroll::Confirm(confirm)), .. } => confirm.run(console).await,
            Command::Status { daemon } => status(&daemon, console).await,
        }
    }
}

impl Daemon {
    async fn connect(&self, console: &mut Console) -> Result<Client, Failed> {
        console.format = self.output;
        customer::connect(&self.socket).await
    }

    async fn membership(&self, console: &mut Console) -> Result<Membership, Failed> {
        console.format = self.output;
        customer::membership(&self.socket).await
    }

    async fn bundles(&self, console: &mut Console) -> Result<Bundles, Failed> {
        console.format = self.output;
        customer::bundles(&self.socket).await
    }

    /// What a pasted command needs to reach the same daemon, and to be heard there.
    fn pasted(&self) -> Pasted<'_> {
        let socket = (self.socket != Path::new(DEFAULT_SOCKET)).then_some(&*self.socket);
        let daemon = std::fs::metadata(&self.socket).map(|socket| socket.uid()).ok();
        let own = rustix::process::geteuid().as_raw();
        Pasted { socket, key: !may_be_approver(own, daemon) }
    }
}

async fn requests(daemon: &Daemon, all: bool, console: &mut Console) -> Result<Exit, Failed> {
    let mut client = daemon.connect(console).await?;
    let list = answered(client.list_requests(api::ListRequestsRequest { all })).await?;
    let text = output::requests(&list.requests, clock::wall());
    console.result(&text, &output::json::requests(&list.requests))?;
    Ok(Exit::Ok)
}

async fn show(daemon: &Daemon, id: String, console: &mut Console) -> Result<Exit, Failed> {
    let mut client = daemon.connect(console).await?;
    let view = answered(client.get_request(api::GetRequestRequest { id })).await?;
    let text = output::request(&view, clock::wall(), daemon.pasted(), console.paint());
    console.result(&text, &output::json::request(&view))?;
    Ok(Exit::Ok)
}

async fn operators(daemon: &Daemon, console: &mut Console) -> Result<Exit, Failed> {
    let mut client = daemon.connect(console).await?;
    let list = answered(client.list_operators(api::ListOperatorsRequest {})).await?;
    let text = output::operators(&list.operators, clock::wall());
    console.result(&text, &output::json::operators(&list.operators))?;
    Ok(Exit::Ok)
}

async fn status(daemon: &Daemon, console: &mut Console) -> Result<Exit, Failed> {
    let mut client = daemon.connect(console).await?;
    let status = answered(client.get_status(api::GetStatusRequest {})).await?;
    let mut membership = daemon.membership(console).await?;
    let enrollment = answered(membership.get_enrollment(api::GetEnrollmentRequest {})).await?;
    let text = output::status(&status, &enrollment, clock::wall(), console.is_painted());
    console.result(&text, &output::json::status(&status, &enrollment))?;
    Ok(Exit::Ok)
}

pub(super) const DEFAULT_SOCKET: &str = "/run/postern/approvers.sock";

#[cfg(test)]
mod tests;
