//! What a command line asks for, and what it must say.

use super::*;
use crate::{
    cli::{Cli, Command},
    requester::samples,
};
use clap::Parser;

fn request(line: &str) -> Result<Request, clap::Error> {
    let words = format!("tunnelctl request {line} --reason x");
    let parsed = Cli::try_parse_from(words.split(' ').map(str::to_owned))?;
    match parsed.command {
        Command::Request(request) => Ok(request),
        other => panic!("{other:?}"),
    }
}

fn asked(line: &str) -> Result<Operation, String> {
    let request = request(line).map_err(|error| error.to_string())?;
    wanted(&request).map_err(|failure| failure.to_string())
}

fn refused(line: &str) -> String {
    asked(line).unwrap_err()
}

#[test]
fn what_is_expected_must_be_said() {
    for line in [
        "scale acme/prod storage",
        "scale acme/prod storage --replicas 5",
        "scale acme/prod storage --expect 3",
        "scale acme/prod storage --cpu 2",
        "scale acme/prod storage --expect 3 --replicas 5 --expect-cpu 1 --cpu 2",
        "scale acme/prod storage --expect 0 --replicas 5",
        "restart acme/prod storage",
        "restart acme/prod storage --expect 0",
        "configure acme/prod storage --set a=1",
        "configure acme/prod storage --set a=1 --expect b=1",
        "configure acme/prod storage --set a=1 --expect a=0 --expect b=1",
        "configure acme/prod storage --set a=1 --set a=2 --expect a=0",
        "configure acme/prod storage --set a --expect a=0",
        "upgrade acme/prod --expect 2.4.0",
        "debug acme/prod",
    ] {
        assert!(asked(line).is_err(), "{line}");
    }
    assert!(
        refused("configure acme/prod s --set a=1 --expect b=1").contains("what do you expect a to be now?")
    );
}

#[test]
fn storage_only_grows() {
    assert_eq!(refused("scale acme/prod s --expect-storage 2GiB --storage 1GiB"), "storage only grows");
}

#[test]
fn it_begins_at_once_unless_told_otherwise() {
    let line = "scale acme/prod storage --expect 3 --replicas 5";
    let plain = asked(line).unwrap();
    assert_eq!((plain.start, plain.dry_run, plain.wanted), (Start::OnApproval, false, Duration::ZERO));
    assert_eq!(asked(&format!("{line} --start on-call --for 2h")).unwrap().start, Start::OnCall);
    assert!(asked(&format!("{line} --dry-run")).unwrap().dry_run);
    assert!(asked(&format!("{line} --dry-run --start on-call")).is_err());
}

/// A folder with manifests of these components.
fn manifests(components: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for component in components {
        std::fs::write(folder.path().join(component), samples::manifest(component)).unwrap();
    }
    folder
}

#[test]
fn a_release_names_its_component_and_needs_what_runs_there_now() {
    let folder = manifests(&["storage", "proxy"]);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (storage, proxy) = (at("storage"), at("proxy"));
    let What::Upgrade(one) =
        asked(&format!("upgrade acme/prod --release {storage} --expect 2.4.0")).unwrap().what
    else {
        panic!("no upgrade")
    };
    assert_eq!((one.components[0].component.as_str(), one.at_once), ("storage", 1));
    assert_eq!(one.components[0].expected_release.as_str(), "2.4.0");
    let both = format!("upgrade acme/prod --release {proxy} --release {storage}");
    let What::Upgrade(two) =
        asked(&format!("{both} --expect storage=2.4.0 --expect proxy=1=rc")).unwrap().what
    else {
        panic!("no upgrade")
    };
    let order: Vec<_> =
        two.components.iter().map(|of| (of.component.as_str(), of.expected_release.as_str())).collect();
    assert_eq!(order, [("proxy", "1=rc"), ("storage", "2.4.0")]);
    for bad in ["--expect 2.4.0", "--expect storage=2.4.0", "--expect storage=1 --expect storage=2"] {
        assert!(asked(&format!("{both} {bad}")).is_err(), "{bad}");
    }
    let twice = format!("upgrade acme/prod --release {storage} --release {storage} --expect storage=1");
    assert!(refused(&twice).contains("one --release"));
    let long = format!("upgrade acme/prod --release {storage} --expect 1 --soak 61m");
    assert!(refused(&long).contains("at most 1h"));
}

#[test]
fn a_file_that_is_no_release_is_not_sent() {
    let folder = manifests(&[]);
    let path = folder.path().join("x");
    std::fs::write(&path, b"hello").unwrap();
    for file in [path.display().to_string(), folder.path().join("none").display().to_string()] {
        assert!(refused(&format!("upgrade acme/prod --release {file} --expect 1")).contains("the release"));
    }
}
