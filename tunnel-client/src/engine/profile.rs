//! The engine profile: one YAML file that tells Postern about an engine, so that no engine needs code.
//!
//! Written by the customer. Whatever it does not mark as read-only mutates, whatever its name.

mod expression;
mod fields;
mod file;
mod operable;
mod parameter;
mod problems;
mod template;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use tunnel_protos::{
    MethodName, MethodPattern, TargetName,
    dynamic::{Descriptors, DescriptorsError, MessageDescriptor},
};

pub use self::{
    expression::{EvaluationError, Expression, ExpressionError, Fact, Scope, Stage, TooLarge},
    fields::{FieldError, FieldList},
    operable::{
        Answer, Answers, Call, Collector, Component, Configure, Find, GateCheck, Look, Operable, Per,
        Progress, Reach, Restart, Risk, Scale, SightError, SightedNode, Sighting, Suggestion, Task, Upgrade,
        Where,
    },
    parameter::{Parameter, ParameterError, ParameterKind},
    template::{Rendered, Template, TemplateError, Var, Vars},
};
use super::Endpoint;

/// Why a profile was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not YAML of the profile's shape; says line and column.
    #[error("the engine profile is malformed: {0}")]
    Malformed(String),
    /// An engine must not tell what may be asked of it.
    #[error(
        "`descriptors: reflection` is for `tunnel-client profile check` only; name a file (`tunnel-client profile descriptors` writes one)"
    )]
    Reflection,
    /// A value that cannot be.
    #[error("`{key}` in the engine profile: {problem}")]
    Value {
        /// Its key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The descriptor set is no descriptor set.
    #[error("the engine profile's descriptors {}", path.display())]
    Descriptors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: DescriptorsError,
    },
}

/// Everything that is wrong with a profile, at once; never empty.
#[derive(Debug)]
pub struct ProfileErrors(Vec<ProfileError>);

impl ProfileErrors {
    /// Each by itself.
    pub fn each(&self) -> impl Iterator<Item = &ProfileError> {
        self.0.iter()
    }
}

impl fmt::Display for ProfileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The causes of a list have no other way to be seen: an error has one source.
        let each: Vec<String> = self.0.iter().map(|error| tunnel_runtime::chain(error).to_string()).collect();
        f.write_str(&each.join("\n"))
    }
}

impl std::error::Error for ProfileErrors {}

/// Where the engine's descriptors come from.
#[derive(Debug, Clone, Default)]
pub(crate) enum Schema {
    /// Nowhere: only literal names can be asked for.
    #[default]
    Absent,
    /// The customer's own file.
    File(Descriptors),
    /// The engine itself, which nobody may believe but `profile check`.
    Reflection,
}

impl Schema {
    fn descriptors(&self) -> Option<&Descriptors> {
        match self {
            Self::File(descriptors) => Some(descriptors),
            Self::Absent | Self::Reflection => None,
        }
    }
}

/// What is known of an engine.
#[derive(Debug, Clone)]
pub struct Profile {
    name: String,
    schema: Schema,
    endpoints: BTreeMap<TargetName, Endpoint>,
    companions: BTreeMap<TargetName, Endpoint>,
    credentials: Credentials,
    read_only: BTreeSet<MethodName>,
    health: HealthProbe,
    metadata: BTreeSet<String>,
    operable: Operable,
    digest: [u8; 32],
}

/// Files with what the engine asks of its callers; read when the engine is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// TLS toward the engine.
    pub tls: Option<TlsFiles>,
    /// What goes into `authorization`.
    pub authorization: Option<Authorization>,
}

/// TLS toward the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM certificates that may sign the engine's.
    pub ca: PathBuf,
    /// PEM chain and PEM key that we show, if the engine asks for mutual TLS.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name to verify instead of the endpoint's host.
    pub server_name: Option<String>,
}

impl TlsFiles {
    /// Every file.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let identity = self.identity.iter().flat_map(|(chain, key)| [chain, key]);
        std::iter::once(&self.ca).chain(identity).map(PathBuf::as_path)
    }
}

impl Credentials {
    /// Every file.
    pub fn files(&self) -> Vec<&Path> {
        let tls = self.tls.iter().flat_map(TlsFiles::paths);
        let authorization = self.authorization.iter().map(|named| match named {
            Authorization::Bearer(path) | Authorization::Basic(path) => path.as_path(),
        });
        tls.chain(authorization).collect()
    }
}

/// A file whose content goes into `authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// Holds a token.
    Bearer(PathBuf),
    /// Holds `user:password`.
    Basic(PathBuf),
}

/// How to ask a target whether it is well.
#[derive(Debug, Clone)]
pub enum HealthProbe {
    /// `grpc.health.v1.Health/Check` of the whole server.
    Standard,
    /// A method of the engine.
    Method(Box<HealthCall>),
}

/// A method of the engine that tells whether it is well.
#[derive(Debug, Clone)]
pub struct HealthCall {
    /// Its name.
    pub method: MethodName,
    /// The encoded request; empty if the profile names none.
    pub request: Bytes,
    /// What its answer must be; without it, an OK status means well.
    pub ok: Option<HealthOk>,
}

/// What an answer must be.
#[derive(Debug, Clone)]
pub struct HealthOk {
    /// The message of the answer.
    pub answer: MessageDescriptor,
    /// True over `response` if the engine is well.
    pub expression: Expression,
}

impl Profile {
    /// Reads a profile and its descriptor set; relative paths are relative to the profile's folder.
    pub fn load(path: &Path) -> Result<Self, ProfileErrors> {
        Self::inspect(path)?.usable()
    }

    /// As [`Self::load`]; `read` fetches each file.
    pub(super) fn load_by(
        path: &Path,
        read: impl Fn(&Path) -> Result<Vec<u8>, ProfileError>,
    ) -> Result<Self, ProfileErrors> {
        Self::inspect_by(path, read)?.usable()
    }

    /// Reads a profile's text; `read` fetches the descriptor set.
    pub fn parse(
        text: &str,
        folder: &Path,
        read: impl Fn(&Path) -> Result<Vec<u8>, ProfileError>,
    ) -> Result<Self, ProfileErrors> {
        file::parse(text, folder, read)?.usable()
    }

    /// Like [`Self::load`], but takes a profile that asks the engine for its descriptors, too: to look at it, never
    /// to run by it.
    pub(super) fn inspect(path: &Path) -> Result<Self, ProfileErrors> {
        Self::inspect_by(path, |path| {
            std::fs::read(path).map_err(|source| ProfileError::Read { path: path.to_owned(), source })
        })
    }

    fn inspect_by(
        path: &Path,
        read: impl Fn(&Path) -> Result<Vec<u8>, ProfileError>,
    ) -> Result<Self, ProfileErrors> {
        let text = read(path).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|error| ProfileError::Malformed(error.to_string()))
        });
        let text = text.map_err(|error| ProfileErrors(vec![error]))?;
        file::parse(&text, path.parent().unwrap_or(Path::new("")), read)
    }

    fn usable(self) -> Result<Self, ProfileErrors> {
        match self.schema {
            Schema::Reflection => Err(ProfileErrors(vec![ProfileError::Reflection])),
            Schema::Absent | Schema::File(_) => Ok(self),
        }
    }

    /// The profile's own name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The customer's descriptor set, if there is one.
    pub fn descriptors(&self) -> Option<&Descriptors> {
        self.schema.descriptors()
    }

    /// Every target with its endpoint.
    pub fn endpoints(&self) -> &BTreeMap<TargetName, Endpoint> {
        &self.endpoints
    }

    /// Targets in the order in which any one of them is tried: `default` before the others.
    pub fn targets_by_preference(&self) -> impl Iterator<Item = &TargetName> {
        let default = TargetName::default_target();
        let first = self.endpoints.keys().filter(move |name| **name == default);
        let default = TargetName::default_target();
        first.chain(self.endpoints.keys().filter(move |name| **name != default))
    }

    /// What stands beside the engine and only operations call; never a target of access.
    pub fn companions(&self) -> &BTreeMap<TargetName, Endpoint> {
        &self.companions
    }

    /// What can be operated.
    pub fn operable(&self) -> &Operable {
        &self.operable
    }

    /// The operation to ask for instead of `method`, if the profile maps it to one: it takes its exact name and `raw`
    /// to reach it by access.
    pub fn operation_of(&self, method: &MethodName) -> Option<&Suggestion> {
        self.operable.operations().get(method)
    }

    /// What the engine asks of its callers.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// How to ask for health.
    pub fn health(&self) -> &HealthProbe {
        &self.health
    }

    /// Further request metadata that may pass to the engine, lower case.
    pub fn metadata(&self) -> &BTreeSet<String> {
        &self.metadata
    }

    /// SHA-256 over profile and descriptor set: part of the policy's digest.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Whether the descriptors are to come from the engine itself.
    pub(super) fn wants_reflection(&self) -> bool {
        matches!(self.schema, Schema::Reflection)
    }

    /// The methods whose calls change nothing.
    pub fn read_only(&self) -> &BTreeSet<MethodName> {
        &self.read_only
    }

    /// Whether calls of `method` change nothing.
    pub fn is_read_only(&self, method: &MethodName) -> bool {
        self.read_only.contains(method)
    }

    /// The methods that a pattern stands for: none for an unknown service; without descriptors only literal names.
    pub fn expand(&self, pattern: &MethodPattern) -> Vec<MethodName> {
        match (pattern, self.schema.descriptors()) {
            (MethodPattern::Exact(method), None) => vec![method.clone()],
            (MethodPattern::Service(_), None) => Vec::new(),
            (_, Some(descriptors)) => descriptors.expand(pattern),
        }
    }
}

/// The standard services are rarely in an engine's own descriptor set.
pub(super) fn is_standard(method: &MethodName) -> bool {
    method.service().starts_with("grpc.")
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
