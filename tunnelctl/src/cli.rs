//! The command line: words to typed arguments. No defaults from the environment: those come with the surroundings.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tunnel_protos::{ClusterName, MethodPattern, PersonText, RequestId, Suffix, TargetName, v1::ReasonType};

use crate::{console::Format, context};

/// The vendor operator's way to customers' clusters.
#[derive(Debug, Parser)]
#[command(name = "tunnelctl", version, max_term_width = 100, after_help = EXIT_CODES)]
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

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check an operator identity at the broker and keep it as a context
    Login(Login),
    /// List the clusters that the broker shows to you
    Clusters,
    /// Ask for access, wait for the answer, write a certificate and print the grpcurl line
    Connect(Connect),
    /// Call a method of the engine, like grpcurl, asking for access if there is none
    Call(Call),
    /// List your own open requests and grants of this machine
    Requests,
    /// End your own pending request or live grant
    Withdraw(Withdraw),
    /// Print a completion script
    Completions {
        /// The shell to complete for.
        shell: clap_complete::Shell,
    },
}

/// `login`.
#[derive(Debug, Args)]
#[command(after_help = LOGIN_EXAMPLE)]
pub struct Login {
    /// The operator certificate (PEM); read again at each use, so a renewed file needs no new login
    #[arg(long)]
    pub certificate: PathBuf,
    /// Its private key (PEM, mode 0600)
    #[arg(long)]
    pub key: PathBuf,
    /// The vendor's public key (PEM), as handed over by your administrators; never fetched. May be repeated
    #[arg(long = "vendor-key", required = true)]
    pub vendor_keys: Vec<PathBuf>,
    /// Address of the operators' API, `host:port`
    #[arg(long)]
    pub api: String,
    /// CA certificates (PEM) of the API's server certificate [default: the system's public roots]
    #[arg(long)]
    pub api_ca: Option<PathBuf>,
    /// Name in the API's server certificate instead of `api.<suffix>`
    #[arg(long)]
    pub api_name: Option<String>,
    /// DNS suffix of doors, for example `tunnel.example`
    #[arg(long)]
    pub suffix: Suffix,
    /// Connect sessions to this `host:port` instead of the door's DNS name
    #[arg(long)]
    pub connect_address: Option<String>,
}

/// `connect`.
#[derive(Debug, Args)]
#[command(after_help = CONNECT_EXAMPLE)]
pub struct Connect {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// A method, `package.Service/Method`, or all of a service, `package.Service/*`. May be repeated
    #[arg(long = "method", required_unless_present = "resume")]
    pub methods: Vec<MethodPattern>,
    #[command(flatten)]
    pub(crate) ask: Ask,
    /// Go on with this request of yours instead of making one
    #[arg(long, value_name = "ID", conflicts_with_all = ["methods", "reason"])]
    pub resume: Option<RequestId>,
    /// Write ca.pem, cert.pem and key.pem here instead of the runtime folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// A descriptor set to name in the printed grpcurl line. May be repeated
    #[arg(long, value_name = "FILE")]
    pub protoset: Vec<PathBuf>,
}

/// What every asking for access says besides its methods.
#[derive(Debug, Clone, Args)]
pub struct Ask {
    /// A target of the cluster [default: default]. May be repeated
    #[arg(long = "target")]
    pub targets: Vec<TargetName>,
    /// How long the work may take
    #[arg(long = "for", value_name = "DURATION", default_value = "30m", value_parser = duration)]
    pub wanted: Duration,
    /// Why; shown to the customer's approvers and kept in their audit log
    #[arg(long, value_parser = reason)]
    pub reason: Option<PersonText>,
    /// The occasion
    #[arg(long, value_enum, default_value = "other")]
    pub reason_type: Occasion,
    /// A ticket's name
    #[arg(long)]
    pub ticket: Option<PersonText>,
    /// Ask for methods that belong to operations; they need exact names
    #[arg(long)]
    pub raw: bool,
    /// Stop waiting for an answer after this time; the request stays open [default: until it expires]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
}

/// `call`.
#[derive(Debug, Args)]
#[command(after_help = CALL_EXAMPLE)]
pub struct Call {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// `package.Service/Method`, or `list [SERVICE]`, or `describe SYMBOL`
    #[arg(required = true, num_args = 1..=2)]
    pub method: Vec<String>,
    /// The request as JSON, one value after the other for client streams; `@` reads them from standard input
    #[arg(short, long)]
    pub data: Option<String>,
    /// A metadata header, `name: value`. May be repeated
    #[arg(short = 'H', long = "header")]
    pub headers: Vec<String>,
    /// A descriptor set to read methods from, instead of reflection. May be repeated
    #[arg(long, value_name = "FILE")]
    pub protoset: Vec<PathBuf>,
    /// End the call after this time
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub max_time: Option<Duration>,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `withdraw`.
#[derive(Debug, Args)]
pub struct Withdraw {
    /// The request's id, as `requests` shows it
    pub id: RequestId,
    /// Stop waiting for the answer after this time
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub wait: Duration,
}

/// The occasion of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Occasion {
    Incident,
    Change,
    Support,
    Other,
}

impl From<Occasion> for ReasonType {
    fn from(occasion: Occasion) -> Self {
        match occasion {
            Occasion::Incident => Self::Incident,
            Occasion::Change => Self::Change,
            Occasion::Support => Self::Support,
            Occasion::Other => Self::Other,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(zero) if zero.is_zero() => Err("must be longer than nothing".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write for example 30m or 1h30m")),
    }
}

fn reason(text: &str) -> Result<PersonText, String> {
    let text: PersonText = text.parse().map_err(|error| format!("{error}"))?;
    if text.is_blank() { Err("must not be empty".into()) } else { Ok(text) }
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage or context, 3 denied, 4 still waiting, 5 expired, \
                          6 cluster offline; `call` exits with 64 + the gRPC status.";

const LOGIN_EXAMPLE: &str = "Example:\n  tunnelctl login --certificate op.pem --key op.key --vendor-key vendor.pub \
                             \\\n    --api api.tunnel.example:443 --suffix tunnel.example";

const CONNECT_EXAMPLE: &str = "Example:\n  tunnelctl connect acme/prod --method 'engine.admin.v1.Admin/*' --for 30m \
                               \\\n    --reason 'disk of node 3 is full' --reason-type incident --ticket INC-7";

const CALL_EXAMPLE: &str = "Examples:\n  tunnelctl call acme/prod engine.admin.v1.Admin/GetStatus --reason 'morning check'\n  \
                            tunnelctl call acme/prod engine.admin.v1.Admin/Put -d '{\"key\":\"a\"}' --protoset admin.pb\n  \
                            tunnelctl call acme/prod list";

#[cfg(test)]
mod tests;
