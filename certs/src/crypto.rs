//! The one file that picks the cryptography: aws-lc-rs, TLS 1.3 only, post-quantum key exchange first.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::{digest, hkdf, hmac, rand};
use rustls::{
    SignatureScheme,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs as backend},
};
use zeroize::Zeroizing;

/// The provider of every TLS configuration: TLS 1.3 suites only, X25519MLKEM768 preferred.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// `N` random bytes from the system's generator.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system's random generator works");
    bytes
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// SHA-256 of bytes that come piece by piece.
pub struct Sha256(digest::Context);

impl Sha256 {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Takes the next piece in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all of it.
    pub fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256")
    }
}

/// HMAC-SHA256 of `message` under `secret`.
pub fn hmac_sha256(secret: &[u8], message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref());
    out
}

/// Whether `mac` is HMAC-SHA256 of `message` under `secret`; takes the same time whatever differs.
pub fn is_hmac_sha256(secret: &[u8], message: &[u8], mac: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, mac).is_ok()
}

/// HKDF-SHA-256 of `secret` with an empty salt: 32 bytes for the use that `info` names.
pub fn derive(secret: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret);
    let filled = key.expand(&[info], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut out[..]));
    filled.expect("HKDF-SHA-256 gives 32 bytes");
    out
}

/// What our own certificates, and signatures by their keys, are verified with: ECDSA P-256 with SHA-256 only.
pub(crate) static CERTIFICATE_ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[webpki::aws_lc_rs::ECDSA_P256_SHA256],
    mapping: &[(SignatureScheme::ECDSA_NISTP256_SHA256, &[webpki::aws_lc_rs::ECDSA_P256_SHA256])],
};

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            backend::cipher_suite::TLS13_AES_128_GCM_SHA256,
            backend::cipher_suite::TLS13_AES_256_GCM_SHA384,
            backend::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![
            backend::kx_group::X25519MLKEM768,
            backend::kx_group::X25519,
            backend::kx_group::SECP256R1,
        ],
        ..backend::default_provider()
    })
});

#[cfg(test)]
mod tests {
    use rustls::NamedGroup;

    use super::*;

    #[test]
    fn offers_tls13_only_and_post_quantum_first() {
        let provider = provider();
        assert!(provider.cipher_suites.iter().all(|suite| suite.tls13().is_some()));
        assert_eq!(provider.kx_groups[0].name(), NamedGroup::X25519MLKEM768);
    }

    #[test]
    fn derives_as_rfc5869_says() {
        // Test case 3: no salt, no info.
        let wanted = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d";
        assert_eq!(data_encoding::HEXLOWER.encode(&derive(&[0x0b; 22], b"")[..]), wanted);
        assert_ne!(derive(b"secret", b"one"), derive(b"secret", b"two"));
    }

    #[test]
    fn a_mac_is_checked_whole() {
        let mac = hmac_sha256(b"secret", b"message");
        assert!(is_hmac_sha256(b"secret", b"message", &mac));
        assert!(!is_hmac_sha256(b"secret", b"massage", &mac));
        assert!(!is_hmac_sha256(b"secrex", b"message", &mac));
        assert!(!is_hmac_sha256(b"secret", b"message", &mac[..31]));
        assert!(!is_hmac_sha256(b"secret", b"message", &[]));
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random::<16>(), random::<16>());
    }
}
