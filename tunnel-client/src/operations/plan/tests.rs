//! Plans of each kind from what was found, and each refusal with its one sentence.

mod good;
mod refused;

use std::time::Duration;

use tunnel_certs::{
    key::{Algorithm, Signer, SigningKey},
    statement::{
        release,
        request::operation::{
            CollectDebug, ComponentUpgrade, Configure, Resources, Restart, RunTask, Scale, SettingChange,
            Size, Upgrade,
        },
    },
};
use tunnel_protos::operations::v1::{RiskClass, Step};

use super::*;
use crate::{
    engine::profile::testing,
    operations::{found::Node, testing::manifest},
};

const NOW: UnixMillis = UnixMillis(1_000_000);

/// An engine, the profile about it, and a vendor.
struct World {
    profile: Profile,
    found: Found,
    known: Known,
    key: SigningKey,
}

impl World {
    /// Three nodes of storage at release 1.0.
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let shown = Shown {
            replicas: Some(3),
            release: Some("1.0".to_owned()),
            settings: [("max-connections", "10"), ("secret", "hidden")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            nodes: ["storage-0", "storage-1", "storage-2"].map(node).to_vec(),
        };
        let found = Found { components: [("storage".to_owned(), shown)].into(), ..Found::default() };
        Self { profile: testing::profile(), found, known: Known::default(), key }
    }

    /// The same with a target for each node, and a task that goes from one to the next.
    fn walking() -> Self {
        let url = |port: u8| format!("storage-{port}: \"http://127.0.0.1:{}\"", port + 1);
        let text = testing::PROFILE
            .replace(
                r#"default: "http://127.0.0.1:1", b: "http://127.0.0.1:2""#,
                &[0, 1, 2].map(url).join(", "),
            )
            .replace("timeout: 10m\n", "timeout: 10m\n    per: target\n");
        Self { profile: testing::parse(&text).unwrap(), ..Self::new() }
    }

    fn storage(&mut self) -> &mut Shown {
        self.found.components.get_mut("storage").unwrap()
    }

    fn plan(&self, what: &What) -> Result<Plan, PlanRefusal> {
        components(&self.profile, what)?;
        let digest = Digest::new([7; 32]);
        let ground =
            Ground { profile: &self.profile, found: &self.found, known: &self.known, digest, now: NOW };
        make(ground, what, &|bytes| release::open(bytes, &[self.key.public().clone()], 1, NOW))
    }

    /// An upgrade of storage to a release that the vendor signed.
    fn upgrade(&self, seq: u64) -> Upgrade {
        let components = vec![self.bring("storage", seq)];
        Upgrade { components, at_once: 1, soak: None, allow_downgrade: false }
    }

    fn bring(&self, component: &str, seq: u64) -> ComponentUpgrade {
        let release = release::Release { component: component.parse().unwrap(), ..manifest(seq) };
        let envelope = release.make(&[&self.key]).unwrap();
        ComponentUpgrade {
            component: component.parse().unwrap(),
            expected_release: "1.0".parse().unwrap(),
            release: prost::Message::encode_to_vec(&envelope),
        }
    }

    /// A second component, `query`, with nodes of these names.
    fn add_query(&mut self, nodes: &[&str]) {
        let (head, storage) = testing::PROFILE.split_once("  storage:\n").unwrap();
        let text = format!("{head}  storage:\n{storage}\n  query:\n{storage}");
        self.profile = testing::parse(&text).unwrap();
        let shown = Shown { nodes: nodes.iter().map(|name| node(name)).collect(), ..self.storage().clone() };
        self.found.components.insert("query".to_owned(), shown);
    }
}

fn node(name: &str) -> Node {
    Node { name: name.to_owned(), ready: true, release: Some("1.0".to_owned()), start: Some("5".to_owned()) }
}

fn scale(expected: u32, wanted: u32) -> What {
    What::Scale(Scale { component: "storage".parse().unwrap(), size: Size::Replicas { expected, wanted } })
}

fn restart(nodes: &[&str], expected_replicas: u32) -> What {
    let nodes = nodes.iter().map(|node| node.parse().unwrap()).collect();
    What::Restart(Restart { component: "storage".parse().unwrap(), nodes, expected_replicas })
}

fn configure(name: &str, expected: &str, value: &str) -> What {
    let one = SettingChange {
        name: name.parse().unwrap(),
        expected: expected.parse().unwrap(),
        value: value.parse().unwrap(),
    };
    What::Configure(Configure { component: "storage".parse().unwrap(), settings: vec![one] })
}

fn task(name: &str, targets: &[&str], arguments: &[(&str, &str)]) -> What {
    What::RunTask(RunTask {
        task: name.parse().unwrap(),
        targets: targets.iter().map(|target| target.parse().unwrap()).collect(),
        arguments: arguments
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect(),
    })
}

fn collect(collectors: &[&str], targets: &[&str]) -> What {
    What::CollectDebug(CollectDebug {
        collectors: collectors.iter().map(|name| name.parse().unwrap()).collect(),
        targets: targets.iter().map(|target| target.parse().unwrap()).collect(),
    })
}
