//! Text from people: one line without tricks, and its safe form for every output.

use std::{
    fmt::{self, Write},
    str::FromStr,
};

/// A text that must not be shown as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// More than 512 bytes.
    #[error("longer than 512 bytes")]
    TooLong,
    /// A control, line-breaking or bidirectional character.
    #[error("contains the character U+{0:04X}, which could disguise it")]
    Character(u32),
}

/// One line of at most 512 bytes without control, line-breaking, invisible or bidirectional characters; may be empty.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct PersonText(Box<str>);

impl PersonText {
    /// Most bytes a text may have.
    pub const MAX_BYTES: usize = 512;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing but white space was written.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl FromStr for PersonText {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        if text.len() > Self::MAX_BYTES {
            return Err(TextError::TooLong);
        }
        match text.chars().find(|c| is_deceptive(*c)) {
            Some(c) => Err(TextError::Character(c.into())),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for PersonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PersonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// `text` with every deceptive character as `\u{…}`, cut after `limit` characters: for outputs of text from elsewhere.
pub fn escape(text: &str, limit: usize) -> String {
    let mut safe = String::with_capacity(text.len().min(limit));
    for c in text.chars().take(limit) {
        if is_deceptive(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    if text.chars().nth(limit).is_some() {
        safe.push('…');
    }
    safe
}

/// JSON with its deceptive characters as `\uXXXX`, which means the same to a parser.
pub fn escape_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        // A raw line break can only be white space between tokens.
        if is_deceptive(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _infallible = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The name of a value of an enum as people read it: `ROLLED_BACK` of `REQUEST_STATE_ROLLED_BACK` as `rolled-back`.
pub fn spoken(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase().replace('_', "-")
}

/// Control characters, line and paragraph separators, bidirectional controls (Unicode TR9) and invisible characters.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180E}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFC}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_could_disguise() {
        for bad in [
            "a\nb",
            "a\rb",
            "\x1b[31m",
            "a\u{202E}b",
            "a\u{2066}b",
            "a\u{200B}b",
            "a\u{2028}b",
            "\u{7f}",
            "\u{85}",
            "a\u{3164}b",
            "a\u{2800}b",
        ] {
            assert!(matches!(bad.parse::<PersonText>(), Err(TextError::Character(_))), "{bad:?}");
        }
        assert_eq!("x".repeat(513).parse::<PersonText>(), Err(TextError::TooLong));
        assert!("Störung im Cluster – 再起動".parse::<PersonText>().is_ok());
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = "a\u{202e}b\u{e0001}\u{7f}";
        let line = escape_json(&serde_json::to_string(text).unwrap());
        assert!(line.is_ascii());
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    #[test]
    fn names_are_spoken() {
        assert_eq!(spoken("REQUEST_STATE_ROLLED_BACK", "REQUEST_STATE_"), "rolled-back");
        assert_eq!(spoken("unknown", "REQUEST_STATE_"), "unknown");
    }

    #[test]
    fn escapes_and_cuts_for_output() {
        assert_eq!(escape("a\u{202E}b\n", 10), "a\\u{202e}b\\u{a}");
        assert_eq!(escape("abcdef", 3), "abc…");
        assert_eq!(escape("abc", 3), "abc");
    }
}
