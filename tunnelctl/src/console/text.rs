//! Safe forms of text that came from elsewhere.

use tunnel_protos::text::escape;

/// `text` as it may be shown: deceptive characters escaped, cut to a readable length.
pub fn safe(text: &str) -> String {
    escape(text, SHOWN)
}

/// As long as a text from a person may be.
const SHOWN: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_controls_never_pass() {
        assert!(!safe("\x1b]0;pwned\x07").contains('\x1b'));
    }
}
