//! What goes into `authorization` toward the engine; operators never see it.

use std::{io, path::PathBuf};

use http::HeaderValue;

use super::profile::Authorization;

/// Why a credential could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not hold what it should.
    #[error("{} does not hold {wanted}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
}

impl Authorization {
    /// Reads the file; the value is marked sensitive, so that it never shows in a log.
    pub(super) fn read(&self) -> Result<HeaderValue, CredentialError> {
        let (Self::Bearer(path) | Self::Basic(path)) = self;
        let text = std::fs::read_to_string(path)
            .map_err(|source| CredentialError::Read { path: path.clone(), source })?;
        let (value, wanted) = self.value(text.trim());
        let content = || CredentialError::Content { path: path.clone(), wanted };
        let mut value = HeaderValue::from_str(&value.ok_or_else(content)?).map_err(|_| content())?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn value(&self, content: &str) -> (Option<String>, &'static str) {
        match self {
            Self::Bearer(_) => {
                let token = !content.is_empty() && !content.contains(char::is_whitespace);
                (token.then(|| format!("Bearer {content}")), "one token")
            }
            Self::Basic(_) => {
                let pair = content.contains(':');
                let encoded = data_encoding::BASE64.encode(content.as_bytes());
                (pair.then(|| format!("Basic {encoded}")), "user:password")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: fn(PathBuf) -> Authorization, content: &str) -> Result<HeaderValue, CredentialError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        kind(path).read()
    }

    #[test]
    fn tokens_and_passwords_become_authorization() {
        assert_eq!(read(Authorization::Bearer, "abc\n").unwrap(), "Bearer abc");
        assert_eq!(read(Authorization::Basic, "me:secret\n").unwrap(), "Basic bWU6c2VjcmV0");
    }

    #[test]
    fn a_credential_never_shows_when_printed() {
        let value = read(Authorization::Bearer, "abc").unwrap();
        assert!(!format!("{value:?}").contains("abc"));
    }

    #[test]
    fn files_without_a_credential_are_refused() {
        for (kind, content) in [
            (Authorization::Bearer as fn(PathBuf) -> Authorization, ""),
            (Authorization::Bearer, "two words"),
            (Authorization::Basic, "nopassword"),
        ] {
            assert!(matches!(read(kind, content), Err(CredentialError::Content { .. })), "{content}");
        }
        let missing = Authorization::Bearer("/nowhere/token".into());
        assert!(matches!(missing.read(), Err(CredentialError::Read { .. })));
    }
}
