//! The process around the client: arguments, environment, logger, metrics, signals, exit code.

use std::{path::Path, process::ExitCode, time::SystemTime};

use clap::Parser;
use tracing::{error, info, warn};
use tunnel_client::{
    app::Client,
    cli::{Cli, Task},
    config::Config,
    keys, metrics,
};
use tunnel_protos::UnixMillis;
use tunnel_runtime::{
    admin::Admin,
    build_info::BuildInfo,
    chain,
    config::{self, Loaded, Sources},
    drain,
    exit::Exit,
    logs,
};

fn main() -> ExitCode {
    let ended = match Cli::parse().into_task() {
        Task::Run { config, print_config: true } => {
            read(&config).map(|loaded| println!("{}", loaded.effective))
        }
        Task::Run { config, print_config: false } => read(&config).and_then(run),
        Task::ExportKeys { config, out } => read(&config).and_then(|loaded| export(&loaded.config, &out)),
        Task::Ask(ask) => block_on(ask.run()).and_then(|asked| match asked {
            Ok(answer) => Ok(println!("{answer}")),
            Err(failed) => Err((failed.exit(), failed.into())),
        }),
        Task::Print(text) => Ok(print!("{text}")),
    };
    match ended {
        Ok(()) => Exit::Ok.into(),
        Err((exit, error)) => {
            eprintln!("tunnel-client: {error:#}");
            exit.into()
        }
    }
}

type Ended<T> = Result<T, (Exit, anyhow::Error)>;

fn read(file: &Path) -> Ended<Loaded<Config>> {
    let wrong = |error: anyhow::Error| (Exit::Config, error);
    let yaml = std::fs::read_to_string(file);
    let yaml = yaml.map_err(|error| wrong(anyhow::Error::new(error).context(file.display().to_string())))?;
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    let environment = std::env::vars().collect();
    let sources = Sources { file: file.display().to_string(), yaml, environment };
    let mut loaded = config::load::<Config>(&sources).map_err(|errors| wrong(errors.into()))?;
    loaded.config = loaded.config.relative_to(file.parent().unwrap_or(Path::new("")));
    Ok(loaded)
}

fn export(config: &Config, out: &Path) -> Ended<()> {
    let now = UnixMillis::from_system(SystemTime::now());
    let words = keys::export(&config.state_dir, &config.cluster.label, out, now);
    let words = words.map_err(|error| (Exit::Failed, error.into()))?;
    println!("{} holds the public keys; read these words to the vendor:\n{words}", out.display());
    Ok(())
}

fn run(loaded: Loaded<Config>) -> Ended<()> {
    let wrong = |error: anyhow::Error| (Exit::Config, error);
    logs::init(loaded.config.log.format, &loaded.config.log.filter).map_err(|error| wrong(error.into()))?;
    let metrics = tunnel_runtime::metrics::install(&[]).map_err(|error| wrong(error.into()))?;
    metrics::describe();
    BuildInfo { program: "tunnel-client", version: env!("CARGO_PKG_VERSION") }.record();
    for variable in &loaded.unused_environment {
        warn!(variable, "Environment variable names no key");
    }
    let (admin, grace) = (loaded.config.admin, loaded.config.timeouts.drain);
    block_on(async move {
        let admin = Admin::bind(admin).map_err(|error| wrong(error.into()))?;
        let client = Client::build(loaded.config).await.map_err(|error| wrong(error.into()))?;
        let bound = admin.local_addr().map_err(|error| wrong(error.into()))?;
        info!(admin = %bound, socket = %client.socket().display(), "Listening");
        let _admin = admin.serve(client.readiness(), metrics).map_err(|error| wrong(error.into()))?;
        serve(client, grace).await
    })?
}

async fn serve(client: Client, grace: std::time::Duration) -> Ended<()> {
    let (drain, watch) = drain::channel();
    let mut served = std::pin::pin!(client.serve(watch));
    tokio::select! {
        () = &mut served => {}
        signaled = drain::signaled() => {
            signaled.map_err(|error| (Exit::Failed, error.into()))?;
            info!("Draining");
            if !drain.run(grace, served).await {
                error!(error = %chain(&std::io::Error::from(std::io::ErrorKind::TimedOut)), "Sessions cut");
            }
        }
    }
    Ok(())
}

fn block_on<T>(future: impl Future<Output = T>) -> Ended<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map(|runtime| runtime.block_on(future)).map_err(|error| (Exit::Failed, error.into()))
}
