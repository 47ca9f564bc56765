//! A broker that was restored from an older backup: it has forgotten, and everybody else has not.

use std::{fs, path::Path};

use tunnel_integration::harness::{
    PATIENCE,
    command::{ended, run},
    wait::until,
};

use super::lab::Lab;

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}

impl Lab {
    async fn back_up(&mut self) {
        self.broker.stop(PATIENCE).await.unwrap();
        copy(&self.broker_settings.state, &self.path("backup"));
        self.start_broker().await;
    }

    async fn restore(&mut self) {
        self.broker.stop(PATIENCE).await.unwrap();
        copy(&self.path("backup"), &self.broker_settings.state);
        self.start_broker().await;
    }

    async fn publishes_again(&self) {
        let mut renew = self.desk.command(&["inventory", "renew", "acme/prod"]).unwrap();
        renew.arg("--vendor-key").arg(self.vendor.private_key_file().unwrap());
        run(renew).await.unwrap();
    }
}

#[tokio::test]
async fn an_entry_and_a_ban_that_the_broker_forgot_are_given_again() {
    let mut lab = Lab::start().await;
    let (bundle, _) = lab.invites("acme.bundle", &[]).await;
    let site = lab.site("customer", &bundle);
    site.registered().await;
    lab.back_up().await;
    lab.enrolls(&site).await;
    lab.is_called().await;
    lab.types(&["ban", "acme/prod", "--reason", "a test"]).await;
    lab.restore().await;
    // The customer knows its entry, and the administrator's machine knows what it signed last.
    site.becomes("enrolled").await;
    lab.publishes_again().await;
    lab.is_called().await;
    lab.types(&["ban", "acme/prod", "--reason", "once more"]).await;
    until("no tunnel is left", PATIENCE, || async {
        let replicas = lab.types(&["replicas"]).await;
        anyhow::ensure!(!replicas.to_string().contains("\"connected\":true"), "{replicas}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_redemption_that_the_broker_forgot_is_made_good_by_another_bundle() {
    let mut lab = Lab::start().await;
    let (bundle, token) = lab.invites("acme.bundle", &[]).await;
    lab.back_up().await;
    let mut site = lab.site("customer", &bundle);
    let words = site.registered().await;
    lab.restore().await;
    let refused = lab.confirm(&words).await;
    assert!(refused.code != Some(0) && refused.stderr.contains("nobody has redeemed"), "{refused:?}");
    // The bundle is open again for whoever has it; the state folder is begun anew.
    site.client.stop(PATIENCE).await.unwrap();
    fs::remove_dir_all(site.settings.folder.join("state")).unwrap();
    site.restarts();
    lab.enrolls(&site).await;
    lab.is_called().await;
    let listed = lab.types(&["enroll", "show", token["token"].as_str().unwrap()]).await;
    assert_eq!(listed["brokerSays"]["state"], "confirmed", "{listed}");
}

#[tokio::test]
async fn a_mesh_ca_that_the_broker_forgot_is_named_beside_the_one_that_it_has() {
    let mut lab = Lab::start().await;
    let (bundle, _) = lab.invites("acme.bundle", &[]).await;
    let site = lab.site("customer", &bundle);
    lab.enrolls(&site).await;
    lab.back_up().await;
    lab.is_called().await;
    let rotated = lab.certs(&["rotate", "mesh", "--poll", "100ms"]).await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let newest = lab.path("newest.pb");
    lab.types(&["trust", "show", "--out", &newest.display().to_string()]).await;
    lab.restore().await;
    // The administrator's machine remembers what it published, and the customer what it took.
    let told = ended(lab.desk.command(&["trust", "show"]).unwrap()).await.unwrap();
    assert!(told.code == Some(1) && told.stderr.contains("this machine has seen 3"), "{told:?}");
    let again = ["trust", "publish", &newest.display().to_string()];
    let refused = ended(lab.desk.command(&again).unwrap()).await.unwrap();
    assert!(refused.code == Some(1) && refused.stderr.contains("name its mesh CA in it, too"), "{refused:?}");
    let next = lab.path("next.pb");
    let mut made = lab.desk.program("tunnel-certs", &["statement", "trust-bundle", "--from"]).unwrap();
    made.arg(&newest).arg("--add-mesh-root").arg(lab.vendor.mesh_ca_files().unwrap().certificate);
    made.arg("--key").arg(lab.vendor.private_key_file().unwrap()).arg("--out").arg(&next);
    run(made).await.unwrap();
    let next = next.display().to_string();
    lab.types(&["trust", "publish", &next]).await;
    site.customer.ask(&["roots", "import", &next]).await.unwrap();
    lab.is_called().await;
}
