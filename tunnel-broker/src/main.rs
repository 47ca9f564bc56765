//! The broker's process: configuration, logs, metrics, build, run, drain, exit code.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use tunnel_broker::{
    Broker, BuildError, Config,
    cli::{self, Cli, Doctor, Task},
    metrics,
};
use tunnel_runtime::{
    admin::Admin,
    build_info::BuildInfo,
    config::{Loaded, Sources, load},
    drain,
    exit::Exit,
    logs,
};

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().into_task() {
        Task::Run(file) => run(&file).await,
        Task::PrintConfig(file) => read(&file).map(|loaded| print(&loaded.effective)),
        Task::Doctor(doctor) => look(doctor).await,
        Task::Print(text) => Ok(print(&text)),
        Task::Manual(folder) => {
            cli::manual(&folder).map(|text| print(&text)).map_err(|error| (Exit::Failed, error.into()))
        }
    };
    done.unwrap_or_else(|(exit, error)| {
        eprintln!("tunnel-broker: {error:#}");
        exit
    })
    .into()
}

type Done<T> = Result<T, (Exit, anyhow::Error)>;

fn print(text: &str) -> Exit {
    match writeln!(io::stdout(), "{}", text.trim_end()) {
        Ok(()) => Exit::Ok,
        // Whoever reads may have enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => {
            eprintln!("tunnel-broker: {error}");
            Exit::Failed
        }
    }
}

fn read(file: &Path) -> Done<Loaded<Config>> {
    load_file(file).map_err(|error| (Exit::Config, error))
}

async fn look(doctor: Doctor) -> Done<Exit> {
    let configured = |file: &Path| load_file(file).map_err(|error| format!("{error:#}"));
    let looked = doctor.run(configured, &environment()).await;
    let (text, exit) = looked.map_err(|error| (Exit::Failed, error.into()))?;
    print(&text);
    Ok(exit)
}

#[expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

fn load_file(path: &Path) -> anyhow::Result<Loaded<Config>> {
    let file = path.display().to_string();
    let yaml = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {file} (--config names another)"))?;
    Ok(load(&Sources { file, yaml, environment: environment() })?)
}

async fn run(file: &Path) -> Done<Exit> {
    let loaded = read(file)?;
    serve(loaded).await.map_err(|error| (exit(&error), error))
}

/// Only a configuration that cannot work is said to be wrong; all else may be right at the next start.
fn exit(error: &anyhow::Error) -> Exit {
    error.downcast_ref::<BuildError>().map_or(Exit::Failed, BuildError::exit)
}

async fn serve(Loaded { config, unused_environment, .. }: Loaded<Config>) -> anyhow::Result<Exit> {
    logs::init(&config.log)?;
    for variable in unused_environment {
        tracing::warn!(variable, "Environment variable names no key");
    }
    let scrape = tunnel_runtime::metrics::install(metrics::BUCKETS)?;
    metrics::describe();
    BuildInfo { program: "tunnel-broker", version: env!("CARGO_PKG_VERSION") }.record();
    let admin = Admin::bind(config.listen.admin)
        .with_context(|| format!("cannot bind {}; set another `listen.admin`", config.listen.admin))?;
    let grace = config.timeouts.drain;
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
