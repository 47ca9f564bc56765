//! What asking for an operation says, and the commands about one that was asked for.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use tunnel_protos::{
    ClusterName, CollectorName, ComponentName, NodeName, PersonText, SettingName, TargetName, TaskName,
};

use super::{RequestStart, amount, ask::Occasion, ask::reason, duration, examples, request_id};

/// What every asking for an operation says besides what is to be done.
#[derive(Debug, Clone, Args)]
pub struct Order {
    /// Why; shown to the customer's approvers and kept in their audit log
    #[arg(long, value_parser = reason)]
    pub reason: PersonText,
    /// The occasion
    #[arg(long, value_enum, default_value = "other")]
    pub reason_type: Occasion,
    /// A ticket's name
    #[arg(long)]
    pub ticket: Option<PersonText>,
    /// When it begins, once it is approved
    #[arg(long, value_enum, default_value_t)]
    pub start: Start,
    /// Have it planned and decided, show the plan, do nothing
    #[arg(long, conflicts_with_all = ["start", "no_wait"])]
    pub dry_run: bool,
    /// How long you want to look at it afterwards, or fetch its bundle [default: as long as the policy gives]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub wanted: Option<Duration>,
    /// The request expires if it is not decided by then [default: 1h if it begins by itself, else 24h]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub expires: Option<Duration>,
    /// Stop waiting after this time; the request stays open and what runs goes on [default: until all is over]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
    /// Print the request's id and end; `watch` follows it
    #[arg(long, conflicts_with = "wait")]
    pub no_wait: bool,
}

/// When an approved operation begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Start {
    /// At once
    #[default]
    OnApproval,
    /// When you say so: `tunnelctl start ID`
    OnCall,
}

/// `request scale`.
#[derive(Debug, Args)]
#[command(after_help = examples::SCALE)]
#[command(group = clap::ArgGroup::new("size").required(true).multiple(true))]
pub struct RequestScale {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// The component, as the engine profile names it
    pub component: ComponentName,
    /// How many replicas you expect it to have now; with another number nothing is done
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "replicas")]
    pub expect: Option<u32>,
    /// How many replicas it shall have
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "expect",
          group = "size", conflicts_with_all = ["cpu", "memory", "storage"])]
    pub replicas: Option<u32>,
    /// CPU of each replica, like 500m or 2, that you expect now
    #[arg(long, value_name = "CPU", value_parser = amount::cpu, requires = "cpu")]
    pub expect_cpu: Option<u64>,
    /// CPU that each replica shall have
    #[arg(long, value_name = "CPU", value_parser = amount::cpu, requires = "expect_cpu", group = "size")]
    pub cpu: Option<u64>,
    /// Memory of each replica, like 512MiB, that you expect now
    #[arg(long, value_name = "BYTES", value_parser = amount::bytes, requires = "memory")]
    pub expect_memory: Option<u64>,
    /// Memory that each replica shall have
    #[arg(long, value_name = "BYTES", value_parser = amount::bytes, requires = "expect_memory", group = "size")]
    pub memory: Option<u64>,
    /// Storage of each replica, like 20GiB, that you expect now
    #[arg(long, value_name = "BYTES", value_parser = amount::bytes, requires = "storage")]
    pub expect_storage: Option<u64>,
    /// Storage that each replica shall have; it only grows
    #[arg(long, value_name = "BYTES", value_parser = amount::bytes, requires = "expect_storage", group = "size")]
    pub storage: Option<u64>,
    #[command(flatten)]
    pub(crate) order: Order,
}

/// `request upgrade`.
#[derive(Debug, Args)]
#[command(after_help = examples::UPGRADE)]
pub struct RequestUpgrade {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// A signed release manifest; it names its component. May be repeated: they are brought in this order
    #[arg(long = "release", value_name = "FILE", required = true)]
    pub releases: Vec<PathBuf>,
    /// The release that you expect to find now: its name, or `component=name` if there are several. May be repeated
    #[arg(long, value_name = "[COMPONENT=]NAME", required = true)]
    pub expect: Vec<String>,
    /// Nodes that are changed at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub at_once: u32,
    /// How long a node must stay healthy before the next one, at most 1h [default: as the engine profile says]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub soak: Option<Duration>,
    /// Bring a release even if it is not above the highest that the customer has seen; always takes a person there
    #[arg(long)]
    pub allow_downgrade: bool,
    #[command(flatten)]
    pub(crate) order: Order,
}

/// `request restart`.
#[derive(Debug, Args)]
#[command(after_help = examples::RESTART)]
pub struct RequestRestart {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// The component, as the engine profile names it
    pub component: ComponentName,
    /// A node to restart [default: all, one after the other]. May be repeated
    #[arg(long = "node", value_name = "NAME")]
    pub nodes: Vec<NodeName>,
    /// How many nodes you expect the component to have now; with another number nothing is done
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub expect: u32,
    #[command(flatten)]
    pub(crate) order: Order,
}

/// `request configure`.
#[derive(Debug, Args)]
#[command(after_help = examples::CONFIGURE)]
pub struct RequestConfigure {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// The component, as the engine profile names it
    pub component: ComponentName,
    /// A setting and the value that it shall have. May be repeated
    #[arg(long, value_name = "NAME=VALUE", required = true, value_parser = pair)]
    pub set: Vec<(SettingName, PersonText)>,
    /// The value that you expect it to have now; one for each --set. With another value nothing is done
    #[arg(long, value_name = "NAME=VALUE", required = true, value_parser = pair)]
    pub expect: Vec<(SettingName, PersonText)>,
    #[command(flatten)]
    pub(crate) order: Order,
}

/// `request run`.
#[derive(Debug, Args)]
#[command(after_help = examples::RUN)]
pub struct RequestRun {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// The task, as the engine profile names it
    pub task: TaskName,
    /// A target [default: as the engine profile says]. May be repeated
    #[arg(long = "target")]
    pub targets: Vec<TargetName>,
    /// An argument of the task. May be repeated
    #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = pair)]
    pub arguments: Vec<(SettingName, PersonText)>,
    #[command(flatten)]
    pub(crate) order: Order,
}

/// `request debug`.
#[derive(Debug, Args)]
#[command(after_help = examples::DEBUG)]
pub struct RequestDebug {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// Collectors, as the engine profile names them
    #[arg(required = true)]
    pub collectors: Vec<CollectorName>,
    /// A target [default: as the engine profile says]. May be repeated
    #[arg(long = "target")]
    pub targets: Vec<TargetName>,
    #[command(flatten)]
    pub(crate) order: Order,
}

/// `start`.
#[derive(Debug, Args)]
#[command(after_help = examples::START)]
pub struct StartOperation {
    /// The request's id, as `requests` shows it, or its first characters
    #[arg(value_parser = request_id)]
    pub id: RequestStart,
    /// Stop waiting after this time; what runs goes on [default: until it is over]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
}

/// `cancel`.
#[derive(Debug, Args)]
#[command(after_help = examples::CANCEL)]
pub struct Cancel {
    /// The request's id, as `requests` shows it, or its first characters
    #[arg(value_parser = request_id)]
    pub id: RequestStart,
    /// Stop waiting after this time [default: until it is over]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
}

/// `plan`.
#[derive(Debug, Args)]
#[command(after_help = examples::PLAN)]
pub struct ShowPlan {
    /// The request's id, as `requests` shows it, or its first characters
    #[arg(value_parser = request_id)]
    pub id: RequestStart,
}

/// `bundle`.
#[derive(Debug, Subcommand)]
pub enum Bundle {
    /// Fetch the debug bundle that an operation of yours made, once the customer has released it
    Get(GetBundle),
}

/// `bundle get`.
#[derive(Debug, Args)]
#[command(after_help = examples::BUNDLE)]
pub struct GetBundle {
    /// The request's id, as `requests` shows it, or its first characters
    #[arg(value_parser = request_id)]
    pub id: RequestStart,
    /// Where to write it, never over another file [default: postern-debug-ID.tar.zst in this folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Wait so long for its release [default: do not wait]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
}

/// `name=value`; only the first equals sign counts.
fn pair(text: &str) -> Result<(SettingName, PersonText), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    let name: SettingName =
        name.parse().map_err(|error: tunnel_protos::name::NameError| format!("the name is {error}"))?;
    let value: PersonText =
        value.parse().map_err(|error: tunnel_protos::text::TextError| format!("the value is {error}"))?;
    Ok((name, value))
}
