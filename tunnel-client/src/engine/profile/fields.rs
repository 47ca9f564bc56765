//! Field lists: what of a message may go on, named field by field against the customer's schema.
//!
//! What is not listed is dropped: other fields, unknown numbers, extensions. A field that the schema marks
//! `debug_redact` counts as listed only by its own name.

use std::collections::{BTreeMap, BTreeSet};

use tunnel_protos::dynamic::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value, is_redacted,
};

/// Why a path is not taken into a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Not in the schema.
    #[error("`{path}` names nothing: {message} has no field `{field}`; {instead}")]
    Unknown {
        /// As it is listed.
        path: String,
        /// The message.
        message: String,
        /// The name.
        field: String,
        /// What it may have meant, or what there is.
        instead: String,
    },
    /// Something follows a plain value.
    #[error("`{0}` is a plain value without fields")]
    Plain(String),
    /// All fields of a message that has no end.
    #[error("`{0}` can hold itself: name the fields that are meant")]
    Endless(String),
    /// A message that says by itself what it is.
    #[error("`{0}` can hold anything")]
    Anything(String),
    /// Only fields that are not for eyes.
    #[error("`{0}` has only fields that are marked debug_redact: name those that are meant")]
    Redacted(String),
}

/// The fields that may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldList {
    root: Node,
    paths: Vec<String>,
    redacted: Vec<String>,
}

/// By field number; without any: the whole plain value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node(BTreeMap<u32, Node>);

impl FieldList {
    /// Resolves `paths`, like `shards.keys`; one that ends at a message means all its fields. All problems come at once.
    pub(super) fn parse(message: &MessageDescriptor, paths: &[String]) -> Result<Self, Vec<FieldError>> {
        let mut found = Found::default();
        let problems: Vec<_> = paths.iter().filter_map(|path| found.add(message, path).err()).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let Found { root, paths, redacted } = found;
        Ok(Self { root, paths: paths.into_iter().collect(), redacted: redacted.into_iter().collect() })
    }

    /// A list of paths that are all good.
    #[cfg(test)]
    pub(crate) fn for_test(message: &MessageDescriptor, paths: &[String]) -> Self {
        Self::parse(message, paths).unwrap()
    }

    /// Every field that goes on, one by one, in order.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Those among them that the schema marks `debug_redact`.
    pub fn redacted(&self) -> &[String] {
        &self.redacted
    }

    /// What of `message` may go on, as a message of its own.
    pub fn prune(&self, message: &DynamicMessage) -> DynamicMessage {
        pruned(message, &self.root)
    }
}

fn pruned(message: &DynamicMessage, node: &Node) -> DynamicMessage {
    let descriptor = message.descriptor();
    let mut kept = DynamicMessage::new(descriptor.clone());
    for (number, node) in &node.0 {
        let field = descriptor.get_field(*number).filter(|field| message.has_field(field));
        if let Some(field) = field {
            kept.set_field(&field, value(&message.get_field(&field), node));
        }
    }
    kept
}

fn value(found: &Value, node: &Node) -> Value {
    match found {
        Value::Message(message) => Value::Message(pruned(message, node)),
        Value::List(values) => Value::List(values.iter().map(|found| value(found, node)).collect()),
        Value::Map(entries) => {
            Value::Map(entries.iter().map(|(key, found)| (key.clone(), value(found, node))).collect())
        }
        plain => plain.clone(),
    }
}

#[derive(Default)]
struct Found {
    root: Node,
    paths: BTreeSet<String>,
    redacted: BTreeSet<String>,
}

impl Found {
    fn add(&mut self, message: &MessageDescriptor, path: &str) -> Result<(), FieldError> {
        let (mut numbers, mut inside) = (Vec::new(), Some(message.clone()));
        let mut last = None;
        for name in path.split('.') {
            let message = inside.ok_or_else(|| FieldError::Plain(path.to_owned()))?;
            let field = named(&message, name, path)?;
            numbers.push(field.number());
            inside = message_of(&field);
            last = Some(field);
        }
        match (inside, last) {
            (None, Some(field)) => {
                self.leaf(&numbers, path, &field);
                Ok(())
            }
            (Some(message), _) => self.all(&message, &numbers, path),
            (None, None) => Err(FieldError::Plain(path.to_owned())),
        }
    }

    fn leaf(&mut self, numbers: &[u32], path: &str, field: &FieldDescriptor) {
        let mut node = &mut self.root;
        for number in numbers {
            node = node.0.entry(*number).or_default();
        }
        self.paths.insert(path.to_owned());
        self.redacted.extend(is_redacted(field).then(|| path.to_owned()));
    }

    /// All fields of the message at `path` but those that are not for eyes.
    fn all(&mut self, message: &MessageDescriptor, numbers: &[u32], path: &str) -> Result<(), FieldError> {
        let before = self.paths.len();
        self.inside(message, numbers, path, &mut vec![message.full_name().to_owned()])?;
        let nothing = self.paths.len() == before && !self.paths.iter().any(|known| begins(known, path));
        if nothing { Err(FieldError::Redacted(path.to_owned())) } else { Ok(()) }
    }

    fn inside(
        &mut self,
        message: &MessageDescriptor,
        numbers: &[u32],
        path: &str,
        around: &mut Vec<String>,
    ) -> Result<(), FieldError> {
        if message.full_name() == "google.protobuf.Any" {
            return Err(FieldError::Anything(path.to_owned()));
        }
        for field in message.fields().filter(|field| !is_redacted(field)) {
            let path = format!("{path}.{}", field.name());
            let numbers = [numbers, &[field.number()]].concat();
            let Some(inner) = message_of(&field) else {
                self.leaf(&numbers, &path, &field);
                continue;
            };
            if around.iter().any(|outer| outer == inner.full_name()) {
                return Err(FieldError::Endless(path));
            }
            around.push(inner.full_name().to_owned());
            self.inside(&inner, &numbers, &path, around)?;
            around.pop();
        }
        Ok(())
    }
}

/// The message of a field, or of the values of a map.
fn message_of(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    let kind = match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    };
    kind.as_message().cloned()
}

fn named(message: &MessageDescriptor, name: &str, path: &str) -> Result<FieldDescriptor, FieldError> {
    message.get_field_by_name(name).ok_or_else(|| {
        let meant = message.get_field_by_json_name(name);
        let instead = match meant {
            Some(field) => format!("the .proto file says `{}`", field.name()),
            None => format!("it has {}", known(message)),
        };
        let (message, field) = (message.full_name().to_owned(), name.to_owned());
        FieldError::Unknown { path: path.to_owned(), message, field, instead }
    })
}

/// The names of a message's fields, as many as fit a sentence.
fn known(message: &MessageDescriptor) -> String {
    let mut names: Vec<_> = message.fields().map(|field| field.name().to_owned()).collect();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    match (names.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

fn begins(path: &str, with: &str) -> bool {
    path.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Names of fields in a sentence.
const SHOWN: usize = 24;

#[cfg(test)]
mod tests;
