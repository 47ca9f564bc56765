//! An engine is reached through the tunnel on every kind of listener, and only if it is the one the profile names.

use std::net::SocketAddr;

use tempfile::TempDir;
use tonic::{Code, Status};
use tunnel_integration::{
    engine_tls::EngineTls,
    generated::admin::v1::{DescribeCallRequest, admin_client::AdminClient},
    harness::world::Plan,
    reference_engine::{Options, ReferenceEngine, Running, TlsFiles, TlsListener},
};

const DESCRIBE: &str = "engine.admin.v1.Admin/DescribeCall";

struct Engine {
    running: Running,
    files: EngineTls,
    folder: TempDir,
}

impl Engine {
    /// An engine with all its listeners, TLS as `wanted`.
    fn start(wanted: impl Fn(&EngineTls) -> TlsFiles) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = EngineTls::create(folder.path()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let tls = TlsListener { address, config: wanted(&files).load().unwrap() };
        let options = Options {
            tls: Some(tls),
            unix: Some(folder.path().join("engine.sock")),
            ..Options::loopback(folder.path().join("data"))
        };
        Self { running: ReferenceEngine::build(options).unwrap().spawn().unwrap(), files, folder }
    }

    fn h2c(&self) -> String {
        format!("http://{}", self.running.addresses().h2c.unwrap())
    }

    fn tls(&self) -> String {
        format!("https://{}", self.running.addresses().tls.unwrap())
    }

    fn unix(&self) -> String {
        format!("unix:{}", self.folder.path().join("engine.sock").display())
    }

    fn trusting(&self) -> String {
        format!("credentials: {{ tls: {{ ca: {} }} }}\n", self.files.ca.display())
    }

    fn showing_certificate(&self) -> String {
        let [ca, certificate, key] =
            [&self.files.ca, &self.files.client.0, &self.files.client.1].map(|path| path.display());
        format!("credentials: {{ tls: {{ ca: {ca}, cert: {certificate}, key: {key} }} }}\n")
    }
}

/// On which listener the engine saw a call through a tunnel to `endpoint`.
async fn listener(endpoint: String, profile_more: String) -> Result<String, Status> {
    let mut plan = Plan::new().unwrap();
    plan.client.endpoints = vec![("default".to_owned(), endpoint)];
    plan.client.profile_more = profile_more;
    let world = plan.start().await.unwrap();
    let channel = world.pass(&[DESCRIBE]).await.unwrap().channel().unwrap();
    let described = AdminClient::new(channel).describe_call(DescribeCallRequest::default()).await?;
    Ok(described.into_inner().listener)
}

#[tokio::test]
async fn an_engine_on_plain_http2_is_reached() {
    let engine = Engine::start(EngineTls::one_way);
    assert_eq!(listener(engine.h2c(), String::new()).await.unwrap(), "h2c");
}

#[tokio::test]
async fn an_engine_on_a_unix_socket_is_reached() {
    let engine = Engine::start(EngineTls::one_way);
    assert_eq!(listener(engine.unix(), String::new()).await.unwrap(), "unix");
}

#[tokio::test]
async fn an_engine_on_tls_is_reached() {
    let engine = Engine::start(EngineTls::one_way);
    assert_eq!(listener(engine.tls(), engine.trusting()).await.unwrap(), "tls");
}

#[tokio::test]
async fn an_engine_on_mutual_tls_is_reached_with_the_profiles_certificate_only() {
    let engine = Engine::start(EngineTls::mutual);
    assert_eq!(listener(engine.tls(), engine.showing_certificate()).await.unwrap(), "mtls");
    let status = listener(engine.tls(), engine.trusting()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}

#[tokio::test]
async fn an_engine_of_another_authority_is_not_called() {
    let (engine, other) = (Engine::start(EngineTls::one_way), Engine::start(EngineTls::one_way));
    let status = listener(engine.tls(), other.trusting()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}
