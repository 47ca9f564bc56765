//! The checked-in code is what `proto/` compiles to. `make protos` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
use std::{fs, path::Path};

#[test]
fn generated_code_matches_its_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checked_in = root.join("src/generated");
    let fresh = tempfile::tempdir().unwrap();
    generate(root, fresh.path());
    #[expect(clippy::disallowed_methods, reason = "the one switch of a maintenance command")]
    let write = std::env::var("POSTERN_REGENERATE").is_ok();
    for entry in fs::read_dir(fresh.path()).unwrap() {
        let entry = entry.unwrap();
        let file = checked_in.join(entry.file_name());
        let new = fs::read(entry.path()).unwrap();
        if write {
            fs::write(&file, new).unwrap();
        } else {
            assert!(
                fs::read(&file).unwrap_or_default() == new,
                "{} is stale: run `make protos`",
                file.display()
            );
        }
    }
}

fn generate(root: &Path, out: &Path) {
    let include = root.join("proto");
    let files = [
        "postern/v1/envelope.proto",
        "postern/v1/operation.proto",
        "postern/v1/request.proto",
        "postern/v1/statement.proto",
        "postern/v1/tunnel.proto",
        "postern/v1/enroll.proto",
        "postern/operators/v1/operators.proto",
        "postern/operators/v1/administration.proto",
        "postern/operations/v1/operations.proto",
        "postern/approvers/v1/approvers.proto",
    ];
    // Comments and positions stay out of the set: it is linked into every program.
    let mut compiler = protox::Compiler::new([&include]).unwrap();
    compiler.include_imports(true).include_source_info(false).open_files(files).unwrap();
    fs::write(out.join("postern.bin"), compiler.encode_file_descriptor_set()).unwrap();

    let with_comments = protox::compile(files, [&include]).unwrap();
    tonic_prost_build::configure()
        .out_dir(out)
        .bytes(".postern.v1.SealedRequest.ciphertext")
        .bytes(".postern.v1.SealedOutcome.ciphertext")
        .skip_debug([".postern.v1.EnrollmentBundle", ".postern.v1.Redeem"])
        .compile_fds(with_comments)
        .unwrap();
}
