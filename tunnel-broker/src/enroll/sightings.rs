//! Who had a tunnel lately, gathered in memory and written in batches, so that attaching never waits for SQL.

use std::collections::HashMap;

use parking_lot::Mutex;
use tunnel_protos::{Label, ReplicaId, UnixMillis};

use super::Enroll;
use crate::store::{StoreError, replicas::Sighting};

/// What is not written yet.
#[derive(Debug, Default)]
pub(super) struct Sightings(Mutex<HashMap<(Label, ReplicaId), Sighting>>);

impl Sightings {
    fn add(&self, sighting: Sighting) {
        let mut gathered = self.0.lock();
        if gathered.len() < MOST || gathered.contains_key(&sighting.replica) {
            gathered.insert(sighting.replica.clone(), sighting);
        }
    }

    fn take(&self) -> Vec<Sighting> {
        std::mem::take(&mut *self.0.lock()).into_values().collect()
    }

    /// What could not be written is tried again, unless something newer came.
    fn put_back(&self, sightings: &[Sighting]) {
        let mut gathered = self.0.lock();
        for sighting in sightings {
            gathered.entry(sighting.replica.clone()).or_insert_with(|| sighting.clone());
        }
    }
}

impl Enroll {
    /// Notes that a replica has a tunnel, with a certificate that ends at `not_after`.
    pub(crate) fn note_seen(
        &self,
        label: Label,
        replica: &ReplicaId,
        not_after: UnixMillis,
        now: UnixMillis,
    ) {
        self.sightings.add(Sighting { replica: (label, replica.clone()), not_after, at: now });
    }

    /// Writes what was noted.
    pub(super) async fn write_sightings(&self) -> Result<(), StoreError> {
        let sightings = self.sightings.take();
        for batch in sightings.chunks(BATCH) {
            if let Err(error) = self.store.note_seen(batch).await {
                self.sightings.put_back(&sightings);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// As many as there may be tunnels.
const MOST: usize = 100_000;
/// A few milliseconds of the one writer.
const BATCH: usize = 500;
