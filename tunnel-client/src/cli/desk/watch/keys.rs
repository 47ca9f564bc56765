//! Single keys from the terminal; its settings come back when this is dropped.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};

/// What was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Digit(usize),
    Down,
    Up,
    Cut,
    Quit,
    Other,
}

/// The terminal while keys are read from it.
pub(super) struct Keys {
    terminal: OwnedFd,
    before: Termios,
}

impl Keys {
    /// Takes keys as they are pressed, unechoed.
    pub(super) fn grab() -> io::Result<Self> {
        // A descriptor of its own: standard input stays as it is for whoever else holds it.
        let terminal = rustix::io::dup(io::stdin())?;
        let before = termios::tcgetattr(&terminal)?;
        let mut raw = before.clone();
        // Without signals, so that the way out always passes here and restores the terminal.
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        // A read never waits: it gives a key, or nothing.
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        termios::tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        Ok(Self { terminal, before })
    }

    /// The next key; waits for a person, so it has no deadline.
    pub(super) async fn next(&self) -> io::Result<Key> {
        let mut byte = [0];
        while rustix::io::read(&self.terminal, &mut byte)? == 0 {
            tokio::time::sleep(LOOK).await;
        }
        Ok(key(byte[0]))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Nothing better can be done about a terminal that is gone.
        let _ = termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

fn key(byte: u8) -> Key {
    match byte {
        b'1'..=b'9' => Key::Digit(usize::from(byte - b'0')),
        // An arrow key is three bytes, of which the last tells which; the others mean nothing.
        b'j' | b'B' => Key::Down,
        b'k' | b'A' => Key::Up,
        b'x' => Key::Cut,
        b'q' | b'Q' | CONTROL_C | CONTROL_D => Key::Quit,
        _ => Key::Other,
    }
}

/// Quick enough for a finger.
const LOOK: Duration = Duration::from_millis(50);
const CONTROL_C: u8 = 3;
const CONTROL_D: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_screen_says() {
        assert_eq!(
            [b'1', b'9', b'j', b'k', b'x', b'q', 3, b'0', b'y'].map(key),
            [
                Key::Digit(1),
                Key::Digit(9),
                Key::Down,
                Key::Up,
                Key::Cut,
                Key::Quit,
                Key::Quit,
                Key::Other,
                Key::Other
            ]
        );
    }

    #[test]
    fn an_arrow_moves_once() {
        assert_eq!(b"\x1b[B".map(key), [Key::Other, Key::Other, Key::Down]);
    }
}
