//! What administrators say: inventory entries, bans, trust, replicas.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use tunnel_protos::{ClusterName, Label, PersonText, ReplicaId};

use super::{ask::reason, duration, examples, signing::Signing};

/// `inventory`.
#[derive(Debug, Subcommand)]
pub enum Inventory {
    /// List all inventory entries: sequence, end, whether they are proven
    List,
    /// One entry in full, with its words
    Show {
        /// The cluster, `customer/cluster`
        cluster: ClusterName,
    },
    /// Sign entries anew with the same keys, before they end
    Renew(Box<Renew>),
}

/// `inventory renew`.
#[derive(Debug, Args)]
#[command(after_help = examples::RENEW)]
pub struct Renew {
    /// The clusters, `customer/cluster`
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub clusters: Vec<ClusterName>,
    /// All clusters that the broker shows, and without --within those that it has forgotten and this machine vouched for
    #[arg(long)]
    pub all: bool,
    /// Leave out entries that are good for longer than this
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub within: Option<Duration>,
    /// How long the new entries are good, at most 180 days
    #[arg(long, value_name = "DURATION", default_value = "180d", value_parser = duration)]
    pub life: Duration,
    /// Renew entries that this machine sees for the first time, too: compare the words of `inventory show` with the
    /// customer's before, for nothing here can tell a broker that shows an older entry
    #[arg(long)]
    pub first_seen: bool,
    #[command(flatten)]
    pub(crate) signing: Signing,
}

/// `ban` and `unban`.
#[derive(Debug, Args)]
#[command(after_help = examples::BAN)]
pub struct Ban {
    /// The cluster, `customer/cluster`
    #[arg(required_unless_present = "label")]
    pub cluster: Option<ClusterName>,
    /// The cluster's label, where no entry of it is proven yet; `replicas` and `enroll show` tell it
    #[arg(long, conflicts_with = "cluster")]
    pub label: Option<Label>,
    /// One replica of it [default: the whole cluster]
    #[arg(long, value_name = "ID")]
    pub replica: Option<ReplicaId>,
    /// Why; kept by the broker
    #[arg(long, value_parser = reason)]
    pub reason: PersonText,
}

/// `replicas`.
#[derive(Debug, Args)]
pub struct Replicas {
    /// The cluster, `customer/cluster` [default: all]
    pub cluster: Option<ClusterName>,
}

/// `trust`.
#[derive(Debug, Subcommand)]
pub enum Trust {
    /// Show the trust bundle in force: keys, roots, addresses, end
    Show {
        /// Write it to this file, too
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Publish a trust bundle that a vendor key of the current list signed
    #[command(after_help = examples::TRUST)]
    Publish {
        /// The bundle, as `tunnel-certs statement trust-bundle` or `tunnel-certs sign` wrote it
        file: PathBuf,
    },
}
