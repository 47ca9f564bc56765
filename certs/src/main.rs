//! `tunnel-certs`: keys, CAs, certificates and signed statements, made on the administrator's machine.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.run() {
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

/// The command was understood and could not be carried out; clap exits with 2 when it was not understood.
const FAILED: u8 = 1;
