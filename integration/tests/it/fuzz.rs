//! A bounded smoke of every fuzz target; `fuzz/` has the same targets for cargo-fuzz.

use std::path::{Path, PathBuf};

use tunnel_integration::fuzz::{TARGETS, mutate::smoke};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(folder().join("seeds").join(name)).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn no_parser_of_peers_bytes_panics_on_mutated_seeds() {
    for target in TARGETS {
        let start = tokio::time::Instant::now();
        // YAML takes half a millisecond in a debug build, and comes from the customer's own administrator.
        let count = if target.name == "policy" { MUTATIONS / 10 } else { MUTATIONS };
        smoke(&seeds(target.name), count, target.run);
        println!("{}: {count} mutations in {:?}", target.name, start.elapsed());
    }
}

#[test]
fn every_target_has_its_file_for_cargo_fuzz() {
    let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for target in TARGETS {
        let file = folder().join("fuzz_targets").join(target.name).with_extension("rs");
        assert!(file.is_file() && manifest.contains(target.name), "{}", target.name);
    }
}

/// All targets together take some seconds in a debug build.
const MUTATIONS: u64 = 20_000;
