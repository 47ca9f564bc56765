//! The command line: the daemon's commands, and the customer's, which speak to the daemon's socket.

mod audit;
mod console;
mod customer;
mod desk;
mod doctor;
mod output;
mod policy;
mod profile;

use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use tunnel_runtime::exit::Exit;

pub use self::{
    audit::Audit, console::Console, customer::Failed, desk::Ask, doctor::Doctor, output::Format,
    policy::PolicyTask, profile::Profile,
};

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
    ///
    /// Ends with 0 when told to stop, also if sessions had to be cut at the end of `timeouts.drain`; the log says so.
    Run {
        #[command(flatten)]
        config: ConfigFile,
        /// Print the configuration in effect, secrets masked, and exit.
        #[arg(long)]
        print_config: bool,
        /// For sidecars: instead of ending with an error, tell it and try again every 5 s.
        #[arg(long, conflicts_with = "print_config")]
        stay: bool,
    },
    /// Make, export and replace this cluster's keys.
    #[command(subcommand)]
    Keys(Keys),
    /// Look an engine profile over, by itself or against the live engine.
    #[command(subcommand)]
    Profile(profile::Command),
    /// Look a policy over: check it, explain it, print it.
    #[command(subcommand)]
    Policy(policy::Command),
    #[command(flatten)]
    Desk(desk::Command),
    /// Check, show and export the audit log; needs no daemon.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Look at all that may keep the client from working, and say what to do about it; needs no daemon, disturbs none.
    ///
    /// Ends with 0 if all is well or there are only warnings, with 1 if anything failed, with 78 if the configuration
    /// cannot be read.
    Doctor(Doctor),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write manual pages.
    #[command(hide = true)]
    Man {
        /// The folder to write them to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
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
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Make new cluster and sealing keys beside the old; in force once their inventory entry is confirmed.
    Rotate(desk::RotateKeys),
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// Configuration file (YAML); every key can also come from the environment, as POSTERN_….
    #[arg(
        long,
        value_name = "FILE",
        env = "POSTERN_CONFIG",
        default_value = DEFAULT_CONFIG
    )]
    config: PathBuf,
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
        /// Try again instead of ending with an error.
        stay: bool,
    },
    /// Make and export keys.
    ExportKeys {
        /// The configuration file.
        config: PathBuf,
        /// Where to write the registration.
        out: PathBuf,
        /// How to print.
        output: Format,
    },
    /// A look at an engine profile; see [`Profile::run`].
    Profile(Profile),
    /// A look at a policy; see [`PolicyTask::run`].
    Policy(PolicyTask),
    /// A look at the audit log; see [`Audit::run`].
    Audit(Audit),
    /// A customer's command to the running daemon; see [`Ask::run`].
    Ask(Ask),
    /// A look at everything; see [`Doctor::run`].
    Doctor(Doctor),
    /// A completion script, ready to print.
    Print(String),
    /// Write manual pages to this folder; see [`manual`].
    Manual(PathBuf),
}

/// What a command found, or how the program ends and why.
pub type Ended<T> = Result<T, (Exit, anyhow::Error)>;

impl Cli {
    /// What this command line asks for.
    pub fn into_task(self) -> Task {
        match self.command {
            Command::Run { config, print_config, stay } => {
                Task::Run { config: config.config, print_config, stay }
            }
            Command::Keys(Keys::Export { config, out, output }) => {
                Task::ExportKeys { config: config.config, out, output }
            }
            Command::Profile(command) => Task::Profile(command.into_task()),
            Command::Audit(command) => Task::Audit(command.into_task()),
            Command::Policy(command) => Task::Policy(command.into_task()),
            Command::Keys(Keys::Rotate(rotate)) => Task::Ask(rotate.into()),
            Command::Desk(command) => Task::Ask(command.into()),
            Command::Doctor(doctor) => Task::Doctor(doctor),
            Command::Completions { shell } => Task::Print(completions(shell)),
            Command::Man { out } => Task::Manual(out),
        }
    }
}

/// Writes the program's manual pages.
pub fn manual(folder: &Path) -> Ended<String> {
    let written = tunnel_runtime::manual::write(Cli::command(), folder);
    written.map_err(|error| (Exit::Failed, error.into()))?;
    Ok(format!("manual pages in {}", folder.display()))
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tunnel-client", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

const DEFAULT_CONFIG: &str = "/etc/postern/tunnel-client.yaml";

const EXAMPLES: &str = "\
Examples:
  tunnel-client keys export --config client.yaml --out registration.pb
  tunnel-client run --config client.yaml
  tunnel-client profile check --config client.yaml --live
  tunnel-client requests
  tunnel-client show 3fa8
  tunnel-client approve 3fa8
  tunnel-client revoke 3fa8 --note 'work is done'
  tunnel-client pause --note 'something is odd'
  tunnel-client sessions watch
  tunnel-client audit verify
  tunnel-client status --output json
  tunnel-client doctor --config client.yaml --bundle doctor.tar
  tunnel-client completions bash > /etc/bash_completion.d/tunnel-client

Exit codes: 0 ok · 1 failed · 2 not understood · 3 denied · 4 still waiting · 5 expired · 78 configuration";

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
