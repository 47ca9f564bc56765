//! Proving the key of a mesh certificate that ran out: a signature over a broker's fresh nonce and the new request.
//!
//! The signed text begins with its own name, so that no other signature of the key can be taken for it.

use crate::key::{PublicKey, SignError, SignatureError, Signer, SigningKey};

/// Signs the challenge with the key of the old certificate.
pub fn sign(key: &SigningKey, nonce: &[u8; 32], csr: &[u8]) -> Result<Vec<u8>, SignError> {
    key.sign(&message(nonce, csr))
}

/// Checks a challenge's answer against the key of the old certificate.
pub fn verify(key: &PublicKey, nonce: &[u8; 32], csr: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    key.verify(&message(nonce, csr), signature)
}

/// The nonce has one length, so that it and the request cannot run into each other.
fn message(nonce: &[u8; 32], csr: &[u8]) -> Vec<u8> {
    [b"postern/v1/reissue\0", &nonce[..], csr].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::p256;

    #[test]
    fn proves_the_key_for_one_nonce_and_one_request() {
        let (key, other) = (p256(), p256());
        let csr = other.csr().unwrap();
        let signature = sign(&key, &[7; 32], &csr).unwrap();
        assert_eq!(verify(key.public(), &[7; 32], &csr, &signature), Ok(()));
        assert_eq!(verify(other.public(), &[7; 32], &csr, &signature), Err(SignatureError));
        assert_eq!(verify(key.public(), &[8; 32], &csr, &signature), Err(SignatureError));
        assert_eq!(verify(key.public(), &[7; 32], &csr[1..], &signature), Err(SignatureError));
        assert_eq!(verify(key.public(), &[7; 32], &csr, &[]), Err(SignatureError));
    }

    #[test]
    fn no_other_signature_of_the_key_is_taken_for_it() {
        let key = p256();
        let csr = key.csr().unwrap();
        for prefix in [&b""[..], b"postern/v1/reissue", b"postern/v2/reissue\0"] {
            let signature = key.sign(&[prefix, &[7; 32], &csr].concat()).unwrap();
            assert!(verify(key.public(), &[7; 32], &csr, &signature).is_err());
        }
    }
}
