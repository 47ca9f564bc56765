//! Sessions for tests.

use tunnel_certs::{
    credential::Credential,
    key::{Algorithm, SigningKey},
    roots::Roots,
};
use tunnel_protos::{TargetName, UnixMillis};

use super::{Line, Session};
use crate::testing::{Cluster, Vendor};

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

impl Line {
    /// A line with a real certificate of some grant.
    pub(crate) fn for_test(host: &str, address: &str) -> Self {
        let (key, grant) = (SigningKey::generate(Algorithm::P256).unwrap(), sample("/", None).grant);
        let issued = Cluster::new(&Vendor::new()).certify(&key.csr().unwrap(), grant);
        Self {
            host: host.into(),
            address: address.into(),
            credential: Credential::new(vec![issued.certificate], key.into()).unwrap(),
            anchors: Roots::new(issued.anchors).unwrap(),
        }
    }
}
