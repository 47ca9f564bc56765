//! Eight words that people compare instead of a digest.

use std::{fmt, str::FromStr};

use bip39::Language;
use tunnel_protos::{Digest, text::escape};

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
pub struct Words([u16; COUNT]);

impl Words {
    /// The words of a digest.
    pub fn of(digest: &Digest) -> Self {
        let mut indices = [0; COUNT];
        for (bit, index) in (0..COUNT * BITS).map(|bit| (bit, bit / BITS)) {
            let byte = digest.as_bytes()[bit / 8];
            indices[index] = indices[index] << 1 | u16::from(byte >> (7 - bit % 8) & 1);
        }
        Self(indices)
    }

    fn iter(&self) -> impl Iterator<Item = &'static str> {
        // 11 bits each and 2,048 words: every index is in the list.
        self.0.iter().map(|index| Language::English.word_list()[usize::from(*index)])
    }
}

impl FromStr for Words {
    type Err = WordsError;

    /// Reads words as people type them: any case; white space, commas or hyphens between.
    fn from_str(text: &str) -> Result<Self, WordsError> {
        let between = |c: char| c.is_whitespace() || c == ',' || c == '-';
        let typed: Vec<_> = text.split(between).filter(|word| !word.is_empty()).collect();
        let mut indices = [0; COUNT];
        if typed.len() != COUNT {
            return Err(WordsError::Count(typed.len()));
        }
        for (index, word) in indices.iter_mut().zip(typed) {
            let unknown = || WordsError::Unknown(escape(word, 20));
            *index = Language::English.find_word(&word.to_lowercase()).ok_or_else(unknown)?;
        }
        Ok(Self(indices))
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({self})")
    }
}

const COUNT: usize = 8;
/// Of one word: the list has 2,048.
const BITS: usize = 11;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn are_the_first_88_bits_of_the_digest() {
        assert_eq!(
            Words::of(&Digest::new([0; 32])).to_string(),
            "abandon abandon abandon abandon abandon abandon abandon abandon"
        );
        let mut bytes = [0; 32];
        bytes[..11].fill(0xff);
        assert_eq!(Words::of(&Digest::new(bytes)).to_string(), "zoo zoo zoo zoo zoo zoo zoo zoo");
        bytes[10] = 0xfe;
        assert!(Words::of(&Digest::new(bytes)).to_string().ends_with("zoo zone"));
        bytes[11] = 0xff;
        assert!(Words::of(&Digest::new(bytes)).to_string().ends_with("zoo zone"));
    }

    #[test]
    fn are_read_as_people_type_them() {
        let words: Words = "zoo abandon zoo abandon zoo abandon zoo zone".parse().unwrap();
        for typed in [
            "  ZOO Abandon zoo\tabandon  zoo abandon\nzoo zone ",
            "zoo, abandon, zoo, abandon, zoo, abandon, zoo, zone",
            "zoo-abandon-zoo-abandon-zoo-abandon-zoo-zone",
        ] {
            assert_eq!(typed.parse(), Ok(words));
        }
        assert_eq!("zoo".parse::<Words>(), Err(WordsError::Count(1)));
        let unknown = "zoo abandon zoo abandon zoo abandon zoo zoom".parse::<Words>();
        assert_eq!(unknown, Err(WordsError::Unknown("zoom".into())));
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(bytes: [u8; 32]) {
            let words = Words::of(&Digest::new(bytes));
            prop_assert_eq!(words.to_string().parse(), Ok(words));
        }

        #[test]
        fn never_panics_on_what_is_typed(text in "\\PC{0,200}") {
            let _ = text.parse::<Words>();
        }

        #[test]
        fn differ_when_one_of_the_first_88_bits_does(bytes: [u8; 32], bit in 0usize..88) {
            let mut other = bytes;
            other[bit / 8] ^= 0x80 >> (bit % 8);
            prop_assert_ne!(Words::of(&Digest::new(bytes)), Words::of(&Digest::new(other)));
        }
    }
}
