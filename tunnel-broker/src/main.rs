//! The broker's process: configuration, logs, metrics, build, run, drain, exit code.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use tunnel_broker::{Broker, Config, metrics};
use tunnel_runtime::{
    admin::Admin,
    build_info::BuildInfo,
    config::{Loaded, Sources, load},
    drain,
    exit::Exit,
    logs,
};

/// Connects a vendor's operators with the clusters that dialed in; moves ciphertext only.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file (YAML); every key can be overridden by `POSTERN_…`.
    #[arg(long, env = "POSTERN_CONFIG", default_value = "/etc/postern/broker.yaml")]
    config: PathBuf,
    /// Print the effective configuration and exit.
    #[arg(long)]
    print_config: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let loaded = match read(&arguments.config) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error:#}");
            return Exit::Config.into();
        }
    };
    if arguments.print_config {
        print!("{}", loaded.effective);
        return Exit::Ok.into();
    }
    match run(loaded).await {
        Ok(exit) => exit.into(),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "Broker failed");
            Exit::Failed.into()
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
fn read(path: &std::path::Path) -> anyhow::Result<Loaded<Config>> {
    let file = path.display().to_string();
    let yaml = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {file} (--config names another)"))?;
    let environment = std::env::vars().collect();
    Ok(load(&Sources { file, yaml, environment })?)
}

async fn run(loaded: Loaded<Config>) -> anyhow::Result<Exit> {
    let Loaded { config, unused_environment, .. } = loaded;
    logs::init(&config.log)?;
    if !unused_environment.is_empty() {
        tracing::warn!(names = ?unused_environment, "Environment variables that name no key");
    }
    let scrape = tunnel_runtime::metrics::install(metrics::BUCKETS)?;
    metrics::describe();
    BuildInfo { program: "tunnel-broker", version: env!("CARGO_PKG_VERSION") }.record();
    let admin = Admin::bind(config.listen.admin)
        .with_context(|| format!("cannot bind the admin port {}", config.listen.admin))?;
    let grace = config.drain_grace;
    let broker = Broker::build(config).await?;
    let bound = broker.addresses();
    tracing::info!(quic = %bound.quic, tcp = %bound.tcp, admin = %admin.local_addr()?, "Listening");
    let _admin = admin.serve(broker.readiness(), scrape)?;
    let mut running = broker.start();
    let _second_signal = tokio::select! {
        signaled = drain::signaled() => signaled?,
        () = running.failed() => anyhow::bail!("a task of the broker panicked"),
    };
    Ok(if running.drain(grace).await { Exit::Ok } else { Exit::Failed })
}
