//! One customer with an engine behind mutual TLS, whose broker issues certificates of a minute.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    slice,
    sync::Arc,
    time::Duration,
};

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;
use tunnel_integration::{
    engine_tls::{EngineTls, Shown},
    harness::{calls::Calls, wait::until},
    reference_engine::{Options, ReferenceEngine, Running, TlsListener},
};

use crate::enrollment::lab::{ACCESS, Lab, STATUS, Site, cluster};

/// For one piece; a certificate of a minute is renewed after 40 s.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

pub(super) struct Stage {
    pub(super) lab: Lab,
    pub(super) site: Site,
    engine: Engine,
}

/// Its next certificates are made at the start, so that it takes callers of both authorities.
struct Engine {
    files: PathBuf,
    next: EngineTls,
    shown: Arc<Shown>,
    _running: Running,
}

impl Stage {
    pub(super) async fn set() -> Self {
        let lab = Lab::start_with(|broker| "1m".clone_into(&mut broker.leaf_life)).await;
        let (bundle, _) = lab.invites("acme.bundle", &[]).await;
        let (engine, address) = Engine::start(lab.path("engine-tls"));
        let mut settings = lab.settings("customer", &bundle);
        settings.endpoints = vec![("default".to_owned(), format!("https://{address}"))];
        let file = |name: &str| engine.files.join("now").join(name).display().to_string();
        let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(file);
        settings.profile_more =
            format!("credentials: {{ tls: {{ ca: {ca}, cert: {certificate}, key: {key} }} }}\n");
        let site = lab.start_site(settings);
        lab.enrolls(&site).await;
        lab.is_called().await;
        Self { lab, site, engine }
    }

    /// Calls that began before anything is replaced.
    pub(super) async fn calls(&self) -> Calls {
        let pass = self.lab.operator("bob").pass(&cluster(), &[STATUS]).await.unwrap();
        Calls::start(vec![("bob".to_owned(), pass)]).unwrap()
    }

    /// What the customer's status says there, as a JSON pointer.
    pub(super) async fn said(&self, pointer: &str) -> Value {
        self.site.says().await.unwrap().pointer(pointer).cloned().unwrap_or_default()
    }

    /// Waits until the status says something else there.
    pub(super) async fn no_more(&self, pointer: &str, before: &Value) {
        until(&format!("{pointer} is not {before}"), LIMIT, || async {
            let now = self.said(pointer).await;
            anyhow::ensure!(now != *before, "it still is");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// A policy that says one thing more.
    pub(super) fn writes_policy(&self) {
        let more = format!("{ACCESS}  - methods: [engine.kv.v1.KV/Get]\n    approval: manual\n");
        fs::write(self.site.settings.folder.join("policy.yaml"), self.lab.key.policy(&more)).unwrap();
    }

    /// A profile with one target more.
    pub(super) fn writes_profile(&mut self) {
        let settings = &mut self.site.settings;
        let (_, url) = settings.endpoints[0].clone();
        settings.endpoints.push(("second".to_owned(), url));
        let more = &settings.profile_more;
        settings.profile.write(&settings.folder, &settings.endpoints, &[], more).unwrap();
    }

    /// First whom this side trusts and what it shows, then the engine's side, then the old authority goes.
    pub(super) async fn replaces_engine_files(&self) {
        let Engine { files, next, shown, .. } = &self.engine;
        put(files, "both", &[next.ca.clone(), files.join("old/ca.pem")], &next.client);
        self.lab.is_called().await;
        shown.replace(next.certified().unwrap());
        self.lab.is_called().await;
        put(files, "next", slice::from_ref(&next.ca), &next.client);
    }
}

impl Engine {
    fn start(files: PathBuf) -> (Self, SocketAddr) {
        let [old, next] = ["first", "second"].map(|name| {
            let folder = files.join(name);
            fs::create_dir_all(&folder).unwrap();
            EngineTls::create(&folder).unwrap()
        });
        put(&files, "old", slice::from_ref(&old.ca), &old.client);
        let shown = Shown::new(old.certified().unwrap());
        let config = taking(&[&old, &next], Arc::clone(&shown));
        let tls = TlsListener { address: SocketAddr::from(([127, 0, 0, 1], 0)), config };
        let options = Options { tls: Some(tls), ..Options::loopback(files.join("data")) };
        let running = ReferenceEngine::build(options).unwrap().spawn().unwrap();
        let address = running.addresses().tls.unwrap();
        (Self { files, next, shown, _running: running }, address)
    }
}

/// An engine that takes callers of all these.
fn taking(authorities: &[&EngineTls], shown: Arc<Shown>) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(CertificateDer::from_pem_file(&authority.ca).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let callers = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_client_cert_verifier(callers.build().unwrap()).with_cert_resolver(shown);
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// As Kubernetes replaces the files of a secret: all at once, by a link.
fn put(files: &Path, name: &str, authorities: &[PathBuf], client: &(PathBuf, PathBuf)) {
    let folder = files.join(name);
    fs::create_dir_all(&folder).unwrap();
    let ca: Vec<u8> = authorities.iter().flat_map(|path| fs::read(path).unwrap()).collect();
    fs::write(folder.join("ca.pem"), ca).unwrap();
    fs::copy(&client.0, folder.join("client.pem")).unwrap();
    fs::copy(&client.1, folder.join("client.key")).unwrap();
    let link = files.join("link");
    symlink(&folder, &link).unwrap();
    fs::rename(link, files.join("now")).unwrap();
}
