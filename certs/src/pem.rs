//! PEM in and out; private keys pass through wiped buffers only.

use data_encoding::BASE64;
use rustls_pki_types::{
    CertificateDer,
    pem::{self, PemObject},
};
use zeroize::Zeroizing;

/// A text that is not the PEM that belongs here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not PEM with a {0}")]
pub struct PemError(pub &'static str);

/// All certificates of a PEM text, in order; at least one.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let error = |_| PemError("CERTIFICATE");
    let found: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(error)?;
    if found.is_empty() { Err(PemError("CERTIFICATE")) } else { Ok(found) }
}

/// The only certificate of a PEM text.
pub(crate) fn certificate(text: &[u8]) -> Result<CertificateDer<'static>, PemError> {
    let mut found = certificates(text)?;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(PemError("single CERTIFICATE")),
    }
}

/// The first object of a PEM text.
pub(crate) fn decode<T: PemObject>(text: &[u8], what: &'static str) -> Result<T, PemError> {
    T::from_pem_slice(text).map_err(|_: pem::Error| PemError(what))
}

/// The content of the first section with this label, for those that the PEM reader does not know.
pub(crate) fn section(text: &[u8], label: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let bare = Zeroizing::new(body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>());
    BASE64.decode(&bare).ok().map(Zeroizing::new)
}

/// `der` between `BEGIN` and `END` lines; wiped when dropped, since it may be a private key.
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64.encode(der));
    // Reserved at once: growing would leave copies behind that nobody wipes.
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 64));
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    for line in body.as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).unwrap_or_default());
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_single_certificate_is_exactly_one() {
        let one = encode("CERTIFICATE", b"first").to_string();
        assert_eq!(certificate(one.as_bytes()).unwrap().as_ref(), b"first");
        let two = format!("{one}{}", *encode("CERTIFICATE", b"second"));
        assert!(certificate(two.as_bytes()).is_err());
        assert_eq!(certificates(two.as_bytes()).unwrap().len(), 2);
        assert!(certificates(b"").is_err());
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(der in proptest::collection::vec(any::<u8>(), 1..300)) {
            let text = encode("CERTIFICATE", &der);
            prop_assert!(text.lines().all(|line| line.len() <= 64));
            let read = certificate(text.as_bytes()).unwrap();
            prop_assert_eq!(read.as_ref(), &der[..]);
        }
    }
}
