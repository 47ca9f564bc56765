//! Which bundle counts at the start, and which replaces another.

use std::time::Duration;

use tempfile::TempDir;
use tunnel_certs::{
    issue::{Authority, CaKind},
    key::{Algorithm, Signer, SigningKey},
    roots::Roots,
};

use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A vendor with a folder for file and database.
struct Bench {
    key: SigningKey,
    roots: [Roots; 2],
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let root = |kind| {
            let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
            let authority = Authority::create(kind, "vendor", key, NOW.minus(DAY)).unwrap();
            Roots::new(vec![authority.certificate().clone()]).unwrap()
        };
        let (roots, folder) = ([root(CaKind::Mesh), root(CaKind::Operator)], tempfile::tempdir().unwrap());
        let bench = Self { key: SigningKey::generate(Algorithm::Ed25519).unwrap(), roots, folder };
        file::write(&bench.path("vendor.pub"), bench.key.public().to_pem().as_bytes()).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bundle(&self, sequence: u64) -> TrustBundle {
        let [mesh_roots, operator_roots] = self.roots.clone();
        TrustBundle {
            vendor: "vendor".parse().unwrap(),
            suffix: "tunnel.example".parse().unwrap(),
            sequence,
            expires: NOW.plus(DAY),
            vendor_keys: vec![self.key.public().clone()],
            mesh_roots,
            operator_roots,
            release_keys: Vec::new(),
            release_threshold: 0,
            broker_addresses: Vec::new(),
            allowed_private_addresses: Vec::new(),
        }
    }

    fn file(&self, bundle: &TrustBundle) {
        let bytes = bundle.make(&self.key).unwrap().encode_to_vec();
        file::write(&self.path("bundle.pb"), &bytes).unwrap();
    }

    async fn open_at(&self, now: UnixMillis) -> Result<Bundles, TrustError> {
        let vendor_keys = vec![self.path("vendor.pub")];
        let config = TrustConfig { bundle: self.path("bundle.pb"), vendor_keys };
        Bundles::open(&config, self.store().await, now).await
    }

    async fn store(&self) -> Store {
        Store::open(&self.path("broker.sqlite"), Duration::from_secs(5)).await.unwrap()
    }

    async fn open(&self) -> Bundles {
        self.open_at(NOW).await.unwrap()
    }

    async fn replace(&self, bundles: &Bundles, next: &TrustBundle) -> Result<(), PublishError> {
        bundles.replace(&next.make(&self.key).unwrap(), |_| true, NOW).await
    }
}

fn sequence(bundles: &Bundles) -> u64 {
    bundles.current().bundle.sequence
}

#[tokio::test]
async fn without_a_bundle_that_counts_there_is_no_broker() {
    let bench = Bench::new();
    assert!(matches!(bench.open_at(NOW).await, Err(TrustError::File(_))));
    bench.file(&bench.bundle(1));
    assert_eq!(sequence(&bench.open().await), 1);
    let late = bench.open_at(NOW.plus(DAY * 2)).await;
    assert!(matches!(late, Err(TrustError::Bundle(..))), "{late:?}");
}

#[tokio::test]
async fn what_was_published_outlives_a_restart_and_an_expired_file() {
    let bench = Bench::new();
    bench.file(&bench.bundle(1));
    let bundles = bench.open().await;
    let longer = TrustBundle { expires: NOW.plus(DAY * 9), ..bench.bundle(2) };
    bench.replace(&bundles, &longer).await.unwrap();
    assert_eq!(sequence(&bundles), 2);
    assert_eq!(sequence(&bench.open_at(NOW.plus(DAY * 2)).await.unwrap()), 2);
    // A file of a higher sequence counts again.
    bench.file(&bench.bundle(3));
    assert_eq!(sequence(&bench.open().await), 3);
}

#[tokio::test]
async fn a_file_of_another_suffix_is_another_configuration() {
    let bench = Bench::new();
    bench.file(&bench.bundle(1));
    bench.replace(&bench.open().await, &bench.bundle(9)).await.unwrap();
    bench.file(&TrustBundle { suffix: "moved.example".parse().unwrap(), ..bench.bundle(2) });
    assert_eq!(sequence(&bench.open().await), 2);
}

#[tokio::test]
async fn only_the_next_one_of_the_same_vendor_and_suffix_replaces() {
    let bench = Bench::new();
    bench.file(&bench.bundle(5));
    let bundles = bench.open().await;
    let refused = async |next: TrustBundle| bench.replace(&bundles, &next).await.unwrap_err();
    assert!(matches!(refused(bench.bundle(4)).await, PublishError::Refused(OpenError::NotNewer { .. })));
    let same = TrustBundle { broker_addresses: vec!["b:1".to_owned()], ..bench.bundle(5) };
    assert!(matches!(refused(same).await, PublishError::Changed(5)));
    let moved = TrustBundle { suffix: "moved.example".parse().unwrap(), ..bench.bundle(6) };
    assert!(matches!(refused(moved).await, PublishError::OtherSuffix));
    bench.replace(&bundles, &bench.bundle(5)).await.unwrap();
    let unfit = bench.bundle(6).make(&bench.key).unwrap();
    assert!(matches!(bundles.replace(&unfit, |_| false, NOW).await, Err(PublishError::Unfit)));
    assert_eq!(sequence(&bundles), 5);
}

#[tokio::test]
async fn of_two_that_race_one_replaces() {
    let bench = Bench::new();
    bench.file(&bench.bundle(1));
    let bundles = bench.open().await;
    let other = TrustBundle { broker_addresses: vec!["b:1".to_owned()], ..bench.bundle(2) };
    let two = bench.bundle(2);
    let (one, other) = tokio::join!(bench.replace(&bundles, &two), bench.replace(&bundles, &other));
    assert!(one.is_ok() && matches!(other, Err(PublishError::Changed(2))), "{one:?} {other:?}");
}

#[tokio::test]
async fn a_changed_file_is_taken_and_a_bad_one_told_once() {
    let bench = Bench::new();
    bench.file(&bench.bundle(1));
    let bundles = bench.open().await;
    let look = async || bundles.look(|_| true, NOW).await;
    assert_eq!(look().await, Look::Same);
    bench.file(&bench.bundle(2));
    assert_eq!((look().await, sequence(&bundles)), (Look::Taken, 2));
    file::write(&bench.path("bundle.pb"), b"nonsense").unwrap();
    assert_eq!((look().await, look().await, sequence(&bundles)), (Look::Refused, Look::RefusedAgain, 2));
    // A restart finds the nonsense, too, and the file after it.
    let bundles = bench.open().await;
    let look = async || bundles.look(|_| true, NOW).await;
    assert_eq!((look().await, sequence(&bundles)), (Look::RefusedAgain, 2));
    bench.file(&bench.bundle(3));
    assert_eq!((look().await, look().await, sequence(&bundles)), (Look::Taken, Look::Same, 3));
}

#[tokio::test]
async fn a_file_that_was_refused_for_the_moment_is_taken_later() {
    let bench = Bench::new();
    bench.file(&bench.bundle(1));
    let bundles = bench.open().await;
    bench.file(&bench.bundle(2));
    assert_eq!(bundles.look(|_| false, NOW).await, Look::Refused);
    assert_eq!(bundles.look(|_| false, NOW).await, Look::RefusedAgain);
    bundles.store.close().await;
    assert_eq!(bundles.look(|_| true, NOW).await, Look::RefusedAgain, "the database is away");
    assert_eq!(sequence(&bundles), 1);
    let bundles = Bundles { store: bench.store().await, ..bundles };
    assert_eq!((bundles.look(|_| true, NOW).await, sequence(&bundles)), (Look::Taken, 2));
}

#[tokio::test]
async fn an_older_file_beside_a_published_bundle_is_left_alone() {
    let bench = Bench::new();
    bench.file(&bench.bundle(1));
    bench.replace(&bench.open().await, &bench.bundle(2)).await.unwrap();
    assert_eq!(bench.open().await.look(|_| true, NOW).await, Look::Same);
}

#[tokio::test]
async fn keys_that_change_beside_an_older_file_are_no_fault() {
    let bench = Bench::new();
    bench.file(&bench.bundle(1));
    bench.replace(&bench.open().await, &bench.bundle(2)).await.unwrap();
    let bundles = bench.open().await;
    let key = bench.key.public().to_pem();
    file::write(&bench.path("vendor.pub"), format!("{key}\n").as_bytes()).unwrap();
    assert_ne!(bundles.look(|_| true, NOW).await, Look::Refused);
    assert_eq!((bundles.look(|_| true, NOW).await, sequence(&bundles)), (Look::Same, 2));
}

#[tokio::test]
async fn a_key_that_cannot_be_read_keeps_out_no_bundle_of_a_key_in_force() {
    let bench = Bench::new();
    bench.file(&bench.bundle(1));
    let bundles = bench.open().await;
    file::write(&bench.path("vendor.pub"), b"half").unwrap();
    bench.file(&bench.bundle(2));
    assert_eq!((bundles.look(|_| true, NOW).await, sequence(&bundles)), (Look::Taken, 2));
}

#[tokio::test]
async fn the_next_vendor_key_is_taken_from_the_configured_files_and_from_nowhere_else() {
    let mut bench = Bench::new();
    bench.file(&bench.bundle(1));
    let bundles = bench.open().await;
    let stolen = std::mem::replace(&mut bench.key, SigningKey::generate(Algorithm::Ed25519).unwrap());
    let next = bench.bundle(2);
    assert!(bench.replace(&bundles, &next).await.is_err(), "an administrator's word is no file");
    bench.file(&next);
    assert_eq!(bundles.look(|_| true, NOW).await, Look::Refused, "nobody has pinned the key yet");
    file::write(&bench.path("vendor.pub"), bench.key.public().to_pem().as_bytes()).unwrap();
    assert_eq!((bundles.look(|_| true, NOW).await, sequence(&bundles)), (Look::Taken, 2));
    assert!(bench.replace(&bundles, &bench.bundle(3)).await.is_ok());
    bench.key = stolen;
    bench.file(&bench.bundle(4));
    assert_eq!((bundles.look(|_| true, NOW).await, sequence(&bundles)), (Look::Refused, 3));
    // Neither does a start forget which key counts.
    assert_eq!(sequence(&bench.open().await), 3);
}
