use std::{fs, os::unix::fs::PermissionsExt};

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

use super::*;
use crate::{
    cli::ConfigFile,
    doctor::testing::{Broker, Site},
};

const AUDITED: &str = "what-an-operator-did";
const TOKEN: &str = "tok-5d1e9c0c6f3a4b7e";
const WEBHOOK: &str = "whsec_c2VjcmV0LW9mLXRoZS13ZWJob29rLTAxMjM0NTY3ODk=";

/// Everything of `site` that must stay there.
fn secrets(site: &Site) -> Vec<Vec<u8>> {
    let bundle = site.enrollment();
    tunnel_certs::file::write_private(&site.path("b"), bundle.to_text().as_bytes()).unwrap();
    tunnel_certs::file::write_private(&site.path("hook"), WEBHOOK.as_bytes()).unwrap();
    tunnel_certs::file::write_private(&site.path("token"), TOKEN.as_bytes()).unwrap();
    fs::create_dir_all(site.path("state/audit")).unwrap();
    site.write("state/audit/1.jsonl", AUDITED.as_bytes());
    let mut secrets = vec![AUDITED.into(), TOKEN.into(), WEBHOOK.into(), b"/services/T0/HOOKPATH".to_vec()];
    secrets.extend(BASE64.decode(WEBHOOK.trim_start_matches("whsec_").as_bytes()));
    secrets.push(bundle.to_text().as_bytes().to_vec());
    for secret in [bundle.secret.as_bytes(), bundle.secret.broker_secret().as_bytes()] {
        secrets.push(secret.to_vec());
    }
    for entry in fs::read_dir(site.path("state")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "key") {
            let pem = fs::read_to_string(path).unwrap();
            let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
            let der = BASE64.decode(body.as_bytes()).unwrap();
            // The private half itself, where PKCS#8 has it: P-256, or Ed25519 and X25519.
            let raw = if der.len() > 100 { 36..68 } else { 16..48 };
            let line = pem.lines().nth(1).unwrap().as_bytes().to_vec();
            secrets.extend([der[raw].to_vec(), line, der, body.into_bytes()]);
        }
    }
    secrets
}

/// As it is, and as text of any usual kind.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let text = [BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER].map(|kind| kind.encode(secret));
    text.into_iter().map(String::into_bytes).chain([secret.to_vec()]).collect()
}

fn holds(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn no_secret_goes_into_the_bundle() {
    let site = Site::new();
    let broker = Broker::start(&site, &site.broker()).await;
    let secrets = secrets(&site);
    assert!(secrets.len() > 15, "four keys and the rest, in all their parts: {}", secrets.len());
    site.write(
        "profile.yaml",
        b"name: test\nendpoints: { default: 'unix:/nowhere/engine.sock' }\ncredentials: { bearerFile: token }\n",
    );
    let webhook = "webhook: { url: 'https://hooks.example/services/T0/HOOKPATH', secretFile: hook }";
    site.configure(&broker.address, &format!("enrollment: {{ bundle: b }}\n{webhook}\n"));
    let (tar, out) = (site.path("doctor.tar"), Format::Json);
    let doctor = Doctor {
        config: ConfigFile { config: site.path("client.yaml") },
        output: out,
        bundle: Some(tar.clone()),
    };
    let read = |_: &Path| site.read().map_err(|error| (Exit::Config, anyhow::anyhow!(error)));
    let (printed, exit) = doctor.run(read, &BTreeMap::new()).await.unwrap();
    // There is no engine.
    assert_eq!(exit, Exit::Failed, "{printed}");
    assert_eq!(fs::metadata(&tar).unwrap().permissions().mode() & 0o777, 0o600);
    let packed = fs::read(&tar).unwrap();
    for there in ["findings.json", "config.yaml", "policyDigest", "secretFile", env!("CARGO_PKG_VERSION")] {
        assert!(holds(&packed, there.as_bytes()), "{there}");
    }
    for secret in &secrets {
        for form in forms(secret) {
            assert!(!holds(&packed, &form), "{}", String::from_utf8_lossy(&form));
            assert!(!holds(printed.as_bytes(), &form), "{}", String::from_utf8_lossy(&form));
        }
    }
}

#[tokio::test]
async fn a_file_that_is_there_is_not_overwritten() {
    let site = Site::empty();
    site.write("doctor.tar", b"mine");
    let doctor = Doctor {
        config: ConfigFile { config: site.path("client.yaml") },
        output: Format::Text,
        bundle: Some(site.path("doctor.tar")),
    };
    let read = |_: &Path| Err((Exit::Config, anyhow::anyhow!("no file")));
    let (exit, _) = doctor.run(read, &BTreeMap::new()).await.unwrap_err();
    assert_eq!((exit, fs::read(site.path("doctor.tar")).unwrap()), (Exit::Failed, b"mine".to_vec()));
}
