//! The broker's command line.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub use self::doctor::Doctor;

mod doctor;

/// Connects a vendor's operators with the clusters that dialed in; moves ciphertext only.
#[derive(Debug, Parser)]
#[command(name = "tunnel-broker", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Configuration file (YAML); every key can also come from the environment, as `POSTERN_…`.
    #[arg(long, value_name = "FILE", env = "POSTERN_CONFIG", default_value = "/etc/postern/broker.yaml")]
    config: PathBuf,
    /// Print the configuration in effect, secrets masked, and exit.
    #[arg(long)]
    print_config: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look at everything that may keep the broker from working, and say what to do.
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

/// What is left to do for `main`, which alone reads the environment and owns the process.
#[derive(Debug)]
pub enum Task {
    /// Run with this configuration file.
    Run(PathBuf),
    /// Only print the configuration in effect.
    PrintConfig(PathBuf),
    /// Look at everything.
    Doctor(Doctor),
    /// A completion script, ready to print.
    Print(String),
    /// Write manual pages to this folder; see [`manual`].
    Manual(PathBuf),
}

impl Cli {
    /// What this command line asks for.
    pub fn into_task(self) -> Task {
        match self.command {
            Some(Command::Doctor(doctor)) => Task::Doctor(doctor),
            Some(Command::Completions { shell }) => Task::Print(completions(shell)),
            Some(Command::Man { out }) => Task::Manual(out),
            None if self.print_config => Task::PrintConfig(self.config),
            None => Task::Run(self.config),
        }
    }
}

/// Writes the program's manual pages.
pub fn manual(folder: &Path) -> io::Result<String> {
    tunnel_runtime::manual::write(Cli::command(), folder)?;
    Ok(format!("manual pages in {}", folder.display()))
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tunnel-broker", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

const EXAMPLES: &str = "\
Examples:
  tunnel-broker --config broker.yaml
  tunnel-broker --config broker.yaml --print-config
  tunnel-broker doctor --config broker.yaml
  tunnel-broker completions bash";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn completions_know_the_flags() {
        assert!(completions(Shell::Bash).contains("--print-config"));
    }
}
