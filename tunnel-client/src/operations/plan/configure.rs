//! Named settings to new values; back to the values before if the engine does not stay well.

use tunnel_certs::statement::request::operation::{Configure, SettingChange};
use tunnel_protos::operations::v1::{Plan, RiskClass, Step};

use super::{At, Ground, call, change, expect, gate, listed, precondition, rollback, undo, unsupported};
use crate::{
    engine::profile::{self, Component, Var, Vars},
    operations::{
        PlanRefusal,
        found::{Shown, setting},
    },
};

pub(super) fn plan(ground: Ground<'_>, asked: &Configure) -> Result<Plan, PlanRefusal> {
    let (component, shown) = ground.component(&asked.component)?;
    let configure = component.configure.as_ref().ok_or_else(|| unsupported(&asked.component, "configure"))?;
    let name = asked.component.as_str();
    for one in &asked.settings {
        check(component, configure, shown, one)?;
    }
    if !configure.at_once() && asked.settings.len() > 1 {
        let why = format!("The engine takes one setting of {name} at a time; ask for each by itself");
        return Err(PlanRefusal::new("setting", why));
    }
    let steps = vec![step(ground, component, configure, &asked.settings)?];
    let names = listed(asked.settings.iter().map(|one| &one.name));
    Ok(Plan {
        title: format!("Change {names} of {name}"),
        diff: asked
            .settings
            .iter()
            .map(|one| change(name, setting(one.name.as_str()), &one.expected, &one.value))
            .collect(),
        affected: vec![name.to_owned()],
        preconditions: asked
            .settings
            .iter()
            .map(|one| precondition(&setting(one.name.as_str()), name, &one.expected))
            .collect(),
        rollback: rollback(format!("The values before of {names}")),
        component: name.to_owned(),
        risk: RiskClass::Medium.into(),
        risk_reason: "Settings change how the engine serves, and can be taken back".to_owned(),
        steps,
        ..Plan::default()
    })
}

fn check(
    component: &Component,
    configure: &profile::Configure,
    shown: &Shown,
    one: &SettingChange,
) -> Result<(), PlanRefusal> {
    let (name, object) = (&one.name, component.name.as_str());
    let known = configure.settings.get(name).ok_or_else(|| {
        let names = listed(configure.settings.keys());
        PlanRefusal::new(
            "setting",
            format!("The engine profile lists no setting {name} of {object}; it lists {names}"),
        )
    })?;
    if known.sensitive {
        let why =
            format!("The setting {name} of {object} is sensitive, and such values are taken from no request");
        return Err(PlanRefusal::new("setting", why));
    }
    known
        .check(one.value.as_str())
        .map_err(|error| PlanRefusal::new("bounds", format!("The setting {name} of {object} {error}")))?;
    let found = shown.settings.get(name.as_str()).map(String::as_str);
    expect(&setting(name.as_str()), object, one.expected.as_str(), found)?;
    if one.value == one.expected {
        return Err(PlanRefusal::new(
            "bounds",
            format!("The setting {name} of {object} has this value already"),
        ));
    }
    // It is sent for the way back, so it has to be one that the engine can be given.
    known.check(one.expected.as_str()).map(drop).map_err(|error| {
        PlanRefusal::new(
            "bounds",
            format!("The value before of the setting {name} could not be given back: it {error}"),
        )
    })
}

fn step(
    ground: Ground<'_>,
    component: &Component,
    configure: &profile::Configure,
    changes: &[SettingChange],
) -> Result<Step, PlanRefusal> {
    let name = component.name.as_str();
    let to = |value: fn(&SettingChange) -> &str| {
        let all = changes.iter().map(|one| (one.name.to_string(), value(one).to_owned())).collect();
        let (first, text) = (changes[0].name.to_string(), value(&changes[0]).to_owned());
        let vars = Vars::default().text("component", name).with("settings", Var::Map(all));
        call(&configure.call, &vars.text("setting", first).text("value", text), At::All(ground.profile))
    };
    let (forth, back) = (to(|one| one.value.as_str())?, to(|one| one.expected.as_str())?);
    Ok(Step {
        title: format!("Set {} of {name}", listed(changes.iter().map(|one| &one.name))),
        object: name.to_owned(),
        gate: Some(gate(component, component.gate, None)),
        undo: Some(undo(back)),
        ..forth
    })
}
