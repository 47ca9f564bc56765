//! `tunnel-certs`: keys, CAs, certificates and signed statements, made on the administrator's machine, and their
//! rotation.

use std::process::ExitCode;

fn main() -> ExitCode {
    tunnelctl::process::main(tunnelctl::certs::run)
}
