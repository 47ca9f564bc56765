//! The process around a run: environment, terminal, signals, exit code. Both programs of this crate begin here, and
//! nothing else reads the environment.

use std::{
    io::{self, IsTerminal, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
};

use tokio::signal::unix::{SignalKind, signal};
use tunnel_runtime::{chain::chain, exit::Exit};
use zeroize::Zeroizing;

use crate::{
    Ending, Surroundings,
    surroundings::{Clock, Folders, Terminal},
};

/// Runs a program in this process's surroundings.
pub fn main<R: Future<Output = Ending>>(run: impl FnOnce(std::env::ArgsOs, Surroundings) -> R) -> ExitCode {
    match surroundings() {
        Ok(surroundings) => block_on(run(std::env::args_os(), surroundings)),
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            Exit::Usage.into()
        }
    }
}

fn block_on(run: impl Future<Output = Ending>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return Exit::Failed.into();
        }
    };
    let ending = runtime.block_on(async {
        tokio::select! {
            ending = run => ExitCode::from(ending),
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
    let proxies = PROXIES.iter().filter_map(|name| {
        let value = variable(name)?;
        Some(((*name).to_owned(), value.to_string_lossy().into_owned()))
    });
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
        prompt: Box::new(prompt),
        proxies: proxies.collect(),
    })
}

/// Asks on the terminal itself, with its echo off, so that pipes around the program neither give nor see a passphrase.
fn prompt(question: &str) -> io::Result<Zeroizing<String>> {
    rpassword::prompt_password(question).map(Zeroizing::new)
}

/// As a shell reports a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
