use tunnel_certs::{
    key::{Algorithm, PublicKey, Signer, SigningKey},
    statement::release::{self, Release},
};
use tunnel_protos::{UnixMillis, v1};

use super::*;
use crate::operations::{disk::sick::SickDisk, testing::manifest};

const NOW: UnixMillis = UnixMillis(1_000_000);

/// Two release keys, both of which sign.
struct Vendor {
    keys: [SigningKey; 2],
}

impl Vendor {
    fn new() -> Self {
        Self { keys: [(); 2].map(|()| SigningKey::generate(Algorithm::Ed25519).unwrap()) }
    }

    fn public(&self) -> Vec<PublicKey> {
        self.keys.iter().map(|key| key.public().clone()).collect()
    }

    fn open(&self, envelope: &v1::Envelope) -> Result<Opened, OpenError> {
        release::open(&prost::Message::encode_to_vec(envelope), &self.public(), 2, NOW)
    }

    fn signed(&self, release: &Release) -> Result<Opened, OpenError> {
        let signers: Vec<&dyn Signer> = self.keys.iter().map(|key| key as &dyn Signer).collect();
        self.open(&release.make(&signers).unwrap())
    }
}

fn storage() -> ComponentName {
    "storage".parse().unwrap()
}

fn judge(known: &Known, opened: Result<Opened, OpenError>) -> Result<PlannedRelease, PlanRefusal> {
    let component = storage();
    known.judge(Wanted { component: &component, running: "3.0", allow_downgrade: false }, opened)
}

fn known(highest: u64) -> Known {
    let mut known = Known::default();
    known.raise(&PlannedRelease {
        component: "storage".to_owned(),
        product: "shop".to_owned(),
        name: format!("{highest}.0"),
        release_seq: highest,
        ..PlannedRelease::default()
    });
    known
}

#[test]
fn a_release_that_enough_keys_signed_is_planned_by_digest() {
    let vendor = Vendor::new();
    let planned = judge(&known(3), vendor.signed(&manifest(4))).unwrap();
    assert_eq!((planned.name.as_str(), planned.release_seq, planned.downgrade), ("4.0", 4, false));
    assert_eq!(planned.images, [format!("registry.example/shop@sha256:{}", "ab".repeat(32))]);
    assert_eq!(planned.signed_by.len(), 2);
    assert!(planned.signed_by.iter().all(|id| id.len() == 16));
}

#[test]
fn every_refusal_has_its_sentence() {
    let vendor = Vendor::new();
    let one: [&dyn Signer; 1] = [&vendor.keys[0]];
    let stranger = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let other: [&dyn Signer; 1] = [&stranger];
    let unsigned = v1::Envelope { signatures: Vec::new(), ..manifest(4).make(&one).unwrap() };
    let mut tagged = manifest(4).make(&[&vendor.keys[0], &vendor.keys[1]]).unwrap();
    resign(&mut tagged, &vendor, |message| {
        message.images[0].repository = "registry.example/shop:latest".to_owned();
    });
    let of = |component: &str| Release { component: component.parse().unwrap(), ..manifest(4) };
    let expired = Release { expires: NOW, ..manifest(4) };
    let product = Release { product: "bakery".parse().unwrap(), ..manifest(4) };
    let source = Release { min_source_seq: 4, ..manifest(5) };
    for (opened, rule, why) in [
        (vendor.open(&unsigned), RULE, "The release for storage is not signed"),
        (
            vendor.open(&manifest(4).make(&one).unwrap()),
            RULE,
            "signed by 1 of the vendor's release keys, and 2 are needed",
        ),
        (
            vendor.open(&manifest(4).make(&other).unwrap()),
            RULE,
            "signed by 0 of the vendor's release keys, and 2 are needed",
        ),
        (vendor.open(&tagged), RULE, "names its image 1 by a tag or by no repository at all"),
        (vendor.signed(&of("query")), RULE, "Release 4.0 is one of query, not of storage"),
        (vendor.signed(&expired), RULE, "expired"),
        (vendor.signed(&product), RULE, "Release 4.0 is one of the product bakery, but storage is of shop"),
        (vendor.signed(&manifest(3)), OLD, "has the sequence 3, which is not above 3, the highest seen here"),
        (vendor.signed(&manifest(2)), OLD, "has the sequence 2, which is not above 3, the highest seen here"),
        (
            vendor.signed(&source),
            SOURCE,
            "can be brought to storage from sequence 4 on, and 3.0 is of sequence 3",
        ),
    ] {
        let refusal = judge(&known(3), opened).unwrap_err();
        assert_eq!(refusal.rule, rule, "{}", refusal.why);
        assert!(refusal.why.contains(why), "{}", refusal.why);
        assert!(!refusal.why.contains('\n'), "{}", refusal.why);
        let seen = ["above 3", "of shop", "is of sequence 3"];
        assert!(!seen.iter().any(|seen| refusal.told.contains(seen)), "{}", refusal.told);
    }
    let refusal = judge(&Known::default(), vendor.signed(&Release { min_source_seq: 1, ..manifest(4) }));
    assert!(refusal.unwrap_err().why.ends_with("3.0 is of an unknown one"));
}

#[test]
fn without_release_keys_nothing_is_brought() {
    let vendor = Vendor::new();
    let envelope = manifest(4).make(&[&vendor.keys[0]]).unwrap();
    let opened = release::open(&prost::Message::encode_to_vec(&envelope), &[], 1, NOW);
    assert!(judge(&known(3), opened).unwrap_err().why.contains("names no release keys"));
}

#[test]
fn a_downgrade_that_was_asked_for_is_planned_as_one() {
    let (vendor, component) = (Vendor::new(), storage());
    let wanted = Wanted { component: &component, running: "3.0", allow_downgrade: true };
    assert!(known(3).judge(wanted, vendor.signed(&manifest(2))).unwrap().downgrade);
    assert!(!known(3).judge(wanted, vendor.signed(&manifest(4))).unwrap().downgrade);
}

#[tokio::test]
async fn what_was_brought_outlives_a_restart_and_never_falls() {
    let folder = tempfile::tempdir().unwrap();
    let vendor = Vendor::new();
    let releases = Releases::open(folder.path()).unwrap();
    let planned = |seq| {
        Known::default()
            .judge(
                Wanted { component: &storage(), running: "", allow_downgrade: true },
                vendor.signed(&manifest(seq)),
            )
            .unwrap()
    };
    releases.raise(&[planned(7)]).await.unwrap();
    releases.raise(&[planned(5)]).await.unwrap();
    let again = Releases::open(folder.path()).unwrap();
    assert_eq!(again.known(), releases.known());
    assert_eq!(again.known().components["storage"].highest, 7);
    assert_eq!(again.known().components["storage"].sequences["5.0"], 5);
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_damaged_file_is_not_taken_for_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "{").unwrap();
    assert!(matches!(Releases::open(folder.path()), Err(ReleasesError::Malformed { .. })));
    std::fs::write(folder.path().join(FILE), r#"{"components":{},"more":1}"#).unwrap();
    assert!(Releases::open(folder.path()).is_err());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_raises_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let releases = Releases::open(folder.path()).unwrap();
    drop(folder);
    let release =
        PlannedRelease { component: "storage".to_owned(), release_seq: 1, ..PlannedRelease::default() };
    assert!(releases.raise(&[release]).await.is_err());
    assert_eq!(releases.known(), Known::default());
}

#[tokio::test]
async fn who_plans_never_waits_for_the_disk() {
    let (folder, disk) = (tempfile::tempdir().unwrap(), SickDisk::default());
    let releases = Releases::on(disk.clone(), folder.path()).unwrap();
    let release =
        [PlannedRelease { component: "storage".to_owned(), release_seq: 1, ..PlannedRelease::default() }];
    disk.hang(true);
    let plans = async {
        disk.hung().await;
        assert_eq!(releases.known(), Known::default());
        disk.hang(false);
    };
    let (raised, ()) = tokio::join!(releases.raise(&release), plans);
    raised.unwrap();
    assert_eq!(releases.known().components["storage"].highest, 1);
}

#[test]
fn names_are_bounded_and_the_newest_stay() {
    let mut known = known(1);
    (2..300).for_each(|seq| {
        let name = format!("{seq}.0");
        known.raise(&PlannedRelease {
            component: "storage".to_owned(),
            name,
            release_seq: seq,
            ..PlannedRelease::default()
        });
    });
    let brought = &known.components["storage"];
    assert_eq!((brought.sequences.len(), brought.highest), (MOST_NAMES, 299));
    assert!(brought.sequences.contains_key("299.0") && !brought.sequences.contains_key("1.0"));
}

/// Changes the manifest and signs it again, past what a maker would take.
fn resign(envelope: &mut v1::Envelope, vendor: &Vendor, change: impl FnOnce(&mut v1::Release)) {
    use tunnel_certs::statement::envelope::{PayloadType, sign};
    let mut message: v1::Release = prost::Message::decode(&*envelope.payload).unwrap();
    change(&mut message);
    let signers: Vec<(&dyn Signer, _)> = vendor.keys.iter().map(|key| (key as &dyn Signer, None)).collect();
    *envelope = sign(PayloadType::Release, prost::Message::encode_to_vec(&message), &signers).unwrap();
}
