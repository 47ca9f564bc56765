//! `tunnel-certs`, as a library: what the library of certificates does with files, and what needs a broker: rotation.

use std::{ffi::OsString, path::PathBuf};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use tunnel_certs::cli::{self, Format as Form};
use tunnel_runtime::exit::Exit;

use crate::{
    Ending, Surroundings, app::App, commands, console::Format, context::ContextName, explain,
    failure::Failure, finish,
};

mod rotate;
mod sign;
mod trust_steps;

/// Keys, CAs, certificates and signed statements of Postern, made on the administrator's machine, and their rotation.
///
/// Private keys are written with mode 0600 and never overwritten.
#[derive(Debug, Parser)]
#[command(name = "tunnel-certs", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Format,
    /// The context of `tunnelctl login` to rotate by [default: POSTERN_CONTEXT, then the one of the last login]
    #[arg(long, global = true)]
    context: Option<ContextName>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Files(cli::Command),
    /// Sign what `--write-payload` or `--write-unsigned` wrote on another machine.
    Sign(sign::Sign),
    /// Replace CAs and keys while everything goes on.
    #[command(subcommand)]
    Rotate(rotate::Rotate),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Write manual pages
    #[command(hide = true)]
    Man {
        /// The folder to write them to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Runs one command line (program name first) and says how it ended.
pub async fn run(args: impl IntoIterator<Item = OsString>, surroundings: Surroundings) -> Ending {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return explain(&error, surroundings),
    };
    let mut app = App::new(cli.output, cli.context, surroundings);
    let done = match cli.command {
        Command::Files(command) => return files(app, command),
        Command::Sign(sign) => sign.run(&mut app),
        Command::Rotate(rotate) => rotate.run(&mut app).await,
        Command::Completions { shell } => Ok(commands::completions(&mut app, &mut Cli::command(), shell)),
        Command::Man { out } => commands::manual(&mut app, Cli::command(), &out),
    };
    finish(app, done)
}

/// What needs nothing but files.
fn files(mut app: App, command: cli::Command) -> Ending {
    let form = match app.console.format() {
        Format::Text => Form::Text,
        Format::Json => Form::Json,
    };
    let done = command.run(form);
    let done: Result<Ending, Failure> = match done {
        Ok(text) => {
            app.console.print(text.trim_end());
            Ok(Ending::OK)
        }
        Err(error) => {
            app.console.note(format_args!("tunnel-certs: {error:#}"));
            Ok(Exit::Failed.into())
        }
    };
    finish(app, done)
}

const EXAMPLES: &str = "\
Examples:
  tunnel-certs key vendor --out vendor.key
  tunnel-certs ca mesh --name initech --out mesh-ca.pem --key-out mesh-ca.key
  tunnel-certs issue broker --ca mesh-ca.pem --ca-key mesh-ca.key --vendor initech --id b1 \\
      --out b1.pem --key-out b1.key
  tunnel-certs statement trust-bundle --help
  tunnel-certs inspect entry.pb
  tunnel-certs rotate mesh --vendor-key vendor.key

Exit codes: 0 done, 1 could not be done, 2 not understood, 4 still waiting (run it again, it goes on).";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
