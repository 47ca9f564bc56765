//! Bundles that are of no use any more: too old, or used by somebody else.

use std::time::Duration;

use tunnel_integration::harness::{PATIENCE, wait::until};

use super::lab::Lab;

#[tokio::test]
async fn an_expired_bundle_says_so_and_another_in_its_place_goes_on_by_itself() {
    let lab = Lab::start().await;
    let (old, token) = lab.invites("old.bundle", &["--expires", "1s"]).await;
    until("the broker says that it is expired", PATIENCE, || async {
        let listed = lab.types(&["enroll", "list"]).await;
        anyhow::ensure!(listed["brokerSays"]["state"] == "expired", "{listed}");
        Ok(())
    })
    .await
    .unwrap();
    let site = lab.site("customer", &old);
    site.becomes("failed").await;
    let said = site.status().await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let view = site.view().await.unwrap();
    let tells = |key: &str, text: &str| view[key].as_str().unwrap().contains(text);
    assert!(tells("lastError", "expired") && tells("next", "tunnelctl enroll create"), "{view}");
    // Without being told the label: the state folder takes no other.
    let (new, again) = lab.invites("new.bundle", &[]).await;
    assert_eq!(again["label"], token["label"]);
    std::fs::copy(new, site.settings.bundle.as_ref().unwrap()).unwrap();
    lab.enrolls(&site).await;
    lab.is_called().await;
}

#[tokio::test]
async fn a_token_that_another_key_used_is_refused_and_the_way_back_needs_no_new_label() {
    let lab = Lab::start().await;
    let (bundle, token) = lab.invites("acme.bundle", &[]).await;
    let thief = lab.site("thief", &bundle);
    let stolen = thief.registered().await;
    let site = lab.site("customer", &bundle);
    site.becomes("failed").await;
    let said = site.status().await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stdout.contains("used before, by other keys"), "{said:?}");
    // The customer reads words out that are not those of what was registered.
    let own = site.view().await.unwrap()["registrationWords"].as_str().unwrap().to_owned();
    assert_ne!(own, stolen);
    let refused = lab.confirm(&own).await;
    assert!(refused.code != Some(0) && refused.stderr.contains("the words differ"), "{refused:?}");
    lab.types(&["enroll", "revoke", token["token"].as_str().unwrap()]).await;
    let came = lab.types(&["replicas"]).await;
    assert!(came["cluster"].is_null() && came["brokerSays"]["connected"] == true, "{came}");
    let (label, replica) = (token["label"].as_str().unwrap(), came["replica"].as_str().unwrap());
    let ban = ["ban", "--label", label, "--replica", replica, "--reason", "redeemed by somebody else"];
    lab.types(&ban).await;
    until("the thief has no tunnel", Duration::from_secs(1), || async {
        let left = lab.types(&["replicas"]).await;
        anyhow::ensure!(left["brokerSays"]["connected"] == false, "{left}");
        Ok(())
    })
    .await
    .unwrap();
    let (again, other) = lab.invites("again.bundle", &[]).await;
    assert_eq!(other["label"], token["label"]);
    std::fs::copy(again, site.settings.bundle.as_ref().unwrap()).unwrap();
    lab.enrolls(&site).await;
    lab.is_called().await;
    assert_eq!(thief.view().await.unwrap()["state"], "registered", "and takes no request");
}
