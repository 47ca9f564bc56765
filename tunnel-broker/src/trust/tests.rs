//! Certificates in files: taken when they hold, whenever that is.

use tempfile::TempDir;
use tunnel_certs::{
    credential::{Credential, certificate_to_pem},
    file,
    issue::{Authority, CaKind, self_signed_api_server},
    key::{Algorithm, Signer, SigningKey},
    roots::Roots,
};

use super::{fingerprint::Look, *};
use crate::config::CredentialFiles;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

/// A vendor with a folder for the certificates of its broker.
struct Bench {
    mesh: Authority,
    bundle: TrustBundle,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let [mesh, operators] = [CaKind::Mesh, CaKind::Operator].map(authority);
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let bundle = TrustBundle {
            vendor: "vendor".parse().unwrap(),
            suffix: "tunnel.example".parse().unwrap(),
            sequence: 1,
            expires: NOW.plus(HOUR * 24),
            vendor_keys: vec![key.public().clone()],
            mesh_roots: roots(&mesh),
            operator_roots: roots(&operators),
            release_keys: Vec::new(),
            release_threshold: 0,
            broker_addresses: Vec::new(),
            allowed_private_addresses: Vec::new(),
        };
        Self { mesh, bundle, folder: tempfile::tempdir().unwrap() }
    }

    fn files(&self) -> CredentialFiles {
        let path = |name| self.folder.path().join(name);
        CredentialFiles { certificate: path("broker.pem"), key: path("broker.key") }
    }

    fn write(&self, credential: &Credential) {
        let files = self.files();
        file::write(&files.certificate, certificate_to_pem(credential.certificate()).as_bytes()).unwrap();
        let _ = std::fs::remove_file(&files.key);
        file::write_private(&files.key, credential.key().to_pem().as_bytes()).unwrap();
    }

    fn broker(&self, at: UnixMillis) -> Credential {
        let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
        let (vendor, id) = ("vendor".parse().unwrap(), "b0".parse().unwrap());
        let issued = self.mesh.issue_broker(key.public(), &vendor, &id, HOUR, at).unwrap();
        Credential::new(vec![issued], key).unwrap()
    }

    fn api(&self, at: UnixMillis) -> Credential {
        self_signed_api_server(&self.bundle.suffix, &[], HOUR, at).unwrap()
    }
}

fn authority(kind: CaKind) -> Authority {
    let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    Authority::create(kind, "vendor", key, NOW.minus(HOUR)).unwrap()
}

fn roots(authority: &Authority) -> Roots {
    Roots::new(vec![authority.certificate().clone()]).unwrap()
}

#[test]
fn a_mesh_certificate_of_the_near_future_is_taken_once_it_holds() {
    let bench = Bench::new();
    bench.write(&bench.broker(NOW));
    let own = OwnCertificate::load(Some(bench.files()), None, &bench.bundle, NOW).unwrap();
    let later = NOW.plus(HOUR / 2);
    let next = bench.broker(later);
    bench.write(&next);
    let look = |at| own.look(&bench.bundle, at);
    assert_eq!([look(NOW), look(NOW), look(later), look(later)], TAKEN_LATER);
    assert_eq!(own.current().credential.certificate(), next.certificate());
}

#[test]
fn an_api_certificate_of_the_near_future_is_taken_once_it_holds() {
    let bench = Bench::new();
    bench.write(&bench.api(NOW));
    let api = ApiCertificate::load(bench.files(), &bench.bundle, NOW).unwrap();
    let (mut published, later) = (api.follow(), NOW.plus(HOUR / 2));
    bench.write(&bench.api(later));
    let look = |at| api.look(&bench.bundle, at);
    assert_eq!([look(NOW), look(NOW)], TAKEN_LATER[..2]);
    assert!(!published.has_changed().unwrap());
    assert_eq!([look(later), look(later)], TAKEN_LATER[2..]);
    assert!(published.has_changed().unwrap());
    published.mark_unchanged();
}

#[test]
fn operator_roots_are_replaced_whatever_the_files_are() {
    let mut bench = Bench::new();
    bench.write(&bench.api(NOW));
    let api = ApiCertificate::load(bench.files(), &bench.bundle, NOW).unwrap();
    let mut published = api.follow();
    file::write(&bench.files().certificate, b"nonsense").unwrap();
    bench.bundle.operator_roots = roots(&authority(CaKind::Operator));
    assert_eq!(api.look(&bench.bundle, NOW), Look::Refused);
    assert!(published.has_changed().unwrap());
    published.mark_unchanged();
    assert_eq!(api.look(&bench.bundle, NOW), Look::RefusedAgain);
    assert!(!published.has_changed().unwrap(), "once for each bundle");
}

const TAKEN_LATER: [Look; 4] = [Look::Refused, Look::RefusedAgain, Look::Taken, Look::Same];
