//! For a program beside others in one pod: instead of ending with an error, which counts against its neighbors, it waits
//! and starts itself anew. Invariant: told to stop, it ends.

use std::{
    convert::Infallible, ffi::OsString, io, os::unix::process::CommandExt, process::Command, time::Duration,
};

use crate::drain;

/// How the waiting ended.
#[derive(Debug)]
pub enum Ended {
    /// By a signal.
    Stopped,
    /// By an attempt to start anew that failed.
    Failed(io::Error),
}

/// Waits, then replaces this process by one with the same program and these arguments; gives back only what kept it from
/// doing so.
pub async fn start_anew(arguments: impl IntoIterator<Item = OsString>) -> Ended {
    tokio::select! {
        signaled = drain::signaled() => signaled.map_or_else(Ended::Failed, |_| Ended::Stopped),
        () = tokio::time::sleep(PAUSE) => {
            let Err(error) = replace(arguments);
            Ended::Failed(error)
        }
    }
}

fn replace(arguments: impl IntoIterator<Item = OsString>) -> io::Result<Infallible> {
    Err(Command::new(std::env::current_exe()?).args(arguments).exec())
}

/// Short for a person who corrects a file and waits, long beside the cost of an attempt.
const PAUSE: Duration = Duration::from_secs(5);
