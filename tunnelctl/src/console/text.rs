//! Safe forms of text that came from elsewhere.

use tunnel_protos::text::escape;

/// `text` as it may be shown: deceptive characters escaped, cut to a readable length.
pub fn safe(text: &str) -> String {
    escape(text, SHOWN)
}

/// `1 tunnel`, `2 tunnels`.
pub fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// As long as a text from a person may be.
const SHOWN: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "tunnel")), ["0 tunnels", "1 tunnel", "2 tunnels"]);
    }

    #[test]
    fn terminal_controls_never_pass() {
        assert!(!safe("\x1b]0;pwned\x07").contains('\x1b'));
    }
}
