//! How a command ended: with one of the exit codes that all programs share, or with the status of a call.

use std::process::ExitCode;

use tunnel_runtime::exit::Exit;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As every program ends.
    Exit(Exit),
    /// A call ended with this gRPC status other than OK.
    Status(u8),
}

impl Ending {
    /// All was done.
    pub const OK: Self = Self::Exit(Exit::Ok);

    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Exit(exit) => exit as u8,
            Self::Status(status) => GRPC_BASE.saturating_add(status),
        }
    }
}

impl From<Exit> for Ending {
    fn from(exit: Exit) -> Self {
        Self::Exit(exit)
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(ending.code())
    }
}

/// grpcurl adds the status to 64, and scripts that know grpcurl expect the same.
const GRPC_BASE: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_contract() {
        let all =
            [Exit::Ok, Exit::Failed, Exit::Usage, Exit::Denied, Exit::Waiting, Exit::Expired, Exit::Offline];
        assert_eq!(all.map(|exit| Ending::from(exit).code()), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_call_exits_like_grpcurl() {
        assert_eq!(Ending::Status(16).code(), 80);
    }
}
