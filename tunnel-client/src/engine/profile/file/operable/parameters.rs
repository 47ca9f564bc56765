//! Arguments and settings: their types and bounds.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tunnel_protos::SettingName;

use super::{Entries, Reader};
use crate::engine::profile::{Parameter, ParameterKind};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[serde(rename = "type")]
    kind: WrittenKind,
    min: Option<i64>,
    max: Option<i64>,
    values: Option<Vec<Value>>,
    default: Option<Value>,
    #[serde(default)]
    sensitive: bool,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum WrittenKind {
    Int,
    String,
    Bool,
    Enum,
}

/// Arguments of tasks, or settings of components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Arguments,
    Settings,
}

impl Reader<'_> {
    pub(super) fn parameters(
        &mut self,
        key: &str,
        entries: &Entries,
        kind: Kind,
    ) -> BTreeMap<SettingName, Parameter> {
        self.each(key, entries, |reader, key, _, value| reader.parameter(key, value, kind))
    }

    fn parameter(&mut self, key: &str, value: &Value, of: Kind) -> Option<Parameter> {
        let written: Written = self.shaped(key, value)?;
        self.misplaced(key, &written, of);
        let kind = self.kind(key, &written)?;
        let mut parameter = Parameter { kind, default: None, sensitive: written.sensitive };
        if let Some(default) = &written.default {
            parameter.default = Some(self.default_of(key, &parameter, default)?);
        }
        Some(parameter)
    }

    /// Keys that mean nothing here: who wrote them meant something.
    fn misplaced(&mut self, key: &str, written: &Written, of: Kind) {
        let bounded = matches!(written.kind, WrittenKind::Int | WrittenKind::String);
        if !bounded && (written.min.is_some() || written.max.is_some()) {
            self.problems.add(key, "`min` and `max` are for int and string");
        }
        if written.kind != WrittenKind::Enum && written.values.is_some() {
            self.problems.add(key, "`values` are for enum");
        }
        match of {
            Kind::Arguments if written.sensitive => self.problems.add(key, "`sensitive` is for settings"),
            Kind::Settings if written.default.is_some() => {
                self.problems.add(key, "`default` is for arguments");
            }
            Kind::Arguments | Kind::Settings => {}
        }
    }

    fn kind(&mut self, key: &str, written: &Written) -> Option<ParameterKind> {
        let (min, max) = (written.min, written.max);
        if min.zip(max).is_some_and(|(min, max)| min > max) {
            return self.problems.none(key, "`min` is more than `max`");
        }
        match written.kind {
            WrittenKind::Int => {
                let (min, max) = (min.unwrap_or(i64::MIN), max.unwrap_or(i64::MAX));
                Some(ParameterKind::Integer { min, max })
            }
            WrittenKind::String => self.text(key, min.unwrap_or(0), max.unwrap_or(LONGEST)),
            WrittenKind::Bool => Some(ParameterKind::Boolean),
            WrittenKind::Enum => self.choice(key, written.values.as_deref().unwrap_or_default()),
        }
    }

    fn text(&mut self, key: &str, min: i64, max: i64) -> Option<ParameterKind> {
        match (usize::try_from(min), usize::try_from(max)) {
            (Ok(min), Ok(most)) if max <= LONGEST => Some(ParameterKind::Text { min, max: most }),
            _ => {
                self.problems.none(key, format!("`min` and `max` of a string are lengths, at most {LONGEST}"))
            }
        }
    }

    fn choice(&mut self, key: &str, values: &[Value]) -> Option<ParameterKind> {
        let texts: Option<Vec<String>> = values.iter().map(plain).collect();
        match texts {
            Some(texts) if !texts.is_empty() => Some(ParameterKind::Choice(texts)),
            _ => self.problems.none(key, "`values` is a list of plain values, at least one"),
        }
    }

    fn default_of(&mut self, key: &str, parameter: &Parameter, value: &Value) -> Option<String> {
        let Some(text) = plain(value) else { return self.problems.none(key, "`default` is a plain value") };
        match parameter.check(&text) {
            Ok(_) => Some(text),
            Err(error) => self.problems.none(key, format!("`default` {error}")),
        }
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// As in requests.
const LONGEST: i64 = 4_096;
