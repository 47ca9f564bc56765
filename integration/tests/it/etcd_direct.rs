//! The real etcd without a tunnel: what the tests through the tunnel build on.

use tunnel_integration::{
    engine_tls::EngineTls,
    etcd::{Etcd, Options},
    harness::grpcurl::{Grpcurl, Ran},
};

const PROTOSET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/etcd.protoset");

async fn grpcurl(flags: &[&str], etcd: &Etcd, method: &str, request: &str) -> Ran {
    let address = etcd.address().to_string();
    let arguments = [flags, &["-protoset", PROTOSET, "-d", request, &address, method]].concat();
    let grpcurl = Grpcurl::find().expect("grpcurl is not installed: run `make tools`");
    grpcurl.run(&arguments, "").await.unwrap()
}

#[tokio::test]
async fn an_etcd_killed_and_restarted_keeps_address_and_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::loopback(folder.path());
    let mut etcd = Etcd::start(&options).await.unwrap();
    let put = grpcurl(&["-plaintext"], &etcd, "etcdserverpb.KV/Put", r#"{"key":"a2V5","value":"dmFsdWU="}"#);
    assert_eq!(put.await.code(), Some(0));
    options.address = etcd.address();
    etcd.kill().await.unwrap();
    let etcd = Etcd::start(&options).await.unwrap();
    let range = grpcurl(&["-plaintext"], &etcd, "etcdserverpb.KV/Range", r#"{"key":"a2V5"}"#).await;
    assert!(range.stdout.contains("dmFsdWU="), "{range:?}");
}

#[tokio::test]
async fn an_etcd_with_mutual_tls_takes_only_callers_with_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let files = EngineTls::create(folder.path()).unwrap();
    let options = Options { tls: Some(files.mutual()), ..Options::loopback(folder.path()) };
    let etcd = Etcd::start(&options).await.unwrap();
    let [ca, certificate, key] =
        [&files.ca, &files.client.0, &files.client.1].map(|path| path.to_str().unwrap());
    let method = "etcdserverpb.Maintenance/Status";
    let with = grpcurl(&["-cacert", ca, "-cert", certificate, "-key", key], &etcd, method, "{}").await;
    assert!(with.code() == Some(0) && with.stdout.contains("3.6.16"), "{with:?}");
    let without = grpcurl(&["-cacert", ca, "-connect-timeout", "1"], &etcd, method, "{}").await;
    assert_ne!(without.code(), Some(0), "{without:?}");
}
