//! A throw-away mesh: one CA and leaves under it, as rustls configurations.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tunnel_certs::{
    credential::Credential,
    identity::Role,
    issue::{Authority, CaKind},
    key::{Algorithm, Signer, SigningKey},
    roots::Roots,
    tls,
    verify::MeshVerifier,
};
use tunnel_protos::{Label, UnixMillis, VendorName};

pub(super) struct Mesh {
    pub(super) authority: Authority,
    vendor: VendorName,
    label: Label,
    now: UnixMillis,
    life: Duration,
}

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(Algorithm::P256).unwrap())
}

impl Mesh {
    pub(super) fn new() -> Self {
        let now = UnixMillis::from_system(SystemTime::now());
        let authority = Authority::create(CaKind::Mesh, "mesh", key(), now).unwrap();
        let (vendor, label) = ("vend".parse().unwrap(), Label::from_random([9; 17]));
        Self { authority, vendor, label, now, life: Duration::from_secs(3600) }
    }

    pub(super) fn verifier(&self) -> MeshVerifier {
        let roots = Roots::new(vec![self.authority.certificate().clone()]).unwrap();
        MeshVerifier::new(self.vendor.clone(), roots)
    }

    pub(super) fn broker(&self) -> Credential {
        let (key, id) = (key(), "b1".parse().unwrap());
        let issued = self.authority.issue_broker(key.public(), &self.vendor, &id, self.life, self.now);
        Credential::new(vec![issued.unwrap()], key).unwrap()
    }

    pub(super) fn replica(&self) -> Credential {
        let (key, id) = (key(), "r1".parse().unwrap());
        let issued =
            self.authority.issue_replica(key.public(), &self.vendor, &self.label, &id, self.life, self.now);
        Credential::new(vec![issued.unwrap()], key).unwrap()
    }

    pub(super) fn server(&self, credential: &Credential) -> Arc<rustls::ServerConfig> {
        tls::mesh_server(credential, self.verifier(), Role::Replica, &[]).unwrap()
    }

    pub(super) fn client(&self, credential: &Credential) -> Arc<rustls::ClientConfig> {
        tls::mesh_client(credential, self.verifier(), &[]).unwrap()
    }
}
