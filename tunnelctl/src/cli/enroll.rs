//! `enroll`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use tunnel_protos::{ClusterName, Label, TokenId, v1::TokenKind};

use super::{duration, examples, signing::Signing};

/// `enroll`.
#[derive(Debug, Subcommand)]
pub enum Enroll {
    /// Make the bundle that a customer enrolls a new cluster, or a further replica, with
    Create(Box<EnrollCreate>),
    /// List the tokens that the broker knows
    List,
    /// One token in full
    Show {
        /// A token's id, or a cluster for its newest token
        #[arg(value_name = "TOKEN|CLUSTER")]
        which: Which,
    },
    /// Make a token good for nothing; what was issued for it stays
    Revoke {
        /// A token's id, or a cluster for its newest token
        #[arg(value_name = "TOKEN|CLUSTER")]
        which: Which,
    },
    /// Compare the customer's words, sign the cluster's inventory entry and publish it
    Confirm(Box<EnrollConfirm>),
}

/// `enroll create`.
#[derive(Debug, Args)]
#[command(after_help = examples::ENROLL_CREATE)]
pub struct EnrollCreate {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// What it is for
    #[arg(long, value_enum, default_value_t)]
    pub kind: Kind,
    /// How long it is good, at most 30 days
    #[arg(long, value_name = "DURATION", default_value = "72h", value_parser = duration)]
    pub expires: Duration,
    /// The cluster's label [default: that of its inventory entry or last bundle; for a new cluster it is drawn]
    #[arg(long)]
    pub label: Option<Label>,
    /// The trust bundle to hand over [default: the one in force at the broker]
    #[arg(long, value_name = "FILE")]
    pub trust_bundle: Option<PathBuf>,
    /// Where the customer's machines reach a broker [default: the addresses of the trust bundle]. May be repeated
    #[arg(long = "broker", value_name = "HOST:PORT")]
    pub brokers: Vec<String>,
    /// The bundle file to hand over; it holds a secret (mode 0600)
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `enroll confirm`.
#[derive(Debug, Args)]
#[command(after_help = examples::ENROLL_CONFIRM)]
pub struct EnrollConfirm {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// The 8 words that the customer reads from `tunnel-client status`
    #[arg(required = true, num_args = 1..)]
    pub words: Vec<String>,
    /// Which token, if the cluster has several
    #[arg(long)]
    pub token: Option<TokenId>,
    /// How long the entry is good, at most 180 days
    #[arg(long, value_name = "DURATION", default_value = "180d", value_parser = duration)]
    pub life: Duration,
    /// The entry's sequence [default: one more than the newest entry known]
    #[arg(long)]
    pub sequence: Option<u64>,
    #[command(flatten)]
    pub(crate) signing: Signing,
}

/// What a bundle is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Kind {
    /// The first replica of a cluster, which brings the cluster's keys
    #[default]
    Cluster,
    /// A further replica of an enrolled cluster
    Replica,
}

impl From<Kind> for TokenKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Cluster => Self::Cluster,
            Kind::Replica => Self::Replica,
        }
    }
}

/// A token by its id, or the newest of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// By its id.
    Token(TokenId),
    /// The newest of this cluster.
    Cluster(ClusterName),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let cluster = |_| text.parse().map(Self::Cluster);
        let parsed = text.parse().map(Self::Token).or_else(cluster);
        parsed.map_err(|_| "neither a token's id (26 characters) nor a cluster (customer/cluster)".into())
    }
}
