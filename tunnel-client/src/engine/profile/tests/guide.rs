//! `docs/profiles.md` and `docs/etcd.md` hold what they say: their examples make profiles, which are taken as they stand.

use std::path::Path;

use super::super::{Profile, Risk, testing};

const PAGE: &str = include_str!("../../../../../docs/profiles.md");

fn blocks(page: &'static str, language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).map(|block| block.split("```").next().unwrap()).collect()
}

#[test]
fn the_page_is_a_complete_profile() {
    let set = testing::compile(&blocks(PAGE, "proto").concat());
    let profile = Profile::parse(&blocks(PAGE, "yaml").concat(), Path::new(""), |_| Ok(set.clone())).unwrap();
    let operable = profile.operable();
    let nodes = &operable.components()[&"nodes".parse().unwrap()];
    assert_eq!(nodes.calls().count(), 4);
    assert_eq!(nodes.configure.as_ref().unwrap().settings.len(), 5);
    assert_eq!(operable.tasks()[&"vacuum".parse().unwrap()].risk, Risk::Low);
    let allow = operable.collectors()[&"status".parse().unwrap()].allow.clone();
    assert_eq!(allow.paths(), ["nodes.name", "nodes.state", "ready", "version"]);
    assert!(allow.redacted().is_empty());
}

#[test]
fn the_page_about_etcd_completes_the_shipped_profile() {
    let shipped = include_str!("../../../../../integration/profiles/etcd.yaml");
    let etcd = include_bytes!("../../../../../integration/profiles/etcd.protoset");
    let supervisor = include_bytes!("../../../../../integration/profiles/supervisor.protoset");
    let [keys, restart] = blocks(include_str!("../../../../../docs/etcd.md"), "yaml")[..] else {
        panic!("two parts")
    };
    let replaced = "descriptors: etcd.protoset\nendpoints:\n  default: \"http://127.0.0.1:2379\"\n";
    assert!(shipped.contains(replaced));
    let text = shipped.replace(replaced, keys) + restart;
    let set = |path: &Path| if path.ends_with("etcd.protoset") { &etcd[..] } else { &supervisor[..] };
    let profile = Profile::parse(&text, Path::new(""), |path| Ok(set(path).to_vec())).unwrap();
    let component = &profile.operable().components()[&"etcd".parse().unwrap()];
    assert!(component.restart.is_some());
    let targets: Vec<_> = profile.endpoints().keys().map(ToString::to_string).collect();
    assert_eq!(targets, ["one", "three", "two"]);
}
