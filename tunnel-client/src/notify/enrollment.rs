//! What an enrollment waits for, as a CloudEvent and as a chat message.
//!
//! Invariant: no words and nothing that they follow from. Words are compared because they come by other ways than this
//! one: people read them where the client runs, and hear them from the vendor's administrator.

use bytes::Bytes;
use serde_json::json;
use tunnel_certs::crypto;
use tunnel_protos::UnixMillis;

use super::message::{About, time};
use crate::enrollment::Awaited;

/// The same for each attempt to tell this, so that a receiver can tell repeats apart.
pub(super) fn id(awaited: &Awaited) -> String {
    let of = match awaited {
        Awaited::Registration(words) => words.to_string().into_bytes(),
        Awaited::Entry(digest) => digest.as_bytes().to_vec(),
    };
    // Words follow from a digest; from a part of a digest's digest nothing does.
    let part = &crypto::sha256(&crypto::sha256(&of))[..8];
    format!("enrollment-{}-{}", state(awaited), data_encoding::HEXLOWER.encode(part))
}

/// The whole event.
pub(super) fn event(awaited: &Awaited, about: &About, now: UnixMillis) -> Bytes {
    let event = json!({
        "specversion": "1.0",
        "id": id(awaited),
        "source": format!("postern://{}/enrollment", about.label),
        "type": format!("dev.postern.enrollment.{}.v1", state(awaited)),
        "subject": about.label.to_string(),
        "time": time(now.0),
        "datacontenttype": "application/json",
        "data": {
            "cluster": about.cluster.as_str(),
            "state": state(awaited),
            "waitsFor": waits_for(awaited),
            "next": awaited.next(),
            "look": LOOK,
        },
    });
    Bytes::from(event.to_string())
}

/// As Slack takes it; all of it is ours.
pub(super) fn text(awaited: &Awaited, about: &About) -> Bytes {
    let (waits, next) = (waits_for(awaited), awaited.next());
    let text = format!("{}: {waits}\n{next}\n```{LOOK}```", about.cluster);
    Bytes::from(json!({ "text": text }).to_string())
}

/// As the status has it.
const fn state(awaited: &Awaited) -> &'static str {
    match awaited {
        Awaited::Registration(_) => "registered",
        Awaited::Entry(_) => "entry-waits",
    }
}

const fn waits_for(awaited: &Awaited) -> &'static str {
    match awaited {
        Awaited::Registration(_) => "the registration waits for the vendor's administrator",
        Awaited::Entry(_) => "an inventory entry waits for an approver",
    }
}

/// Where the words of the registration are.
const LOOK: &str = "tunnel-client enroll status";

#[cfg(test)]
mod tests {
    use tunnel_certs::words::Words;
    use tunnel_protos::{Digest, Label};

    use super::*;

    #[test]
    fn it_says_what_to_do_and_no_words() {
        let about = About { cluster: "acme/prod".parse().unwrap(), label: Label::from_random([11; 17]) };
        let digest = Digest::new([7; 32]);
        let words = Words::of(&digest).to_string();
        let both = [Awaited::Registration(Words::of(&digest)), Awaited::Entry(digest)];
        for awaited in both {
            for body in [event(&awaited, &about, UnixMillis(0)), text(&awaited, &about)] {
                let body = String::from_utf8(body.to_vec()).unwrap();
                assert!(
                    body.contains("acme/prod") && body.contains("tunnel-client enroll confirm"),
                    "{body}"
                );
                assert!(!body.contains(&words) && !body.contains("070707"), "{body}");
            }
        }
        assert_ne!(id(&both[0]), id(&both[1]));
        assert_ne!(id(&both[1]), id(&Awaited::Entry(Digest::new([8; 32]))));
    }
}
