//! Exit codes that every program shares; one meaning each, in every program.

use std::process::ExitCode;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All was done.
    Ok = 0,
    /// It failed.
    Failed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// The other side said no.
    Denied = 3,
    /// No answer yet.
    Waiting = 4,
    /// Too late.
    Expired = 5,
    /// No replica of the cluster is connected.
    Offline = 6,
    /// The configuration is wrong (`EX_CONFIG`).
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
