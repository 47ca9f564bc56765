//! Values: each is described by the schema, each changes what is rendered, and what nobody knows is refused.

use futures_util::{StreamExt, stream};
use serde_json::{Map, Value, json};
use tunnel_integration::harness::command::Ended;

use super::{
    at,
    render::{Case, cases, folder, yaml},
};

/// The values and schema of one chart, and where they lie in the values of the chart that is rendered.
struct Described {
    chart: &'static str,
    of: &'static str,
    below: &'static str,
}

const DESCRIBED: [Described; 4] = [
    Described { chart: "tunnel-client", of: "tunnel-client", below: "" },
    Described { chart: "tunnel-broker", of: "tunnel-broker", below: "" },
    Described { chart: "example-engine", of: "example-engine", below: "" },
    Described { chart: "example-engine", of: "postern-sidecar", below: "postern" },
];

impl Described {
    fn defaults(&self) -> Value {
        yaml(&read(&format!("{}/values.yaml", folder(self.of))))
    }

    fn schema(&self) -> Value {
        serde_json::from_str(&read(&format!("{}/values.schema.json", folder(self.of)))).unwrap()
    }

    fn cases(&self) -> impl Iterator<Item = Case> {
        cases().into_iter().filter(|case| case.chart == self.chart)
    }

    /// A file of values with one of them at `path`.
    fn change(&self, path: &[String], value: &Value) -> String {
        let below = (!self.below.is_empty()).then(|| self.below.to_owned());
        let path: Vec<_> = below.into_iter().chain(path.iter().cloned()).collect();
        let nested = path.iter().rev().fold(value.clone(), |inner, key| json!({ key: inner }));
        nested.to_string()
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Paths to all values that the schema knows, and to all objects of it that are closed.
fn walk(schema: &Value, path: &[String], leaves: &mut Vec<Vec<String>>, closed: &mut Vec<Vec<String>>) {
    let Some(properties) = schema["properties"].as_object() else { return leaves.push(path.to_owned()) };
    assert_eq!(schema["additionalProperties"], json!(false), "{path:?} is open");
    closed.push(path.to_owned());
    // What lies below a library's name is the library's to describe.
    for (key, schema) in properties.iter().filter(|(key, _)| !NOT_OURS.contains(&key.as_str())) {
        let mut path = path.to_owned();
        path.push(key.clone());
        walk(schema, &path, leaves, closed);
    }
}

const NOT_OURS: [&str; 3] = ["global", "postern", "postern-common"];

fn leaves_and_closed(schema: &Value) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let (mut leaves, mut closed) = (Vec::new(), Vec::new());
    walk(schema, &[], &mut leaves, &mut closed);
    (leaves, closed)
}

#[test]
fn schemas_and_default_values_name_the_same_keys() {
    for described in &DESCRIBED {
        let (defaults, schema) = (described.defaults(), described.schema());
        let (leaves, closed) = leaves_and_closed(&schema);
        for path in &leaves {
            let found = path.iter().try_fold(&defaults, |value, key| value.get(key));
            assert!(found.is_some(), "{}: {path:?} has no default", described.of);
        }
        for path in &closed {
            let known = at_path(&schema, path)["properties"].as_object().unwrap();
            for key in value_at(&defaults, path).as_object().unwrap().keys() {
                assert!(known.contains_key(key), "{}: {path:?}.{key} is not in the schema", described.of);
            }
        }
        assert_eq!(schema["properties"]["global"], json!({ "type": "object" }));
    }
}

fn at_path<'s>(schema: &'s Value, path: &[String]) -> &'s Value {
    path.iter().fold(schema, |schema, key| &schema["properties"][key])
}

#[tokio::test]
async fn what_no_schema_knows_is_refused() {
    for described in &DESCRIBED {
        let (_, closed) = leaves_and_closed(&described.schema());
        let case = described.cases().next().unwrap();
        for path in closed {
            let mut surprise = path.clone();
            surprise.push("surprise".to_owned());
            let ended = changed(&case, &described.change(&surprise, &json!(1))).await;
            let refused = ended.code != Some(0) && ended.stderr.contains("surprise");
            assert!(refused, "{} takes {surprise:?}: {}", described.of, ended.stderr);
        }
    }
}

/// A set of values, and what is rendered from it.
struct Base {
    case: Case,
    own: Value,
    text: String,
}

async fn bases(described: &Described) -> Vec<Base> {
    let read = |case: Case| async move {
        let values = yaml(&read(&case.file().display().to_string()));
        let own = if described.below.is_empty() { values } else { at(&values, described.below).clone() };
        Base { text: case.text().await, own, case }
    };
    futures_util::future::join_all(described.cases().map(read)).await
}

#[tokio::test]
async fn every_value_is_used() {
    for described in &DESCRIBED {
        let (schema, defaults, bases) = (described.schema(), described.defaults(), bases(described).await);
        let (leaves, _) = leaves_and_closed(&schema);
        let check = leaves.iter().map(|path| {
            let (schema, default) = (at_path(&schema, path), value_at(&defaults, path));
            let bases = &bases;
            async move { (!is_used(described, path, schema, default, bases).await).then_some(path) }
        });
        let unused: Vec<_> = stream::iter(check).buffer_unordered(2).collect().await;
        let unused: Vec<_> = unused.into_iter().flatten().collect();
        assert!(unused.is_empty(), "{}: no change of these changes anything: {unused:?}", described.of);
    }
}

/// Whether some change of the value at `path` changes what is rendered from some set of values.
async fn is_used(
    described: &Described,
    path: &[String],
    schema: &Value,
    default: &Value,
    bases: &[Base],
) -> bool {
    for base in bases {
        let set = value_at(&base.own, path);
        for change in changes(if set.is_null() { default } else { set }, schema) {
            let after = changed(&base.case, &described.change(path, &change)).await;
            if after.code == Some(0) && after.stdout != base.text {
                return true;
            }
        }
    }
    false
}

fn value_at<'v>(value: &'v Value, path: &[String]) -> &'v Value {
    path.iter().fold(value, |value, key| &value[key])
}

/// How helm ends with a further file of values.
async fn changed(case: &Case, change: &str) -> Ended {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), change).unwrap();
    case.run(&["--values", file.path().to_str().unwrap()]).await
}

/// Other values than `now`; helm will say which of them the schema takes.
fn changes(now: &Value, schema: &Value) -> Vec<Value> {
    if let Some(others) = schema["enum"].as_array() {
        return others.iter().filter(|other| *other != now).cloned().collect();
    }
    match now {
        Value::Bool(now) => vec![json!(!now)],
        Value::Number(now) => now.as_u64().map_or(Vec::new(), |now| vec![json!(now + 1), json!(now - 1)]),
        Value::String(now) => texts(now),
        Value::Array(now) => vec![json!(now.iter().chain(now.first()).collect::<Vec<_>>()), json!([])],
        Value::Object(now) => more(now),
        Value::Null => vec![json!({ "added": "1" })],
    }
}

fn texts(now: &str) -> Vec<Value> {
    let cut = &now[..now.len().saturating_sub(1)];
    let changed =
        [format!("{now}x"), format!("{cut}1"), format!("{cut}2"), "*/7 * * * *".into(), "9Gi".into()];
    let whole = ["https://other.example", "other.example:1", "postern/other/k3v7aaaaab"];
    changed.into_iter().chain(whole.map(str::to_owned)).filter(|text| text != now).map(Value::from).collect()
}

fn more(now: &Map<String, Value>) -> Vec<Value> {
    [json!("1"), json!({ "added": "1" })]
        .map(|added| json!({ "added": added }))
        .map(|added| {
            let mut now = now.clone();
            now.extend(added.as_object().unwrap().clone());
            Value::Object(now)
        })
        .into()
}
