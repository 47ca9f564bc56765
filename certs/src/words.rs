//! Eight words that people compare instead of a digest.

use std::{fmt, str::FromStr};

use tunnel_protos::Digest;

/// What was typed is not eight words of the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Not eight of them.
    #[error("expected 8 words, got {0}")]
    Count(usize),
    /// A word that is not in the BIP-39 English list.
    #[error("'{0}' is not one of the words")]
    Unknown(String),
}

/// The first 88 bits of a digest as 8 words of the BIP-39 English list.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Words([u16; 8]);

impl Words {
    /// The words of a digest.
    pub fn of(digest: &Digest) -> Self {
        todo!()
    }
}

impl FromStr for Words {
    type Err = WordsError;

    /// Reads words as people type them: any case, any white space between.
    fn from_str(text: &str) -> Result<Self, WordsError> {
        todo!()
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({self})")
    }
}
