//! The command line: words to typed arguments. No defaults from the environment: those come with the surroundings.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tunnel_protos::{ClusterName, RequestId};

use crate::{console::Format, context};

mod admin;
mod amount;
mod ask;
mod doctor;
mod enroll;
mod examples;
mod login;
mod operation;
mod signing;
mod work;

pub use self::{
    admin::{Ban, Inventory, Renew, Replicas, Trust},
    ask::{Ask, Occasion, Request, RequestAccess},
    doctor::Doctor,
    enroll::{Enroll, EnrollConfirm, EnrollCreate, Kind, Which},
    login::Login,
    operation::{
        Bundle, Cancel, GetBundle, Order, RequestConfigure, RequestDebug, RequestRestart, RequestRun,
        RequestScale, RequestUpgrade, ShowPlan, Start, StartOperation,
    },
    signing::{Signing, VendorKey},
    work::{Access, Call, Connect, Proxy},
};

/// The vendor operator's way to customers' clusters.
#[derive(Debug, Parser)]
#[command(name = "tunnelctl", version, max_term_width = 100, after_help = examples::EXIT_CODES)]
pub struct Cli {
    /// The context to use [default: POSTERN_CONTEXT, then the one of the last login]
    #[arg(long, global = true)]
    pub context: Option<context::ContextName>,
    /// Text for people, or one JSON value per line
    #[arg(long, global = true, value_enum, default_value_t)]
    pub output: Format,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads a command line, program name first.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(args.into_iter().map(two_dashes))
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check an operator identity at the broker and keep it as a context
    Login(Login),
    /// List the clusters that the broker shows to you
    Clusters,
    /// One cluster in full
    #[command(subcommand)]
    Cluster(Cluster),
    /// Ask for access, wait for the answer, write a certificate and print the grpcurl line
    Connect(Box<Connect>),
    /// Call a method of the engine, like grpcurl, asking for access if there is none
    Call(Box<Call>),
    /// A local end without TLS for etcdctl, grpcurl and any other client of the engine
    Proxy(Box<Proxy>),
    /// Ask for access without waiting, or for an operation: scale, upgrade, restart, configure, run, debug
    #[command(subcommand)]
    Request(Request),
    /// List your own requests and grants of this machine
    Requests(Requests),
    /// Follow a request of yours; of an operation, step by step
    Watch(Watch),
    /// Show what an operation of yours would do, or did, exactly
    Plan(ShowPlan),
    /// Begin an operation of yours that was approved and waits for your word
    Start(StartOperation),
    /// Stop an operation of yours before its next step; it is rolled back if its plan says so
    Cancel(Cancel),
    /// Debug bundles
    #[command(subcommand)]
    Bundle(Bundle),
    /// End your own pending request or live grant
    Withdraw(Withdraw),
    /// Find out what is wrong between this machine and the clusters
    Doctor(Doctor),
    /// Administrators: take clusters in
    #[command(subcommand)]
    Enroll(Enroll),
    /// Administrators: the signed entries that operators trust
    #[command(subcommand)]
    Inventory(Inventory),
    /// Administrators: replicas and their certificates
    Replicas(Replicas),
    /// Administrators: close the tunnels of a cluster or replica, and let it in no more
    Ban(Ban),
    /// Administrators: take a ban back
    Unban(Ban),
    /// Administrators: the vendor's trust bundle
    #[command(subcommand)]
    Trust(Trust),
    /// Write manual pages
    #[command(hide = true)]
    Man {
        /// The folder to write them to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Print a completion script
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell to complete for.
        shell: clap_complete::Shell,
    },
}

/// `cluster`.
#[derive(Debug, Subcommand)]
pub enum Cluster {
    /// Show what is proven of a cluster, and what the broker says of it
    Show {
        /// The cluster, `customer/cluster`
        cluster: ClusterName,
    },
}

/// `requests`.
#[derive(Debug, Args)]
pub struct Requests {
    /// Those that ended, too
    #[arg(long)]
    pub all: bool,
}

/// `watch`.
#[derive(Debug, Args)]
#[command(after_help = examples::WATCH)]
pub struct Watch {
    /// The request's id, as `requests` shows it, or its first characters
    #[arg(value_parser = request_id)]
    pub id: RequestStart,
    /// How far to follow it [default: access until it is decided, an operation until it has ended]
    #[arg(long, value_enum)]
    pub until: Option<Until>,
    /// Stop waiting after this time [default: until the request expires]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
}

/// How far `watch` follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// Until the customer has decided
    Decided,
    /// Until the request, or the grant it became, is over
    Ended,
}

/// `withdraw`.
#[derive(Debug, Args)]
pub struct Withdraw {
    /// The request's id, as `requests` shows it, or its first characters
    #[arg(value_parser = request_id)]
    pub id: RequestStart,
    /// Stop waiting for the answer after this time
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub wait: Duration,
}

/// The id of a request of this machine, or its first characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestStart(pub(crate) String);

impl From<RequestId> for RequestStart {
    fn from(id: RequestId) -> Self {
        Self(id.to_string())
    }
}

fn request_id(text: &str) -> Result<RequestStart, String> {
    let is_start = (LEAST_START..36).contains(&text.len())
        && text.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
    match text.parse::<RequestId>() {
        Ok(id) => Ok(RequestStart(id.to_string())),
        Err(_) if is_start => Ok(RequestStart(text.to_ascii_lowercase())),
        Err(_) => Err(format!(
            "neither an id nor its first {LEAST_START} characters or more; `tunnelctl requests --all` shows ids"
        )),
    }
}

/// As at the customer's side; fewer would mean another one tomorrow.
const LEAST_START: usize = 4;

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(zero) if zero.is_zero() => Err("must be longer than nothing".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write for example 30m or 1h30m")),
    }
}

/// grpcurl's long flags have one dash, and fingers remember them.
fn two_dashes(word: OsString) -> OsString {
    match word.to_str() {
        Some(text) if GRPCURL.iter().any(|flag| is_flag(text, flag)) => format!("-{text}").into(),
        _ => word,
    }
}

fn is_flag(text: &str, flag: &str) -> bool {
    text.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

const GRPCURL: [&str; 3] = ["-protoset", "-max-time", "-emit-defaults"];

#[cfg(test)]
mod tests;
