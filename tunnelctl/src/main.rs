//! `tunnelctl`: the operator's and administrator's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    tunnelctl::process::main(tunnelctl::run)
}
