//! The trust bundle after another, and entries that are renewed.

use super::*;

const NEXT: &str = "statement trust-bundle --from @bundle.pb --key @vendor.key --out @next.pb";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.vendor();
    folder.run(BUNDLE).unwrap();
    folder.run("ca mesh --name initech --out @mesh2.pem --key-out @mesh2.key").unwrap();
    folder.run("ca operator --name initech --out @operators2.pem --key-out @operators2.key").unwrap();
    folder.run("key vendor --plain --out @second.key").unwrap();
    folder
}

fn bundle(folder: &Folder, name: &str) -> TrustBundle {
    TrustBundle::open(&folder.read(name), &[vendor_key(folder)], now()).unwrap()
}

#[test]
fn the_next_bundle_has_the_same_content_under_the_next_sequence() {
    let folder = folder();
    folder.run(NEXT).unwrap();
    let (first, next) = (bundle(&folder, "bundle.pb"), bundle(&folder, "next.pb"));
    assert_eq!(next, TrustBundle { sequence: 2, expires: next.expires, ..first.clone() });
    assert!(first.open_next(&folder.read("next.pb"), now()).is_ok());
}

#[test]
fn roots_keys_and_brokers_are_added_and_taken_away() {
    let folder = folder();
    let told = folder
        .run(&format!(
            "{NEXT} --add-mesh-root @mesh2.pem --add-operator-root @operators2.pem --remove-operator-root @operators.pem \
             --add-vendor-key @second.pub --release-key @second.pub --release-threshold 1 \
             --brokers b1.example:443,b2.example:443 --days 30"
        ))
        .unwrap();
    let next = bundle(&folder, "next.pb");
    assert_eq!(next.mesh_roots.certificates().len(), 2);
    assert_eq!(next.operator_roots, files::roots(&[folder.path("operators2.pem").into()]).unwrap());
    assert_eq!((next.vendor_keys.len(), next.release_keys.len(), next.release_threshold), (2, 1, 1));
    assert_eq!(next.broker_addresses, ["b1.example:443", "b2.example:443"]);
    assert!(next.expires <= now().plus(std::time::Duration::from_secs(30 * 24 * 3600)));
    assert!(told.contains("b2.example:443") && told.contains("sequence"), "says what was signed: {told}");
    let third = "statement trust-bundle --from @next.pb --remove-mesh-root @mesh.pem --remove-vendor-key @vendor.pub \
                 --key @vendor.key --out @third.pb";
    assert!(folder.run(third).unwrap().contains("retires it"));
    assert_eq!(bundle(&folder, "third.pb").mesh_roots.certificates().len(), 1);
}

#[test]
fn what_would_be_a_mistake_is_refused() {
    let folder = folder();
    for (options, wanted) in [
        ("--remove-mesh-root @mesh2.pem", "not in the bundle before"),
        ("--add-mesh-root @mesh.pem", "in the bundle already"),
        ("--remove-mesh-root @mesh.pem", "no root is left"),
        ("--add-mesh-root @operators.key", "CA certificate"),
        ("--add-mesh-root @vendor.pub", "CA certificate"),
        ("--remove-vendor-key @second.pub", "not in the bundle before"),
        ("--remove-vendor-key @vendor.pub", "vendor keys"),
        ("--vendor umbrella", "cannot be used with"),
        ("--sequence 9", "cannot be used with"),
        ("--days 91", "at most 90 days"),
    ] {
        let error = format!("{:#}", folder.run(&format!("{NEXT} {options}")).unwrap_err());
        assert!(error.contains(wanted), "{options}: {error}");
        assert!(!Path::new(&folder.path("next.pb")).exists(), "{options}");
    }
    assert!(folder.run(&format!("{BUNDLE} --add-mesh-root @mesh2.pem")).is_err(), "only with --from");
}

/// Whoever replaces the file of the bundle before gets nothing signed by it.
#[test]
fn the_bundle_before_is_proven() {
    let folder = folder();
    let forged = BUNDLE.replace("--key @vendor.key", "--key @second.key --vendor-key @second.pub");
    folder.run(&forged).unwrap();
    let error = format!("{:#}", folder.run(NEXT).unwrap_err());
    assert!(error.contains("--from-signed-by"), "{error}");
    folder.run(&format!("{NEXT} --from-signed-by @second.pub")).unwrap();
}

#[test]
fn a_key_that_is_not_in_the_bundle_before_signs_no_next_one() {
    let folder = folder();
    let foreign = NEXT.replace("vendor.key", "second.key");
    let error = format!("{:#}", folder.run(&format!("{foreign} --from-signed-by @vendor.pub")).unwrap_err());
    assert!(error.contains("would be refused"), "{error}");
}

#[test]
fn an_entry_is_renewed_with_the_same_keys() {
    let folder = folder();
    let words = folder.register().to_string();
    folder.run_with(INVENTORY, &["--words", &words]).unwrap();
    let told =
        folder.run("statement inventory --renew @entry.pb --key @vendor.key --out @renewed.pb").unwrap();
    let open = |name| inventory::open(&folder.read(name), &[vendor_key(&folder)], now()).unwrap();
    let (first, renewed) = (open("entry.pb"), open("renewed.pb"));
    assert_eq!(
        renewed.entry,
        inventory::Entry { sequence: 2, expires: renewed.entry.expires, ..first.entry.clone() }
    );
    assert!(renewed.check_succeeds(first.entry.sequence, &first.digest).is_ok());
    assert!(told.contains(&renewed.words.to_string()), "{told}");
    let foreign = "statement inventory --renew @entry.pb --key @second.key --out @x.pb";
    assert!(folder.run(foreign).is_err(), "an entry of another key is not renewed");
    let mixed = "statement inventory --renew @entry.pb --sequence 9 --key @vendor.key --out @x.pb";
    assert!(folder.run(mixed).is_err());
}
