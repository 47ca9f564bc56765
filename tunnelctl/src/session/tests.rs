use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use tunnel_certs::key::{Algorithm, SigningKey};

use super::*;
use crate::testing::{Cluster, NOW, Vendor};

const GRANT: &str = "0b0e7a52-7f5f-4c0e-9d6e-2f6f1f0b3a11";

struct Scene {
    sessions: Sessions,
    session: Session,
    home: TempDir,
}

fn scene() -> Scene {
    let home = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(home.path());
    let cluster = Cluster::new(&Vendor::new());
    let grant = GRANT.parse().unwrap();
    let certified = certified(&cluster, grant);
    let place = Place {
        cluster: &cluster.name,
        label: cluster.label,
        suffix: &"tunnel.example".parse().unwrap(),
        connect_address: None,
    };
    let methods = vec!["a.B/*".parse().unwrap()];
    let session = Session::new(sessions.folder(grant), place, grant, &certified, methods);
    session.save(&certified).unwrap();
    Scene { sessions, session, home }
}

fn certified(cluster: &Cluster, grant: GrantId) -> Certified {
    let key = SigningKey::generate(Algorithm::P256).unwrap();
    let issued = cluster.certify(&key.csr().unwrap(), grant);
    let credential = Credential::new(vec![issued.certificate], key.into()).unwrap();
    let (_, not_after) = credential.validity();
    Certified {
        credential,
        anchors: Roots::new(issued.anchors).unwrap(),
        doors: issued.doors.into_iter().collect(),
        not_after,
        work_until: not_after.plus(std::time::Duration::from_secs(60)),
    }
}

impl Scene {
    fn find(&self, cluster: &str, method: &str, now: UnixMillis) -> Option<Session> {
        let (cluster, method) = (cluster.parse().unwrap(), method.parse().unwrap());
        self.sessions.find(&cluster, &method, &TargetName::default_target(), now).unwrap()
    }
}

#[test]
fn a_session_is_found_for_what_it_allows_only() {
    let scene = scene();
    assert_eq!(scene.find("acme/prod", "a.B/C", NOW), Some(scene.session.clone()));
    assert_eq!(scene.find("acme/prod", "a.X/C", NOW), None);
    assert_eq!(scene.find("acme/dev", "a.B/C", NOW), None);
    assert_eq!(scene.find("acme/prod", "a.B/C", scene.session.certificate_until), None);
}

#[test]
fn files_are_private_and_make_a_line() {
    let scene = scene();
    for name in [CA, CERTIFICATE, KEY, MANIFEST] {
        let mode = std::fs::metadata(scene.session.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let line = scene.session.line(&TargetName::default_target()).unwrap().unwrap();
    assert!(line.host.ends_with(".aaaaaaaaaa.tunnel.example"));
    assert_eq!(line.address, format!("{}:443", line.host));
    assert!(scene.session.line(&"pod-3".parse().unwrap()).unwrap().is_none());
}

#[test]
fn keys_go_when_the_grant_ends() {
    let scene = scene();
    assert_eq!(
        scene.sessions.live(scene.session.until.minus(std::time::Duration::from_secs(1))).unwrap().len(),
        1
    );
    assert!(scene.sessions.live(scene.session.until).unwrap().is_empty());
    assert!(!scene.session.folder.exists());
}

#[test]
fn foreign_files_in_the_folder_stay() {
    let scene = scene();
    let foreign = scene.home.path().join("notes");
    std::fs::create_dir(&foreign).unwrap();
    scene.sessions.live(scene.session.until).unwrap();
    assert!(foreign.exists());
}

#[test]
fn half_a_session_is_removed() {
    let scene = scene();
    std::fs::remove_file(scene.session.file(MANIFEST)).unwrap();
    assert!(scene.sessions.live(NOW).unwrap().is_empty());
    assert!(!scene.session.folder.exists());
}
