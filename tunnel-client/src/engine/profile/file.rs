//! The profile as it is written: YAML in, [`Profile`] out, everything else refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::IgnoredAny};
use tunnel_certs::crypto::sha256;
use tunnel_protos::{MethodName, TargetName, dynamic::Descriptors, method::MethodError, name::NameError};

use super::{
    Authorization, Credentials, HealthProbe, Profile, ProfileError, ProfileErrors, Schema, TlsFiles,
    is_standard,
};
use crate::engine::{Endpoint, EndpointError};

/// Reads `text`; relative paths are relative to `folder`. All problems come at once, but for those that hide others.
pub(super) fn parse(
    text: &str,
    folder: &Path,
    read: impl Fn(&Path) -> Result<Vec<u8>, ProfileError>,
) -> Result<Profile, ProfileErrors> {
    let written: Written = serde_saphyr::from_str(text)
        .map_err(|e| ProfileErrors(vec![ProfileError::Malformed(e.to_string())]))?;
    let mut problems = Problems(written.unsupported());
    let (schema, bytes) =
        problems.keep(schema(written.descriptors.as_deref(), folder, read)).unwrap_or_default();
    let endpoints = endpoints(&written.endpoints, &mut problems);
    let credentials = problems.keep(credentials(written.credentials, folder)).unwrap_or_default();
    let read_only = read_only(&written.read_only, &schema, &mut problems);
    let health = problems.keep(health(written.health.as_ref())).unwrap_or(HealthProbe::Standard);
    let metadata = metadata(&written.metadata, &mut problems);
    problems.keep(tls_where_needed(&endpoints, &credentials));
    let digest = digest(text, &bytes);
    let profile =
        Profile { name: written.name, schema, endpoints, credentials, read_only, health, metadata, digest };
    if problems.0.is_empty() { Ok(profile) } else { Err(ProfileErrors(problems.0)) }
}

/// What was found wrong so far.
struct Problems(Vec<ProfileError>);

impl Problems {
    fn keep<T>(&mut self, outcome: Result<T, ProfileError>) -> Option<T> {
        outcome.map_err(|error| self.0.push(error)).ok()
    }
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
    fn unsupported(&self) -> Vec<ProfileError> {
        let found = [
            (self.tasks.is_some(), "tasks"),
            (self.debug.is_some(), "debug"),
            (self.components.is_some(), "components"),
            (self.health.as_ref().is_some_and(|health| health.ok.is_some()), "health.ok"),
        ];
        let present = found.into_iter().filter(|(present, _)| *present);
        present.map(|(_, key)| ProfileError::Unsupported(key)).collect()
    }
}

fn schema(
    written: Option<&Path>,
    folder: &Path,
    read: impl Fn(&Path) -> Result<Vec<u8>, ProfileError>,
) -> Result<(Schema, Vec<u8>), ProfileError> {
    match written.map(|path| (path, folder.join(path))) {
        None => Ok((Schema::Absent, Vec::new())),
        Some((path, _)) if path == Path::new("reflection") => Ok((Schema::Reflection, Vec::new())),
        Some((_, path)) => {
            let bytes = read(&path)?;
            decode(path, &bytes).map(|descriptors| (Schema::File(descriptors), bytes))
        }
    }
}

fn decode(path: PathBuf, bytes: &[u8]) -> Result<Descriptors, ProfileError> {
    Descriptors::decode(bytes).map_err(|source| ProfileError::Descriptors { path, source })
}

fn endpoints(written: &BTreeMap<String, String>, problems: &mut Problems) -> BTreeMap<TargetName, Endpoint> {
    if written.is_empty() {
        problems.0.push(value("endpoints", "at least one, usually `default`"));
    }
    let one = |(target, endpoint): (&String, &String)| {
        let key = || format!("endpoints.{target}");
        let name: TargetName = target.parse().map_err(|e: NameError| value(key(), e.to_string()))?;
        let endpoint: Endpoint = endpoint.parse().map_err(|e: EndpointError| value(key(), e.to_string()))?;
        Ok((name, endpoint))
    };
    written.iter().filter_map(|written| problems.keep(one(written))).collect()
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

fn read_only(written: &[String], schema: &Schema, problems: &mut Problems) -> BTreeSet<MethodName> {
    let one = |text: &String| {
        let method: MethodName = text.parse().map_err(|e| value("readOnly", format!("{text}: {e}")))?;
        let known = is_standard(&method)
            || schema.descriptors().is_none_or(|descriptors| descriptors.method(&method).is_some());
        known.then_some(method).ok_or_else(|| value("readOnly", format!("{text} is not in the descriptors")))
    };
    written.iter().filter_map(|text| problems.keep(one(text))).collect()
}

fn health(written: Option<&WrittenHealth>) -> Result<HealthProbe, ProfileError> {
    let Some(written) = written else { return Ok(HealthProbe::Standard) };
    let method: MethodName =
        written.method.parse().map_err(|e: MethodError| value("health.method", e.to_string()))?;
    let standard = method.as_str() == STANDARD_HEALTH;
    Ok(if standard { HealthProbe::Standard } else { HealthProbe::Method(method) })
}

fn metadata(written: &[String], problems: &mut Problems) -> BTreeSet<String> {
    let one = |name: &String| {
        let header: http::HeaderName =
            name.parse().map_err(|_| value("metadata", format!("{name}: not a name")))?;
        let ours = header == http::header::AUTHORIZATION || header.as_str().starts_with("postern-");
        let plain = !ours && header.as_str() == name && !header.as_str().starts_with("grpc-");
        plain.then(|| name.clone()).ok_or_else(|| {
            value("metadata", format!("{name}: lower case, and not authorization, postern-* or grpc-*"))
        })
    };
    written.iter().filter_map(|name| problems.keep(one(name))).collect()
}

fn tls_where_needed(
    endpoints: &BTreeMap<TargetName, Endpoint>,
    credentials: &Credentials,
) -> Result<(), ProfileError> {
    if endpoints.values().any(Endpoint::is_tls) && credentials.tls.is_none() {
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
