//! What an expression can name: answers of an engine as CEL values, bounded in number.
//!
//! Fields have the names of the .proto file. All whole numbers are `int` where they fit, enumerations are the names of
//! their values; a field that can be absent and is absent is not there, so that `has()` tells.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use cel::{
    Context, Value,
    objects::{Key, Map},
};
use tunnel_protos::dynamic::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, ReflectMessage, Value as Field,
};

/// An answer with more values than expressions look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer has more than {MOST_VALUES} values")]
pub struct TooLarge;

/// Names with their values.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    names: BTreeMap<&'static str, Value>,
    more: BTreeMap<String, Value>,
    values: usize,
    /// Bytes of the texts among them.
    text: usize,
}

/// One value that an expression gave, to be named in others.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact(pub(super) Value);

impl Fact {
    /// The text that it is.
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Its field or entry `name`, if that is a text.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        let Value::Map(map) = &self.0 else { return None };
        match map.map.get(&key(name))? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl Scope {
    /// With an answer as `name`.
    pub fn message(mut self, name: &str, message: &DynamicMessage) -> Result<Self, TooLarge> {
        let value = self.convert(message)?;
        self.more.insert(name.to_owned(), value);
        Ok(self)
    }

    /// With answers by their keys as the map `name`.
    pub fn messages<'m, E: From<TooLarge>>(
        mut self,
        name: &str,
        messages: impl IntoIterator<Item = (&'m str, Result<DynamicMessage, impl Into<E>>)>,
    ) -> Result<Self, E> {
        let mut map = HashMap::new();
        for (entry, message) in messages {
            map.insert(key(entry), self.convert(&message.map_err(Into::into)?)?);
        }
        self.more.insert(name.to_owned(), Value::Map(Map { map: Arc::new(map) }));
        Ok(self)
    }

    /// With a text as `name`.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: &str) -> Self {
        self.values += 1;
        self.text += value.len();
        self.names.insert(name, text(value));
        self
    }

    /// With a list of texts as `name`.
    #[must_use]
    pub fn texts<'t>(mut self, name: &'static str, values: impl IntoIterator<Item = &'t str>) -> Self {
        let values: Vec<_> = values.into_iter().map(text).collect();
        self.values += values.len();
        self.names.insert(name, Value::List(Arc::new(values)));
        self
    }

    /// How much work it is to look at all of it once, in values of some bytes.
    pub(super) fn size(&self) -> usize {
        self.values + self.text / VALUE
    }

    pub(super) fn context<'v>(&self, mut context: Context<'static, 'v>) -> Context<'static, 'v> {
        let names = self.names.iter().map(|(name, value)| (*name, value));
        let more = self.more.iter().map(|(name, value)| (name.as_str(), value));
        names.chain(more).for_each(|(name, value)| context.add_variable_from_value(name, value.clone()));
        context
    }

    fn convert(&mut self, message: &DynamicMessage) -> Result<Value, TooLarge> {
        let mut left = Left { values: MOST_VALUES.saturating_sub(self.values), text: self.text };
        let value = left.message(message)?;
        (self.values, self.text) = (MOST_VALUES - left.values, left.text);
        Ok(value)
    }
}

/// How many more values may come, and how many bytes of text came.
struct Left {
    values: usize,
    text: usize,
}

impl Left {
    fn message(&mut self, message: &DynamicMessage) -> Result<Value, TooLarge> {
        let descriptor = message.descriptor();
        let mut map = HashMap::new();
        for field in descriptor.fields() {
            if !field.supports_presence() || message.has_field(&field) {
                map.insert(key(field.name()), self.field(&field, &message.get_field(&field))?);
            }
        }
        Ok(Value::Map(Map { map: Arc::new(map) }))
    }

    fn field(&mut self, field: &FieldDescriptor, value: &Field) -> Result<Value, TooLarge> {
        let kind = match field.kind() {
            Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
            kind => kind,
        };
        self.value(&kind, value)
    }

    fn value(&mut self, kind: &Kind, value: &Field) -> Result<Value, TooLarge> {
        self.values = self.values.checked_sub(1).ok_or(TooLarge)?;
        Ok(match value {
            Field::Bool(value) => Value::Bool(*value),
            Field::I32(value) => Value::Int((*value).into()),
            Field::I64(value) => Value::Int(*value),
            Field::U32(value) => Value::Int((*value).into()),
            Field::U64(value) => i64::try_from(*value).map_or(Value::UInt(*value), Value::Int),
            Field::F32(value) => Value::Float((*value).into()),
            Field::F64(value) => Value::Float(*value),
            Field::String(value) => {
                self.text += value.len();
                text(value)
            }
            Field::Bytes(value) => {
                self.text += value.len();
                Value::Bytes(Arc::new(value.to_vec()))
            }
            Field::EnumNumber(number) => text(&spelled(kind.as_enum(), *number)),
            Field::Message(message) => self.message(message)?,
            Field::List(values) => {
                let values = values.iter().map(|value| self.value(kind, value));
                Value::List(Arc::new(values.collect::<Result<_, _>>()?))
            }
            Field::Map(entries) => {
                let entry = |(name, value): (&MapKey, &Field)| {
                    self.text += name.as_str().map_or(0, str::len);
                    Ok((entry_key(name), self.value(kind, value)?))
                };
                Value::Map(Map { map: Arc::new(entries.iter().map(entry).collect::<Result<_, _>>()?) })
            }
        })
    }
}

/// A map of plain values as texts.
pub(super) fn texts(value: &Value) -> Option<BTreeMap<String, String>> {
    let Value::Map(map) = value else { return None };
    map.map.iter().map(|(key, value)| Some((key_text(key), plain(value)?))).collect()
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn key_text(key: &Key) -> String {
    match key {
        Key::Int(key) => key.to_string(),
        Key::Uint(key) => key.to_string(),
        Key::Bool(key) => key.to_string(),
        Key::String(key) => key.to_string(),
    }
}

/// An unknown value of an enumeration is its number, as text like the others.
fn spelled(known: Option<&EnumDescriptor>, number: i32) -> String {
    let known = known.and_then(|known| known.get_value(number));
    known.map_or_else(|| number.to_string(), |value| value.name().to_owned())
}

fn entry_key(entry: &MapKey) -> Key {
    match entry {
        MapKey::Bool(key) => Key::Bool(*key),
        MapKey::I32(key) => Key::Int((*key).into()),
        MapKey::I64(key) => Key::Int(*key),
        MapKey::U32(key) => Key::Int((*key).into()),
        MapKey::U64(key) => i64::try_from(*key).map_or(Key::Uint(*key), Key::Int),
        MapKey::String(name) => key(name),
    }
}

fn key(name: &str) -> Key {
    Key::String(Arc::new(name.to_owned()))
}

fn text(value: &str) -> Value {
    Value::String(Arc::new(value.to_owned()))
}

/// Of bytes that are compared or copied in the time of a step.
const VALUE: usize = 64;

/// More than the state of any cluster that is looked at as a whole.
const MOST_VALUES: usize = 20_000;
