//! Calls that a profile prepares: a method of the descriptors, its request with places for values, whom it goes to.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};
use tunnel_protos::{
    MethodName, NodeName, TargetName,
    dynamic::{CallKind, Method},
};

use super::Reader;
use crate::engine::profile::{
    Call, Template, Where,
    template::{Samples, Var},
};

/// What is written of a call.
#[derive(Debug, Default)]
pub(super) struct Written<'w> {
    pub(super) method: &'w str,
    pub(super) request: Option<&'w Value>,
    pub(super) timeout: Option<&'w str>,
    pub(super) target: Option<&'w str>,
    /// Companions by node.
    pub(super) via: Option<&'w BTreeMap<String, String>>,
    /// Each target by itself.
    pub(super) each: bool,
}

/// Whether the answer may be a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::profile::file) enum Answers {
    One,
    Stream,
}

impl Reader<'_> {
    pub(super) fn call(
        &mut self,
        key: &str,
        written: &Written<'_>,
        answers: Answers,
        samples: &Samples,
    ) -> Option<Call> {
        let method = self.method(key, written.method, answers);
        let endpoint = self.endpoint(key, written);
        let timeout = self.duration(&format!("{key}.timeout"), written.timeout, TIMEOUT, LONGEST);
        let method = method?;
        let request = self.template(&format!("{key}.request"), &method, written.request, samples);
        Some(Call { endpoint: endpoint?, request: request?, timeout: timeout?, method })
    }

    pub(in crate::engine::profile::file) fn method(
        &mut self,
        key: &str,
        text: &str,
        answers: Answers,
    ) -> Option<Method> {
        let key = format!("{key}.method");
        let name: MethodName = self.parsed(&key, text)?;
        let Some(descriptors) = self.descriptors else {
            return self.problems.none(key, "needs `descriptors`, the file that says what the method takes");
        };
        let Some(method) = descriptors.method(&name) else {
            return self.problems.none(key, format!("{name} is not in the descriptors"));
        };
        match (method.kind(), answers) {
            (CallKind::Unary, _) | (CallKind::ServerStream, Answers::Stream) => Some(method),
            (CallKind::ServerStream, Answers::One) => {
                self.problems.none(key, format!("{name} answers with a stream; one answer is needed here"))
            }
            (CallKind::ClientStream | CallKind::Bidirectional, _) => {
                self.problems.none(key, format!("{name} takes a stream; no operation can give one"))
            }
        }
    }

    pub(in crate::engine::profile::file) fn template(
        &mut self,
        key: &str,
        method: &Method,
        written: Option<&Value>,
        samples: &Samples,
    ) -> Option<Template> {
        let json = match written {
            None | Some(Value::Null) => Value::Object(Map::new()),
            Some(json) => json.clone(),
        };
        let made = Template::parse(method, json, samples);
        made.map_err(|error| self.problems.add(key, tunnel_runtime::chain(&error).to_string())).ok()
    }

    fn endpoint(&mut self, key: &str, written: &Written<'_>) -> Option<Where> {
        match (written.target, written.via, written.each) {
            (None, None, false) => Some(Where::Any),
            (None, None, true) => Some(Where::Each),
            (None, Some(via), false) => self.companions_of(&format!("{key}.via"), via),
            (Some(text), None, false) => self.target(&format!("{key}.target"), text).map(Where::Target),
            _ => self.problems.none(key, "only one of `target`, `via` and `per: target`"),
        }
    }

    fn target(&mut self, key: &str, text: &str) -> Option<TargetName> {
        let target: TargetName = self.parsed(key, text)?;
        let known = self.targets.contains_key(&target);
        known.then_some(target).or_else(|| self.problems.none(key, format!("there is no endpoint {text}")))
    }

    fn companions_of(&mut self, key: &str, written: &BTreeMap<String, String>) -> Option<Where> {
        let pairs: Vec<_> = written.iter().map(|(node, companion)| self.pair(key, node, companion)).collect();
        pairs.into_iter().collect::<Option<_>>().map(Where::Companion)
    }

    fn pair(&mut self, key: &str, node: &str, companion: &str) -> Option<(NodeName, TargetName)> {
        let key = format!("{key}.{node}");
        let (node, name) = (self.parsed(&key, node), self.parsed::<TargetName>(&key, companion));
        let name = name?;
        if !self.companions.contains_key(&name) {
            return self.problems.none(key, format!("there is no companion {name}"));
        }
        Some((node?, name))
    }
}

/// Samples of values that are texts or numbers.
pub(super) fn texts(names: &[(&str, &str)]) -> Samples {
    names.iter().map(|(name, sample)| ((*name).to_owned(), vec![Var::Text((*sample).to_owned())])).collect()
}

/// Longer than a healthy engine takes for something that is not known to take long.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What takes longer cannot be told from what hangs.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
