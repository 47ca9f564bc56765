//! Tells tunnels that there may be something to push, and counts who has acknowledged the rotation.
//! Each tunnel looks for itself what it is. Invariant: what changed for all reaches all, in small groups, so that nothing is encoded for everybody at once.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tracing::warn;
use tunnel_certs::statement::envelope::{self, PayloadType};
use tunnel_protos::{
    Label,
    operators::{GetRotationRequest, ReplicaRotation},
    v1::{RotationAcknowledgement, RotationPhase},
};
use tunnel_runtime::{chain, drain};

use super::Tunnels;
use crate::{clock, enroll::AdminError, metrics, trust::changed};

impl Tunnels {
    /// Follows trust bundle, entries and rotation until drained.
    pub(crate) async fn herald(self: Arc<Self>, drain: drain::Watch) {
        let around = &self.around;
        let mut trust = around.trust.bundles().follow();
        let (mut phase, mut entries) = (around.enroll.phases(), around.inventory.subscribe());
        // A change between two looks is told by the second.
        let mut known = around.inventory.entries();
        loop {
            tokio::select! {
                () = changed(&mut trust) => self.nudge_all().await,
                () = changed(&mut phase) => self.nudge_all().await,
                () = changed(&mut entries) => {
                    let now = Arc::clone(&entries.borrow_and_update());
                    now.changed_since(&known).for_each(|label| self.nudge(label));
                    known = now;
                }
                () = drain.draining() => return,
            }
        }
    }

    /// Keeps the gauges of the rotation until drained.
    pub(crate) async fn watch_rotation(self: Arc<Self>, drain: drain::Watch) {
        let mut phases = self.around.enroll.phases();
        loop {
            let phase = *phases.borrow_and_update();
            let unacknowledged = match phase {
                RotationPhase::Standby | RotationPhase::Unspecified => Some(0),
                _ => self.unacknowledged(phase).await,
            };
            metrics::rotation(phase, unacknowledged);
            tokio::select! {
                () = sleep(COUNT) => {}
                () = changed(&mut phases) => {}
                () = drain.draining() => return,
            }
        }
    }

    async fn unacknowledged(&self, phase: RotationPhase) -> Option<usize> {
        let sequence = self.around.trust.bundles().current().bundle.sequence;
        let (mut count, mut ask) = (0, GetRotationRequest::default());
        loop {
            let page = self.around.enroll.acknowledgements(&ask, clock::now()).await;
            let (replicas, page_token) = counted(page)?;
            count += replicas.iter().filter(|replica| !is_through(replica, phase, sequence)).count();
            if page_token.is_empty() {
                return Some(count);
            }
            ask.page_token = page_token;
        }
    }

    fn nudge(&self, label: Label) {
        self.registry.lock().of(label, None).for_each(|live| live.nudge.notify_one());
    }

    async fn nudge_all(&self) {
        let all: Vec<_> = self.registry.lock().tunnels().map(|live| Arc::clone(&live.nudge)).collect();
        for group in all.chunks(GROUP) {
            group.iter().for_each(|nudge| nudge.notify_one());
            sleep(PAUSE).await;
        }
    }
}

/// None if they are not known.
fn counted<T>(page: Result<T, AdminError>) -> Option<T> {
    page.inspect_err(|error| warn!(error = %chain(error), "Acknowledgements of the rotation not counted"))
        .ok()
}

/// What it says was checked before it was kept.
fn is_through(replica: &ReplicaRotation, phase: RotationPhase, sequence: u64) -> bool {
    let said = replica.acknowledgement.as_ref();
    let said =
        said.and_then(|said| envelope::payload::<RotationAcknowledgement>(said, PayloadType::Ack).ok());
    said.is_some_and(|said| said.phase() == phase && said.sequence >= sequence)
}

/// 10,000 a second: 40 MB/s of trust bundles.
const GROUP: usize = 500;
const PAUSE: Duration = Duration::from_millis(50);
/// A rotation takes minutes at least.
const COUNT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use metrics_util::{
        CompositeKey,
        debugging::{DebugValue, DebuggingRecorder},
    };
    use tunnel_certs::{
        key::{Algorithm, SigningKey},
        statement::ack::Acknowledgement,
    };

    use super::*;
    use crate::store::StoreError;

    fn replica(said: Option<(RotationPhase, u64)>) -> ReplicaRotation {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let acknowledgement = said.map(|(phase, sequence)| {
            let (label, replica) = ("k3v7aaaaaa".parse().unwrap(), "r0".parse().unwrap());
            Acknowledgement { label, replica, phase, sequence }.make(&key).unwrap()
        });
        ReplicaRotation { acknowledgement, ..Default::default() }
    }

    #[test]
    fn a_replica_is_through_with_exactly_this_phase_under_this_bundle_or_a_later_one() {
        let through = |said| is_through(&replica(said), RotationPhase::UpdateReplicas, 7);
        assert!(through(Some((RotationPhase::UpdateReplicas, 7))));
        assert!(through(Some((RotationPhase::UpdateReplicas, 8))));
        assert!(!through(Some((RotationPhase::UpdateReplicas, 6))));
        assert!(!through(Some((RotationPhase::Init, 7))));
        assert!(!through(None));
    }

    #[test]
    fn what_the_database_does_not_say_is_not_counted_as_nobody() {
        assert_eq!(counted::<()>(Err(AdminError::Store(StoreError::Deadline))), None);
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        ::metrics::with_local_recorder(&recorder, || metrics::rotation(RotationPhase::Init, None));
        let shown = |(key, _, _, value): (CompositeKey, _, _, _)| match value {
            DebugValue::Gauge(value) if key.key().name().contains("unacknowledged") => Some(value.0),
            _ => None,
        };
        let gauges: Vec<_> = snapshotter.snapshot().into_vec().into_iter().filter_map(shown).collect();
        assert!(matches!(gauges[..], [value] if value.is_nan()), "{gauges:?}");
    }
}
