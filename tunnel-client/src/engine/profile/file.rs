//! The profile as it is written: YAML in, [`Profile`] out, everything else refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::IgnoredAny};
use tunnel_certs::crypto::sha256;
use tunnel_protos::{MethodName, TargetName, dynamic::Descriptors, method::MethodError, name::NameError};

use super::{Authorization, Credentials, HealthProbe, Profile, ProfileError, TlsFiles};
use crate::engine::{Endpoint, EndpointError};

/// Reads `text`; relative paths are relative to `folder`.
pub(super) fn parse(
    text: &str,
    folder: &Path,
    read: impl Fn(&Path) -> Result<Vec<u8>, ProfileError>,
) -> Result<Profile, ProfileError> {
    let written: Written =
        serde_saphyr::from_str(text).map_err(|e| ProfileError::Malformed(e.to_string()))?;
    written.refuse_unsupported()?;
    let path = written.descriptors.as_ref().map(|path| folder.join(path));
    let bytes = path.as_deref().map(read).transpose()?;
    let descriptors = path.zip(bytes.as_deref()).map(|(path, bytes)| decode(path, bytes)).transpose()?;
    let profile = Profile {
        endpoints: endpoints(&written.endpoints)?,
        credentials: credentials(written.credentials, folder)?,
        read_only: read_only(&written.read_only, descriptors.as_ref())?,
        health: health(written.health.as_ref())?,
        metadata: metadata(&written.metadata)?,
        digest: digest(text, bytes.as_deref().unwrap_or_default()),
        name: written.name,
        descriptors,
    };
    tls_where_needed(&profile)?;
    Ok(profile)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    name: String,
    descriptors: Option<PathBuf>,
    endpoints: BTreeMap<String, String>,
    #[serde(default)]
    credentials: WrittenCredentials,
    #[serde(default)]
    read_only: Vec<String>,
    health: Option<WrittenHealth>,
    #[serde(default)]
    metadata: Vec<String>,
    // Known to the format, unknown to this version: named here so that the refusal can say so.
    tasks: Option<IgnoredAny>,
    debug: Option<IgnoredAny>,
    components: Option<IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenCredentials {
    tls: Option<WrittenTls>,
    bearer_file: Option<PathBuf>,
    basic_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenTls {
    ca: PathBuf,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    server_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenHealth {
    method: String,
    ok: Option<IgnoredAny>,
}

impl Written {
    fn refuse_unsupported(&self) -> Result<(), ProfileError> {
        let found = [
            (self.tasks.is_some(), "tasks"),
            (self.debug.is_some(), "debug"),
            (self.components.is_some(), "components"),
            (self.health.as_ref().is_some_and(|health| health.ok.is_some()), "health.ok"),
            (self.descriptors.as_deref() == Some(Path::new("reflection")), "descriptors: reflection"),
        ];
        let first = found.into_iter().find(|(present, _)| *present);
        first.map_or(Ok(()), |(_, key)| Err(ProfileError::Unsupported(key)))
    }
}

fn decode(path: PathBuf, bytes: &[u8]) -> Result<Descriptors, ProfileError> {
    Descriptors::decode(bytes).map_err(|source| ProfileError::Descriptors { path, source })
}

fn endpoints(written: &BTreeMap<String, String>) -> Result<BTreeMap<TargetName, Endpoint>, ProfileError> {
    if written.is_empty() {
        return Err(value("endpoints", "at least one, usually `default`"));
    }
    let one = |(target, endpoint): (&String, &String)| {
        let key = || format!("endpoints.{target}");
        let name: TargetName = target.parse().map_err(|e: NameError| value(key(), e.to_string()))?;
        let endpoint: Endpoint = endpoint.parse().map_err(|e: EndpointError| value(key(), e.to_string()))?;
        Ok((name, endpoint))
    };
    written.iter().map(one).collect()
}

fn credentials(written: WrittenCredentials, folder: &Path) -> Result<Credentials, ProfileError> {
    let authorization = match (written.bearer_file, written.basic_file) {
        (Some(_), Some(_)) => return Err(value("credentials", "either bearerFile or basicFile")),
        (Some(file), None) => Some(Authorization::Bearer(folder.join(file))),
        (None, Some(file)) => Some(Authorization::Basic(folder.join(file))),
        (None, None) => None,
    };
    let tls = written.tls.map(|tls| tls_files(tls, folder)).transpose()?;
    Ok(Credentials { tls, authorization })
}

fn tls_files(written: WrittenTls, folder: &Path) -> Result<TlsFiles, ProfileError> {
    let identity = match (written.cert, written.key) {
        (Some(certificate), Some(key)) => Some((folder.join(certificate), folder.join(key))),
        (None, None) => None,
        _ => return Err(value("credentials.tls", "cert and key come together")),
    };
    Ok(TlsFiles { ca: folder.join(written.ca), identity, server_name: written.server_name })
}

fn read_only(
    written: &[String],
    descriptors: Option<&Descriptors>,
) -> Result<BTreeSet<MethodName>, ProfileError> {
    let one = |text: &String| {
        let method: MethodName = text.parse().map_err(|e| value("readOnly", format!("{text}: {e}")))?;
        // The standard services are rarely in an engine's own descriptor set.
        let known = method.service().starts_with("grpc.")
            || descriptors.is_none_or(|descriptors| descriptors.method(&method).is_some());
        known.then_some(method).ok_or_else(|| value("readOnly", format!("{text} is not in the descriptors")))
    };
    written.iter().map(one).collect()
}

fn health(written: Option<&WrittenHealth>) -> Result<HealthProbe, ProfileError> {
    let Some(written) = written else { return Ok(HealthProbe::Standard) };
    let method: MethodName =
        written.method.parse().map_err(|e: MethodError| value("health.method", e.to_string()))?;
    let standard = method.as_str() == STANDARD_HEALTH;
    Ok(if standard { HealthProbe::Standard } else { HealthProbe::Method(method) })
}

fn metadata(written: &[String]) -> Result<BTreeSet<String>, ProfileError> {
    let one = |name: &String| {
        let header: http::HeaderName =
            name.parse().map_err(|_| value("metadata", format!("{name}: not a name")))?;
        let ours = header == http::header::AUTHORIZATION || header.as_str().starts_with("postern-");
        let plain = !ours && header.as_str() == name && !header.as_str().starts_with("grpc-");
        plain.then(|| name.clone()).ok_or_else(|| {
            value("metadata", format!("{name}: lower case, and not authorization, postern-* or grpc-*"))
        })
    };
    written.iter().map(one).collect()
}

fn tls_where_needed(profile: &Profile) -> Result<(), ProfileError> {
    let needed = profile.endpoints.values().any(Endpoint::is_tls);
    if needed && profile.credentials.tls.is_none() {
        return Err(value("credentials.tls", "an https endpoint needs `ca`"));
    }
    Ok(())
}

fn digest(text: &str, descriptors: &[u8]) -> [u8; 32] {
    sha256(&[sha256(text.as_bytes()), sha256(descriptors)].concat())
}

fn value(key: impl Into<String>, problem: impl Into<String>) -> ProfileError {
    ProfileError::Value { key: key.into(), problem: problem.into() }
}

/// The method that [`HealthProbe::Standard`] calls.
const STANDARD_HEALTH: &str = "grpc.health.v1.Health/Check";
