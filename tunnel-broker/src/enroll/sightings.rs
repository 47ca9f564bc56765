//! Who had a tunnel lately, gathered in memory and written in batches, so that attaching never waits for SQL.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tunnel_protos::{Label, ReplicaId, UnixMillis};

use super::Enroll;
use crate::store::{StoreError, replicas::Sighting};

/// What is not written yet.
#[derive(Debug)]
pub(super) struct Sightings {
    gathered: Mutex<HashMap<(Label, ReplicaId), Sighting>>,
    /// One writer at a time: whoever reads what was written waits for who writes it.
    turn: Semaphore,
}

impl Default for Sightings {
    fn default() -> Self {
        Self { gathered: Mutex::default(), turn: Semaphore::new(1) }
    }
}

impl Sightings {
    fn add(&self, sighting: Sighting) {
        let mut gathered = self.gathered.lock();
        if gathered.len() < MOST || gathered.contains_key(&sighting.replica) {
            gathered.insert(sighting.replica.clone(), sighting);
        }
    }

    fn all(&self) -> Vec<Sighting> {
        self.gathered.lock().values().cloned().collect()
    }

    /// Forgets what is written, unless something newer came.
    fn written(&self, sightings: &[Sighting]) {
        let mut gathered = self.gathered.lock();
        for sighting in sightings {
            if gathered.get(&sighting.replica) == Some(sighting) {
                gathered.remove(&sighting.replica);
            }
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

    /// Writes what was noted. Nothing of it is lost on cancel or failure.
    pub(super) async fn write_sightings(&self) -> Result<(), StoreError> {
        let _turn = self.sightings.turn.acquire().await.expect("it is never closed");
        for batch in self.sightings.all().chunks(BATCH) {
            self.store.note_seen(batch).await?;
            self.sightings.written(batch);
        }
        Ok(())
    }
}

/// As many as there may be tunnels.
const MOST: usize = 100_000;
/// A few milliseconds of the one writer.
const BATCH: usize = 500;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tunnel_protos::operators::ListReplicasRequest;

    use super::*;
    use crate::enroll::testing::{Bench, DAY, NOW, label};

    fn note(bench: &Bench, n: usize, at: UnixMillis) {
        bench.enroll.note_seen(label('a'), &format!("r{n}").parse().unwrap(), NOW.plus(DAY), at);
    }

    async fn seen(bench: &Bench) -> Vec<i64> {
        let known = bench.enroll.store.replicas(None, ("", ""), u32::MAX).await.unwrap();
        known.iter().map(|replica| replica.last_seen.0).collect()
    }

    #[tokio::test]
    async fn nothing_is_lost_when_writing_is_cancelled() {
        let bench = Bench::new().await;
        note(&bench, 0, NOW);
        assert!(bench.enroll.write_sightings().now_or_never().is_none());
        bench.enroll.write_sightings().await.unwrap();
        assert_eq!(seen(&bench).await, [NOW.0]);
        assert!(bench.enroll.sightings.all().is_empty());
    }

    #[tokio::test]
    async fn whoever_reads_waits_for_who_writes() {
        let bench = Bench::new().await;
        let count = 2 * BATCH;
        (0..count).for_each(|n| note(&bench, n, NOW));
        let ask = ListReplicasRequest { page_size: 1_000, ..Default::default() };
        let (written, read) = tokio::join!(bench.enroll.write_sightings(), bench.enroll.replicas(&ask));
        assert!(written.is_ok());
        assert_eq!(read.unwrap().replicas.len(), count);
    }

    #[test]
    fn what_came_while_writing_is_kept() {
        let sightings = Sightings::default();
        let sighting = |at| {
            let replica = (label('a'), "r0".parse().unwrap());
            Sighting { replica, not_after: NOW.plus(DAY), at }
        };
        sightings.add(sighting(NOW));
        let writing = sightings.all();
        sightings.add(sighting(NOW.plus(DAY)));
        sightings.written(&writing);
        assert_eq!(sightings.all(), [sighting(NOW.plus(DAY))]);
    }
}
