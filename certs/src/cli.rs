//! The command line. Every command returns what it has to say; nothing prints on its own.

mod ca;
mod files;
mod inspect;
mod issue;
mod key;
mod report;
mod statement;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use tunnel_protos::{Label, UnixMillis};

use self::report::{Format, Report};

/// Keys, CAs, certificates and signed statements of Postern, made on the administrator's machine.
///
/// Private keys are written with mode 0600 and never overwritten.
#[derive(Debug, Parser)]
#[command(name = "tunnel-certs", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a signing key.
    #[command(subcommand)]
    Key(key::Key),
    /// Make a certificate authority.
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Issue a certificate.
    #[command(subcommand)]
    Issue(issue::Issue),
    /// Make a signed statement.
    #[command(subcommand)]
    Statement(statement::Statement),
    /// Draw the label of a new cluster: 10 random characters.
    Label,
    /// Say what a file holds: certificates, keys, requests for certificates, statements.
    Inspect(inspect::Inspect),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

impl Cli {
    /// Carries the command out and gives what to print.
    pub(crate) fn run(self) -> Result<String> {
        let now = UnixMillis::from_system(std::time::SystemTime::now());
        let report = match self.command {
            Command::Key(key) => key.run()?,
            Command::Ca(ca) => ca.run(now)?,
            Command::Issue(issue) => issue.run(now)?,
            Command::Statement(statement) => statement.run(now)?,
            Command::Label => {
                let label = Label::from_random(tunnel_certs::crypto::random());
                Report::new().with("label", label)
            }
            Command::Inspect(inspect) => return inspect.run(self.output),
            Command::Completions { shell } => return Ok(completions(shell)),
        };
        Ok(report.print(self.output))
    }
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tunnel-certs", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

const EXAMPLES: &str = "\
Examples:
  tunnel-certs key vendor --out vendor.key
  tunnel-certs ca mesh --name initech --out mesh-ca.pem --key-out mesh-ca.key
  tunnel-certs issue broker --ca mesh-ca.pem --ca-key mesh-ca.key --vendor initech --id b1 \\
      --out b1.pem --key-out b1.key
  tunnel-certs statement trust-bundle --help
  tunnel-certs inspect entry.pb

Exit codes: 0 done, 1 could not be done, 2 not understood.";

#[cfg(test)]
mod tests;
