//! The command line: the daemon's commands, and the customer's, which speak to the daemon's socket.

mod customer;
mod output;

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub use self::{customer::Failed, output::Format};

/// The customer's side of Postern: dials out to the vendor's brokers, decides what their operators may do, and
/// guards the engine.
#[derive(Debug, Parser)]
#[command(name = "tunnel-client", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What the command line asks for.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the client until it is told to stop.
    Run {
        #[command(flatten)]
        config: ConfigFile,
        /// Print the configuration in effect, secrets masked, and exit.
        #[arg(long)]
        print_config: bool,
    },
    /// Make and export this cluster's keys.
    #[command(subcommand)]
    Keys(Keys),
    /// List requests that are pending or live.
    Requests {
        /// Ended ones too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Show one request: who asks for what, why, and until when.
    Show {
        /// The request's id, or its first characters.
        id: String,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// End a grant for ever; its sessions are cut within a second.
    Revoke {
        /// The grant's id, or its first characters.
        id: String,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Show tunnels, engine, policy, certificates and what is open.
    Status {
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Make missing keys, write the public ones to a file for the vendor, print its 8 words.
    Export {
        #[command(flatten)]
        config: ConfigFile,
        /// Where to write the registration.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// Configuration file (YAML); every key can also come from the environment, as POSTERN_….
    #[arg(
        long,
        value_name = "FILE",
        env = "POSTERN_CONFIG",
        default_value = "/etc/postern/tunnel-client.yaml"
    )]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Daemon {
    /// The running client's socket.
    #[arg(long, value_name = "PATH", env = "POSTERN_SOCKET", default_value = "/run/postern/approvers.sock")]
    socket: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// What is left to do for `main`, which alone reads the environment and owns the process.
#[derive(Debug)]
pub enum Task {
    /// Run the daemon with this configuration file.
    Run {
        /// The configuration file.
        config: PathBuf,
        /// Only print the configuration in effect.
        print_config: bool,
    },
    /// Make and export keys.
    ExportKeys {
        /// The configuration file.
        config: PathBuf,
        /// Where to write the registration.
        out: PathBuf,
    },
    /// A customer's command to the running daemon; see [`Ask::run`].
    Ask(Ask),
    /// A completion script, ready to print.
    Print(String),
}

/// A customer's command and where to send it.
#[derive(Debug)]
pub struct Ask {
    socket: PathBuf,
    format: Format,
    question: customer::Question,
}

impl Cli {
    /// What this command line asks for.
    pub fn into_task(self) -> Task {
        match self.command {
            Command::Run { config, print_config } => Task::Run { config: config.config, print_config },
            Command::Keys(Keys::Export { config, out }) => Task::ExportKeys { config: config.config, out },
            Command::Requests { all, daemon } => daemon.ask(customer::Question::Requests { all }),
            Command::Show { id, daemon } => daemon.ask(customer::Question::Show { id }),
            Command::Revoke { id, note, daemon } => daemon.ask(customer::Question::Revoke { id, note }),
            Command::Status { daemon } => daemon.ask(customer::Question::Status),
            Command::Completions { shell } => Task::Print(completions(shell)),
        }
    }
}

impl Ask {
    /// Asks the running client and returns what to print.
    pub async fn run(self) -> Result<String, Failed> {
        let mut customer = customer::Customer::connect(&self.socket).await?;
        let answer = customer.ask(self.question).await?;
        Ok(output::print(
            &answer,
            self.format,
            tunnel_protos::UnixMillis::from_system(std::time::SystemTime::now()),
        ))
    }
}

impl Daemon {
    fn ask(self, question: customer::Question) -> Task {
        Task::Ask(Ask { socket: self.socket, format: self.output, question })
    }
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tunnel-client", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

const EXAMPLES: &str = "\
Examples:
  tunnel-client keys export --config client.yaml --out registration.pb
  tunnel-client run --config client.yaml
  tunnel-client requests
  tunnel-client show 3fa8
  tunnel-client revoke 3fa8 --note 'work is done'
  tunnel-client status --output json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn completions_know_the_commands() {
        assert!(completions(Shell::Bash).contains("revoke"));
    }
}
