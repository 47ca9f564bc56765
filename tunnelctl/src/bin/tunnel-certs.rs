//! `tunnel-certs`: keys, CAs, certificates and signed statements, made on the administrator's machine.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use tunnel_certs::cli::{self, EXAMPLES, Format};

/// Keys, CAs, certificates and signed statements of Postern, made on the administrator's machine.
///
/// Private keys are written with mode 0600 and never overwritten.
#[derive(Debug, Parser)]
#[command(name = "tunnel-certs", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Certs(Box<cli::Command>),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let told = match cli.command {
        Command::Certs(command) => command.run(cli.output),
        Command::Completions { shell } => Ok(completions(shell)),
    };
    match told {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tunnel-certs: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tunnel-certs", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The command was understood and could not be carried out; clap exits with 2 when it was not understood.
const FAILED: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        assert!(completions(Shell::Bash).contains("tunnel-certs"));
    }
}
