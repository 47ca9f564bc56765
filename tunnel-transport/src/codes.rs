//! The one numeric table: why a stream was reset or refused, or a tunnel closed.
//!
//! Numbers never change their meaning and are never used again; a number from a newer peer reads as
//! [`Code::Unrecognized`].

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $fate:ident, $text:literal;)*) => {
        /// Why a stream was reset or refused, or a tunnel closed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
            /// A number that this build does not know.
            Unrecognized,
        }

        impl Code {
            /// Every code that can be sent.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number on the wire; an unrecognized code is passed on as an internal error.
            pub const fn number(self) -> u32 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Unrecognized => Self::Internal.number(),
                }
            }

            /// The code of a number from the wire.
            pub const fn from_number(number: u64) -> Self {
                match number {
                    $($number => Self::$name,)*
                    _ => Self::Unrecognized,
                }
            }

            /// Whether the same attempt may succeed later; the others need a change on one of the two sides.
            pub const fn is_retryable(self) -> bool {
                match self {
                    $(Self::$name => matches!(Fate::$fate, Fate::Retryable),)*
                    Self::Unrecognized => true,
                }
            }

            /// A short name for metrics and logs.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Unrecognized => "unrecognized",
                }
            }
        }
    };
}

enum Fate {
    Retryable,
    Fatal,
}

codes! {
    /// Nothing is wrong: one side is done, or gone without a reason.
    Done = 0, Retryable, "done";
    /// A fault of the side that says so.
    Internal = 1, Retryable, "internal";
    /// The peer's bytes are not what belongs here.
    Malformed = 2, Fatal, "malformed";
    /// Larger than its cap.
    TooLarge = 3, Fatal, "too_large";
    /// Not within its deadline.
    Deadline = 4, Retryable, "deadline";
    /// A limit is reached; later there may be room.
    Busy = 5, Retryable, "busy";
    /// Going away; another broker or replica takes over.
    Draining = 6, Retryable, "draining";
    /// Probes were missed.
    Silent = 7, Retryable, "silent";
    /// A kind of stream that is not served here.
    UnknownKind = 8, Fatal, "unknown_kind";
    /// No such door here.
    UnknownDoor = 9, Fatal, "unknown_door";
    /// The tunnel is not here any more; look it up again.
    NotHere = 10, Retryable, "not_here";
    /// The peer's identity is not accepted here.
    Unauthorized = 11, Fatal, "unauthorized";
    /// The peer's identity is banned.
    Banned = 12, Fatal, "banned";
    /// A newer tunnel of the same identity took its place.
    Superseded = 13, Fatal, "superseded";
    /// A certificate of the tunnel has reached its end; a renewed one is welcome.
    Expired = 14, Retryable, "expired";
    /// No version of the protocol in common.
    Version = 15, Fatal, "version";
    /// The grant behind the session is over or cut.
    GrantOver = 16, Fatal, "grant_over";
    /// Whoever asked has gone.
    Canceled = 17, Fatal, "canceled";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.as_str(), self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number().into()), *code);
        }
    }

    #[test]
    fn each_code_is_retryable_or_fatal_as_written_down() {
        use Code::*;
        let retryable = [Done, Internal, Deadline, Busy, Draining, Silent, NotHere, Expired];
        let fatal = [
            Malformed,
            TooLarge,
            UnknownKind,
            UnknownDoor,
            Unauthorized,
            Banned,
            Superseded,
            Version,
            GrantOver,
            Canceled,
        ];
        assert!(retryable.iter().all(|code| code.is_retryable()));
        assert!(!fatal.iter().any(|code| code.is_retryable()));
        assert_eq!(retryable.len() + fatal.len(), Code::ALL.len());
    }

    #[test]
    fn numbers_are_those_that_were_published() {
        let numbers: Vec<_> = Code::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers, (0..18).collect::<Vec<_>>());
    }

    #[test]
    fn a_number_of_a_newer_peer_is_unrecognized_and_worth_another_try() {
        assert_eq!(Code::from_number(18), Code::Unrecognized);
        assert_eq!(Code::from_number(u64::MAX), Code::Unrecognized);
        assert!(Code::Unrecognized.is_retryable());
    }
}
