//! The one file that picks the cryptography: aws-lc-rs, TLS 1.3 only, post-quantum key exchange first.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::{digest, rand};
use rustls::crypto::{CryptoProvider, aws_lc_rs as backend};

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
