//! The roll-overs, one after the other, by the commands that a vendor and a customer would give.

use anyhow::{Context, Result, ensure};
use prost::Message;
use tunnel_certs::statement::registration;
use tunnel_protos::{
    approvers::{RotateAccessCaRequest, RotateKeysRequest},
    operators::{GetRegistrationRequest, get_registration_request::Of},
};

use super::{STEP, fleet::Fleet};
use crate::harness::{PATIENCE, calls::STATUS, command::run, program::Program, wait::until};

/// The mesh CA by the real job, with `offline` replicas away for its first part.
pub(super) async fn mesh(fleet: &mut Fleet, offline: usize, told: impl Fn(&str)) -> Result<()> {
    let all = fleet.members.len();
    for member in fleet.members.iter_mut().rev().take(offline) {
        member.stop().await?;
    }
    told(&format!("{offline} of {all} replicas are offline"));
    let mut job = job(fleet)?;
    let waited_for = format!("{} of {all}", all - offline);
    let acknowledged = |output: &str| output.contains(&waited_for).then_some(());
    job.says("that all but the absent have acknowledged", STEP, acknowledged).await?;
    told("all but the absent have acknowledged; they come back");
    for member in fleet.members.iter_mut().rev().take(offline) {
        member.start().await?;
    }
    let status = job.ended(STEP * 2).await?;
    ensure!(status.success(), "the job ended with {status}:\n{}", job.output());
    fleet.everybody_is_back().await
}

fn job(fleet: &Fleet) -> Result<Program> {
    let mut command =
        fleet.desk.program("tunnel-certs", &["rotate", "mesh", "--poll", "1s", "--wait", "6m"])?;
    command.arg("--vendor-key").arg(fleet.vendor.private_key_file()?);
    Program::start("rotation", command, &fleet.desk.folder().join("rotation.log"))
}

/// The access CA of every cluster.
pub(super) async fn access_cas(fleet: &Fleet) -> Result<()> {
    let eve = fleet.operator("eve")?;
    fleet
        .each(async |member| {
            let request = RotateAccessCaRequest { if_due: false };
            let view = member.approver().membership().rotate_access_ca(request).await?.into_inner();
            ensure!(view.rotated && view.previous_fingerprint != view.current_fingerprint, "{view:?}");
            // A certificate of the new one opens the door, beside those of the old one.
            member.is_called(&eve).await
        })
        .await
}

/// A new operator CA beside the old one.
pub(super) async fn operator_ca(fleet: &mut Fleet) -> Result<()> {
    let added = fleet.vendor.next_operator_ca()?;
    let mut command = fleet.desk.program("tunnel-certs", &["rotate", "operator-ca", "--add"])?;
    command.arg(added).arg("--vendor-key").arg(fleet.vendor.private_key_file()?);
    run(command).await?;
    // From now on identities are of the new one; those of before go on.
    let member = fleet.members.first().context("nobody enrolled")?;
    until("an identity of the new operator CA is taken", PATIENCE, || async {
        fleet.operator("ida")?.pass(&member.cluster, &[STATUS]).await.map(drop)
    })
    .await
}

/// Cluster and sealing key of every cluster, confirmed by both sides.
pub(super) async fn cluster_keys(fleet: &Fleet) -> Result<()> {
    let (administrator, ivy) = (fleet.administrator()?, fleet.operator("ivy")?);
    fleet
        .each(async |member| {
            let view = member.approver().membership().rotate_keys(RotateKeysRequest {}).await?.into_inner();
            let opened = until("the new registration arrives", STEP, || async {
                let of = Some(Of::Label(member.label.to_string()));
                let request = GetRegistrationRequest { of };
                let reply = administrator.api().get_registration(request).await?.into_inner();
                let envelope = reply.registration.context("none yet")?;
                let opened = registration::open(&envelope.encode_to_vec())?;
                ensure!(opened.words.to_string() == view.registration_words, "not the newest");
                Ok::<_, anyhow::Error>(opened)
            })
            .await?;
            let entry = administrator.confirm(&member.cluster, &opened, 2).await?;
            member.confirm(&fleet.approver, entry).await?;
            member.is_called(&ivy).await
        })
        .await
}
