//! gRPC's codes as metrics and logs name them.

use http::HeaderMap;
use tonic::{Code, Status};

/// gRPC codes by number.
pub const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The name of a code, as gRPC's documents write it.
pub fn name(code: Code) -> &'static str {
    NAMES.get(code as usize).copied().unwrap_or("UNKNOWN")
}

/// The code of an answer by its first headers: a refusal has it there, and what has begun counts as OK.
pub(super) fn of(headers: &HeaderMap) -> Code {
    Status::from_header_map(headers).map_or(Code::Ok, |status| status.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_named_by_their_numbers() {
        assert_eq!((name(Code::Ok), name(Code::Unauthenticated)), ("OK", "UNAUTHENTICATED"));
        assert_eq!(name(Code::PermissionDenied), "PERMISSION_DENIED");
    }
}
