//! What a program is made of, as CycloneDX 1.6: from `cargo metadata` and the checksums of the lock file, nothing else.
//!
//! Invariant: the same lock file gives the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The packages that end up in `program`, as `cargo metadata` and `Cargo.lock` tell them.
pub fn of(program: &str, metadata: &Value, lock: &str) -> Result<Value> {
    let packages = Packages::read(metadata)?;
    let own =
        packages.with_program(program).with_context(|| format!("no package has a program {program}"))?;
    let reached = packages.reached_from(own);
    let checksums = checksums(lock);
    let libraries = reached.iter().filter(|id| **id != own);
    let components: Vec<_> = libraries.map(|id| packages.component(id, &checksums)).collect();
    let dependencies: Vec<_> = reached.iter().map(|id| packages.dependency(id)).collect();
    let mut whole = packages.component(own, &checksums);
    whole["type"] = json!("application");
    whole["name"] = json!(program);
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": whole },
        "components": components,
        "dependencies": dependencies,
    }))
}

struct Packages<'m> {
    by_id: BTreeMap<&'m str, &'m Value>,
    needs: BTreeMap<&'m str, Vec<&'m str>>,
}

impl<'m> Packages<'m> {
    fn read(metadata: &'m Value) -> Result<Self> {
        let list = |value: &'m Value| value.as_array().context("not what `cargo metadata` prints");
        let id = |value: &'m Value| value["id"].as_str().unwrap_or_default();
        let packages = list(&metadata["packages"])?.iter().map(|package| (id(package), package)).collect();
        let nodes = list(&metadata["resolve"]["nodes"])?;
        let needs = nodes.iter().map(|node| (id(node), linked(node))).collect();
        Ok(Self { by_id: packages, needs })
    }

    fn with_program(&self, program: &str) -> Option<&'m str> {
        let makes = |package: &Value| {
            let mut targets = package["targets"].as_array().into_iter().flatten();
            targets.any(|target| target["name"] == program && target["kind"] == json!(["bin"]))
        };
        self.by_id.iter().find(|(_, package)| makes(package)).map(|(id, _)| *id)
    }

    fn reached_from(&self, own: &'m str) -> BTreeSet<&'m str> {
        let (mut reached, mut open) = (BTreeSet::from([own]), vec![own]);
        while let Some(id) = open.pop() {
            let new = self.needs.get(id).into_iter().flatten().filter(|id| reached.insert(id));
            open.extend(new);
        }
        reached
    }

    fn component(&self, id: &str, checksums: &BTreeMap<(String, String), String>) -> Value {
        let package = &self.by_id[id];
        let [name, version] =
            ["name", "version"].map(|key| package[key].as_str().unwrap_or_default().to_owned());
        let mut component = json!({
            "type": "library",
            "bom-ref": reference(package),
            "name": name,
            "version": version,
            "purl": reference(package),
        });
        if let Some(license) = package["license"].as_str() {
            component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
        }
        if let Some(checksum) = checksums.get(&(name, version)) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    }

    fn dependency(&self, id: &str) -> Value {
        let needs = self.needs.get(id).into_iter().flatten().map(|id| reference(self.by_id[id]));
        let needs: BTreeSet<_> = needs.collect();
        json!({ "ref": reference(self.by_id[id]), "dependsOn": needs })
    }
}

/// The packages that are linked into this one; neither what only builds nor what only tests it.
fn linked(node: &Value) -> Vec<&str> {
    let needs = node["deps"].as_array().into_iter().flatten();
    let is_linked = |need: &&Value| {
        let mut kinds = need["dep_kinds"].as_array().into_iter().flatten();
        kinds.any(|kind| kind["kind"].is_null())
    };
    needs.filter(is_linked).filter_map(|need| need["pkg"].as_str()).collect()
}

fn reference(package: &Value) -> String {
    let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap_or_default());
    format!("pkg:cargo/{name}@{version}")
}

/// Checksums by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let packages = lock.split("[[package]]").skip(1);
    let value = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
        Some(line.trim_matches('"').to_owned())
    };
    let read =
        |package| Some(((value(package, "name")?, value(package, "version")?), value(package, "checksum")?));
    packages.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_linked_is_part_of_a_program() {
        let dependency = |id: &str, kind: Value| json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] });
        let package = |id: &str, license: &str| {
            json!({ "id": id, "name": id, "version": "1.0.0", "license": license,
                    "targets": [{ "name": format!("{id}-bin"), "kind": ["bin"] }] })
        };
        let metadata = json!({
            "packages": [package("a", "MIT/Apache-2.0"), package("b", "MIT"), package("c", "MIT"), package("d", "MIT")],
            "resolve": { "nodes": [
                { "id": "a", "deps": [dependency("b", Value::Null), dependency("c", json!("dev"))] },
                { "id": "b", "deps": [dependency("d", json!("build"))] },
                { "id": "c", "deps": [] },
                { "id": "d", "deps": [] },
            ] },
        });
        let lock = "[[package]]\nname = \"b\"\nversion = \"1.0.0\"\nchecksum = \"abc\"\n";
        let bom = of("a-bin", &metadata, lock).unwrap();
        let components = bom["components"].as_array().unwrap();
        assert_eq!(components.len(), 1);
        assert_eq!(components[0]["purl"], "pkg:cargo/b@1.0.0");
        assert_eq!(components[0]["hashes"][0]["content"], "abc");
        assert_eq!(bom["metadata"]["component"]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(bom["dependencies"][0]["dependsOn"], json!(["pkg:cargo/b@1.0.0"]));
        assert!(of("nobody", &metadata, lock).is_err());
    }
}
