//! What is asked again is what was asked.

use clap::Parser;

use super::*;
use crate::{
    cli::{Cli, Command, Request},
    commands::request::wanted,
    requester::samples,
};

/// The operation that a command line asks for, and what is remembered of it.
fn asked(line: &str) -> (Operation, Asked) {
    let words = format!("tunnelctl request {line} --reason x");
    let words = words.split(' ').map(|word| word.trim_matches('\'').to_owned());
    let Command::Request(request) = Cli::try_parse_from(words).unwrap().command else { panic!("{line}") };
    let operation = match &request {
        Request::Access(_) => panic!("{line}"),
        other => wanted(other).unwrap(),
    };
    let asked = Asked::of(&operation);
    (operation, asked)
}

#[test]
fn the_words_ask_for_the_same_again() {
    for line in [
        "scale acme/prod storage --expect 3 --replicas 5",
        "scale acme/prod storage --expect-cpu 500m --cpu 2 --expect-memory 1GiB --memory 2GiB --dry-run",
        "scale acme/prod storage --expect-storage 20GiB --storage 40GiB",
        "restart acme/prod storage --node n1 --node n2 --expect 5 --start on-call",
        "restart acme/prod storage --expect 5",
        "configure acme/prod storage --expect cache.mb=64 --set cache.mb=128 --expect a=1 --set a=b=c",
        "run acme/prod compact --arg revision=7 --target n1",
        "debug acme/prod status alarms --target n1",
        "scale acme/prod storage --expect 3 --replicas 5 --start on-call --for 1h30m",
    ] {
        let (operation, asked) = asked(line);
        let Asked { command, words, .. } = &asked;
        let (again, _) = self::asked(&format!("{command} acme/prod {words}"));
        assert_eq!(again, operation, "{line}: {words}");
    }
}

#[test]
fn an_upgrade_is_asked_for_with_its_manner() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("storage.release").display().to_string();
    std::fs::write(&file, samples::manifest("storage")).unwrap();
    for manner in ["", " --at-once 3 --soak 10m", " --allow-downgrade", " --soak 1m30s --dry-run --for 2h"] {
        let line = |file: &str| format!("upgrade acme/prod --release {file} --expect storage=2.4.0{manner}");
        let (operation, asked) = asked(&line(&file));
        let again = asked.words.replace("storage.release", &file);
        assert_eq!(self::asked(&format!("upgrade acme/prod {again}")).0, operation, "{}", asked.words);
    }
}

#[test]
fn titles_say_old_and_new() {
    for (line, title) in [
        ("scale acme/prod storage --expect 3 --replicas 5", "scale storage from 3 to 5 replicas"),
        ("scale acme/prod s --expect-cpu 500m --cpu 2", "scale s cpu from 500m to 2000m"),
        ("restart acme/prod storage --expect 5", "restart all 5 nodes of storage"),
        ("restart acme/prod storage --expect 5 --node n3", "restart n3 of storage"),
        ("configure acme/prod s --expect a=1 --set a=2", "configure s: a from 1 to 2"),
        ("run acme/prod compact --arg revision=7", "run compact (revision=7)"),
        ("debug acme/prod status alarms", "collect debug: status, alarms"),
    ] {
        assert_eq!(asked(line).1.title, title);
    }
}
