//! PEM files: certificates, keys and certificate requests. Of private keys only the public half is told.

use anyhow::{Result, bail};
use rustls_pki_types::pem::{PemObject, SectionKind};

use crate::{
    cli::report::Report,
    csr,
    key::{PublicKey, SealingKey, Signer, SigningKey},
    verify::Summary,
};

/// One report for each object of the file.
pub(super) fn describe(bytes: &[u8]) -> Result<Vec<Report>> {
    let encrypted = is_encrypted(bytes).then(|| Ok(Report::new().with("kind", "encrypted private key")));
    <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes)
        .map(|section| {
            let (kind, der) = section.map_err(|_| anyhow::anyhow!("damaged PEM"))?;
            object(kind, &der, bytes)
        })
        .chain(encrypted)
        .collect()
}

/// Of which nothing can be told without its passphrase.
fn is_encrypted(bytes: &[u8]) -> bool {
    bytes.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED)
}

fn object(kind: SectionKind, der: &[u8], text: &[u8]) -> Result<Report> {
    Ok(match kind {
        SectionKind::Certificate => certificate(der)?,
        SectionKind::PublicKey => public(&PublicKey::from_spki(der)?),
        SectionKind::Csr => request(der),
        SectionKind::PrivateKey => private_key(&String::from_utf8_lossy(text))?,
        other => bail!("a {other:?} is none of our files"),
    })
}

/// Reports the fields of a certificate.
pub(super) fn certificate(der: &[u8]) -> Result<Report> {
    let summary = Summary::read(der)?;
    let kind = match (summary.is_ca, summary.role) {
        (true, _) => "CA certificate".to_owned(),
        (false, Some(role)) => format!("{} certificate", role.name()),
        (false, None) => "certificate".to_owned(),
    };
    let report = Report::new()
        .with("kind", kind)
        .with("subject", &summary.subject)
        .with("names", summary.names.join(" "))
        .with("usages", summary.usages.join(" "))
        .time("not before", summary.not_before)
        .time("not after", summary.not_after)
        .with("serial", summary.serial.map_or("longer than ours".to_owned(), |serial| serial.to_string()));
    Ok(match &summary.key {
        Some(public) => key(report, public),
        None => report.with("algorithm", "another than ours"),
    })
}

/// A public key, with the line by which a policy can name it.
fn public(public: &PublicKey) -> Report {
    let report = key(Report::new().with("kind", "public key"), public);
    match public.to_line() {
        Some(line) => report.with("as approver", format!("key: \"{line}\"")),
        None => report,
    }
}

fn request(der: &[u8]) -> Report {
    let report = Report::new().with("kind", "certificate request");
    match csr::public_key(der) {
        Ok(public) => key(report, &public),
        Err(error) => report.with("refused", error),
    }
}

fn private_key(text: &str) -> Result<Report> {
    if let Ok(private) = SigningKey::from_pem(text) {
        return Ok(key(Report::new().with("kind", "private key"), private.public()));
    }
    let sealing = SealingKey::from_pem(text)?;
    let id = sealing.public().id();
    Ok(Report::new().with("kind", "private key").with("algorithm", "X25519").with("sealing key id", id))
}

fn key(report: Report, public: &PublicKey) -> Report {
    let keyid = data_encoding::HEXLOWER.encode(&public.keyid());
    report.with("algorithm", format!("{:?}", public.algorithm())).with("key id", keyid)
}

const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
