//! The rotation of the mesh CA as administrators see and drive it. A phase is entered only if the certificates allow it,
//! by the same rules that the rotation job goes by.

use std::collections::BTreeSet;

use tunnel_certs::rotation::{CaId, Observed, check_enter};
use tunnel_protos::{
    OperatorName, UnixMillis,
    operators::{GetRotationRequest, RotationStatus},
    v1::RotationPhase,
};

use super::Admin;
use crate::operators::status::CallError;

impl Admin {
    pub(super) async fn set_phase(
        &self,
        to: RotationPhase,
        by: &OperatorName,
        now: UnixMillis,
    ) -> Result<RotationStatus, CallError> {
        let _turn = self.around().enroll.phase_turn().await;
        check_enter(&self.observed(now)?, to).map_err(CallError::Phase)?;
        self.around().enroll.set_phase(to, by, now).await.map_err(CallError::Admin)?;
        Ok(self.certificates(now))
    }

    /// Where the rotation is, with some of the replicas.
    pub(super) async fn rotation(
        &self,
        ask: &GetRotationRequest,
        now: UnixMillis,
    ) -> Result<RotationStatus, CallError> {
        let found = self.around().enroll.acknowledgements(ask, now).await;
        let (mut replicas, next_page_token) = found.map_err(CallError::Admin)?;
        for replica in &mut replicas {
            replica.connected = self.is_connected(&replica.label, &replica.replica);
        }
        Ok(RotationStatus { replicas, next_page_token, ..self.certificates(now) })
    }

    fn certificates(&self, now: UnixMillis) -> RotationStatus {
        let around = self.around();
        RotationStatus {
            phase: around.enroll.phase().into(),
            mesh_cas: around.enroll.mesh_cas().iter().map(|ca| ca.to_vec()).collect(),
            issuing: around.enroll.issuing(now).map(|ca| ca.to_vec()).unwrap_or_default(),
            broker_certificate: around.trust.own_now().credential.certificate().to_vec(),
            trust_sequence: around.trust.bundles().current().bundle.sequence,
            ..RotationStatus::default()
        }
    }

    /// What the certificates say; replicas are the job's to wait for.
    fn observed(&self, now: UnixMillis) -> Result<Observed, CallError> {
        let around = self.around();
        let (cas, bundle) = (around.enroll.mesh_cas(), &around.trust.bundles().current().bundle);
        let none =
            CallError::Missing("the keys of the mesh CAs are not at this broker; configure `enroll.meshCa`");
        let issuing = around.enroll.issuing(now).ok_or(none)?;
        Ok(Observed {
            phase: around.enroll.phase(),
            sequence: bundle.sequence,
            roots: bundle.mesh_roots.certificates().iter().map(|root| CaId::of(root)).collect(),
            issuing: CaId::of(&issuing),
            broker_issuer: CaId::issuer_of(around.trust.own_now().credential.certificate(), &cas),
            cas: cas.iter().map(|ca| CaId::of(ca)).collect(),
            replicas: Vec::new(),
            passed: BTreeSet::new(),
        })
    }
}
