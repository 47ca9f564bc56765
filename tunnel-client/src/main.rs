//! The process around the client: arguments, environment, logger, metrics, signals, exit code.

use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use tracing::{info, warn};
use tunnel_client::{
    app::{BuildError, Client},
    cli::{self, Ask, Cli, Console, Ended, Format, Task},
    config::Config,
    enrollment::Home,
    keys, metrics,
};
use tunnel_runtime::{admin::Admin, build_info::BuildInfo, config::Loaded, drain, exit::Exit, logs, stay};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Cli::parse().into_task() {
        Task::Run { config, print_config: true, .. } => {
            read(&config).map(|loaded| ended_well(loaded.effective))
        }
        Task::Run { config, stay, .. } => run(&config, stay).await.map(ended_well),
        Task::ExportKeys { config, out, output } => export(&config, &out, output).map(ended_well),
        Task::Audit(task) => audit(task),
        Task::Profile(task) => task.run(|file| read(file).map(|loaded| loaded.config.profile)).await,
        Task::Policy(task) => task.run(|file| read(file).map(|loaded| loaded.config)),
        Task::Doctor(doctor) => doctor.run(read, &environment()).await,
        Task::Ask(ask) => self::ask(ask).await,
        Task::Print(text) => Ok(ended_well(text)),
        Task::Manual(folder) => cli::manual(&folder).map(ended_well),
    };
    match done {
        Ok((text, exit)) => print(&text).map_or_else(|error| unprinted(&error), |()| exit),
        Err((exit, error)) => {
            eprintln!("tunnel-client: {error:#}");
            exit
        }
    }
    .into()
}

async fn ask(ask: Ask) -> Ended<(String, Exit)> {
    let mut console = Console::standard(std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()));
    let asked = ask.run(&mut console).await;
    asked.map(|exit| (String::new(), exit)).map_err(|failed| (failed.exit(), failed.into()))
}

fn audit(task: cli::Audit) -> Ended<(String, Exit)> {
    let mut out = BufWriter::new(io::stdout().lock());
    let taken = task.run(|file| read(file).map(|loaded| loaded.config), &mut out);
    taken.map(|exit| (String::new(), exit))
}

fn print(text: &str) -> io::Result<()> {
    if text.is_empty() { Ok(()) } else { writeln!(io::stdout(), "{}", text.trim_end()) }
}

/// Whoever reads may have enough, as `head` does.
fn unprinted(error: &io::Error) -> Exit {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Exit::Ok;
    }
    eprintln!("tunnel-client: {error}");
    Exit::Failed
}

fn ended_well(text: String) -> (String, Exit) {
    (text, Exit::Ok)
}

fn read(file: &Path) -> Ended<Loaded<Config>> {
    Config::read(file, environment()).map_err(|error| (Exit::Config, error.into()))
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

fn export(file: &Path, out: &Path, output: Format) -> Ended<String> {
    let config = read(file)?.config;
    let home = Home::read(&config).map_err(|error| (Exit::Config, error.into()))?;
    let exported = keys::export(&config.state_dir, &home.cluster.label, out);
    let words = exported.map_err(|error| (Exit::Failed, error.into()))?;
    Ok(output.exported(out, &words))
}

async fn run(file: &Path, stay: bool) -> Ended<String> {
    let ended = match read(file) {
        Ok(loaded) => serve(loaded).await.map_err(|error| (exit(&error), error)),
        Err(wrong) => Err(wrong),
    };
    match ended {
        Err((_, error)) if stay => {
            eprintln!("tunnel-client: {error:#}; trying again");
            stay_on().await
        }
        ended => ended.map(|()| String::new()),
    }
}

async fn stay_on() -> Ended<String> {
    match stay::start_anew(std::env::args_os().skip(1)).await {
        stay::Ended::Stopped => Ok(String::new()),
        stay::Ended::Failed(error) => Err((Exit::Failed, error.into())),
    }
}

/// Only a configuration that cannot work is said to be wrong; all else may be right at the next start.
fn exit(error: &anyhow::Error) -> Exit {
    error.downcast_ref::<BuildError>().map_or(Exit::Failed, BuildError::exit)
}

async fn serve(Loaded { config, unused_environment, .. }: Loaded<Config>) -> anyhow::Result<()> {
    logs::init(&config.log)?;
    let recorder = tunnel_runtime::metrics::install(metrics::BUCKETS)?;
    metrics::describe();
    BuildInfo { program: "tunnel-client", version: env!("CARGO_PKG_VERSION") }.record();
    // The commands' own, of the same shell or pod.
    for variable in unused_environment.into_iter().filter(|variable| variable != "POSTERN_SOCKET") {
        warn!(variable, "Environment variable names no key");
    }
    let grace = config.timeouts.process();
    let admin = Admin::bind(config.listen.admin).with_context(|| {
        format!("cannot bind the admin port {}; set another `listen.admin`", config.listen.admin)
    })?;
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
