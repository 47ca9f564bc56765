//! `tasks` and `debug`: what the engine does once asked, and what it tells for a debug bundle.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tunnel_protos::SettingName;
use tunnel_runtime::config::ByteSize;

use super::{
    Entries, Reader,
    calls::{self, Answers, texts},
    parameters::Kind,
};
use crate::engine::profile::{
    Call, Collector, FieldList, Parameter, Per, Progress, Risk, Task,
    expression::{Names, Shape},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenTask {
    method: String,
    #[serde(default)]
    per: WrittenPer,
    target: Option<String>,
    request: Option<Value>,
    #[serde(default)]
    arguments: Entries,
    timeout: Option<String>,
    progress: Option<WrittenProgress>,
    ok: Option<String>,
    component: Option<String>,
    #[serde(default)]
    risk: WrittenRisk,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenCollector {
    method: String,
    per: Option<WrittenPer>,
    target: Option<String>,
    request: Option<Value>,
    timeout: Option<String>,
    allow: Vec<String>,
    size_cap: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenProgress {
    done: String,
    total: String,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum WrittenPer {
    Target,
    #[default]
    Once,
}

/// Who does not say is not taken for harmless.
#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum WrittenRisk {
    Low,
    #[default]
    Medium,
    High,
}

impl Reader<'_> {
    pub(super) fn task(&mut self, key: &str, name: &str, value: &Value) -> Option<Task> {
        let written: WrittenTask = self.shaped(key, value)?;
        let arguments = self.parameters(&format!("{key}.arguments"), &written.arguments, Kind::Arguments);
        let component = written.component.as_deref();
        let component =
            component.map_or(Some(None), |text| self.parsed(&format!("{key}.component"), text).map(Some));
        let call = self.task_call(key, &written, &arguments)?;
        let names = Names::default().with("response", Shape::Message(call.method.output()));
        let progress = written.progress.as_ref();
        let progress = progress.map_or(Some(None), |written| {
            self.progress(&format!("{key}.progress"), written, &names).map(Some)
        });
        let ok = self.optional(&format!("{key}.ok"), written.ok.as_deref(), &names);
        Some(Task {
            name: name.parse().ok()?,
            call,
            per: written.per.into(),
            arguments,
            progress: progress?,
            ok: ok?,
            component: component?,
            risk: written.risk.into(),
        })
    }

    fn task_call(
        &mut self,
        key: &str,
        written: &WrittenTask,
        arguments: &BTreeMap<SettingName, Parameter>,
    ) -> Option<Call> {
        let mut samples = texts(&[("target", "default")]);
        for (name, parameter) in arguments {
            if samples.insert(name.to_string(), parameter.samples()).is_some() {
                let problem = "`target` is the name of the target at hand; take another";
                self.problems.add(format!("{key}.arguments.{name}"), problem);
            }
        }
        let call = calls::Written {
            method: &written.method,
            request: written.request.as_ref(),
            timeout: written.timeout.as_deref(),
            target: written.target.as_deref(),
            each: written.per == WrittenPer::Target,
            ..calls::Written::default()
        };
        let call = self.call(key, &call, Answers::Stream, &samples)?;
        for name in arguments.keys().filter(|name| !call.request.uses(name.as_str())) {
            let problem = format!("has no place in the request: write ${{{name}}} there");
            self.problems.add(format!("{key}.arguments.{name}"), problem);
        }
        Some(call)
    }

    fn progress(&mut self, key: &str, written: &WrittenProgress, names: &Names) -> Option<Progress> {
        let done = self.expression(&format!("{key}.done"), &written.done, names);
        let total = self.expression(&format!("{key}.total"), &written.total, names);
        Some(Progress { done: done?, total: total? })
    }

    pub(super) fn collector(&mut self, key: &str, name: &str, value: &Value) -> Option<Collector> {
        let written: WrittenCollector = self.shaped(key, value)?;
        // What is asked of one target cannot be asked of each.
        let standard = if written.target.is_some() { WrittenPer::Once } else { WrittenPer::Target };
        let per = written.per.unwrap_or(standard);
        let call = calls::Written {
            method: &written.method,
            request: written.request.as_ref(),
            timeout: written.timeout.as_deref(),
            target: written.target.as_deref(),
            each: per == WrittenPer::Target,
            ..calls::Written::default()
        };
        let call = self.call(key, &call, Answers::One, &texts(&[("target", "default")]));
        let size_cap = self.size_cap(&format!("{key}.sizeCap"), written.size_cap.as_deref());
        let call = call?;
        let allow = self.fields(&format!("{key}.allow"), &call, &written.allow);
        let name = name.parse().ok()?;
        Some(Collector { name, per: per.into(), allow: allow?, size_cap: size_cap?, call })
    }

    fn fields(&mut self, key: &str, call: &Call, paths: &[String]) -> Option<FieldList> {
        if paths.is_empty() {
            return self.problems.none(key, "at least one field: what is not listed never leaves");
        }
        let list = FieldList::parse(&call.method.output(), paths);
        list.map_err(|problems| {
            problems.iter().for_each(|problem| self.problems.add(key, problem.to_string()));
        })
        .ok()
    }

    fn size_cap(&mut self, key: &str, text: Option<&str>) -> Option<u64> {
        let Some(text) = text else { return Some(SIZE_CAP) };
        let cap = self.parsed::<ByteSize>(key, text)?.get();
        let fits = (1..=MOST_BYTES).contains(&cap);
        fits.then_some(cap)
            .or_else(|| self.problems.none(key, format!("from 1B to {}", ByteSize(MOST_BYTES))))
    }
}

impl From<WrittenPer> for Per {
    fn from(written: WrittenPer) -> Self {
        match written {
            WrittenPer::Target => Self::Target,
            WrittenPer::Once => Self::Once,
        }
    }
}

impl From<WrittenRisk> for Risk {
    fn from(written: WrittenRisk) -> Self {
        match written {
            WrittenRisk::Low => Self::Low,
            WrittenRisk::Medium => Self::Medium,
            WrittenRisk::High => Self::High,
        }
    }
}

/// Of one file, if the profile does not say: much for a list of facts, little for anything else.
const SIZE_CAP: u64 = 1 << 20;

/// No answer of more than 4 MiB is taken from an engine; as text it may be larger.
const MOST_BYTES: u64 = 16 << 20;
