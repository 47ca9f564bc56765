//! `components`: what is scaled, upgraded, restarted and configured as one.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use tunnel_protos::SettingName;

use super::{
    Entries, Reader,
    calls::{self, Answers, texts},
    finds::WrittenFind,
    parameters::Kind,
};
use crate::engine::profile::{
    Call, Component, Configure, GateCheck, Parameter, Reach, Restart, Scale, Upgrade,
    template::{Samples, Var},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    find: Value,
    gate: Option<Value>,
    scale: Option<Value>,
    upgrade: Option<Value>,
    restart: Option<Value>,
    configure: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenGate {
    soak: Option<String>,
    deadline: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenScale {
    method: String,
    target: Option<String>,
    request: Value,
    timeout: Option<String>,
    min: u32,
    max: u32,
    #[serde(default)]
    odd: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenRollout {
    method: String,
    target: Option<String>,
    request: Option<Value>,
    timeout: Option<String>,
    per: WrittenReach,
    via: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum WrittenReach {
    Node,
    Component,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenConfigure {
    method: String,
    target: Option<String>,
    request: Value,
    timeout: Option<String>,
    settings: Entries,
}

impl Reader<'_> {
    pub(super) fn component(&mut self, key: &str, name: &str, value: &Value) -> Option<Component> {
        let written: Written = self.shaped(key, value)?;
        let gate = self.gate(&format!("{key}.gate"), written.gate.as_ref());
        let scale = self.part(key, "scale", written.scale.as_ref(), Self::scale);
        let upgrade = self.part(key, "upgrade", written.upgrade.as_ref(), Self::upgrade);
        let restart = self.part(key, "restart", written.restart.as_ref(), Self::restart);
        let configure = self.part(key, "configure", written.configure.as_ref(), Self::configure);
        let find: Option<WrittenFind> = self.shaped(&format!("{key}.find"), &written.find);
        let settings = configure.iter().flatten().flat_map(|configure| &configure.settings);
        let shown =
            settings.filter(|(_, setting)| !setting.sensitive).map(|(name, _)| name.clone()).collect();
        let find = find.and_then(|find| self.find(&format!("{key}.find"), &find, shown));
        let component = Component {
            name: name.parse().ok()?,
            find: find?,
            gate: gate?,
            scale: scale?,
            upgrade: upgrade?,
            restart: restart?,
            configure: configure?,
        };
        self.needs(key, &component);
        Some(component)
    }

    /// A part that may be left out; the outer none is a problem.
    fn part<T>(
        &mut self,
        key: &str,
        part: &str,
        value: Option<&Value>,
        read: impl Fn(&mut Self, &str, &Value) -> Option<T>,
    ) -> Option<Option<T>> {
        value.map_or(Some(None), |value| read(self, &format!("{key}.{part}"), value).map(Some))
    }

    fn gate(&mut self, key: &str, value: Option<&Value>) -> Option<GateCheck> {
        let written: WrittenGate =
            value.map_or(Some(WrittenGate::default()), |value| self.shaped(key, value))?;
        let soak = self.duration(&format!("{key}.soak"), written.soak.as_deref(), SOAK, LONGEST_SOAK);
        let deadline = written.deadline.as_deref();
        let deadline = self.duration(&format!("{key}.deadline"), deadline, DEADLINE, LONGEST_DEADLINE);
        let (soak, deadline) = (soak?, deadline?);
        if soak >= deadline {
            return self.problems.none(key, "`deadline` includes `soak` and must be longer");
        }
        Some(GateCheck { soak, deadline })
    }

    fn scale(&mut self, key: &str, value: &Value) -> Option<Scale> {
        let written: WrittenScale = self.shaped(key, value)?;
        let call = calls::Written {
            method: &written.method,
            request: Some(&written.request),
            timeout: written.timeout.as_deref(),
            target: written.target.as_deref(),
            ..calls::Written::default()
        };
        let call = self.changing(key, &call, &texts(&[("component", "component"), ("replicas", "1")]));
        let WrittenScale { min, max, odd, .. } = written;
        if min == 0 || min > max {
            self.problems.add(key, "`min` is at least 1 and at most `max`");
        }
        let call = call?;
        if !call.request.uses("replicas") {
            self.problems.add(format!("{key}.request"), "has no place for ${replicas}");
        }
        Some(Scale { call, min, max, odd })
    }

    fn upgrade(&mut self, key: &str, value: &Value) -> Option<Upgrade> {
        let more = [("release", "release"), ("image", "registry/image@sha256:00")];
        let (call, per) = self.rollout(key, value, &more)?;
        if !call.request.uses("release") && !call.request.uses("image") {
            self.problems.add(format!("{key}.request"), "has no place for ${release} or ${image}");
        }
        Some(Upgrade { call, per })
    }

    fn restart(&mut self, key: &str, value: &Value) -> Option<Restart> {
        self.rollout(key, value, &[]).map(|(call, per)| Restart { call, per })
    }

    fn rollout(&mut self, key: &str, value: &Value, more: &[(&str, &str)]) -> Option<(Call, Reach)> {
        let written: WrittenRollout = self.shaped(key, value)?;
        let call = calls::Written {
            method: &written.method,
            request: written.request.as_ref(),
            timeout: written.timeout.as_deref(),
            target: written.target.as_deref(),
            via: written.via.as_ref(),
            ..calls::Written::default()
        };
        let mut samples = texts(more);
        samples.extend(texts(&[("component", "component")]));
        if written.per == WrittenReach::Node {
            samples.extend(texts(&[("node", "node")]));
            samples.insert("nodes".to_owned(), vec![Var::List(vec!["node".to_owned()])]);
        }
        let call = self.changing(key, &call, &samples)?;
        let reach = self.reach(key, &written, &call)?;
        Some((call, reach))
    }

    fn reach(&mut self, key: &str, written: &WrittenRollout, call: &Call) -> Option<Reach> {
        let named = call.request.uses("node") || call.request.uses("nodes");
        match (written.per, &written.via) {
            (WrittenReach::Node, None) if !named => {
                self.problems.none(key, "`per: node` needs ${node} or ${nodes} in its request, or `via`")
            }
            (WrittenReach::Component, Some(_)) => {
                self.problems.none(key, "`via` names the companion of each node and goes with `per: node`")
            }
            (WrittenReach::Node, _) => Some(Reach::Node),
            (WrittenReach::Component, None) => Some(Reach::Component),
        }
    }

    fn configure(&mut self, key: &str, value: &Value) -> Option<Configure> {
        let written: WrittenConfigure = self.shaped(key, value)?;
        let settings = self.parameters(&format!("{key}.settings"), &written.settings, Kind::Settings);
        if settings.is_empty() {
            let problem = "at least one: what is not listed cannot be changed";
            return self.problems.none(format!("{key}.settings"), problem);
        }
        let call = calls::Written {
            method: &written.method,
            request: Some(&written.request),
            timeout: written.timeout.as_deref(),
            target: written.target.as_deref(),
            ..calls::Written::default()
        };
        let call = self.changing(key, &call, &samples(&settings))?;
        let uses = |name| call.request.uses(name);
        if uses("settings") == (uses("setting") && uses("value")) {
            let problem = "needs either ${settings}, or both ${setting} and ${value}";
            return self.problems.none(format!("{key}.request"), problem);
        }
        Some(Configure { call, settings })
    }

    /// A call that changes something: none that the profile takes for a read.
    fn changing(&mut self, key: &str, written: &calls::Written<'_>, samples: &Samples) -> Option<Call> {
        let call = self.call(key, written, Answers::Stream, samples)?;
        if self.read_only.contains(call.method.name()) {
            return self
                .problems
                .none(format!("{key}.method"), "is marked readOnly, but changes something here");
        }
        Some(call)
    }

    /// What its parts need to see.
    fn needs(&mut self, key: &str, component: &Component) {
        let Component { find, scale, upgrade, restart, configure, .. } = component;
        let by_node = upgrade.as_ref().is_some_and(|upgrade| upgrade.per == Reach::Node);
        let needs = [
            (scale.is_some() && find.replicas.is_none() && find.nodes.is_none(), "replicas", "scale"),
            (upgrade.is_some() && find.release.is_none(), "release", "upgrade"),
            (by_node && find.nodes.is_none(), "nodes", "upgrade"),
            (restart.is_some() && find.nodes.is_none(), "nodes", "restart"),
            (configure.is_some() && find.settings.is_none(), "settings", "configure"),
        ];
        for (_, part, operation) in needs.iter().filter(|(missing, ..)| *missing) {
            self.problems.add(format!("{key}.find.{part}"), format!("is missing: `{operation}` needs it"));
        }
    }
}

fn samples(settings: &BTreeMap<SettingName, Parameter>) -> Samples {
    let all = settings.keys().map(|name| (name.to_string(), "text".to_owned())).collect();
    let mut samples = texts(&[("component", "component")]);
    samples.insert("settings".to_owned(), vec![Var::Map(all)]);
    samples.insert("setting".to_owned(), settings.keys().map(|name| Var::Text(name.to_string())).collect());
    samples.insert("value".to_owned(), settings.values().flat_map(Parameter::samples).collect());
    samples
}

/// Long enough that a node that dies at once is seen to.
const SOAK: Duration = Duration::from_secs(10);

/// As in requests.
const LONGEST_SOAK: Duration = Duration::from_secs(3_600);

/// Longer than the start of most engines.
const DEADLINE: Duration = Duration::from_secs(300);

/// A step that takes longer is not waited for by anybody.
const LONGEST_DEADLINE: Duration = Duration::from_secs(24 * 3_600);
