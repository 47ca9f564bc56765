//! Key files behind a passphrase: PKCS#8 with PBES2, scrypt and AES-256-CBC (RFC 5958, 7914, 8018).
//!
//! The cost is in the file, so that it can be raised without making older files unreadable.

use aws_lc_rs::{
    cipher::{
        AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
        UnboundCipherKey,
    },
    iv::FixedLength,
};
use zeroize::Zeroizing;

use crate::crypto;

/// The label between `BEGIN` and `END`.
pub(super) const LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// Encrypts a PKCS#8 (DER); none if the system refuses.
pub(super) fn seal(pkcs8: &[u8], passphrase: &str) -> Option<Vec<u8>> {
    let (salt, iv): ([u8; 16], [u8; 16]) = (crypto::random(), crypto::random());
    let key = derive(passphrase, &salt, COST)?;
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &key[..]).ok()?).ok()?;
    // Reserved at once: growing would leave a copy of the key behind.
    let mut text = Vec::with_capacity(pkcs8.len() + 16);
    text.extend_from_slice(pkcs8);
    cipher.less_safe_encrypt(&mut text, EncryptionContext::Iv128(FixedLength::from(&iv))).ok()?;
    Some(write(&salt, COST, &iv, &text))
}

/// Decrypts; none if the passphrase is another, or the file is not of this kind.
pub(super) fn open(der: &[u8], passphrase: &str) -> Option<Zeroizing<Vec<u8>>> {
    let Sealed { salt, cost, iv, text } = Sealed::read(der)?;
    let key = derive(passphrase, salt, cost)?;
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &key[..]).ok()?).ok()?;
    let mut text = Zeroizing::new(text.to_vec());
    let length = cipher.decrypt(&mut text, DecryptionContext::Iv128(FixedLength::from(&iv))).ok()?.len();
    text.truncate(length);
    Some(text)
}

/// scrypt's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    log_n: u8,
    r: u32,
    p: u32,
}

fn derive(passphrase: &str, salt: &[u8], cost: Cost) -> Option<Zeroizing<[u8; 32]>> {
    let parameters = scrypt::Params::new(cost.log_n, cost.r, cost.p).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(passphrase.as_bytes(), salt, &parameters, &mut key[..]).ok()?;
    Some(key)
}

/// The parts of an `EncryptedPrivateKeyInfo`.
struct Sealed<'d> {
    salt: &'d [u8],
    cost: Cost,
    iv: [u8; 16],
    text: &'d [u8],
}

impl<'d> Sealed<'d> {
    fn read(der: &'d [u8]) -> Option<Self> {
        let mut all = Der(der).only(SEQUENCE)?;
        let (mut algorithm, text) = (all.take(SEQUENCE)?, all.only(OCTETS)?);
        algorithm.expect(PBES2)?;
        let mut pbes2 = algorithm.only(SEQUENCE)?;
        let (mut kdf, mut cipher) = (pbes2.take(SEQUENCE)?, pbes2.only(SEQUENCE)?);
        kdf.expect(SCRYPT)?;
        let (salt, cost) = Cost::read(kdf.only(SEQUENCE)?)?;
        cipher.expect(AES_256_CBC)?;
        let iv = cipher.only(OCTETS)?.0.try_into().ok()?;
        Some(Self { salt, cost, iv, text: text.0 })
    }
}

impl Cost {
    /// Salt and cost; a file cannot ask for more memory or time than ours do fourfold.
    fn read(mut parameters: Der<'_>) -> Option<(&[u8], Self)> {
        let salt = parameters.take(OCTETS)?.0;
        let [n, r, p] = [parameters.number()?, parameters.number()?, parameters.number()?];
        // OpenSSL writes the key's length, too, which may be left out.
        let ends = parameters.0.is_empty() || (parameters.number()? == 32 && parameters.0.is_empty());
        let bounded = n.is_power_of_two() && n > 1 && u64::from(n) * u64::from(r) * u64::from(p) <= MOST_WORK;
        let log_n = u8::try_from(n.trailing_zeros()).ok()?;
        (ends && bounded).then_some((salt, Self { log_n, r, p }))
    }
}

fn write(salt: &[u8], cost: Cost, iv: &[u8], text: &[u8]) -> Vec<u8> {
    let numbers = [1 << cost.log_n, cost.r, cost.p].map(number);
    let parameters = value(SEQUENCE, &[&value(OCTETS, &[salt]), &numbers[0], &numbers[1], &numbers[2]]);
    let kdf = value(SEQUENCE, &[SCRYPT, &parameters]);
    let cipher = value(SEQUENCE, &[AES_256_CBC, &value(OCTETS, &[iv])]);
    let algorithm = value(SEQUENCE, &[PBES2, &value(SEQUENCE, &[&kdf, &cipher])]);
    value(SEQUENCE, &[&algorithm, &value(OCTETS, &[text])])
}

/// A DER value; ours are all shorter than 64 KiB.
fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let head = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head, content].concat()
}

fn number(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
    let sign: &[u8] = if bytes[first] & 0x80 == 0 { &[] } else { &[0] };
    value(INTEGER, &[sign, &bytes[first..]])
}

/// DER that is read from its front.
struct Der<'d>(&'d [u8]);

impl<'d> Der<'d> {
    /// The next value's content.
    fn take(&mut self, tag: u8) -> Option<Self> {
        let (length, rest) = match *self.0 {
            [found, length @ 0..=0x7f, ref rest @ ..] if found == tag => (usize::from(length), rest),
            [found, 0x81, length, ref rest @ ..] if found == tag => (usize::from(length), rest),
            [found, 0x82, high, low, ref rest @ ..] if found == tag => {
                (usize::from(u16::from_be_bytes([high, low])), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Self(content))
    }

    /// The next value's content, which must be the last.
    fn only(mut self, tag: u8) -> Option<Self> {
        let content = self.take(tag)?;
        self.0.is_empty().then_some(content)
    }

    /// These very bytes.
    fn expect(&mut self, bytes: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(())
    }

    /// A positive number of at most 31 bits.
    fn number(&mut self) -> Option<u32> {
        let content = self.take(INTEGER)?.0;
        let positive = content.first().is_some_and(|first| first & 0x80 == 0);
        let folded = content.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
        (positive && content.len() <= 4).then_some(folded)
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
/// Object identifiers, as DER.
const PBES2: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const SCRYPT: &[u8] = &[0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];
const AES_256_CBC: &[u8] = &[0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
/// 128 MiB and a fraction of a second per guess, what OWASP asks for at least.
const COST: Cost = Cost { log_n: 17, r: 8, p: 1 };
/// Four times that, for files of other programs and of later versions.
const MOST_WORK: u64 = 4 << (17 + 3);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn opens_with_its_passphrase_only() {
        let sealed = seal(b"the key's bytes", "correct horse battery").unwrap();
        assert_eq!(open(&sealed, "correct horse battery").unwrap()[..], *b"the key's bytes");
        let other = open(&sealed, "correct horse batterx");
        assert_ne!(other.as_deref().map(|text| &text[..]), Some(&b"the key's bytes"[..]));
        assert_ne!(seal(b"the key's bytes", "correct horse battery").unwrap(), sealed, "salted");
    }

    #[test]
    fn a_file_cannot_ask_for_endless_work() {
        let cost = |log_n, r, p| write(&[1; 16], Cost { log_n, r, p }, &[2; 16], &[3; 64]);
        assert!(Sealed::read(&cost(17, 8, 1)).is_some());
        assert!(Sealed::read(&cost(14, 8, 5)).is_some());
        for hostile in [cost(30, 8, 1), cost(17, 1 << 20, 1), cost(17, 8, 1 << 30), cost(0, 8, 1)] {
            assert!(Sealed::read(&hostile).is_none());
        }
    }

    #[test]
    fn reads_nothing_cut_short_or_longer() {
        let sealed = write(&[1; 16], COST, &[2; 16], &[3; 144]);
        assert!(Sealed::read(&sealed).is_some());
        for end in 0..sealed.len() {
            assert!(Sealed::read(&sealed[..end]).is_none(), "{end}");
        }
        assert!(Sealed::read(&[&sealed[..], &[0]].concat()).is_none());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(garbage in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Sealed::read(&garbage).is_none());
        }

        #[test]
        fn numbers_are_read_as_written(number in 0..u32::MAX / 2) {
            prop_assert_eq!(Der(&super::number(number)).number(), Some(number));
        }
    }
}
