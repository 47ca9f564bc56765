//! Reading archives as what was made, and only as much of them as is asked for: whoever goes on near the end of one does
//! not have all of it read and hashed again.
//!
//! Invariant: each byte that is given was proven, now, against the digest of the whole or that of its part.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tunnel_certs::crypto::sha256;

/// Digests of the parts of archives that were proven whole, by the digest of the whole; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Proofs(Arc<Mutex<BTreeMap<[u8; 32], Parts>>>);

/// The digest of each.
type Parts = Arc<[[u8; 32]]>;

impl Proofs {
    /// The archive at `path`, of so many bytes and this digest, from `offset` on; none if it is not what was made.
    pub(super) fn read(&self, path: &Path, bytes: u64, digest: [u8; 32], offset: u64) -> Option<Bytes> {
        let mut file = File::open(path).ok()?;
        let same = file.metadata().ok()?.len() == bytes;
        let known = self.0.lock().get(&digest).cloned();
        // All of it, unless its parts are known.
        let first = known.as_ref().map_or(0, |_| offset.min(bytes) / PART);
        file.seek(SeekFrom::Start(first * PART)).ok().filter(|_| same)?;
        let mut found = Vec::with_capacity(usize::try_from(bytes - first * PART).ok()?);
        file.take(bytes - first * PART).read_to_end(&mut found).ok()?;
        let parts = found.chunks(usize::try_from(PART).ok()?).map(sha256);
        match known {
            Some(known) => {
                let wanted = known.iter().skip(usize::try_from(first).ok()?).copied();
                parts.eq(wanted).then_some(())?;
            }
            None if sha256(&found) == digest => self.keep(digest, parts.collect()),
            None => return None,
        }
        Some(Bytes::from(found).slice(usize::try_from(offset.min(bytes) - first * PART).ok()?..))
    }

    fn keep(&self, digest: [u8; 32], parts: Parts) {
        let mut proofs = self.0.lock();
        if proofs.len() >= MOST {
            // Any of them: what is asked for again is proven again.
            proofs.pop_first();
        }
        proofs.insert(digest, parts);
    }
}

/// Bytes that are read and proven at once.
pub(super) const PART: u64 = 1 << 20;
/// As many as lie here, each of 2 KiB at most.
const MOST: usize = 64;
