//! The customer's people are told when an enrollment waits for them; words never travel that way.

use serde_json::Value;

use super::lab::Lab;
use crate::approvals::webhook::{Message, Receiver};

fn event(message: &Message) -> Value {
    assert!(message.is_signed(), "{}", message.head);
    serde_json::from_slice(&message.body).unwrap()
}

#[tokio::test]
async fn an_enrollment_that_waits_for_people_is_told_without_its_words() {
    let (lab, receiver) = (Lab::start().await, Receiver::bind().await);
    let (bundle, _) = lab.invites("acme.bundle", &[]).await;
    let mut settings = lab.settings("customer", &bundle);
    settings.more = receiver.yaml(&settings.folder);
    let site = lab.start_site(settings);
    let words = site.registered().await;
    let first = receiver.next("503 Service Unavailable").await;
    let second = receiver.next("200 OK").await;
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    let registered = event(&second);
    assert_eq!(registered["type"], "dev.postern.enrollment.registered.v1", "{registered:#}");
    assert_eq!(registered["data"]["cluster"], "acme/prod");
    let confirmed = lab.confirm(&words).await;
    let said: Value = serde_json::from_str(&confirmed.stdout).unwrap();
    let entry = said["words"].as_str().unwrap();
    let waits = event(&receiver.next("200 OK").await);
    assert_eq!(waits["type"], "dev.postern.enrollment.entry-waits.v1", "{waits:#}");
    for (event, words) in [(&registered, words.as_str()), (&waits, entry)] {
        assert!(!event.to_string().contains(words), "{event:#}");
    }
    site.confirms(entry).await;
    site.becomes("enrolled").await;
}
