//! A full disk: nothing that mutates passes unrecorded, and everything that tightens still works.

use std::{fs, io::Write as _, path::Path, process::Command};

use tonic::Code;
use tunnel_integration::{
    generated::admin::v1::{GetStatusRequest, ScaleRequest, admin_client::AdminClient},
    harness::{
        PATIENCE,
        customer::Customer,
        operator::access_to,
        skip::needs_root,
        wait::until,
        world::{Plan, World},
    },
};
use tunnel_protos::v1::RequestState;

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";
const SCALE: &str = "engine.admin.v1.Admin/Scale";
const RESTART: &str = "engine.admin.v1.Admin/Restart";

/// A small file system of its own for a client's state; taken away when dropped.
struct Disk<'f>(&'f Path);

impl<'f> Disk<'f> {
    /// None where the tests may not mount.
    fn mount(folder: &'f Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs"]).arg(folder);
        mount.status().is_ok_and(|status| status.success()).then_some(Self(folder))
    }

    fn fill(&self) {
        let mut ballast = fs::File::create(self.0.join("ballast")).unwrap();
        while ballast.write_all(&[0; 4096]).is_ok() {}
        while ballast.write_all(&[0]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

async fn scale(admin: &mut AdminClient<tonic::transport::Channel>) -> Result<(), Code> {
    let asked = ScaleRequest { component: "storage".to_owned(), replicas: 3 };
    admin.scale(asked).await.map(drop).map_err(|status| status.code())
}

async fn becomes(what: &str, admin: &AdminClient<tonic::transport::Channel>, wanted: Result<(), Code>) {
    until(what, PATIENCE, || {
        let mut admin = admin.clone();
        async move {
            let answered = scale(&mut admin).await;
            if answered == wanted { Ok(()) } else { Err(format!("{answered:?}")) }
        }
    })
    .await
    .unwrap();
}

async fn pending(world: &World) -> String {
    let ada = world.operator("ada").unwrap();
    let submitted = ada.ask(&world.cluster(), access_to(&[RESTART]).unwrap()).await.unwrap();
    ada.outcome(&submitted, |outcome| outcome.state == RequestState::Pending).await.unwrap();
    submitted.request.id.to_string()
}

#[tokio::test]
async fn on_a_full_disk_nothing_mutates_and_deny_revoke_and_pause_still_work() {
    let plan = Plan::new().unwrap();
    let folder = plan.client.folder.join("state");
    let Some(disk) = Disk::mount(&folder) else { return needs_root("mount a small disk") };
    let world = plan.start().await.unwrap();
    let customer = Customer::new(&world.client_settings.socket());
    let (pass, other) = (world.pass(&[STATUS, SCALE]).await.unwrap(), world.pass(&[STATUS]).await.unwrap());
    let mut admin = AdminClient::new(pass.channel().unwrap());
    scale(&mut admin).await.unwrap();
    let id = pending(&world).await;

    disk.fill();
    becomes("nothing mutates", &admin, Err(Code::Unavailable)).await;
    admin.get_status(GetStatusRequest {}).await.expect("reads go on");
    let denied = customer.run(&["deny", &id, "--yes"]).await.unwrap();
    assert_eq!(denied.code, Some(0), "{denied:?}");
    let revoked = customer.run(&["revoke", &other.grant.to_string()]).await.unwrap();
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    let mut gone = AdminClient::new(other.channel().unwrap());
    assert_eq!(gone.get_status(GetStatusRequest {}).await.unwrap_err().code(), Code::Unauthenticated);
    let paused = customer.run(&["pause", "--note", "disk is full"]).await.unwrap();
    assert_eq!(paused.code, Some(0), "{paused:?}");
    let mut admin = AdminClient::new(pass.channel().unwrap());
    assert_eq!(admin.get_status(GetStatusRequest {}).await.unwrap_err().code(), Code::FailedPrecondition);

    disk.free();
    until("the pause is stored", PATIENCE, || async {
        let pause = world.approver().status().await?.pause.unwrap_or_default();
        anyhow::ensure!(pause.stored, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    let shown = customer.ask(&["show", &id]).await.unwrap();
    assert_eq!(shown["state"], "denied");
}
