//! What a registration says of the cluster beside its keys: whose service-account tokens let further replicas join.

use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use tracing::warn;
use tunnel_certs::{
    file, service_account,
    statement::registration::{SERVICE_ACCOUNT_ISSUER, SERVICE_ACCOUNT_SUBJECT},
};
use tunnel_protos::{Label, PersonText, TokenId};
use tunnel_runtime::chain;

use crate::{
    config::EnrollmentConfig,
    keys::{Keys, KeysError, Made, Ticket},
};

/// Where the facts are read when they are needed.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    token: Option<PathBuf>,
    jwks: Option<PathBuf>,
}

/// Of a token's payload, what is pinned.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
}

impl Facts {
    /// As the configuration says.
    pub fn of(config: Option<&EnrollmentConfig>) -> Self {
        let token = config.and_then(|config| config.service_account_token.clone());
        Self { token, jwks: config.and_then(|config| config.jwks.clone()) }
    }

    /// What a registration for another pair of keys says.
    pub(super) fn ticket(&self, label: Label) -> Ticket {
        Ticket { jwks: self.jwks(), facts: self.pins(), ..Ticket::of(label) }
    }

    /// The registration of an enrollment: the one that was made, or one that says all this.
    pub(super) fn registration(
        &self,
        keys: &Keys,
        folder: &Path,
        (label, bundle): (Label, ([u8; 32], TokenId)),
    ) -> Result<Made, KeysError> {
        let bundle = Some(bundle);
        // Read, and complained of, only where it is said.
        match keys.registered(folder, &Ticket { bundle, ..Ticket::of(label) }) {
            Some(made) => Ok(made),
            None => keys.registration(folder, &Ticket { bundle, ..self.ticket(label) }),
        }
    }

    /// Without a key set no replica joins by service account, which is no reason not to enroll.
    fn jwks(&self) -> Vec<u8> {
        let Some(path) = &self.jwks else { return Vec::new() };
        let read = file::read(path).map_err(|error| chain(&error).to_string());
        let fits = |bytes: Vec<u8>| match service_account::check_key_set(&bytes) {
            Ok(()) => Ok(bytes),
            Err(error) => Err(chain(&error).to_string()),
        };
        read.and_then(fits).unwrap_or_else(|error| {
            warn!(error, "Key set of service accounts not registered; no replica can join by one");
            Vec::new()
        })
    }

    /// Issuer and subject of our own token, unverified: they are what we ourselves vouch for.
    fn pins(&self) -> Vec<(PersonText, PersonText)> {
        let Some(path) = &self.token else { return Vec::new() };
        let Some(Claims { iss, sub }) = file::read(path).ok().and_then(|bytes| claims(&bytes)) else {
            warn!(path = %path.display(), "Service-account token not read; no replica can join by one");
            return Vec::new();
        };
        let fact = |name: &str, value: &str| Some((name.parse().ok()?, value.parse().ok()?));
        let pins = [(SERVICE_ACCOUNT_ISSUER, iss), (SERVICE_ACCOUNT_SUBJECT, sub)];
        pins.iter().filter_map(|(name, value)| fact(name, value)).collect()
    }
}

fn claims(token: &[u8]) -> Option<Claims> {
    let token = std::str::from_utf8(token).ok()?;
    let payload = token.trim().split('.').nth(1)?;
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_the_issuer_and_account_of_its_own_token() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        let payload =
            BASE64URL_NOPAD.encode(br#"{"iss":"https://k8s","sub":"system:serviceaccount:a:b","exp":1}"#);
        std::fs::write(&token, format!("e30.{payload}.c2ln\n")).unwrap();
        let facts = Facts { token: Some(token.clone()), jwks: None };
        let said: Vec<_> = facts.pins().iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            said,
            ["serviceAccountIssuer=https://k8s", "serviceAccountSubject=system:serviceaccount:a:b"]
        );
        for broken in ["", "a.b", "e30.!!.c", "e30.e30.c"] {
            std::fs::write(&token, broken).unwrap();
            assert!(facts.pins().is_empty(), "{broken}");
        }
    }

    #[test]
    fn what_is_said_of_service_accounts_is_read_only_where_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (state, token) = (folder.path().join("state"), folder.path().join("token"));
        let keys = Keys::load_or_create(&state).unwrap();
        let about = ("k3v7aaaaaa".parse().unwrap(), ([7; 32], TokenId::from_random([1; 16])));
        let payload = BASE64URL_NOPAD.encode(br#"{"iss":"https://k8s","sub":"a","exp":1}"#);
        std::fs::write(&token, format!("e30.{payload}.c2ln")).unwrap();
        let facts = Facts { token: Some(token), jwks: None };
        let first = facts.registration(&keys, &state, about).unwrap();
        // Files that cannot be read any more change nothing of it.
        let again = Facts::default().registration(&keys, &state, about).unwrap();
        assert_eq!(again.envelope, first.envelope);
        let other = (about.0, ([8; 32], about.1.1));
        assert_ne!(facts.registration(&keys, &state, other).unwrap().envelope, first.envelope);
    }

    #[test]
    fn a_key_set_that_is_none_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let jwks = folder.path().join("jwks");
        let facts = Facts { token: None, jwks: Some(jwks.clone()) };
        assert!(facts.jwks().is_empty());
        std::fs::write(&jwks, "{}").unwrap();
        assert!(facts.jwks().is_empty());
    }
}
