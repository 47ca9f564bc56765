//! The checked-in code is what `proto/` compiles to. `make protos` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
use std::{fs, path::Path};

const ENGINE: [&str; 3] =
    ["engine/admin/v1/admin.proto", "engine/admin/v1/faults.proto", "engine/kv/v1/kv.proto"];
const SUPERVISOR: [&str; 1] = ["supervisor/v1/supervisor.proto"];

#[test]
fn generated_code_matches_its_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = tempfile::tempdir().unwrap();
    generate(root, fresh.path());
    for entry in fs::read_dir(fresh.path()).unwrap() {
        let entry = entry.unwrap();
        let folder = if entry.path().extension().unwrap() == "rs" { "src/generated" } else { "profiles" };
        compare(&entry.path(), &root.join(folder).join(entry.file_name()));
    }
}

fn compare(fresh: &Path, checked_in: &Path) {
    let new = fs::read(fresh).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the one switch of a maintenance command")]
    let write = std::env::var("POSTERN_REGENERATE").is_ok();
    if write {
        fs::write(checked_in, new).unwrap();
    } else {
        let same = fs::read(checked_in).unwrap_or_default() == new;
        assert!(same, "{} is stale: run `make protos`", checked_in.display());
    }
}

fn generate(root: &Path, out: &Path) {
    let include = root.join("proto");
    let mut set = descriptors(&include, &ENGINE);
    // Descriptor sets may be concatenated; the engine serves the standard health service beside its own.
    set.extend_from_slice(tonic_health::pb::FILE_DESCRIPTOR_SET);
    fs::write(out.join("reference-engine.protoset"), set).unwrap();
    fs::write(out.join("supervisor.protoset"), descriptors(&include, &SUPERVISOR)).unwrap();

    let with_comments = protox::compile([&ENGINE[..], &SUPERVISOR].concat(), [&include]).unwrap();
    tonic_prost_build::configure().out_dir(out).bytes(".").btree_map(".").compile_fds(with_comments).unwrap();
}

fn descriptors(include: &Path, files: &[&str]) -> Vec<u8> {
    let mut compiler = protox::Compiler::new([include]).unwrap();
    compiler.include_imports(true).include_source_info(false).open_files(files).unwrap();
    compiler.encode_file_descriptor_set()
}
