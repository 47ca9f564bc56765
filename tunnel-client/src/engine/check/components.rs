//! What a live engine shows of each component: whether the profile's `find` finds what operations need.

use tunnel_protos::{ComponentName, MethodName};
use tunnel_runtime::chain;

use super::super::{
    Engine,
    profile::{Component, Sighting},
};

/// One component as the engine shows it.
#[derive(Debug)]
pub struct ComponentReport {
    /// Its name.
    pub component: ComponentName,
    /// What there is; none if it was not looked at.
    pub seen: Option<Sighting>,
}

/// Looks at a component by what only reads; beside it what is wrong, and what may be meant.
pub(super) async fn look(
    engine: &Engine,
    component: &Component,
) -> (ComponentReport, Option<String>, Option<String>) {
    let name = component.name.clone();
    if let Some(method) = changing(engine, component) {
        let note = format!("component {name} is not looked at: {method} is not listed under readOnly");
        return (ComponentReport { component: name, seen: None }, None, Some(note));
    }
    match engine.look(component).await {
        Ok(seen) => {
            let note = never_ready(component, &seen);
            (ComponentReport { component: name, seen: Some(seen) }, None, note)
        }
        Err(error) => {
            let problem = format!("component {name}: {}", chain(&error));
            (ComponentReport { component: name, seen: None }, Some(problem), None)
        }
    }
}

/// A check changes nothing at the engine.
fn changing<'c>(engine: &Engine, component: &'c Component) -> Option<&'c MethodName> {
    let mut methods = component.find.looks.iter().map(|look| look.call.method.name());
    methods.find(|method| !engine.profile().is_read_only(method))
}

/// A state that is written wrong is never the node's.
fn never_ready(component: &Component, seen: &Sighting) -> Option<String> {
    let none = !seen.nodes.is_empty() && seen.nodes.iter().all(|node| !node.ready);
    none.then(|| {
        format!("component {}: no node is ready; does `ready` say what the engine says?", component.name)
    })
}
