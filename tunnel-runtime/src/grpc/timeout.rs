//! `grpc-timeout`, read and written as the protocol has it: 1 to 8 digits and a unit.

use std::{fmt::Write, time::Duration};

/// A `grpc-timeout` value that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a grpc-timeout")]
pub struct TimeoutError;

/// Reads a `grpc-timeout`: 1 to 8 digits and one of `H M S m u n`.
pub fn parse(value: &[u8]) -> Result<Duration, TimeoutError> {
    let (unit, digits) = value.split_last().ok_or(TimeoutError)?;
    let sane = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    if !sane {
        return Err(TimeoutError);
    }
    let count = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Ok(Duration::from_secs(count * 3600)),
        b'M' => Ok(Duration::from_secs(count * 60)),
        b'S' => Ok(Duration::from_secs(count)),
        b'm' => Ok(Duration::from_millis(count)),
        b'u' => Ok(Duration::from_micros(count)),
        b'n' => Ok(Duration::from_nanos(count)),
        _ => Err(TimeoutError),
    }
}

/// Writes a `grpc-timeout`, rounding down, in the finest unit that 8 digits hold.
pub fn format(timeout: Duration) -> String {
    let units = [(timeout.as_nanos(), 'n'), (timeout.as_micros(), 'u'), (timeout.as_millis(), 'm')];
    let finest = units.into_iter().find(|(count, _)| *count < LIMIT);
    let (count, unit) = finest.unwrap_or((u128::from(timeout.as_secs()).min(LIMIT - 1), 'S'));
    let mut text = String::with_capacity(9);
    let _ = write!(text, "{count}{unit}");
    text
}

/// One more than 8 digits hold.
const LIMIT: u128 = 100_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_unit() {
        assert_eq!(parse(b"2H"), Ok(Duration::from_secs(7200)));
        assert_eq!(parse(b"2M"), Ok(Duration::from_secs(120)));
        assert_eq!(parse(b"2S"), Ok(Duration::from_secs(2)));
        assert_eq!(parse(b"2m"), Ok(Duration::from_millis(2)));
        assert_eq!(parse(b"2u"), Ok(Duration::from_micros(2)));
        assert_eq!(parse(b"99999999n"), Ok(Duration::from_nanos(99_999_999)));
    }

    #[test]
    fn refuses_what_is_no_timeout() {
        for bad in ["", "S", "1", "1s", "123456789S", "-1S", "1.5S", " 1S", "1S ", "+1S"] {
            assert_eq!(parse(bad.as_bytes()), Err(TimeoutError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_and_never_later(nanos in 0u64..u64::MAX / 4) {
            let timeout = Duration::from_nanos(nanos);
            let again = parse(format(timeout).as_bytes()).unwrap();
            prop_assert!(again <= timeout);
            // 8 digits lose less than a hundred-thousandth once the number is long.
            prop_assert!(timeout - again <= timeout / 100_000 + Duration::from_nanos(1) || timeout.as_secs() >= 100_000_000);
        }
    }
}
