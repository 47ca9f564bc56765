//! The profile as it is written: YAML in, [`Profile`] out, everything else refused.

mod health;
mod operable;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use tunnel_certs::crypto::sha256;
use tunnel_protos::{MethodName, TargetName, dynamic::Descriptors, name::NameError};

use self::{health::WrittenHealth, operable::Reader};
use super::{
    Authorization, Credentials, HealthProbe, Profile, ProfileError, ProfileErrors, Schema, TlsFiles,
    is_standard,
    problems::{Problems, value},
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
    let mut problems = Problems::default();
    let (schema, bytes) =
        problems.keep(schema(written.descriptors.as_ref(), folder, read)).unwrap_or_default();
    let targets = endpoints("endpoints", &written.endpoints, &mut problems);
    let companions = endpoints("companions", &written.companions, &mut problems);
    if written.endpoints.is_empty() {
        problems.add("endpoints", "at least one, usually `default`");
    }
    addresses(&targets, &companions, &mut problems);
    let credentials = problems.keep(credentials(written.credentials, folder)).unwrap_or_default();
    let read_only = read_only(&written.read_only, &schema, &mut problems);
    let metadata = metadata(&written.metadata, &mut problems);
    problems.keep(tls_where_needed(targets.values().chain(companions.values()), &credentials));
    let mut reader = Reader {
        descriptors: schema.descriptors(),
        targets: &targets,
        companions: &companions,
        read_only: &read_only,
        problems: &mut problems,
    };
    let health = reader.health(written.health.as_ref()).unwrap_or(HealthProbe::Standard);
    let operable = reader.operable(&operable::Written {
        components: written.components,
        tasks: written.tasks,
        debug: written.debug,
    });
    let digest = digest(text, &bytes);
    let name = written.name;
    problems.unless_any(Profile {
        name,
        schema,
        endpoints: targets,
        companions,
        credentials,
        read_only,
        health,
        metadata,
        operable,
        digest,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    name: String,
    descriptors: Option<OneOrMore>,
    endpoints: BTreeMap<String, String>,
    #[serde(default)]
    credentials: WrittenCredentials,
    #[serde(default)]
    read_only: Vec<String>,
    health: Option<WrittenHealth>,
    #[serde(default)]
    metadata: Vec<String>,
    #[serde(default)]
    companions: BTreeMap<String, String>,
    #[serde(default)]
    tasks: operable::Entries,
    #[serde(default)]
    debug: operable::Entries,
    #[serde(default)]
    components: operable::Entries,
}

/// Files of descriptors: the engine's, and those of its companions.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(PathBuf),
    More(Vec<PathBuf>),
}

impl OneOrMore {
    fn all(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::More(paths) => paths,
        }
    }
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

fn schema(
    written: Option<&OneOrMore>,
    folder: &Path,
    read: impl Fn(&Path) -> Result<Vec<u8>, ProfileError>,
) -> Result<(Schema, Vec<u8>), ProfileError> {
    match written.map_or(&[][..], OneOrMore::all) {
        [] => Ok((Schema::Absent, Vec::new())),
        [path] if path == Path::new("reflection") => Ok((Schema::Reflection, Vec::new())),
        paths => {
            let (mut all, mut bytes) = (Descriptors::default(), Vec::new());
            for path in paths.iter().map(|path| folder.join(path)) {
                let one = read(&path)?;
                all = all.with(&one).map_err(|source| ProfileError::Descriptors { path, source })?;
                bytes.extend(one);
            }
            Ok((Schema::File(all), bytes))
        }
    }
}

fn endpoints(
    list: &str,
    written: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> BTreeMap<TargetName, Endpoint> {
    let one = |(name, endpoint): (&String, &String)| {
        let key = || format!("{list}.{name}");
        let name: TargetName = name.parse().map_err(|e: NameError| value(key(), e.to_string()))?;
        let endpoint: Endpoint = endpoint.parse().map_err(|e: EndpointError| value(key(), e.to_string()))?;
        Ok((name, endpoint))
    };
    written.iter().filter_map(|written| problems.keep(one(written))).collect()
}

/// What is wrong with targets and companions taken together.
fn addresses(
    targets: &BTreeMap<TargetName, Endpoint>,
    companions: &BTreeMap<TargetName, Endpoint>,
    problems: &mut Problems,
) {
    for name in targets.keys().filter(|name| name.as_str() == OPERATIONS) {
        problems.add(format!("endpoints.{name}"), "is the name of Postern's own target; take another");
    }
    for name in companions.keys().filter(|name| targets.contains_key(*name)) {
        problems.add(format!("companions.{name}"), "is an endpoint, too; take another name");
    }
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

fn tls_where_needed<'e>(
    mut endpoints: impl Iterator<Item = &'e Endpoint>,
    credentials: &Credentials,
) -> Result<(), ProfileError> {
    if endpoints.any(Endpoint::is_tls) && credentials.tls.is_none() {
        return Err(value("credentials.tls", "an https endpoint needs `ca`"));
    }
    Ok(())
}

fn digest(text: &str, descriptors: &[u8]) -> [u8; 32] {
    sha256(&[sha256(text.as_bytes()), sha256(descriptors)].concat())
}

/// Behind which operations are reached.
const OPERATIONS: &str = "operations";
