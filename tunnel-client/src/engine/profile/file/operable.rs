//! `components`, `tasks` and `debug` as they are written. Each entry is read by itself, so that one that is wrong does
//! not hide the others.

mod calls;
mod components;
mod finds;
mod parameters;
mod tasks;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    str::FromStr,
    time::Duration,
};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tunnel_protos::{MethodName, TargetName, dynamic::Descriptors};
use tunnel_runtime::config::Span;

pub(super) use self::calls::Answers;
use crate::engine::{
    Endpoint,
    profile::{
        Expression, Operable,
        expression::{Names, Shape},
        problems::Problems,
    },
};

/// Entries by the names that the customer gave them.
pub(super) type Entries = BTreeMap<String, Value>;

/// The three keys, read as far as YAML goes.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) components: Entries,
    pub(super) tasks: Entries,
    pub(super) debug: Entries,
}

/// What entries are read against.
pub(super) struct Reader<'p> {
    /// None without a file: nothing can be operated then.
    pub(super) descriptors: Option<&'p Descriptors>,
    pub(super) targets: &'p BTreeMap<TargetName, Endpoint>,
    pub(super) companions: &'p BTreeMap<TargetName, Endpoint>,
    pub(super) read_only: &'p BTreeSet<MethodName>,
    pub(super) problems: &'p mut Problems,
}

impl Reader<'_> {
    pub(super) fn operable(&mut self, written: &Written) -> Operable {
        let components = self.each("components", &written.components, Self::component);
        let tasks = self.each("tasks", &written.tasks, Self::task);
        let collectors = self.each("debug", &written.debug, Self::collector);
        // Of what is written: a task with another problem has this one, too.
        for (name, task) in &written.tasks {
            let component = task.get("component").and_then(Value::as_str);
            if let Some(component) = component.filter(|name| !written.components.contains_key(*name)) {
                let problem = format!("there is no component {component}");
                self.problems.add(format!("tasks.{name}.component"), problem);
            }
        }
        Operable::new(components, tasks, collectors, self.read_only)
    }

    fn each<N: FromStr<Err: Display> + Ord, T>(
        &mut self,
        key: &str,
        entries: &Entries,
        read: impl Fn(&mut Self, &str, &str, &Value) -> Option<T>,
    ) -> BTreeMap<N, T> {
        let one = |(name, value): (&String, &Value)| {
            let key = format!("{key}.{name}");
            let parsed = self.parsed::<N>(&key, name);
            let read = read(self, &key, name, value);
            Some((parsed?, read?))
        };
        entries.iter().filter_map(one).collect()
    }

    /// An entry of the shape `T`.
    fn shaped<T: DeserializeOwned>(&mut self, key: &str, value: &Value) -> Option<T> {
        let read = serde_path_to_error::deserialize(value);
        let place = |error: &serde_path_to_error::Error<_>| match error.path().iter().len() {
            0 => key.to_owned(),
            _ => format!("{key}.{}", error.path()),
        };
        read.map_err(|error| self.problems.add(place(&error), error.inner().to_string())).ok()
    }

    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, key: &str, text: &str) -> Option<T> {
        text.parse().map_err(|error: T::Err| self.problems.add(key, format!("{text}: {error}"))).ok()
    }

    /// A duration, or `standard`; more than nothing and at most `most`.
    fn duration(
        &mut self,
        key: &str,
        text: Option<&str>,
        standard: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let Some(text) = text else { return Some(standard) };
        let duration = self.parsed::<Span>(key, text)?.get();
        if duration.is_zero() || duration > most {
            return self.problems.none(key, format!("must be more than 0 and at most {}", Span(most)));
        }
        Some(duration)
    }

    fn expression(&mut self, key: &str, text: &str, names: &Names) -> Option<Expression> {
        self.shaped_expression(key, text, names).map(|(expression, _)| expression)
    }

    fn shaped_expression(&mut self, key: &str, text: &str, names: &Names) -> Option<(Expression, Shape)> {
        Expression::parse(text, names).map_err(|error| self.problems.add(key, error.to_string())).ok()
    }

    /// An expression that may be left out; the outer none is a problem.
    pub(super) fn optional(
        &mut self,
        key: &str,
        text: Option<&str>,
        names: &Names,
    ) -> Option<Option<Expression>> {
        text.map_or(Some(None), |text| self.expression(key, text, names).map(Some))
    }
}
