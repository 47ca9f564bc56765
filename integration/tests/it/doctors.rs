//! The three doctors beside programs that run: what they find, how they end, and that their bundles hold no secret.

use std::{
    fs,
    path::{Path, PathBuf},
};

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use serde_json::Value;
use tokio::process::Command;
use tunnel_integration::harness::{
    binaries,
    command::{Ended, ended},
    tunnelctl::Tunnelctl,
    world::{Plan, World},
};

use crate::children::Children;

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";

/// All files below `folder`.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Every private key that harness and programs made below the world's folder, in all its parts, and how many there are.
fn secrets(world: &World) -> (usize, Vec<Vec<u8>>) {
    let (mut paths, mut found) = (Vec::new(), Vec::new());
    files(world.folder(), &mut paths);
    let texts = paths.iter().filter_map(|path| fs::read_to_string(path).ok());
    let of_vendor = [world.vendor.key().to_pem().to_string(), world.vendor.mesh_key().to_pem().to_string()];
    let mut keys = 0;
    for pem in texts.chain(of_vendor).filter(|text| text.contains("PRIVATE KEY-----")) {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = BASE64.decode(body.as_bytes()).unwrap();
        // The private half itself, where PKCS#8 has it: P-256, or Ed25519 and X25519.
        let raw = if der.len() > 100 { 36..68 } else { 16..48 };
        let line = pem.lines().nth(1).unwrap().as_bytes().to_vec();
        found.extend([der[raw].to_vec(), line, der, body.into_bytes()]);
        keys += 1;
    }
    (keys, found)
}

/// As it is, and as text of any usual kind.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let text = [BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER].map(|kind| kind.encode(secret));
    text.into_iter().map(String::into_bytes).chain([secret.to_vec()]).collect()
}

fn holds(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

/// Nothing that must stay is in what was printed or packed.
fn tells_no_secret(world: &World, ended: &Ended, bundle: &Path) {
    let (keys, secrets) = secrets(world);
    assert!(keys >= 8, "vendor, broker, cluster: {keys}");
    let packed = fs::read(bundle).unwrap();
    for form in secrets.iter().flat_map(|secret| forms(secret)) {
        for told in [&packed[..], ended.stdout.as_bytes(), ended.stderr.as_bytes()] {
            assert!(!holds(told, &form), "{}", String::from_utf8_lossy(&form));
        }
    }
}

/// A doctor that printed JSON: how it ended, and each check's verdict.
async fn report(mut command: Command, bundle: &Path) -> (Ended, Vec<(String, String)>) {
    command.arg("--bundle").arg(bundle);
    let ended = ended(command).await.unwrap();
    let found: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = found["checks"].as_array().unwrap().iter();
    let verdicts = findings.map(|finding| (word(finding, "check"), word(finding, "verdict"))).collect();
    (ended, verdicts)
}

fn verdict<'v>(verdicts: &'v [(String, String)], check: &str) -> Vec<&'v str> {
    verdicts.iter().filter(|(name, _)| name == check).map(|(_, verdict)| verdict.as_str()).collect()
}

async fn machine(world: &World) -> Tunnelctl {
    let machine = Tunnelctl::new(&world.folder().join("machine"), Vec::new()).unwrap();
    let identity = world.vendor.operator(&"ada".parse().unwrap()).unwrap();
    machine.login(&world.vendor, &identity, world.address()).await.unwrap();
    machine
}

#[tokio::test]
async fn an_operators_machine_is_well_and_then_its_broker_is_gone() {
    let mut world = World::start().await.unwrap();
    let machine = machine(&world).await;
    // A session, so that keys of its own lie there, too.
    machine.connect("acme/prod", &[STATUS]).await.unwrap();
    let doctor = || machine.command(&["doctor", "--output", "json"]).unwrap();
    let (well, sick) = (world.folder().join("well.tar"), world.folder().join("sick.tar"));
    let (ended, verdicts) = report(doctor(), &well).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // It lives for an hour, which is a warning.
    assert_eq!(verdict(&verdicts, "identity"), ["warning"], "{verdicts:?}");
    for check in ["vendor-keys", "dns", "tcp", "api-tls", "clock", "entries", "door-tls"] {
        let seen = verdict(&verdicts, check);
        assert!(!seen.is_empty() && seen.iter().all(|verdict| *verdict == "ok"), "{check}: {verdicts:?}");
    }
    tells_no_secret(&world, &ended, &well);
    world.drop_broker();
    let (ended, verdicts) = report(doctor(), &sick).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(verdict(&verdicts, "tcp").contains(&"failed"), "{verdicts:?}");
    assert_eq!(verdict(&verdicts, "api-tls"), ["skipped"]);
    tells_no_secret(&world, &ended, &sick);
}

#[tokio::test]
async fn somebody_elses_identity_is_found_and_told() {
    let world = World::start().await.unwrap();
    let machine = machine(&world).await;
    let strange = tunnel_integration::harness::vendor::Vendor::create(&world.folder().join("other")).unwrap();
    let foreign = strange.operator(&"ada".parse().unwrap()).unwrap();
    let own = world.vendor.operator(&"ada".parse().unwrap()).unwrap();
    for (from, to) in [(&foreign.certificate, &own.certificate), (&foreign.key, &own.key)] {
        fs::copy(from, to).unwrap();
    }
    let tar = world.folder().join("foreign.tar");
    let (ended, verdicts) = report(machine.command(&["doctor", "--output", "json"]).unwrap(), &tar).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(verdict(&verdicts, "api-tls"), ["failed"], "{verdicts:?}");
    tells_no_secret(&world, &ended, &tar);
}

#[tokio::test]
async fn what_the_daemons_doctors_write_down_holds_no_key() {
    let children = Children::start(Plan::new().unwrap()).await;
    let world = &children.world;
    for (program, config, needed) in [
        ("tunnel-client", world.client_settings.file(), "mesh-cert"),
        ("tunnel-broker", world.folder().join("broker-child/broker.yaml"), "api-cert"),
    ] {
        let tar = world.folder().join(format!("{program}.tar"));
        let mut command = binaries::command(program, &[]).unwrap();
        command.args(["doctor", "--output", "json", "--config"]).arg(config);
        let (ended, verdicts) = report(command, &tar).await;
        assert_eq!(verdict(&verdicts, needed), ["ok"], "{program}: {ended:?}");
        let packed = fs::read(&tar).unwrap();
        for there in ["findings.json", "config.yaml", "about.json"] {
            assert!(holds(&packed, there.as_bytes()), "{program}: {there}");
        }
        tells_no_secret(world, &ended, &tar);
    }
}
