//! Hellos built field by field, and the same hellos cut, bent and bloated.

use proptest::prelude::*;

use super::*;

const HOST: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaa.k3v7aaaaaa.tunnel.example";

/// Builds the records of a ClientHello.
pub(crate) struct Builder {
    extensions: Vec<u8>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { extensions: Vec::new() }
    }

    pub(crate) fn extension(mut self, kind: u16, content: &[u8]) -> Self {
        self.extensions.extend(kind.to_be_bytes());
        self.extensions.extend(vec16(content));
        self
    }

    pub(crate) fn server_name(self, name: &str) -> Self {
        let mut entry = vec![0];
        entry.extend(vec16(name.as_bytes()));
        self.extension(SERVER_NAME, &vec16(&entry))
    }

    pub(crate) fn protocols(self, names: &[&str]) -> Self {
        let list: Vec<u8> = names.iter().flat_map(|n| [&[n.len() as u8], n.as_bytes()].concat()).collect();
        self.extension(ALPN, &vec16(&list))
    }

    /// Adds a padding extension (RFC 7685) so that the handshake message has `size` bytes.
    fn padded_to(self, size: usize) -> Self {
        let now = self.message().len();
        self.extension(21, &vec![0; size - now - 4])
    }

    fn message(&self) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([32]);
        body.extend([9; 32]);
        body.extend(vec16(&[0x13, 0x01, 0x0a, 0x0a]));
        body.extend([1, 0]);
        body.extend(vec16(&self.extensions));
        let mut message = vec![CLIENT_HELLO];
        message.extend(&(body.len() as u32).to_be_bytes()[1..]);
        message.extend(body);
        message
    }

    /// The message in records of at most `size` bytes.
    pub(crate) fn records(&self, size: usize) -> Vec<u8> {
        self.message().chunks(size).flat_map(record).collect()
    }
}

fn record(fragment: &[u8]) -> Vec<u8> {
    [&[HANDSHAKE_RECORD, 3, 1][..], &vec16(fragment)].concat()
}

fn vec16(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn usual() -> Builder {
    Builder::new().server_name(HOST).protocols(&["h2"])
}

fn read(bytes: &[u8]) -> Result<Option<ClientHello>, HelloError> {
    HelloReader::default().push(bytes)
}

fn assert_usual(found: Result<Option<ClientHello>, HelloError>) {
    let hello = found.unwrap().expect("complete");
    assert_eq!(hello.server_name.as_deref(), Some(HOST));
    assert_eq!(hello.protocols, [b"h2".to_vec()]);
}

#[test]
fn reads_name_and_protocols() {
    assert_usual(read(&usual().records(MAX_RECORD)));
}

#[test]
fn reads_one_byte_segments_and_keeps_every_byte() {
    let bytes = usual().records(MAX_RECORD);
    let mut reader = HelloReader::default();
    for byte in &bytes[..bytes.len() - 1] {
        assert_eq!(reader.push(&[*byte]), Ok(None));
    }
    assert_usual(reader.push(&bytes[bytes.len() - 1..]));
    assert_eq!(reader.into_raw(), bytes);
}

#[test]
fn reads_a_hello_across_several_records() {
    for size in [1, 3, 4, 5, 100] {
        assert_usual(read(&usual().records(size)));
    }
}

#[test]
fn reads_the_post_quantum_hello_of_1473_bytes() {
    let key_share = [&[0x11, 0xec][..], &vec16(&[5; 1216])].concat();
    let hello = usual().extension(51, &vec16(&key_share)).padded_to(1473);
    assert_eq!(hello.message().len(), 1473);
    let bytes = hello.records(MAX_RECORD);
    let mut reader = HelloReader::default();
    // The first segment of such a hello ends inside the key share.
    assert_eq!(reader.push(&bytes[..1400]), Ok(None));
    assert_usual(reader.push(&bytes[1400..]));
}

#[test]
fn grease_and_ech_extensions_are_normal() {
    let ech = [&[0, 0, 1, 0, 1, 42, 0, 32][..], &[3; 32], &vec16(&[4; 176])].concat();
    let hello = Builder::new()
        .extension(0x2a2a, &[])
        .extension(0xfe0d, &ech)
        .server_name(HOST)
        .protocols(&["h2"])
        .extension(0x8a8a, &[0]);
    assert_usual(read(&hello.records(MAX_RECORD)));
}

#[test]
fn takes_more_than_16_kib_over_two_records() {
    assert_usual(read(&usual().padded_to(20 * 1024).records(MAX_RECORD)));
}

#[test]
fn the_name_is_compared_in_lower_case() {
    let hello = Builder::new().server_name("API.Tunnel.Example");
    assert_eq!(read(&hello.records(600)).unwrap().unwrap().server_name.unwrap(), "api.tunnel.example");
}

#[test]
fn bytes_behind_the_hello_are_kept_for_the_gate() {
    let mut bytes = usual().records(MAX_RECORD);
    bytes.extend([20, 3, 3, 0, 1, 1]);
    let mut reader = HelloReader::default();
    assert_usual(reader.push(&bytes));
    assert_eq!(reader.into_raw(), bytes);
}

#[test]
fn a_hello_without_name_has_none() {
    assert_eq!(read(&Builder::new().protocols(&["h2"]).records(600)).unwrap().unwrap().server_name, None);
}

#[test]
fn garbage_is_refused_at_its_first_byte() {
    assert_eq!(read(b"G"), Err(HelloError::NotTls));
    assert_eq!(read(b"\x16\x02"), Err(HelloError::NotTls));
    assert_eq!(read(&[0x80, 0x2e, 1, 3, 1]), Err(HelloError::NotTls));
}

#[test]
fn another_handshake_message_is_refused() {
    assert_eq!(read(&record(&[2, 0, 0, 1, 0])), Err(HelloError::Malformed));
}

#[test]
fn empty_records_are_refused() {
    assert_eq!(read(&[HANDSHAKE_RECORD, 3, 3, 0, 0]), Err(HelloError::Malformed));
}

#[test]
fn a_truncated_hello_is_never_complete_nor_wrong() {
    let bytes = usual().records(64);
    for end in 0..bytes.len() {
        assert_eq!(read(&bytes[..end]), Ok(None), "{end}");
    }
}

#[test]
fn a_length_beyond_its_frame_is_malformed() {
    let mut name = vec16(HOST.as_bytes());
    name[1] += 1;
    let entry = [&[0][..], &name].concat();
    let hello = Builder::new().extension(SERVER_NAME, &vec16(&entry));
    assert_eq!(read(&hello.records(600)), Err(HelloError::Malformed));
}

#[test]
fn two_names_are_malformed() {
    let hello = Builder::new().server_name(HOST).server_name("b.example");
    assert_eq!(read(&hello.records(600)), Err(HelloError::Malformed));
    let entry = [&[0][..], &vec16(HOST.as_bytes())].concat();
    let twice = vec16(&[entry.clone(), entry].concat());
    assert_eq!(read(&Builder::new().extension(SERVER_NAME, &twice).records(600)), Err(HelloError::Malformed));
}

#[test]
fn names_with_control_characters_are_malformed() {
    for name in ["a\nb.example", "a b", "", "\u{202E}a.example"] {
        assert_eq!(
            read(&Builder::new().server_name(name).records(600)),
            Err(HelloError::Malformed),
            "{name:?}"
        );
    }
}

#[test]
fn an_oversized_hello_is_refused_by_its_announced_length() {
    assert_eq!(read(&record(&[CLIENT_HELLO, 0, 0x80, 1])), Err(HelloError::TooLarge));
    assert_eq!(read(&[HANDSHAKE_RECORD, 3, 3, 0x40, 1]), Err(HelloError::TooLarge));
}

#[test]
fn endless_tiny_records_are_refused() {
    let hello = usual().padded_to(MAX_HELLO).records(1);
    assert_eq!(read(&hello), Err(HelloError::TooLarge));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let _ = read(&record(&[&[CLIENT_HELLO, 0, 1, 0][..], &bytes].concat()));
        let _ = parse_body(&bytes);
    }

    #[test]
    fn cuts_do_not_change_what_is_read(size in 1usize..400, step in 1usize..90, flip in 0usize..400, to: u8) {
        let mut bytes = usual().records(size);
        let flip = flip % bytes.len();
        bytes[flip] = to;
        let whole = read(&bytes);
        let mut reader = HelloReader::default();
        let pieces = bytes.chunks(step).map(|piece| reader.push(piece));
        let first = pieces.into_iter().find(|found| *found != Ok(None)).unwrap_or(Ok(None));
        prop_assert_eq!(first, whole);
    }
}
