//! The process around [`tunnelctl::run`]: environment, terminal, signals, exit code.

use std::{
    io::{IsTerminal, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
};

use tunnel_runtime::{chain::chain, exit::Exit};
use tunnelctl::{
    Surroundings,
    surroundings::{Clock, Folders, Terminal},
};

fn main() -> ExitCode {
    match surroundings() {
        Ok(surroundings) => run(surroundings),
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            Exit::Usage.into()
        }
    }
}

fn run(surroundings: Surroundings) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return Exit::Failed.into();
        }
    };
    let ending = runtime.block_on(tunnelctl::run(std::env::args_os(), surroundings));
    // A read of standard input that nobody waits for any more must not keep the process.
    runtime.shutdown_background();
    ending.into()
}

fn surroundings() -> Result<Surroundings, Box<dyn std::error::Error>> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let context = match variable("POSTERN_CONTEXT") {
        Some(name) => Some(name.to_string_lossy().parse()?),
        None => None,
    };
    Ok(Surroundings {
        folders: Folders::from_lookup(|name| variable(name).map(PathBuf::from))?,
        context,
        stdin: Box::new(tokio::io::stdin()),
        stdout: Box::new(stdout()),
        stderr: Box::new(stderr()),
        terminal: Terminal {
            stdout: stdout().is_terminal(),
            stderr: stderr().is_terminal(),
            color: variable("NO_COLOR").is_none(),
        },
        clock: Clock::system(),
        interrupt: Box::pin(async {
            if tokio::signal::ctrl_c().await.is_err() {
                // Without a handler the signal itself ends the process.
                std::future::pending::<()>().await;
            }
        }),
    })
}
