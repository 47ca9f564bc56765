//! The administrators' roll-overs at a real broker when they do not go straight: taken back, with somebody away, and
//! those of keys that no job walks.

use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;
use tunnel_integration::harness::{
    PATIENCE,
    command::{ended, run},
    program::Program,
    wait::until,
};

use super::lab::{Lab, STATUS, Site};

async fn enrolled() -> (Lab, Site) {
    let lab = Lab::start().await;
    let (bundle, _) = lab.invites("acme.bundle", &[]).await;
    let site = lab.site("customer", &bundle);
    lab.enrolls(&site).await;
    lab.is_called().await;
    (lab, site)
}

impl Lab {
    /// The same as [`Lab::certs`], which must succeed.
    async fn done(&self, words: &[&str]) -> String {
        let ended = self.certs(words).await;
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
        format!("{}{}", ended.stdout, ended.stderr)
    }

    async fn rotation(&self) -> Value {
        let words = ["rotate", "status", "--output", "json"];
        let printed = run(self.desk.program("tunnel-certs", &words).unwrap()).await.unwrap();
        serde_json::from_str(printed.trim()).unwrap()
    }
}

impl Site {
    /// Waits until it has this trust bundle.
    async fn trusts(&self, sequence: &Value) {
        until(&format!("it has trust bundle {sequence}"), PATIENCE, || async {
            let roots = self.customer.ask(&["roots", "list"]).await?;
            ensure!(roots["sequence"] == *sequence, "{roots}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_rotation_is_taken_back_from_where_it_was_killed_and_calls_go_on() {
    let (lab, mut site) = enrolled().await;
    let before = lab.rotation().await;
    let mut job = lab.desk.program("tunnel-certs", &["rotate", "mesh", "--poll", "100ms"]).unwrap();
    job.arg("--vendor-key").arg(lab.vendor.private_key_file().unwrap());
    let mut job = Program::start("rotation", job, &lab.path("rotation.log")).unwrap();
    let reached = |output: &str| output.contains("phase update-replicas").then_some(());
    job.says("that replicas are being certified anew", PATIENCE, reached).await.unwrap();
    job.kill().await.unwrap();
    lab.is_called().await;
    lab.done(&["rotate", "rollback", "--poll", "100ms", "--wait", "30s"]).await;
    let after = lab.rotation().await;
    assert_eq!((&after["phase"], &after["meshCas"]), (&"standby".into(), &before["meshCas"]), "{after}");
    site.trusts(&after["sequence"]).await;
    lab.is_called().await;
    // A start finds a certificate of the CA that stayed.
    site.client.stop(PATIENCE).await.unwrap();
    site.restarts();
    lab.is_called().await;
}

#[tokio::test]
async fn who_is_away_is_named_and_passed_on_the_administrators_word_and_comes_back_by_itself() {
    let (mut lab, mut site) = enrolled().await;
    let replica = lab.types(&["replicas"]).await["replica"].as_str().unwrap().to_owned();
    site.client.stop(PATIENCE).await.unwrap();
    let rotate = ["rotate", "mesh", "--poll", "100ms", "--wait", "2s"];
    let waiting = lab.certs(&rotate).await;
    let absent = format!("acme/prod/{replica}");
    assert!(waiting.code == Some(4) && waiting.stderr.contains(&format!("{absent} (away")), "{waiting:?}");
    let said = lab.done(&[&rotate[..], &["--pass-absent", &absent]].concat()).await;
    assert!(said.contains("were passed") && said.contains(&absent), "{said}");
    assert_eq!(lab.rotation().await["meshCas"].as_array().unwrap().len(), 1);
    // It knows nothing of the only CA that is left, and its certificate, by the old one, has ended meanwhile.
    let day = 25 * Duration::from_secs(3600);
    lab.broker.stop(PATIENCE).await.unwrap();
    let entry = lab.sets_ahead(day).await;
    site.client = site.settings.spawn(&entry).unwrap();
    lab.is_called_by_the_desk().await;
    site.becomes("enrolled").await;
}

#[tokio::test]
async fn a_vendor_key_replaces_another_without_a_file_by_hand_at_customers() {
    let (lab, site) = enrolled().await;
    let (old, new) = (lab.vendor.private_key_file().unwrap(), lab.path("new.key"));
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let (old_public, new_public) = (lab.vendor.key_file(), lab.path("new.pub"));
    let mut made = lab.desk.program("tunnel-certs", &["key", "vendor", "--plain", "--out"]).unwrap();
    run({
        made.arg(&new);
        made
    })
    .await
    .unwrap();
    lab.done(&["rotate", "vendor-key", "--add", &new_public.display().to_string()]).await;
    site.trusts(&lab.rotation().await["sequence"]).await;
    // Operators pin both, entries and trust bundle are signed by the next one, then the old one goes.
    let identity = lab.vendor.operator(&"adam".parse().unwrap()).unwrap();
    let mut login = lab.desk.command(&["login", "--suffix", lab.vendor.suffix().as_str()]).unwrap();
    login.arg("--certificate").arg(&identity.certificate).arg("--key").arg(&identity.key);
    login.arg("--vendor-key").arg(&old_public).arg("--vendor-key").arg(&new_public);
    login.arg("--api-ca").arg(lab.vendor.api_ca_file());
    let broker = lab.broker_settings.listen.tcp.to_string();
    login.args(["--api", &broker, "--connect-address", &broker]);
    run(login).await.unwrap();
    let remove = ["rotate", "vendor-key", "--remove"];
    let signed_by = |key: &std::path::Path, more: Vec<String>| {
        let mut command = lab.desk.program("tunnel-certs", &remove).unwrap();
        command.arg(&old_public).arg("--vendor-key").arg(key).args(more);
        command
    };
    let early = ended(signed_by(&new, words(&[]))).await.unwrap();
    assert!(early.code != Some(0) && early.stderr.contains("acme/prod"), "{early:?}");
    let mut renew = lab.desk.command(&["inventory", "renew", "acme/prod", "--vendor-key"]).unwrap();
    renew.arg(&new);
    run(renew).await.unwrap();
    run(signed_by(&new, words(&[]))).await.unwrap();
    site.trusts(&lab.rotation().await["sequence"]).await;
    // The old one counts no more, at the broker and at the customer.
    let refused = lab.certs(&["rotate", "renew"]).await;
    assert_ne!(refused.code, Some(0), "{}: {refused:?}", old.display());
    lab.desk.connect("acme/prod", &[STATUS]).await.unwrap();
}

#[tokio::test]
async fn release_keys_reach_the_customer_with_their_threshold() {
    let (lab, site) = enrolled().await;
    let key = lab.path("release.key");
    let mut made = lab.desk.program("tunnel-certs", &["key", "release", "--out"]).unwrap();
    made.arg(&key);
    run(made).await.unwrap();
    let public = lab.path("release.pub").display().to_string();
    lab.done(&["rotate", "release-keys", "--add", &public, "--threshold", "3"]).await;
    site.trusts(&lab.rotation().await["sequence"]).await;
    let shown = lab.types(&["trust", "show"]).await;
    assert_eq!(shown["releaseThreshold"], 3, "{shown}");
    // More than there are would sign no release ever.
    let refused = lab.certs(&["rotate", "release-keys", "--threshold", "9"]).await;
    assert_ne!(refused.code, Some(0), "{refused:?}");
}
