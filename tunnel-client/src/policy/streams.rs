//! `streams`: what open calls live by once they have begun.

use std::{fmt, str::FromStr};

/// What ends open calls by itself; new calls always need a valid certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Streams {
    /// The end of their grant.
    #[default]
    UntilGrantEnds,
    /// Already the end of the certificate that they came with.
    UntilCertificateExpires,
}

impl Streams {
    const ALL: [Self; 2] = [Self::UntilGrantEnds, Self::UntilCertificateExpires];

    /// Its name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UntilGrantEnds => "untilGrantEnds",
            Self::UntilCertificateExpires => "untilCertificateExpires",
        }
    }
}

impl FromStr for Streams {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|streams| streams.name() == text);
        found.ok_or("untilGrantEnds or untilCertificateExpires")
    }
}

impl fmt::Display for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
