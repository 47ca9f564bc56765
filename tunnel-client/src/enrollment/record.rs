//! Small records in the state folder, as JSON: where this replica enrolled, and which keys a person confirmed.
//!
//! Invariant: a record that cannot be read is an error, never an absent one: going on without it would forget what a
//! person said.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tunnel_certs::{
    file::{self, FileError},
    key::{PublicKey, SealingPublicKey},
};
use tunnel_protos::{Digest, UnixMillis};

use super::Member;
use crate::{config::Cluster, keys::PublicPair};

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not what was written there.
    #[error("{0} is damaged; put the state folder back from a backup, or enroll anew in an empty one")]
    Damaged(PathBuf, #[source] io::Error),
}

/// That this replica has enrolled, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Enrolled {
    pub(super) cluster: Cluster,
    pub(super) member: Member,
}

/// The newest inventory entry that holds keys which a person confirmed; one file, so that it changes at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Confirmed {
    pub(super) keys: PublicPair,
    pub(super) sequence: u64,
    pub(super) digest: Digest,
    /// The entry's envelope.
    pub(super) envelope: Vec<u8>,
    /// Until when the keys before these open requests; none if there were none.
    pub(super) previous_until: Option<UnixMillis>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EnrolledFile {
    cluster: String,
    label: String,
    member: Member,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfirmedFile {
    cluster_key: String,
    sealing_key: String,
    sequence: u64,
    digest: String,
    envelope: String,
    previous_until_ms: Option<i64>,
}

impl Enrolled {
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, RecordError> {
        read(&folder.join(ENROLLED), |file: EnrolledFile| {
            let cluster = Cluster { name: file.cluster.parse().ok()?, label: file.label.parse().ok()? };
            Some(Self { cluster, member: file.member })
        })
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), RecordError> {
        let Self { cluster: Cluster { name, label }, member } = self;
        let file = EnrolledFile { cluster: name.to_string(), label: label.to_string(), member: *member };
        write(&folder.join(ENROLLED), &file)
    }
}

impl Confirmed {
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, RecordError> {
        read(&folder.join(CONFIRMED), |file: ConfirmedFile| {
            Some(Self {
                keys: PublicPair {
                    cluster: PublicKey::from_ed25519_raw(&hex(&file.cluster_key)?).ok()?,
                    sealing: SealingPublicKey::try_from(&hex(&file.sealing_key)?[..]).ok()?,
                },
                sequence: file.sequence,
                digest: Digest::try_from(&hex(&file.digest)?[..]).ok()?,
                envelope: data_encoding::BASE64.decode(file.envelope.as_bytes()).ok()?,
                previous_until: file.previous_until_ms.map(UnixMillis),
            })
        })
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), RecordError> {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let file = ConfirmedFile {
            cluster_key: hex(self.keys.cluster.raw()),
            sealing_key: hex(self.keys.sealing.as_bytes()),
            sequence: self.sequence,
            digest: hex(self.digest.as_bytes()),
            envelope: data_encoding::BASE64.encode(&self.envelope),
            previous_until_ms: self.previous_until.map(|until| until.0),
        };
        write(&folder.join(CONFIRMED), &file)
    }
}

fn read<F: DeserializeOwned, T>(
    path: &Path,
    take: impl FnOnce(F) -> Option<T>,
) -> Result<Option<T>, RecordError> {
    let bytes = match file::read_private(path) {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let damaged = |error| RecordError::Damaged(path.to_owned(), error);
    let parsed: F = serde_json::from_slice(&bytes).map_err(|error| damaged(error.into()))?;
    take(parsed).map(Some).ok_or_else(|| damaged(io::ErrorKind::InvalidData.into()))
}

fn write(path: &Path, file: &impl Serialize) -> Result<(), RecordError> {
    let text = serde_json::to_vec_pretty(file);
    let text = text.map_err(|error| RecordError::Damaged(path.to_owned(), error.into()))?;
    Ok(file::write_private(path, &text)?)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).ok()
}

const ENROLLED: &str = "enrollment.json";
const CONFIRMED: &str = "entry.json";

#[cfg(test)]
mod tests {
    use tunnel_certs::key::{Algorithm, SealingKey, Signer, SigningKey};

    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Enrolled::read(folder.path()).unwrap(), None);
        let cluster = Cluster { name: "acme/prod".parse().unwrap(), label: "k3v7aaaaaa".parse().unwrap() };
        let enrolled = Enrolled { cluster, member: Member::Further };
        enrolled.write(folder.path()).unwrap();
        assert_eq!(Enrolled::read(folder.path()).unwrap(), Some(enrolled));
        let confirmed = Confirmed {
            keys: PublicPair {
                cluster: SigningKey::generate(Algorithm::Ed25519).unwrap().public().clone(),
                sealing: *SealingKey::generate().unwrap().public(),
            },
            sequence: 7,
            digest: Digest::new([9; 32]),
            envelope: vec![1, 2, 3],
            previous_until: Some(UnixMillis(5)),
        };
        confirmed.write(folder.path()).unwrap();
        assert_eq!(Confirmed::read(folder.path()).unwrap(), Some(confirmed));
    }

    #[test]
    fn a_damaged_record_is_not_an_absent_one() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "{}", "{\"cluster\": \"acme\", \"label\": \"x\", \"member\": \"first\"}"] {
            file::write_private(&folder.path().join(ENROLLED), text.as_bytes()).unwrap();
            assert!(matches!(Enrolled::read(folder.path()), Err(RecordError::Damaged(..))), "{text}");
        }
    }
}
