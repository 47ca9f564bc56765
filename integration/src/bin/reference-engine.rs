//! The reference engine as a program of its own. Prints `listening KIND ADDRESS` per listener and then
//! `ready`, so that whoever started it on port 0 can read the ports.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tunnel_integration::reference_engine::{Addresses, Options, ReferenceEngine, TlsFiles, TlsListener};

/// A small sharded key-value store with an admin gRPC, for trying tunnels.
#[derive(Parser)]
struct Arguments {
    /// Folder of the store.
    #[arg(long)]
    data: PathBuf,
    /// Shards of a new store.
    #[arg(long, default_value_t = 4)]
    shards: u32,
    /// How long a node takes to become ready, in milliseconds.
    #[arg(long, default_value_t = 0)]
    startup_millis: u64,
    /// Listen in plain HTTP/2; port 0 takes a free one.
    #[arg(long)]
    h2c: Option<SocketAddr>,
    /// Listen with TLS; port 0 takes a free one.
    #[arg(long, requires_all = ["tls_certificate", "tls_key"])]
    tls: Option<SocketAddr>,
    /// Certificate chain (PEM).
    #[arg(long)]
    tls_certificate: Option<PathBuf>,
    /// Private key (PEM).
    #[arg(long)]
    tls_key: Option<PathBuf>,
    /// Demand client certificates of these authorities (PEM).
    #[arg(long)]
    tls_client_ca: Option<PathBuf>,
    /// Listen on a Unix socket.
    #[arg(long)]
    unix: Option<PathBuf>,
    /// Worker threads; one is fastest for a single connection.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    let arguments = Arguments::parse();
    let mut runtime = match arguments.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    runtime.enable_all().build()?.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let tls = if arguments.tls_client_ca.is_some() { "mtls" } else { "tls" };
    let running = ReferenceEngine::build(arguments.options()?)?.spawn()?;
    announce(running.addresses(), tls);
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    running.stop().await;
    Ok(())
}

impl Arguments {
    fn options(self) -> anyhow::Result<Options> {
        let tls = match (self.tls, self.tls_certificate, self.tls_key) {
            (Some(address), Some(certificate), Some(key)) => {
                let files = TlsFiles { certificate, key, client_ca: self.tls_client_ca };
                Some(TlsListener { address, config: files.load().context("TLS files")? })
            }
            _ => None,
        };
        Ok(Options {
            data: self.data,
            shards: self.shards,
            startup: Duration::from_millis(self.startup_millis),
            pace: Duration::ZERO,
            h2c: self.h2c,
            tls,
            unix: self.unix,
        })
    }
}

fn announce(addresses: &Addresses, tls: &str) {
    if let Some(address) = addresses.h2c {
        println!("listening h2c {address}");
    }
    if let Some(address) = addresses.tls {
        println!("listening {tls} {address}");
    }
    if let Some(path) = &addresses.unix {
        println!("listening unix {}", path.display());
    }
    println!("ready");
}
