//! Compiles `.proto` files and all they import into one `FileDescriptorSet`; `tools/etcd-protoset.sh` runs it.

use std::{fs, path::PathBuf};

use clap::Parser;

#[derive(Parser)]
struct Arguments {
    /// Folder that imports are looked up in; may be repeated.
    #[arg(long)]
    include: Vec<PathBuf>,
    /// File to write.
    #[arg(long)]
    out: PathBuf,
    files: Vec<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut compiler = protox::Compiler::new(&arguments.include)?;
    compiler.include_imports(true).include_source_info(false).open_files(&arguments.files)?;
    fs::write(&arguments.out, compiler.encode_file_descriptor_set())?;
    Ok(())
}
