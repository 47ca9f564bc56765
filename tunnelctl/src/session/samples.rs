//! Sessions for tests.

use tunnel_protos::{TargetName, UnixMillis};

use super::Session;

/// A session with `acme/prod` for `a.B/C` that ends after 30 minutes, its certificate after 15.
pub(crate) fn sample(folder: &str, connect_address: Option<&str>) -> Session {
    let host = format!("{}.aaaaaaaaaa.tunnel.example", "b".repeat(26));
    Session {
        folder: folder.into(),
        cluster: "acme/prod".parse().unwrap(),
        label: "aaaaaaaaaa".parse().unwrap(),
        grant: "0b0e7a52-7f5f-4c0e-9d6e-2f6f1f0b3a11".parse().unwrap(),
        doors: [(TargetName::default_target(), host)].into(),
        connect_address: connect_address.map(Into::into),
        certificate_until: UnixMillis(900_000),
        until: UnixMillis(1_800_000),
        methods: vec!["a.B/C".parse().unwrap()],
    }
}
