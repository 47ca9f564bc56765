//! The archive: a tar file, compressed by zstd, whose first file is a manifest with the SHA-256 of all others. The same
//! content always gives the same bytes.

use std::io::{self, Read};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use tunnel_certs::crypto::sha256;
use tunnel_protos::{Digest, RequestId, operations::v1::BundleFile};

use super::collect::{MOST_BYTES, Part};

/// The manifest's path.
pub(super) const MANIFEST: &str = "manifest.json";

/// For what the bundle is.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) id: RequestId,
    pub(super) digest: Digest,
    pub(super) made_ms: i64,
}

/// The archive and what is in it.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) bytes: Vec<u8>,
    pub(super) files: Vec<BundleFile>,
}

pub(super) fn pack(header: &Header, parts: Vec<Part>) -> io::Result<Packed> {
    let (mut files, mut contents, mut listed, mut silent) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for Part { collected, content } in parts {
        match content {
            Ok(content) => {
                let path = format!("{}/{}.json", collected.collector, collected.target);
                let digest = sha256(content.as_bytes());
                let bytes = content.len() as u64;
                listed.push(json!({
                    "path": path, "bytes": bytes, "sha256": HEXLOWER.encode(&digest),
                    "collector": collected.collector, "target": collected.target,
                    "method": collected.method, "fields": collected.fields,
                }));
                let collector = collected.collector;
                files.push(BundleFile { path, bytes, digest: digest.to_vec(), collector });
                contents.push(content);
            }
            Err(why) => silent.push(json!({
                "collector": collected.collector, "target": collected.target, "why": why,
            })),
        }
    }
    let manifest = format!("{:#}\n", manifest(header, &listed, &silent));
    let bytes = archive(header, &manifest, &files, &contents)?;
    let own = BundleFile {
        path: MANIFEST.to_owned(),
        bytes: manifest.len() as u64,
        digest: sha256(manifest.as_bytes()).to_vec(),
        collector: String::new(),
    };
    files.insert(0, own);
    Ok(Packed { bytes, files })
}

fn manifest(header: &Header, files: &[Value], silent: &[Value]) -> Value {
    json!({
        "version": 1,
        "request": header.id.to_string(),
        "requestDigest": header.digest.to_string(),
        "madeMs": header.made_ms,
        "files": files,
        "withoutAnswer": silent,
    })
}

fn archive(
    header: &Header,
    manifest: &str,
    files: &[BundleFile],
    contents: &[String],
) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(zstd::Encoder::new(Vec::new(), LEVEL)?);
    let all = files.iter().map(|file| file.path.as_str()).zip(contents);
    let manifest = manifest.to_owned();
    for (path, content) in std::iter::once((MANIFEST, &manifest)).chain(all) {
        let mut entry = tar::Header::new_ustar();
        entry.set_size(content.len() as u64);
        entry.set_mode(0o600);
        entry.set_mtime(u64::try_from(header.made_ms / 1_000).unwrap_or_default());
        entry.set_cksum();
        archive.append_data(&mut entry, path, content.as_bytes())?;
    }
    archive.into_inner()?.finish()
}

/// One file of an archive; none if it is not in it.
pub(super) fn unpack(archive: &[u8], path: &str) -> io::Result<Option<Vec<u8>>> {
    let plain = zstd::Decoder::new(archive)?.take(MOST_UNPACKED);
    for entry in tar::Archive::new(plain).entries()? {
        let mut entry = entry?;
        if entry.path()?.to_str() == Some(path) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            return Ok(Some(content));
        }
    }
    Ok(None)
}

/// The usual one: what is packed is small.
const LEVEL: i32 = 3;

/// All contents, the manifest, and tar's own blocks for some thousand files.
const MOST_UNPACKED: u64 = MOST_BYTES + (32 << 20);
