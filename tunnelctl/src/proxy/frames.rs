//! HTTP/2 frames as far as a GOAWAY can be put between two of them. Pure; payloads are passed over.

/// Follows a stream of frames and knows where one may be put in.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    header: [u8; HEADER],
    have: usize,
    payload: usize,
    frames: u64,
    block: Block,
}

/// Within a block of headers no other frame may stand.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Block {
    #[default]
    Closed,
    Open,
}

impl Boundary {
    /// Takes in the next bytes; the last place within them where a frame may be put in, if there is one.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let (mut at, mut last) = (0, None);
        while at < bytes.len() {
            at += self.step(&bytes[at..]);
            if self.is_between() {
                last = Some(at);
            }
        }
        last
    }

    /// Whether a frame may be put in now; not before the settings that every side begins with.
    pub(super) fn is_between(&self) -> bool {
        self.have == 0 && self.payload == 0 && self.frames > 0 && self.block == Block::Closed
    }

    /// How many frames went by whole.
    pub(super) const fn frames(&self) -> u64 {
        self.frames
    }

    /// Takes part of a header or of a payload, and says how much.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.have < HEADER {
            let taken = bytes.len().min(HEADER - self.have);
            self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            if self.have == HEADER {
                self.begin();
            }
            return taken;
        }
        let taken = bytes.len().min(self.payload);
        self.payload -= taken;
        self.end();
        taken
    }

    fn begin(&mut self) {
        let [a, b, c, kind, flags, ..] = self.header;
        self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.block = match kind {
            HEADERS | PUSH_PROMISE | CONTINUATION if flags & END_HEADERS == 0 => Block::Open,
            HEADERS | PUSH_PROMISE | CONTINUATION => Block::Closed,
            _ => self.block,
        };
        self.end();
    }

    fn end(&mut self) {
        if self.payload == 0 {
            self.have = 0;
            self.frames += 1;
        }
    }
}

/// Asks the client to begin nothing new here; what runs goes on.
pub(super) fn move_on() -> Vec<u8> {
    let length = 8 + u8::try_from(WHY.len()).unwrap_or(0);
    let mut frame = vec![0, 0, length, GOAWAY, 0, 0, 0, 0, 0];
    frame.extend(i32::MAX.to_be_bytes());
    frame.extend(NO_ERROR.to_be_bytes());
    frame.extend(WHY);
    frame
}

const HEADER: usize = 9;
const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const NO_ERROR: u32 = 0;
const WHY: &[u8] = b"the session moves to a new certificate";

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: u8 = 4;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u8::try_from(payload).unwrap();
        [vec![0, 0, length, kind, flags, 0, 0, 0, 1], vec![0xaa; payload]].concat()
    }

    /// Every offset after which a frame may be put in, found byte by byte.
    fn places(stream: &[u8]) -> Vec<usize> {
        let mut boundary = Boundary::default();
        (1..=stream.len()).filter(|end| boundary.feed(&stream[end - 1..*end]).is_some()).collect()
    }

    #[test]
    fn frames_are_found_however_they_arrive() {
        let stream = [frame(SETTINGS, 0, 6), frame(0, 0, 3), frame(0, 1, 0)].concat();
        assert_eq!(places(&stream), [15, 27, 36]);
        let mut whole = Boundary::default();
        assert_eq!(whole.feed(&stream), Some(36));
        assert_eq!(whole.frames(), 3);
        assert_eq!(Boundary::default().feed(&stream[..30]), Some(27));
    }

    #[test]
    fn nothing_is_put_into_a_block_of_headers() {
        let stream =
            [frame(SETTINGS, 0, 0), frame(HEADERS, 0, 4), frame(CONTINUATION, END_HEADERS, 2)].concat();
        assert_eq!(places(&stream), [9, 33]);
    }

    #[test]
    fn nothing_comes_before_the_settings() {
        assert!(!Boundary::default().is_between());
    }

    #[test]
    fn what_we_put_in_are_whole_frames() {
        let bytes = move_on();
        assert_eq!(Boundary::default().feed(&bytes), Some(bytes.len()));
        assert_eq!(move_on()[9..13], [0x7f, 0xff, 0xff, 0xff]);
    }
}
