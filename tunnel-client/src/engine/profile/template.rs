//! Requests with places for values: JSON in which `${name}` stands for what an operation fills in.
//!
//! A value is put into the parsed JSON, never into its text, so none can become another field. What a template may
//! name, and that its method takes the message it makes, is checked when the profile is read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tunnel_protos::dynamic::{Defaults, DynamicMessage, JsonError, Method, to_json};

/// Why a template makes no request.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A `${` without its end, or with something odd in it.
    #[error("`{0}` has a `${{` without a name and a `}}`")]
    Malformed(String),
    /// A name that nothing is filled in for.
    #[error("`${{{name}}}` is not known here; known: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Those that are.
        known: String,
    },
    /// A map or a list within a text.
    #[error("`${{{0}}}` must be the whole of its value")]
    Whole(String),
    /// Not a message of the method.
    #[error("the method takes another message")]
    Message(#[source] JsonError),
}

/// A value to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Var {
    /// A text or a number: JSON takes numbers as texts where the field is one.
    Text(String),
    /// True or false.
    Flag(bool),
    /// Texts, in their order.
    List(Vec<String>),
    /// Texts by name.
    Map(BTreeMap<String, String>),
}

/// Values to fill in, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vars(BTreeMap<String, Var>);

impl Vars {
    /// With one more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: Var) -> Self {
        self.0.insert(name.into(), value);
        self
    }

    /// With a text, or a number as text.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "texts and numbers are given as they are")]
    pub fn text(self, name: impl Into<String>, value: impl ToString) -> Self {
        self.with(name, Var::Text(value.to_string()))
    }
}

/// A request with its values filled in.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// As JSON, on one line; the same values always give the same text.
    pub json: String,
    /// The message, which the JSON makes again.
    pub message: DynamicMessage,
}

/// A request with places for values; cheap enough to clone.
#[derive(Debug, Clone)]
pub struct Template {
    method: Method,
    json: Value,
    names: BTreeSet<String>,
}

/// Sample values for each name that a template may use: one of them all at a time must make a request.
pub(super) type Samples = BTreeMap<String, Vec<Var>>;

impl Template {
    /// Reads a template and tries it with every sample.
    pub(super) fn parse(method: &Method, json: Value, samples: &Samples) -> Result<Self, TemplateError> {
        let mut names = BTreeSet::new();
        collect(&json, &mut names)?;
        if let Some(name) = names.iter().find(|name| !samples.contains_key(*name)) {
            let known = samples.keys().map(|name| format!("${{{name}}}")).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            return Err(TemplateError::Unknown { name: name.clone(), known });
        }
        let template = Self { method: method.clone(), json, names };
        template.try_all(samples).map(|()| template)
    }

    /// Whether it has a place for `name`.
    pub fn uses(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The names that it has places for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The request with these values; a value that has no place is not used.
    pub fn render(&self, vars: &Vars) -> Result<Rendered, TemplateError> {
        let json = fill(&self.json, vars)?.to_string();
        let message = self.method.request(&json).map_err(TemplateError::Message)?;
        Ok(Rendered { json: line(&message)?, message })
    }

    /// Each name with each of its samples, the others with their first.
    fn try_all(&self, samples: &Samples) -> Result<(), TemplateError> {
        let first = |(name, samples): (&String, &Vec<Var>)| Some((name.clone(), samples.first()?.clone()));
        let base = Vars(samples.iter().filter_map(first).collect());
        self.render(&base)?;
        for name in &self.names {
            for sample in samples.get(name).into_iter().flatten() {
                self.render(&base.clone().with(name, sample.clone()))?;
            }
        }
        Ok(())
    }
}

/// Part of a text.
#[derive(Debug, PartialEq)]
enum Piece<'t> {
    Plain(&'t str),
    Name(&'t str),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        let name = after.find('}').map(|end| &after[..end]).filter(|name| is_name(name));
        let name = name.ok_or_else(|| TemplateError::Malformed(text.to_owned()))?;
        pieces.extend((!before.is_empty()).then_some(Piece::Plain(before)));
        pieces.push(Piece::Name(name));
        rest = &after[name.len() + 1..];
    }
    pieces.extend((!rest.is_empty()).then_some(Piece::Plain(rest)));
    Ok(pieces)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-/".contains(&c))
}

fn collect(json: &Value, names: &mut BTreeSet<String>) -> Result<(), TemplateError> {
    match json {
        Value::String(text) => {
            for piece in pieces(text)? {
                if let Piece::Name(name) = piece {
                    names.insert(name.to_owned());
                }
            }
            Ok(())
        }
        Value::Array(values) => values.iter().try_for_each(|value| collect(value, names)),
        Value::Object(fields) => fields.values().try_for_each(|value| collect(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn fill(json: &Value, vars: &Vars) -> Result<Value, TemplateError> {
    Ok(match json {
        Value::String(text) => filled(&pieces(text)?, vars)?,
        Value::Array(values) => {
            Value::Array(values.iter().map(|value| fill(value, vars)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| Ok((name.clone(), fill(value, vars)?));
            Value::Object(fields.iter().map(field).collect::<Result<_, TemplateError>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => json.clone(),
    })
}

fn filled(pieces: &[Piece<'_>], vars: &Vars) -> Result<Value, TemplateError> {
    if let [Piece::Name(name)] = pieces {
        return find(name, vars).map(whole);
    }
    let text = pieces.iter().map(|piece| match piece {
        Piece::Plain(text) => Ok((*text).to_owned()),
        Piece::Name(name) => match find(name, vars)? {
            Var::Text(text) => Ok(text.clone()),
            Var::Flag(flag) => Ok(flag.to_string()),
            Var::List(_) | Var::Map(_) => Err(TemplateError::Whole((*name).to_owned())),
        },
    });
    text.collect::<Result<String, _>>().map(Value::String)
}

fn whole(var: &Var) -> Value {
    match var {
        Var::Text(text) => Value::String(text.clone()),
        Var::Flag(flag) => Value::Bool(*flag),
        Var::List(texts) => texts.iter().cloned().collect(),
        Var::Map(texts) => texts.iter().map(|(name, text)| (name.clone(), text.clone())).collect(),
    }
}

fn find<'v>(name: &str, vars: &'v Vars) -> Result<&'v Var, TemplateError> {
    vars.0.get(name).ok_or_else(|| TemplateError::Unknown {
        name: name.to_owned(),
        known: vars.0.keys().cloned().collect::<Vec<_>>().join(", "),
    })
}

/// In the order of the names, whatever the order of a message's maps.
fn line(message: &DynamicMessage) -> Result<String, TemplateError> {
    let pretty = to_json(message, Defaults::Omit).map_err(TemplateError::Message)?;
    // What was just written is JSON; if it were not, it would stand as it is.
    Ok(serde_json::from_str::<Value>(&pretty).map_or(pretty, |value| value.to_string()))
}

#[cfg(test)]
mod tests;
