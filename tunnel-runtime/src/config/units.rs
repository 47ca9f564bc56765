//! Values with units: a bare number is never a duration or a size.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

/// A duration with a unit, like `500ms`, `30s`, `15m`, `24h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes with a unit: `B`, `KiB`, `MiB` or `GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A path of the file system, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FilePath(pub(super) PathBuf);

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A text that is not a duration or a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a duration.
    #[error("not a duration with a unit, like 500ms, 30s, 15m, 24h or 7d")]
    Duration,
    /// Not a size.
    #[error("not a size with a unit, like 512B, 64KiB, 16MiB or 2GiB")]
    Size,
}

impl Span {
    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// A whole number of seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bare = text.bytes().all(|c| c.is_ascii_digit());
        let parsed = humantime::parse_duration(text).map_err(|_| UnitError::Duration)?;
        if bare { Err(UnitError::Duration) } else { Ok(Self(parsed)) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl ByteSize {
    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let split = |(unit, scale): &(&str, u64)| Some((text.strip_suffix(unit)?.trim(), *scale));
        let (number, scale) = SIZES.iter().find_map(split).ok_or(UnitError::Size)?;
        let number: u64 = number.parse().map_err(|_| UnitError::Size)?;
        number.checked_mul(scale).map(Self).ok_or(UnitError::Size)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, scale): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*scale);
        let (unit, scale) = SIZES.iter().find(fits).copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

impl FromStr for FilePath {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.into()))
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Secret {
    /// The text; never put it into a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!("90s".parse(), Ok(Span::seconds(90)));
        assert_eq!("1m 30s".parse(), Ok(Span::seconds(90)));
        for bad in ["90", "0", "", "s", "-1s", "1 parsec", "99999999999999999999s"] {
            assert_eq!(bad.parse::<Span>(), Err(UnitError::Duration), "{bad}");
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!("64KiB".parse(), Ok(ByteSize(65_536)));
        assert_eq!("1 MiB".parse(), Ok(ByteSize(1 << 20)));
        for bad in ["64", "64kb", "", "B", "-1B", "1.5MiB", "99999999999GiB"] {
            assert_eq!(bad.parse::<ByteSize>(), Err(UnitError::Size), "{bad}");
        }
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        for size in [0, 1, 1023, 1024, 1 << 20, 3 << 30] {
            assert_eq!(ByteSize(size).to_string().parse(), Ok(ByteSize(size)));
        }
        let span = Span(Duration::from_millis(61_500));
        assert_eq!(span.to_string().parse(), Ok(span));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret: Secret = "hunter2".parse().unwrap();
        assert!(!format!("{secret} {secret:?}").contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }
}
