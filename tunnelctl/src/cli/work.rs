//! The commands that use access: `connect`, `call`, `proxy`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use tunnel_protos::{ClusterName, MethodPattern};

use super::{RequestStart, ask::Ask, duration, examples, request_id};

/// Which access to use: a new one, an own request by its id, or the newest of this machine.
#[derive(Debug, Args)]
pub struct Access {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// A method, `package.Service/Method`, or all of a service, `package.Service/*`. May be repeated [default: go on
    /// with the newest grant or request of this machine]
    #[arg(long = "method")]
    pub methods: Vec<MethodPattern>,
    #[command(flatten)]
    pub(crate) ask: Ask,
    /// Go on with this request of yours instead of making one: its id, or its first characters
    #[arg(long, value_name = "ID", value_parser = request_id, conflicts_with_all = ["methods", "reason"])]
    pub resume: Option<RequestStart>,
    /// Ask anew, even if the same ask of yours is still undecided
    #[arg(long, conflicts_with = "resume")]
    pub anew: bool,
    /// When the command stops, end the grant, too
    #[arg(long)]
    pub withdraw_on_exit: bool,
}

/// `connect`.
#[derive(Debug, Args)]
#[command(after_help = examples::CONNECT)]
pub struct Connect {
    #[command(flatten)]
    pub(crate) access: Access,
    /// Stay, and renew the certificate in the same files until the grant ends or you press Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// Write ca.pem, cert.pem and key.pem here instead of the runtime folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// A descriptor set to name in the printed grpcurl line, instead of reflection. May be repeated
    #[arg(long, value_name = "FILE")]
    pub protoset: Vec<PathBuf>,
}

/// `proxy`.
#[derive(Debug, Args)]
#[command(after_help = examples::PROXY)]
pub struct Proxy {
    #[command(flatten)]
    pub(crate) access: Access,
    /// Make the Unix socket (0600) here instead of in the runtime folder
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    pub socket: Option<PathBuf>,
    /// Listen on this TCP address instead; every user of this machine can use it
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<SocketAddr>,
    /// Allow --listen on an address that other machines reach: everyone there acts as you
    #[arg(long, requires = "listen")]
    pub expose_to_network: bool,
}

/// `call`.
#[derive(Debug, Args)]
#[command(after_help = examples::CALL)]
pub struct Call {
    /// The cluster, `customer/cluster`
    pub cluster: ClusterName,
    /// `package.Service/Method`, or `list [SERVICE]`, or `describe [SYMBOL]`
    #[arg(required = true, num_args = 1..=2)]
    pub method: Vec<String>,
    /// The request as JSON, one value after the other for client streams; `@` reads them from standard input, `@FILE`
    /// from a file
    #[arg(short, long)]
    pub data: Option<String>,
    /// A metadata header, `name: value`. May be repeated
    #[arg(short = 'H', long = "header")]
    pub headers: Vec<String>,
    /// A descriptor set to read methods from, instead of reflection. May be repeated
    #[arg(long, value_name = "FILE")]
    pub protoset: Vec<PathBuf>,
    /// Show fields that have their default value, too
    #[arg(long)]
    pub emit_defaults: bool,
    /// End the call after this time (a bare number is seconds)
    #[arg(long, value_name = "DURATION", value_parser = seconds_or_duration)]
    pub max_time: Option<Duration>,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// grpcurl takes a bare number of seconds.
fn seconds_or_duration(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>().map(Duration::try_from_secs_f64) {
        Ok(Ok(time)) if !time.is_zero() => Ok(time),
        Ok(_) => Err("must be longer than nothing".into()),
        Err(_) => duration(text),
    }
}
