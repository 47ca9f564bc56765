//! Two descriptor sets side by side: what the profile's file says, and what the live engine says of itself. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use tunnel_protos::{
    MethodName,
    dynamic::{Descriptors, FieldDescriptor, MessageDescriptor, Method},
};

use crate::engine::profile::is_standard;

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// In the profile's descriptors, not at the engine: a call of it fails.
    Missing(MethodName),
    /// In both, with other messages or another shape; how.
    Changed(MethodName, String),
    /// At the engine, not in the profile's descriptors: no pattern stands for it.
    Extra(MethodName),
}

impl Difference {
    /// Whether calls that the profile allows for would go wrong.
    pub fn breaks(&self) -> bool {
        !matches!(self, Self::Extra(_))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(method) => write!(f, "missing at the engine: {method}"),
            Self::Changed(method, how) => write!(f, "changed: {method}: {how}"),
            Self::Extra(method) => write!(f, "only at the engine: {method}"),
        }
    }
}

/// What differs from `live` in `ours`; standard services that only the engine has are not counted.
pub fn compare(ours: &Descriptors, live: &Descriptors) -> Vec<Difference> {
    let missing = ours.methods().filter_map(|method| match live.method(method.name()) {
        None => Some(Difference::Missing(method.name().clone())),
        Some(theirs) => change(&method, &theirs).map(|how| Difference::Changed(method.name().clone(), how)),
    });
    let extra = live.methods().filter(|method| ours.method(method.name()).is_none());
    let extra = extra.filter(|method| !is_standard(method.name()));
    let extra = extra.map(|method| Difference::Extra(method.name().clone()));
    let mut differences: Vec<_> = missing.chain(extra).collect();
    differences.sort();
    differences
}

fn change(ours: &Method, live: &Method) -> Option<String> {
    if ours.kind() != live.kind() {
        return Some(format!("{:?} is {:?} at the engine", ours.kind(), live.kind()));
    }
    let pairs = [(ours.input(), live.input()), (ours.output(), live.output())];
    pairs.into_iter().find_map(|(ours, live)| Messages::default().change(&ours, &live))
}

/// Messages that were compared already: they may contain themselves.
#[derive(Default)]
struct Messages(BTreeSet<String>);

impl Messages {
    fn change(&mut self, ours: &MessageDescriptor, live: &MessageDescriptor) -> Option<String> {
        if ours.full_name() != live.full_name() {
            return Some(format!("{} is {} at the engine", ours.full_name(), live.full_name()));
        }
        if !self.0.insert(ours.full_name().to_owned()) {
            return None;
        }
        let (own, theirs) = (fields(ours), fields(live));
        let numbers: BTreeSet<_> = own.keys().chain(theirs.keys()).collect();
        let changed = numbers.into_iter().find(|number| own.get(number) != theirs.get(number));
        match changed {
            Some(number) => {
                let text =
                    |side: &BTreeMap<u32, String>| side.get(number).cloned().unwrap_or("absent".into());
                let name = ours.full_name();
                Some(format!("{name} field {number}: {} is {} at the engine", text(&own), text(&theirs)))
            }
            None => self.nested(ours, live),
        }
    }

    fn nested(&mut self, ours: &MessageDescriptor, live: &MessageDescriptor) -> Option<String> {
        ours.fields().find_map(|field| {
            let theirs = live.get_field(field.number())?;
            let (ours, theirs) = (field.kind(), theirs.kind());
            self.change(ours.as_message()?, theirs.as_message()?)
        })
    }
}

/// Name, type and repetition of each field, by number.
fn fields(message: &MessageDescriptor) -> BTreeMap<u32, String> {
    let shape = |field: FieldDescriptor| {
        let repeated = if field.is_list() || field.is_map() { "repeated " } else { "" };
        (field.number(), format!("{repeated}{:?} {}", field.kind(), field.name()))
    };
    message.fields().map(shape).collect()
}
