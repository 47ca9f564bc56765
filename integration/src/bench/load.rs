//! The load generator: gRPC over HTTP/2 over mutual TLS, framed by hand, one thread.
//!
//! It knows nothing of what lies between it and the engine, so its own cost is the same on every path.

mod call;
mod connection;
mod shapes;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::connection::Endpoint;

/// Where to send load, and as whom.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// Address to connect to.
    #[arg(long)]
    pub addr: SocketAddr,
    /// Host name for SNI and certificate.
    #[arg(long)]
    pub name: String,
    /// CA certificates that the server must chain to (PEM).
    #[arg(long)]
    pub ca: PathBuf,
    /// Client certificate (PEM).
    #[arg(long)]
    pub cert: PathBuf,
    /// Client key (PEM).
    #[arg(long)]
    pub key: PathBuf,
}

/// What to send.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Shape {
    /// Unary echo calls, as many at a time as told, for a while.
    Unary {
        /// Connections to spread them over.
        #[arg(long, default_value_t = 1)]
        connections: usize,
        /// Calls under way at a time, in all.
        #[arg(long, default_value_t = 1)]
        concurrency: usize,
        /// Bytes echoed.
        #[arg(long, default_value_t = 64)]
        payload: usize,
        /// Seconds measured, after a warm-up.
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
    },
    /// One server stream of so many bytes.
    Pull {
        /// Bytes in all.
        #[arg(long)]
        bytes: u64,
        /// Bytes in each message.
        #[arg(long, default_value_t = 65_536)]
        chunk: u32,
    },
    /// One client stream of so many bytes.
    Push {
        /// Bytes in all.
        #[arg(long)]
        bytes: u64,
        /// Bytes in each message.
        #[arg(long, default_value_t = 65_536)]
        chunk: u32,
    },
    /// New connections, each with TLS handshake and one call.
    Sessions {
        /// At a time.
        #[arg(long, default_value_t = 16)]
        concurrency: usize,
        /// Seconds measured.
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
    },
}

impl Target {
    /// The words that give this target to the load generator's command line.
    pub fn arguments(&self) -> Vec<OsString> {
        let path = |path: &PathBuf| path.clone().into_os_string();
        vec![
            "--addr".into(),
            self.addr.to_string().into(),
            "--name".into(),
            self.name.clone().into(),
            "--ca".into(),
            path(&self.ca),
            "--cert".into(),
            path(&self.cert),
            "--key".into(),
            path(&self.key),
        ]
    }
}

impl Shape {
    /// The words that give this shape to the load generator's command line.
    pub fn arguments(&self) -> Vec<String> {
        let text = match self {
            Self::Unary { connections, concurrency, payload, seconds } => format!(
                "unary --connections {connections} --concurrency {concurrency} --payload {payload} --seconds {seconds}"
            ),
            Self::Pull { bytes, chunk } => format!("pull --bytes {bytes} --chunk {chunk}"),
            Self::Push { bytes, chunk } => format!("push --bytes {bytes} --chunk {chunk}"),
            Self::Sessions { concurrency, seconds } => {
                format!("sessions --concurrency {concurrency} --seconds {seconds}")
            }
        };
        text.split(' ').map(String::from).collect()
    }
}

/// What was seen; fields that a shape does not have are 0.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measurement {
    /// Calls, streams or sessions that succeeded. None may fail.
    pub calls: u64,
    /// Time that took, in seconds.
    pub seconds: f64,
    /// Median latency of a call, in microseconds.
    pub p50_us: f64,
    /// Latency that 1 % of the calls exceeded, in microseconds.
    pub p99_us: f64,
    /// Calls or sessions per second.
    pub rate: f64,
    /// Payload megabytes (10⁶) per second, one way.
    pub mbps: f64,
}

/// Sends `shape` to `target`; fails if any call fails, or on no answer in time.
pub async fn run(target: &Target, shape: &Shape) -> anyhow::Result<Measurement> {
    let endpoint = Endpoint::load(target)?;
    let limit = Duration::from_secs(120);
    tokio::time::timeout(limit, shapes::run(&endpoint, shape)).await?
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        target: Target,
        #[command(subcommand)]
        shape: Shape,
    }

    #[test]
    fn arguments_read_back_as_what_they_came_from() {
        let file = PathBuf::from("a file.pem");
        let target = Target {
            addr: SocketAddr::from(([127, 0, 0, 1], 4711)),
            name: "door.label.tunnel.example".into(),
            ca: file.clone(),
            cert: file.clone(),
            key: file,
        };
        for shape in [
            Shape::Unary { connections: 2, concurrency: 64, payload: 1024, seconds: 0.5 },
            Shape::Pull { bytes: 1 << 20, chunk: 65_536 },
            Shape::Push { bytes: 7, chunk: 3 },
            Shape::Sessions { concurrency: 16, seconds: 3.0 },
        ] {
            let words = std::iter::once(OsString::from("bench-load")).chain(target.arguments());
            let line = Line::parse_from(words.chain(shape.arguments().into_iter().map(OsString::from)));
            assert_eq!(format!("{:?}", line.shape), format!("{shape:?}"));
            assert_eq!(line.target.arguments(), target.arguments());
        }
    }
}
