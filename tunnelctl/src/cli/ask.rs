//! What asking for access says, in whatever command: targets, duration, reason.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use tunnel_protos::{ClusterName, MethodPattern, PersonText, TargetName, v1::ReasonType};

use super::{
    duration, examples,
    operation::{RequestConfigure, RequestDebug, RequestRestart, RequestRun, RequestScale, RequestUpgrade},
};

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

/// `request`.
#[derive(Debug, Subcommand)]
pub enum Request {
    /// Ask for access without waiting for the answer; prints the request's id and words
    Access(RequestAccess),
    /// Change how many replicas a component has, or their resources
    Scale(Box<RequestScale>),
    /// Bring components to signed releases
    Upgrade(Box<RequestUpgrade>),
    /// Restart nodes of a component, one after the other
    Restart(Box<RequestRestart>),
    /// Change settings of a component
    Configure(Box<RequestConfigure>),
    /// Run a task that the engine profile lists
    Run(Box<RequestRun>),
    /// Have a debug bundle collected
    Debug(Box<RequestDebug>),
}

/// `request access`.
#[derive(Debug, Args)]
#[command(after_help = examples::REQUEST)]
pub struct RequestAccess {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// A method, `package.Service/Method`, or all of a service, `package.Service/*`. May be repeated
    #[arg(long = "method", required = true)]
    pub methods: Vec<MethodPattern>,
    #[command(flatten)]
    pub(crate) ask: Ask,
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

pub(super) fn reason(text: &str) -> Result<PersonText, String> {
    let text: PersonText = text.parse().map_err(|error| format!("{error}"))?;
    if text.is_blank() { Err("must not be empty".into()) } else { Ok(text) }
}
