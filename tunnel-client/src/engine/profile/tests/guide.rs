//! `docs/profiles.md` holds what it says: its examples are one profile, which is taken as it stands.

use std::path::Path;

use super::super::{Profile, Risk, testing};

const PAGE: &str = include_str!("../../../../../docs/profiles.md");

fn blocks(language: &str) -> String {
    let fence = format!("```{language}\n");
    let after = PAGE.split(&fence).skip(1);
    after.map(|block| block.split("```").next().unwrap()).collect()
}

#[test]
fn the_page_is_a_complete_profile() {
    let set = testing::compile(&blocks("proto"));
    let profile = Profile::parse(&blocks("yaml"), Path::new(""), |_| Ok(set.clone())).unwrap();
    let operable = profile.operable();
    let nodes = &operable.components()[&"nodes".parse().unwrap()];
    assert_eq!(nodes.calls().count(), 4);
    assert_eq!(nodes.configure.as_ref().unwrap().settings.len(), 5);
    assert_eq!(operable.tasks()[&"vacuum".parse().unwrap()].risk, Risk::Low);
    let allow = operable.collectors()[&"status".parse().unwrap()].allow.clone();
    assert_eq!(allow.paths(), ["nodes.name", "nodes.state", "ready", "version"]);
    assert!(allow.redacted().is_empty());
}
