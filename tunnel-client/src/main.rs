//! The process around the client: arguments, environment, logger, metrics, signals, exit code.

use std::{path::Path, process::ExitCode, time::SystemTime};

use anyhow::Context;
use clap::Parser;
use tracing::{info, warn};
use tunnel_client::{
    app::Client,
    cli::{Cli, Task},
    config::Config,
    keys, metrics,
};
use tunnel_protos::UnixMillis;
use tunnel_runtime::{admin::Admin, build_info::BuildInfo, config::Loaded, drain, exit::Exit, logs};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Cli::parse().into_task() {
        Task::Run { config, print_config: true } => read(&config).map(|loaded| loaded.effective),
        Task::Run { config, print_config: false } => run(&config).await,
        Task::ExportKeys { config, out } => export(&config, &out),
        Task::Ask(ask) => ask.run().await.map_err(|failed| (failed.exit(), failed.into())),
        Task::Print(text) => Ok(text),
    };
    match done {
        Ok(text) => {
            println!("{}", text.trim_end());
            Exit::Ok
        }
        Err((exit, error)) => {
            eprintln!("tunnel-client: {error:#}");
            exit
        }
    }
    .into()
}

type Done<T> = Result<T, (Exit, anyhow::Error)>;

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn read(file: &Path) -> Done<Loaded<Config>> {
    Config::read(file, std::env::vars().collect()).map_err(|error| (Exit::Config, error.into()))
}

fn export(file: &Path, out: &Path) -> Done<String> {
    let config = read(file)?.config;
    let now = UnixMillis::from_system(SystemTime::now());
    let exported = keys::export(&config.state_dir, &config.cluster.label, out, now);
    let words = exported.map_err(|error| (Exit::Failed, error.into()))?;
    Ok(format!("{} holds the public keys; read these words to the vendor:\n{words}", out.display()))
}

async fn run(file: &Path) -> Done<String> {
    serve(read(file)?).await.map(|()| String::new()).map_err(|error| (Exit::Config, error))
}

async fn serve(Loaded { config, unused_environment, .. }: Loaded<Config>) -> anyhow::Result<()> {
    logs::init(&config.log)?;
    let recorder = tunnel_runtime::metrics::install(&[])?;
    metrics::describe();
    BuildInfo { program: "tunnel-client", version: env!("CARGO_PKG_VERSION") }.record();
    for variable in unused_environment {
        warn!(variable, "Environment variable names no key");
    }
    let grace = config.timeouts.process();
    let admin = Admin::bind(config.admin)
        .with_context(|| format!("cannot bind the admin port {}; set another `admin`", config.admin))?;
    let client = Client::build(config).await?;
    info!(admin = %admin.local_addr()?, socket = %client.socket().display(), "Listening");
    let _admin = admin.serve(client.readiness(), recorder)?;
    let (drain, watch) = drain::channel();
    let mut served = std::pin::pin!(client.serve(watch));
    let _second_signal = tokio::select! {
        () = &mut served => return Ok(()),
        signaled = drain::signaled() => signaled?,
    };
    info!("Draining");
    if !drain.run(grace, served).await {
        warn!("Sessions cut");
    }
    Ok(())
}
