//! A replica that was away until its mesh certificate had run out; the clocks of all programs are set ahead for it.

use std::{fs, time::Duration};

use anyhow::ensure;
use tunnel_integration::harness::{PATIENCE, wait::until};

use super::lab::{Lab, Site};

const HOUR: Duration = Duration::from_secs(3600);

/// An enrolled cluster whose client was stopped, and is started again so much later.
async fn back_after(time: Duration) -> (Lab, Site) {
    let mut lab = Lab::start().await;
    let (bundle, _) = lab.invites("acme.bundle", &[]).await;
    let mut site = lab.site("customer", &bundle);
    lab.enrolls(&site).await;
    lab.is_called().await;
    site.client.stop(PATIENCE).await.unwrap();
    // Nothing but the key that it has proves it.
    fs::remove_file(site.settings.bundle.as_ref().unwrap()).unwrap();
    lab.broker.stop(PATIENCE).await.unwrap();
    let entry = lab.sets_ahead(time).await;
    site.client = site.settings.spawn(&entry).unwrap();
    (lab, site)
}

#[tokio::test]
async fn a_day_later_it_proves_its_key_and_is_back_by_itself() {
    let (lab, site) = back_after(25 * HOUR).await;
    lab.is_called_by_the_desk().await;
    site.becomes("enrolled").await;
    assert!(lab.broker.output().contains("Certificate reissued"), "{}", lab.broker.output());
}

#[tokio::test]
async fn after_more_than_thirty_days_it_says_so_and_another_bundle_brings_it_back() {
    let (lab, site) = back_after(32 * 24 * HOUR).await;
    until("it says what is wrong", PATIENCE, || async {
        let view = site.view().await?;
        let said = |key: &str, text: &str| view[key].as_str().unwrap_or_default().contains(text);
        ensure!(said("lastError", "ended more than 30 days ago") && said("next", "enroll create"), "{view}");
        Ok(())
    })
    .await
    .unwrap();
    let (another, _) = lab.invites("another.bundle", &[]).await;
    fs::copy(another, site.settings.bundle.as_ref().unwrap()).unwrap();
    // The keys are those that were confirmed.
    lab.is_called_by_the_desk().await;
}
