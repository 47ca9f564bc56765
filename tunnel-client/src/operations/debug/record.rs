//! What is known of one bundle, as it lies beside the archive.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use tunnel_certs::crypto::sha256;
use tunnel_protos::{
    OperatorName, RequestId,
    operations::v1::{Bundle, BundleFile},
};

use super::Collecting;

/// What is known of a bundle.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    id: String,
    operator: String,
    made_ms: i64,
    digest: String,
    bytes: u64,
    files: Vec<RecordedFile>,
    released: Option<Released>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RecordedFile {
    path: String,
    bytes: u64,
    digest: String,
    collector: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Released {
    by: String,
    ms: i64,
}

impl Record {
    pub(super) fn new(
        wanted: &Collecting,
        made_ms: i64,
        files: Vec<BundleFile>,
        archive: &[u8],
        released: bool,
    ) -> Self {
        let file = |file: BundleFile| RecordedFile {
            path: file.path,
            bytes: file.bytes,
            digest: HEXLOWER.encode(&file.digest),
            collector: file.collector,
        };
        Self {
            id: wanted.id.to_string(),
            operator: wanted.operator.to_string(),
            made_ms,
            digest: HEXLOWER.encode(&sha256(archive)),
            bytes: archive.len() as u64,
            files: files.into_iter().map(file).collect(),
            released: released.then(|| Released { by: "policy".to_owned(), ms: made_ms }),
        }
    }

    pub(super) fn bundle(&self) -> Bundle {
        let file = |file: &RecordedFile| BundleFile {
            path: file.path.clone(),
            bytes: file.bytes,
            digest: bytes_of(&file.digest).to_vec(),
            collector: file.collector.clone(),
        };
        Bundle {
            digest: self.digest().to_vec(),
            bytes: self.bytes,
            files: self.files.iter().map(file).collect(),
            released: self.released.is_some(),
            released_by: self.released.as_ref().map(|released| released.by.clone()).unwrap_or_default(),
            released_ms: self.released.as_ref().map(|released| released.ms).unwrap_or_default(),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn operator(&self) -> &str {
        &self.operator
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        bytes_of(&self.digest)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// As it is once this person let it go.
    pub(super) fn let_go(self, by: String, ms: i64) -> Self {
        Self { released: Some(Released { by, ms }), ..self }
    }

    /// As if nobody had let it go.
    pub(super) fn hold(&mut self) {
        self.released = None;
    }

    pub(super) fn is_released(&self) -> bool {
        self.released.is_some()
    }

    pub(super) fn made_ms(&self) -> i64 {
        self.made_ms
    }

    pub(super) fn names(&self) -> Option<(RequestId, OperatorName)> {
        Some((self.id.parse().ok()?, self.operator.parse().ok()?))
    }
}

/// Zeros are the digest of nothing.
fn bytes_of(hex: &str) -> [u8; 32] {
    HEXLOWER.decode(hex.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
}
