//! The commands, one file each.

use std::path::Path;

use clap::CommandFactory;

use self::ban::Order;
use crate::{
    app::App,
    cli::{Cli, Cluster, Command},
    ending::Ending,
    failure::Failure,
};

mod ban;
mod bundle;
mod call;
mod clusters;
mod connect;
mod doctor;
mod enroll;
mod grpcurl;
mod inventory;
mod login;
mod operation;
mod proxy;
mod replicas;
pub(crate) mod request;
mod requests;
pub(crate) mod trust;
mod watch;
pub(crate) mod withdraw;

pub(crate) use self::inventory::shortened;

/// Does what was asked.
pub(crate) async fn run(app: &mut App, command: Command) -> Result<Ending, Failure> {
    match command {
        Command::Login(args) => login::run(app, args).await,
        Command::Clusters => clusters::list(app).await,
        Command::Cluster(Cluster::Show { cluster }) => clusters::show(app, &cluster).await,
        Command::Connect(args) => connect::run(app, *args).await,
        Command::Call(args) => call::run(app, *args).await,
        Command::Proxy(args) => proxy::run(app, *args).await,
        Command::Request(request) => request::run(app, request).await,
        Command::Requests(args) => requests::run(app, &args),
        Command::Watch(args) => watch::run(app, &args).await,
        Command::Plan(args) => operation::plan(app, &args).await,
        Command::Start(args) => operation::start(app, &args).await,
        Command::Cancel(args) => operation::cancel(app, &args).await,
        Command::Bundle(command) => bundle::run(app, command).await,
        Command::Withdraw(args) => withdraw::run(app, &args).await,
        Command::Doctor(args) => doctor::run(app, &args).await,
        Command::Enroll(command) => enroll::run(app, command).await,
        Command::Inventory(command) => inventory::run(app, command).await,
        Command::Replicas(args) => replicas::run(app, &args).await,
        Command::Ban(args) => ban::run(app, &args, Order::Ban).await,
        Command::Unban(args) => ban::run(app, &args, Order::Unban).await,
        Command::Trust(command) => trust::run(app, command).await,
        Command::Man { out } => manual(app, Cli::command(), &out),
        Command::Completions { shell } => Ok(completions(app, &mut Cli::command(), shell)),
    }
}

/// Writes the manual pages of a program.
pub(crate) fn manual(app: &mut App, program: clap::Command, out: &Path) -> Result<Ending, Failure> {
    let written = tunnel_runtime::manual::write(program, out);
    written.map_err(|source| Failure::Input {
        what: "the folder",
        path: out.display().to_string(),
        source: Box::new(source),
    })?;
    app.console.note(format_args!("manual pages in {}", out.display()));
    Ok(Ending::OK)
}

/// Prints the completion script of a program.
pub(crate) fn completions(app: &mut App, program: &mut clap::Command, shell: clap_complete::Shell) -> Ending {
    let (mut script, name) = (Vec::new(), program.get_name().to_owned());
    clap_complete::generate(shell, program, name, &mut script);
    app.console.print(String::from_utf8_lossy(&script).trim_end());
    Ending::OK
}
