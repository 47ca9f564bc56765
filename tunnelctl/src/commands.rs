//! The commands, one file each.

use clap::CommandFactory;

use crate::{
    app::App,
    cli::{Cli, Command},
    ending::Ending,
    failure::Failure,
};

mod call;
mod clusters;
mod connect;
mod grpcurl;
mod login;
mod requests;
mod withdraw;

/// Does what was asked.
pub(crate) async fn run(app: &mut App, command: Command) -> Result<Ending, Failure> {
    match command {
        Command::Login(args) => login::run(app, args).await,
        Command::Clusters => clusters::run(app).await,
        Command::Connect(args) => connect::run(app, args).await,
        Command::Call(args) => call::run(app, args).await,
        Command::Requests => requests::run(app),
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
