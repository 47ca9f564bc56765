//! `find`: how to see what there is of a component now.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use tunnel_protos::SettingName;

use super::{
    Reader,
    calls::{self, Answers},
    tasks::WrittenPer,
};
use crate::engine::profile::{
    Find, Look, Per,
    expression::{Names, Shape},
    operable::FindNodes,
    template::Samples,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WrittenFind {
    method: String,
    #[serde(default)]
    per: WrittenPer,
    target: Option<String>,
    request: Option<Value>,
    timeout: Option<String>,
    #[serde(default)]
    also: BTreeMap<String, WrittenLook>,
    replicas: Option<String>,
    release: Option<String>,
    settings: Option<String>,
    nodes: Option<String>,
    ready: Option<String>,
    node_release: Option<String>,
    incarnation: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenLook {
    method: String,
    #[serde(default)]
    per: WrittenPer,
    target: Option<String>,
    request: Option<Value>,
    timeout: Option<String>,
}

impl Reader<'_> {
    /// `shown` are the settings that may be seen.
    pub(super) fn find(
        &mut self,
        key: &str,
        written: &WrittenFind,
        shown: BTreeSet<SettingName>,
    ) -> Option<Find> {
        let looks = self.looks(key, written)?;
        let names = looks.iter().fold(Names::default().with("targets", Shape::Any), |names, look| {
            let answer = Shape::Message(look.call.method.output());
            let shape = match look.per {
                Per::Target => Shape::Map(Box::new(answer)),
                Per::Once => answer,
            };
            names.with(&look.name, shape)
        });
        let replicas = self.optional(&format!("{key}.replicas"), written.replicas.as_deref(), &names);
        let release = self.optional(&format!("{key}.release"), written.release.as_deref(), &names);
        let settings = self.optional(&format!("{key}.settings"), written.settings.as_deref(), &names);
        let nodes = self.nodes(key, written, names)?;
        Some(Find { looks, replicas: replicas?, release: release?, settings: settings?, shown, nodes })
    }

    fn looks(&mut self, key: &str, written: &WrittenFind) -> Option<Vec<Look>> {
        let first = WrittenLook {
            method: written.method.clone(),
            per: written.per,
            target: written.target.clone(),
            request: written.request.clone(),
            timeout: written.timeout.clone(),
        };
        let mut looks = vec![self.look(key, "response", &first)];
        for (name, look) in &written.also {
            let key = format!("{key}.also.{name}");
            if !is_identifier(name) || TAKEN.contains(&name.as_str()) {
                self.problems.add(&key, format!("needs a name of a-z and _ other than {}", TAKEN.join(", ")));
            }
            looks.push(self.look(&key, name, look));
        }
        looks.into_iter().collect()
    }

    fn look(&mut self, key: &str, name: &str, written: &WrittenLook) -> Option<Look> {
        let call = calls::Written {
            method: &written.method,
            request: written.request.as_ref(),
            timeout: written.timeout.as_deref(),
            target: written.target.as_deref(),
            each: written.per == WrittenPer::Target,
            ..calls::Written::default()
        };
        let call = self.call(key, &call, Answers::One, &Samples::new())?;
        Some(Look { name: name.to_owned(), call, per: written.per.into() })
    }

    /// The outer none is a problem that was noted.
    fn nodes(&mut self, key: &str, written: &WrittenFind, names: Names) -> Option<Option<FindNodes>> {
        let Some(list) = &written.nodes else {
            let alone = [&written.ready, &written.node_release, &written.incarnation];
            if alone.iter().any(|text| text.is_some()) {
                return self.problems.none(key, "`ready`, `nodeRelease` and `incarnation` go with `nodes`");
            }
            return Some(None);
        };
        let (list, shape) = self.shaped_expression(&format!("{key}.nodes"), list, &names)?;
        let names = names.with("node", shape.element());
        let Some(ready) = &written.ready else {
            return self.problems.none(format!("{key}.ready"), "is missing: when is a `node` ready?");
        };
        let ready = self.expression(&format!("{key}.ready"), ready, &names);
        let release = self.optional(&format!("{key}.nodeRelease"), written.node_release.as_deref(), &names);
        let incarnation =
            self.optional(&format!("{key}.incarnation"), written.incarnation.as_deref(), &names);
        Some(Some(FindNodes { list, ready: ready?, release: release?, incarnation: incarnation? }))
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')
}

/// What expressions know already, or CEL keeps for itself.
const TAKEN: [&str; 7] = ["response", "targets", "node", "in", "true", "false", "null"];
