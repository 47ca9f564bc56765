//! The shared secret, and the signature by it, as Standard Webhooks 1.0 has them.

use std::{fmt, path::Path};

use data_encoding::BASE64;
use tunnel_certs::{
    crypto,
    file::{self, FileError},
};
use tunnel_protos::UnixMillis;
use zeroize::Zeroizing;

/// Why the secret was refused.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is in it.
    #[error(
        "not a secret: `whsec_` and base64 of 24 to 64 random bytes, for example: \
             printf 'whsec_%s' \"$(head -c 32 /dev/urandom | base64)\""
    )]
    Malformed,
}

/// The shared secret.
pub(super) struct Secret(Zeroizing<Vec<u8>>);

/// Reads a 0600 file.
pub(super) fn read(path: &Path) -> Result<Secret, SecretError> {
    Secret::parse(&file::read_private(path)?)
}

impl Secret {
    fn parse(text: &[u8]) -> Result<Self, SecretError> {
        let encoded = text.trim_ascii().strip_prefix(b"whsec_").ok_or(SecretError::Malformed)?;
        let bytes = Zeroizing::new(BASE64.decode(encoded).map_err(|_| SecretError::Malformed)?);
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(SecretError::Malformed) }
    }

    /// The header `webhook-signature` over id, time and body.
    pub(super) fn sign(&self, id: &str, at: UnixMillis, body: &[u8]) -> String {
        let signed = [format!("{id}.{}.", at.seconds()).as_bytes(), body].concat();
        format!("v1,{}", BASE64.encode(&crypto::hmac_sha256(&self.0, &signed)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the libraries of Standard Webhooks.
    #[test]
    fn signs_as_the_standard_does() {
        let secret = Secret::parse(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", UnixMillis(1_614_265_330_000), body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn refuses_what_is_no_secret_and_shows_nothing() {
        let short = format!("whsec_{}", BASE64.encode(&[1; 23]));
        for bad in ["", "whsec_", "secret", "whsec_!!!!", &short] {
            assert!(matches!(Secret::parse(bad.as_bytes()), Err(SecretError::Malformed)), "{bad}");
        }
        let secret = Secret::parse(format!("whsec_{}", BASE64.encode(&[1; 32])).as_bytes()).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
