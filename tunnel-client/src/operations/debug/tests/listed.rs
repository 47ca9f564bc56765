//! Nothing unlisted is in a bundle: whatever fields of whatever messages are listed, the archive that would leave is read
//! back and holds exactly those.

use std::{collections::BTreeSet, io::Read as _, sync::LazyLock};

use proptest::{prelude::*, sample::subsequence};
use tunnel_protos::{
    dynamic::{
        Descriptors, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
        from_json,
    },
    operations::v1::Collected,
};

use super::super::{collect::Part, pack};
use super::*;
use crate::engine::profile::{Collector, FieldList, testing};

/// Every kind of field, by itself, repeated, in maps, and inside another message.
const ZOO: &str = r#"
    syntax = "proto3";
    package zoo.v1;
    message Zoo {
      double a_double = 1; float a_float = 2; int32 an_int32 = 3; int64 an_int64 = 4; uint32 a_uint32 = 5;
      uint64 a_uint64 = 6; sint32 a_sint32 = 7; sint64 a_sint64 = 8; fixed32 a_fixed32 = 9; fixed64 a_fixed64 = 10;
      sfixed32 a_sfixed32 = 11; sfixed64 a_sfixed64 = 12; bool a_bool = 13; string a_string = 14; bytes some_bytes = 15;
      Kind a_kind = 16; Cage cage = 17; optional int32 maybe = 18;
      repeated int64 numbers = 19; repeated bool flags = 20; repeated Kind kinds = 21; repeated string texts = 22;
      repeated Cage cages = 23;
      map<string, int64> counts = 24; map<int32, bool> by_number = 25; map<bool, Kind> by_flag = 26;
      map<uint64, Cage> by_cage = 27;
      oneof either { string one = 28; uint32 other = 29; }
    }
    message Cage { string name = 1; bool locked = 2; uint32 size = 3; Kind kind = 4; Zoo inner = 5; }
    enum Kind { KIND_UNKNOWN = 0; KIND_BIRD = 1; KIND_SECRET = 2; }
"#;

/// Fills every field of a message, in lists and maps `many` times.
struct Filler {
    many: usize,
    /// Of the numbers given so far, each another one.
    last: u32,
}

impl Filler {
    fn message(&mut self, message: &MessageDescriptor, around: &str, depth: usize) -> DynamicMessage {
        let mut filled = DynamicMessage::new(message.clone());
        for field in message.fields() {
            let path = join(around, field.name());
            if let Some(value) = self.field(&field, &path, depth) {
                filled.set_field(&field, value);
            }
        }
        filled
    }

    fn field(&mut self, field: &FieldDescriptor, path: &str, depth: usize) -> Option<Value> {
        if !field.is_map() {
            let value = self.value(&field.kind(), path, depth)?;
            return Some(if field.is_list() { Value::List(vec![value; self.many]) } else { value });
        }
        let Kind::Message(entry) = field.kind() else { return None };
        let value = self.value(&entry.map_entry_value_field().kind(), path, depth)?;
        let keys = (0..self.many as u32).map(|n| key(&entry.map_entry_key_field().kind(), n));
        Some(Value::Map(keys.map(|key| (key, value.clone())).collect()))
    }

    /// Texts and bytes hold their own path, numbers are found nowhere else.
    fn value(&mut self, kind: &Kind, path: &str, depth: usize) -> Option<Value> {
        self.last += 1;
        let number = FIRST + self.last;
        Some(match kind {
            Kind::Message(_) if depth == 0 => return None,
            Kind::Message(inner) => Value::Message(self.message(inner, path, depth - 1)),
            Kind::String => Value::String(format!("<{path}>")),
            Kind::Bytes => Value::Bytes(format!("<{path}>").into_bytes().into()),
            Kind::Bool => Value::Bool(true),
            Kind::Enum(known) => Value::EnumNumber(known.values().last()?.number()),
            Kind::Double => Value::F64(number.into()),
            Kind::Float => Value::F32(number as f32),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number as i32),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(number),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number.into()),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(number.into()),
        })
    }
}

fn key(kind: &Kind, number: u32) -> MapKey {
    match kind {
        Kind::Bool => MapKey::Bool(number > 0),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => MapKey::I32(number as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => MapKey::I64(number.into()),
        Kind::Uint32 | Kind::Fixed32 => MapKey::U32(number),
        Kind::Uint64 | Kind::Fixed64 => MapKey::U64(number.into()),
        _ => MapKey::String(format!("key {number}")),
    }
}

fn join(around: &str, name: &str) -> String {
    if around.is_empty() { name.to_owned() } else { format!("{around}.{name}") }
}

/// Every plain value of a message with its path.
fn leaves(message: &DynamicMessage, around: &str, found: &mut Vec<(String, Value)>) {
    for (field, value) in message.fields() {
        below(value, &join(around, field.name()), found);
    }
}

fn below(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Message(message) => leaves(message, path, found),
        Value::List(values) => values.iter().for_each(|value| below(value, path, found)),
        Value::Map(entries) => entries.values().for_each(|value| below(value, path, found)),
        plain => found.push((path.to_owned(), plain.clone())),
    }
}

fn leaves_of(message: &DynamicMessage) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    leaves(message, "", &mut found);
    found
}

/// How a value would look in any file, if it can be told from others.
fn marks(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Bytes(bytes) => {
            vec![String::from_utf8_lossy(bytes).into_owned(), data_encoding::BASE64.encode(bytes)]
        }
        Value::F64(number) => vec![format!("{number}")],
        Value::F32(number) => vec![format!("{number}")],
        Value::I32(number) => vec![number.to_string()],
        Value::I64(number) => vec![number.to_string()],
        Value::U32(number) => vec![number.to_string()],
        Value::U64(number) => vec![number.to_string()],
        Value::Bool(_) | Value::EnumNumber(_) | Value::Message(_) | Value::List(_) | Value::Map(_) => vec![],
    }
}

fn messages() -> Vec<MessageDescriptor> {
    let of = |set: &[u8], name: &str| Descriptors::decode(set).unwrap().message(name).unwrap();
    let engine = include_bytes!("../../../../../integration/profiles/reference-engine.protoset");
    let etcd = include_bytes!("../../../../../integration/profiles/etcd.protoset");
    vec![
        of(engine, "engine.admin.v1.GetDebugInfoResponse"),
        of(engine, "engine.admin.v1.GetStatusResponse"),
        of(etcd, "etcdserverpb.StatusResponse"),
        of(etcd, "etcdserverpb.RangeResponse"),
        of(&testing::protoset(), "shop.v1.DebugReply"),
        of(&testing::compile(ZOO), "zoo.v1.Zoo"),
    ]
}

fn leaf(collector: &Collector) -> Collected {
    Collected {
        collector: collector.name.to_string(),
        target: "default".to_owned(),
        method: String::new(),
        fields: collector.allow.paths().to_vec(),
        size_cap: 1 << 20,
        request_json: String::new(),
    }
}

/// The archive as it would leave, and every file of it by its path.
fn archived(collected: Collected, content: String) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let header = pack::Header { id: RequestId::random(), digest: Digest::new([7; 32]), made_ms: 0 };
    let packed = pack::pack(&header, vec![Part { collected, content: Ok(content) }]).unwrap();
    let tar = zstd::decode_all(&packed.bytes[..]).unwrap();
    let mut files = Vec::new();
    for entry in tar::Archive::new(&tar[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let (path, mut bytes) = (entry.path().unwrap().display().to_string(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        files.push((path, bytes));
    }
    (tar, files)
}

static MESSAGES: LazyLock<Vec<MessageDescriptor>> = LazyLock::new(messages);

/// Which message, how long its lists are, and what of it is listed. What is told of a failure is these, and no message.
type Listed = (usize, usize, Vec<String>);

fn filled(which: usize, many: usize) -> DynamicMessage {
    Filler { many, last: 0 }.message(&MESSAGES[which], "", 2)
}

fn listed() -> impl Strategy<Value = Listed> {
    (0..MESSAGES.len(), 1..4_usize).prop_flat_map(|(which, many)| {
        let leaves = leaves_of(&filled(which, many));
        let paths: BTreeSet<_> = leaves.into_iter().map(|(path, _)| path).collect();
        let paths: Vec<_> = paths.into_iter().collect();
        let some = subsequence(paths.clone(), 1..=paths.len());
        (Just(which), Just(many), some)
    })
}

#[test]
fn the_zoo_has_every_kind_of_value() {
    let found = leaves_of(&filled(MESSAGES.len() - 1, 2));
    for path in ["a_float", "numbers", "by_flag", "cages.kind", "by_cage.locked", "cage.inner.a_bool"] {
        assert!(found.iter().any(|(known, _)| known == path), "{path}: {found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// Whatever of an answer is listed, the archive holds all of it, and no value of another field.
    #[test]
    fn nothing_unlisted_is_in_a_bundle((which, many, some) in listed()) {
        let message = filled(which, many);
        let profile = testing::profile();
        let mut collector = profile.operable().collectors()[&"info".parse().unwrap()].clone();
        collector.allow = FieldList::for_test(&message.descriptor(), &some);
        let leaf = leaf(&collector);
        let json = collect::cut(&collector, &leaf, &message).unwrap();
        let (tar, files) = archived(leaf, json);
        let paths: Vec<_> = files.iter().map(|(path, _)| path.as_str()).collect();
        prop_assert_eq!(paths, ["manifest.json", "info/default.json"]);
        let is_listed = |path: &String| some.contains(path);
        // Field by field, whatever their values are.
        let left = from_json(message.descriptor(), std::str::from_utf8(&files[1].1).unwrap()).unwrap();
        let mut wanted = leaves_of(&message);
        wanted.retain(|(path, _)| is_listed(path));
        let sorted = |mut leaves: Vec<(String, Value)>| {
            leaves.sort_by(|one, other| one.0.cmp(&other.0));
            leaves
        };
        let (left, wanted) = (sorted(leaves_of(&left)), sorted(wanted));
        prop_assert!(left == wanted, "{left:?} left, and listed were {wanted:?}");
        // And byte by byte, also in what lies around the files.
        let everything = String::from_utf8_lossy(&tar);
        for (path, value) in leaves_of(&message).iter().filter(|(path, _)| !is_listed(path)) {
            for mark in marks(value) {
                prop_assert!(!everything.contains(&mark), "{mark} of {path} is in the archive");
            }
        }
    }
}

/// Numbers of eight digits from here on: no size or time is one, and `float` holds them exactly.
const FIRST: u32 = 10_000_000;
