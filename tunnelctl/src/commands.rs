//! The commands, one file each.

use clap::CommandFactory;

use crate::{
    app::App,
    cli::{Cli, Cluster, Command},
    ending::Ending,
    failure::Failure,
};

mod call;
mod clusters;
mod connect;
mod grpcurl;
mod login;
mod proxy;
mod request;
mod requests;
mod watch;
pub(crate) mod withdraw;

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
        Command::Withdraw(args) => withdraw::run(app, &args).await,
        Command::Completions { shell } => Ok(completions(app, shell)),
    }
}

fn completions(app: &mut App, shell: clap_complete::Shell) -> Ending {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tunnelctl", &mut script);
    app.console.print(String::from_utf8_lossy(&script).trim_end());
    Ending::OK
}
