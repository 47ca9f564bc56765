//! The process around [`tunnelctl::run`]: environment, terminal, signals, exit code.

use std::{
    io::{IsTerminal, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
};

use tokio::signal::unix::{SignalKind, signal};
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
    let ending = runtime.block_on(async {
        tokio::select! {
            ending = tunnelctl::run(std::env::args_os(), surroundings) => ExitCode::from(ending),
            // Who asks twice does not want to wait for an orderly end.
            () = signals(2) => ExitCode::from(INTERRUPTED),
        }
    });
    // A read of standard input that nobody waits for any more must not keep the process.
    runtime.shutdown_background();
    ending
}

/// Ends with the `count`-th wish to stop, by Ctrl-C or SIGTERM.
async fn signals(count: usize) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without a handler the signal itself ends the process.
        return std::future::pending().await;
    };
    for _ in 0..count {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
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
            columns: rustix::termios::tcgetwinsize(stderr()).map_or(0, |size| size.ws_col.into()),
        },
        clock: Clock::system(),
        interrupt: Box::pin(signals(1)),
    })
}

/// As a shell reports a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
