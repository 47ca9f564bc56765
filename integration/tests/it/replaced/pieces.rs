//! How each piece is replaced by those to whom it belongs, and how it shows that the new one counts.

use anyhow::ensure;
use rustls_pki_types::ServerName;
use tunnel_certs::{
    credential::{Credential, certificates_from_pem},
    tls,
};
use tunnel_integration::harness::{channel::Peer, wait::until};

use super::stage::{LIMIT, Stage};

/// Whatever can be replaced.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece {
    MeshLeaf,
    MeshCa,
    TrustBundle,
    ApiCertificate,
    OperatorCa,
    AccessCa,
    ClusterKey,
    Policy,
    Profile,
    EngineFiles,
}

pub(super) const ALL: [Piece; 10] = [
    Piece::MeshLeaf,
    Piece::MeshCa,
    Piece::TrustBundle,
    Piece::ApiCertificate,
    Piece::OperatorCa,
    Piece::AccessCa,
    Piece::ClusterKey,
    Piece::Policy,
    Piece::Profile,
    Piece::EngineFiles,
];

const LEAF: &str = "/expires/meshCertificate";
const BUNDLE: &str = "/expires/trustBundle";
const POLICY: &str = "/policy/digest";
const TARGETS: &str = "/targets/1/target";

impl Stage {
    pub(super) async fn replace(&mut self, piece: Piece) {
        match piece {
            Piece::MeshLeaf => self.no_more(LEAF, &self.said(LEAF).await).await,
            Piece::MeshCa => self.rotates(&["mesh", "--poll", "200ms", "--wait", "1m"]).await,
            Piece::TrustBundle => {
                let before = self.said(BUNDLE).await;
                self.rotates(&["renew"]).await;
                self.no_more(BUNDLE, &before).await;
            }
            Piece::ApiCertificate => self.replaces_api_certificate().await,
            // Whoever calls after each piece has an identity of the newest one.
            Piece::OperatorCa => {
                let added = self.lab.vendor.next_operator_ca().unwrap();
                self.rotates(&["operator-ca", "--add", &added.display().to_string()]).await;
            }
            Piece::AccessCa => {
                let rotated = self.site.customer.ask(&["ca", "rotate"]).await.unwrap();
                assert_eq!(rotated["rotated"], true, "{rotated}");
            }
            Piece::ClusterKey => self.site.rotates_keys(&self.lab).await,
            Piece::Policy => {
                let before = self.said(POLICY).await;
                self.writes_policy();
                self.no_more(POLICY, &before).await;
            }
            Piece::Profile => {
                let before = self.said(TARGETS).await;
                self.writes_profile();
                self.no_more(TARGETS, &before).await;
            }
            Piece::EngineFiles => self.replaces_engine_files().await,
        }
    }

    async fn rotates(&self, words: &[&str]) {
        let ended = self.lab.certs(&[&["rotate"], words].concat()).await;
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
    }

    /// The files of the broker's configuration; the API shows the new one from the next handshake on.
    async fn replaces_api_certificate(&self) {
        let files = self.lab.vendor.api().unwrap();
        let wanted = certificates_from_pem(&std::fs::read(files.certificate).unwrap()).unwrap();
        let vendor = &self.lab.vendor;
        let identity = vendor.operator(&"watcher".parse().unwrap()).unwrap();
        let identity = Credential::load(&identity.certificate, &identity.key).unwrap();
        let roots = certificates_from_pem(&std::fs::read(vendor.api_ca_file()).unwrap()).unwrap();
        let peer = Peer {
            address: self.lab.broker_settings.listen.tcp,
            name: ServerName::try_from(vendor.suffix().api()).unwrap(),
            tls: tls::operator_client(&identity, &roots, &[b"h2"]).unwrap(),
        };
        until("the API shows its next certificate", LIMIT, || async {
            let stream = peer.connect().await?;
            let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
            ensure!(shown.first() == wanted.first(), "another one");
            Ok(())
        })
        .await
        .unwrap();
    }
}
