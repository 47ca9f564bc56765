//! Debug bundles: exactly what was listed, nothing before the customer lets it go, and none of the engine's secrets.

use std::io::Read as _;

use data_encoding::HEXLOWER;
use tunnel_certs::{crypto::sha256, statement::approval::Subject};
use tunnel_integration::{
    generated::kv::v1::{PutRequest, kv_client::KvClient},
    harness::{operation::debug, operator::Submitted},
    reference_engine::MADE_UP_SECRETS,
};
use tunnel_protos::{
    approvers::{ListBundlesRequest, ReadBundleFileRequest, ReleaseBundleRequest, RequestView},
    operations::v1::{Bundle, FetchBundleRequest},
    v1::RequestState,
};

use super::{Lab, sentence};

impl Lab {
    /// Alice lets a bundle go, as it lies there.
    pub(super) async fn release_bundle(&self, submitted: &Submitted) -> Result<RequestView, tonic::Status> {
        let bundle = self.bundle(submitted).await.digest;
        let subject =
            Subject::ReleaseBundle { request: submitted.digest, bundle: bundle[..].try_into().unwrap() };
        let request = ReleaseBundleRequest {
            id: submitted.request.id.to_string(),
            bundle_digest: bundle,
            note: String::new(),
            approval: self.key.sign(submitted.request.label, subject).unwrap(),
        };
        Ok(self.world.approver().bundles().release_bundle(request).await?.into_inner())
    }

    /// The bundle of a request, as the customer's list has it.
    pub(super) async fn bundle(&self, submitted: &Submitted) -> Bundle {
        let list = self.world.approver().bundles().list_bundles(ListBundlesRequest {}).await.unwrap();
        let id = submitted.request.id.to_string();
        let view =
            list.into_inner().bundles.into_iter().find(|bundle| bundle.id == id).expect("it is listed");
        view.bundle.unwrap()
    }

    async fn read(&self, submitted: &Submitted, path: &str) -> Vec<u8> {
        let request = ReadBundleFileRequest { id: submitted.request.id.to_string(), path: path.to_owned() };
        let mut chunks =
            self.world.approver().bundles().read_bundle_file(request).await.unwrap().into_inner();
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.message().await.unwrap() {
            bytes.extend_from_slice(&chunk.data);
        }
        bytes
    }

    /// The archive as the operator gets it.
    async fn fetch(&self, submitted: &Submitted) -> Result<Vec<u8>, tonic::Status> {
        let mut chunks = self
            .session(submitted)
            .await
            .api()
            .fetch_bundle(FetchBundleRequest { offset: 0 })
            .await?
            .into_inner();
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.message().await? {
            bytes.extend_from_slice(&chunk.data);
        }
        Ok(bytes)
    }

    async fn collected(&self) -> Submitted {
        let put = PutRequest { key: CUSTOMERS_KEY.to_owned(), value: "value".into(), ttl_millis: 0 };
        let address = self.world.engine().unwrap().addresses().h2c.unwrap();
        KvClient::connect(format!("http://{address}")).await.unwrap().put(put).await.unwrap();
        let (submitted, outcome) = self.run(debug(&["status", "nodes", "engine"]).unwrap()).await;
        assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
        submitted
    }
}

/// Every file of an archive with its path.
fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let tar = zstd::decode_all(archive).unwrap();
    let mut files = Vec::new();
    for entry in tar::Archive::new(&tar[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let (path, mut bytes) = (entry.path().unwrap().display().to_string(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        files.push((path, bytes));
    }
    files
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[tokio::test]
async fn what_was_previewed_is_what_leaves() {
    let lab = Lab::start().await;
    let submitted = lab.collected().await;
    let bundle = lab.bundle(&submitted).await;
    let mut previewed = Vec::new();
    for file in &bundle.files {
        let bytes = lab.read(&submitted, &file.path).await;
        assert_eq!(sha256(&bytes).to_vec(), file.digest, "{}", file.path);
        previewed.push((file.path.clone(), bytes));
    }
    let early = lab.fetch(&submitted).await.unwrap_err();
    assert_eq!(early.code(), tonic::Code::FailedPrecondition, "{early:?}");
    lab.release_bundle(&submitted).await.unwrap();
    let archive = lab.fetch(&submitted).await.unwrap();
    assert_eq!(sha256(&archive).to_vec(), bundle.digest);
    let left = files(&archive);
    assert_eq!(left, previewed);
    let (first, manifest) = &left[0];
    assert_eq!(first, "manifest.json");
    for file in &bundle.files[1..] {
        let digest = HEXLOWER.encode(&file.digest);
        assert!(has(manifest, &digest), "{} is not in the manifest", file.path);
    }
}

#[tokio::test]
async fn the_log_has_the_digest_of_what_was_fetched() {
    let lab = Lab::start().await;
    let submitted = lab.collected().await;
    lab.release_bundle(&submitted).await.unwrap();
    let archive = lab.fetch(&submitted).await.unwrap();
    let (records, id) = (lab.world.client_settings.records().unwrap(), submitted.request.id.to_string());
    let of_it = records.iter().filter(|record| record.kind == "bundle" && record.text("request") == id);
    let told: Vec<_> =
        of_it.map(|record| (record.text("what"), record.text("bundle"), record.number("bytes"))).collect();
    let (digest, bytes) = (HEXLOWER.encode(&sha256(&archive)), Some(archive.len() as u64));
    assert_eq!(told, ["made", "released", "fetched"].map(|what| (what, digest.as_str(), bytes)));
    // Under that digest lies a manifest with the digest of each other file.
    let files = files(&archive);
    let manifest: serde_json::Value = serde_json::from_slice(&files[0].1).unwrap();
    assert_eq!(manifest["request"], id);
    let listed = manifest["files"].as_array().unwrap().iter();
    let listed: Vec<_> =
        listed.map(|file| [&file["path"], &file["sha256"]].map(ToString::to_string)).collect();
    let found = files[1..]
        .iter()
        .map(|(path, bytes)| [path.clone(), HEXLOWER.encode(&sha256(bytes))].map(|text| format!("{text:?}")));
    assert_eq!(listed, found.collect::<Vec<_>>());
}

#[tokio::test]
async fn no_bundle_has_a_secret_of_the_engine() {
    let lab = Lab::start().await;
    let submitted = lab.collected().await;
    lab.release_bundle(&submitted).await.unwrap();
    let files = files(&lab.fetch(&submitted).await.unwrap());
    assert!(files.iter().any(|(_, bytes)| has(bytes, "1.0.0")), "it has what it should");
    for (path, bytes) in files {
        let encoded = MADE_UP_SECRETS.map(|secret| data_encoding::BASE64.encode(secret.as_bytes()));
        for secret in
            MADE_UP_SECRETS.into_iter().chain(encoded.iter().map(String::as_str)).chain([CUSTOMERS_KEY])
        {
            assert!(!has(&bytes, secret), "{secret} is in {path}");
        }
    }
    // Nor does the customer's own copy, the store or the log have them.
    for (path, bytes) in everything_in(&lab.world.client_settings.folder) {
        for secret in MADE_UP_SECRETS {
            assert!(!has(&bytes, secret), "{secret} is in {path}");
        }
    }
}

#[tokio::test]
async fn a_release_names_the_bundle_that_was_shown() {
    let lab = Lab::start().await;
    let submitted = lab.collected().await;
    let wrong = ReleaseBundleRequest {
        id: submitted.request.id.to_string(),
        bundle_digest: vec![1; 32],
        note: String::new(),
        approval: lab
            .key
            .sign(
                submitted.request.label,
                Subject::ReleaseBundle { request: submitted.digest, bundle: [1; 32] },
            )
            .unwrap(),
    };
    let refused = lab.world.approver().bundles().release_bundle(wrong).await.unwrap_err();
    sentence(refused.message(), &["bundle"]);
    assert!(!lab.bundle(&submitted).await.released);
}

#[tokio::test]
async fn a_fetch_goes_on_where_it_broke_off() {
    let lab = Lab::start().await;
    let submitted = lab.collected().await;
    lab.release_bundle(&submitted).await.unwrap();
    let whole = lab.fetch(&submitted).await.unwrap();
    let mut api = lab.session(&submitted).await.api();
    let offset = whole.len() as u64 / 2;
    let mut rest = api.fetch_bundle(FetchBundleRequest { offset }).await.unwrap().into_inner();
    let mut bytes = Vec::new();
    while let Some(chunk) = rest.message().await.unwrap() {
        bytes.extend_from_slice(&chunk.data);
    }
    assert_eq!(bytes, whole[whole.len() / 2..]);
}

fn everything_in(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(everything_in(&path)),
            // Sockets cannot be read.
            false => found.extend(std::fs::read(&path).map(|bytes| (path.display().to_string(), bytes))),
        }
    }
    found
}

const CUSTOMERS_KEY: &str = "a-key-of-the-customers-data";
