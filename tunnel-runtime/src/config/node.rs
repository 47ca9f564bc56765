//! YAML as a tree that knows where each node stands and keeps scalars as they were written.
//!
//! Invariant: no scalar is reinterpreted (`0755`, `1e3`, `no` stay text): its type is chosen by who asks.

use std::{fmt, rc::Rc};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{DuplicateKeyPolicy, Location, MergeKeyPolicy, Spanned};

use super::ConfigError;

/// A node and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) kind: Kind,
}

impl Node {
    /// A single value as the section that it is short for.
    pub(super) fn spelled_out(self, short: &str) -> Self {
        let Self { line, column, kind } = self;
        let kind = match kind {
            Kind::Scalar(_) => {
                let value = Self { line, column, kind };
                Kind::Map(Rc::new(Map(vec![Entry { key: short.to_owned(), line, column, value }])))
            }
            kind => kind,
        };
        Self { line, column, kind }
    }
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Empty,
    Scalar(String),
    List(Vec<Node>),
    Map(Rc<Map>),
}

/// A mapping, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Map(pub(super) Vec<Entry>);

/// One key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) value: Node,
}

impl Map {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }
}

/// Parses a file whose root is a mapping; an empty file is an empty mapping.
pub(super) fn parse(file: &str, yaml: &str) -> Result<Rc<Map>, ConfigError> {
    let problem = |place: String, problem: String| ConfigError { place, key: String::new(), problem };
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        emit_comments: false,
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
    };
    if yaml.trim().is_empty() {
        return Ok(Rc::default());
    }
    let raw: Raw = serde_saphyr::from_str_with_options(yaml, options)
        .map_err(|error| problem(place(file, error.location()), error.to_string()))?;
    match raw.into_node(yaml) {
        Node { kind: Kind::Map(map), .. } => Ok(map),
        Node { kind: Kind::Empty, .. } => Ok(Rc::default()),
        node => Err(problem(format!("{file}:{}:{}", node.line, node.column), "not a mapping".into())),
    }
}

fn place(file: &str, location: Option<Location>) -> String {
    match location {
        Some(at) => format!("{file}:{}:{}", at.line(), at.column()),
        None => file.to_owned(),
    }
}

/// As the parser gives it: scalars that look like another type have lost their text.
type Raw = Spanned<RawKind>;

#[derive(Debug)]
enum RawKind {
    Empty,
    Text(String),
    /// A number or boolean, to be read again from the source.
    Plain,
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

trait IntoNode {
    fn into_node(self, yaml: &str) -> Node;
}

impl IntoNode for Raw {
    fn into_node(self, yaml: &str) -> Node {
        let (line, column) = (self.referenced.line(), self.referenced.column());
        let kind = match self.value {
            RawKind::Empty => Kind::Empty,
            RawKind::Text(text) => Kind::Scalar(text),
            RawKind::Plain => Kind::Scalar(source(yaml, self.defined)),
            RawKind::List(items) => Kind::List(items.into_iter().map(|item| item.into_node(yaml)).collect()),
            RawKind::Map(entries) => {
                Kind::Map(Rc::new(Map(entries.into_iter().map(|pair| entry(pair, yaml)).collect())))
            }
        };
        Node { line, column, kind }
    }
}

fn entry((key, value): (Spanned<String>, Raw), yaml: &str) -> Entry {
    let (line, column) = (key.referenced.line(), key.referenced.column());
    Entry { key: key.value, line, column, value: value.into_node(yaml) }
}

fn source(yaml: &str, at: Location) -> String {
    let span = at.span();
    let bytes = span.byte_offset().zip(span.byte_len());
    let range = bytes.and_then(|(from, length)| {
        let from = usize::try_from(from).ok()?;
        Some(from..from.checked_add(usize::try_from(length).ok()?)?)
    });
    range.and_then(|range| yaml.get(range)).unwrap_or_default().trim().to_owned()
}

impl<'de> Deserialize<'de> for RawKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyKind)
    }
}

struct AnyKind;

impl<'de> Visitor<'de> for AnyKind {
    type Value = RawKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a mapping")
    }

    fn visit_bool<E>(self, _: bool) -> Result<RawKind, E> {
        Ok(RawKind::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<RawKind, E> {
        Ok(RawKind::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<RawKind, E> {
        Ok(RawKind::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<RawKind, E> {
        Ok(RawKind::Plain)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RawKind, E> {
        Ok(RawKind::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Empty)
    }

    fn visit_none<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Empty)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawKind, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawKind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(RawKind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawKind, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(RawKind::Map(map))
    }
}
