//! Safe forms of text that came from elsewhere.

use std::fmt::Write as _;

use tunnel_protos::text::{escape, is_deceptive};

/// `text` as it may be shown: deceptive characters escaped, cut to a readable length.
pub fn safe(text: &str) -> String {
    escape(text, SHOWN)
}

/// A line of JSON with its deceptive characters as `\uXXXX`, which means the same to a parser.
pub(super) fn safe_json(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        // A raw line break can only be white space between tokens.
        if is_deceptive(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// As long as a text from a person may be.
const SHOWN: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_meaning() {
        let text = "a\u{202e}b\u{e0001}\u{7f}";
        let line = safe_json(&serde_json::to_string(text).unwrap());
        assert!(line.is_ascii());
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    #[test]
    fn terminal_controls_never_pass() {
        assert!(!safe("\x1b]0;pwned\x07").contains('\x1b'));
    }
}
