//! Prints what a program is made of, as CycloneDX; `tools/sbom.sh` pipes `cargo metadata` into it.

use std::io::Read;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let program = std::env::args().nth(1).context("which program?")?;
    let mut metadata = String::new();
    std::io::stdin().read_to_string(&mut metadata)?;
    let lock = std::fs::read_to_string("Cargo.lock").context("Cargo.lock")?;
    let bom = tunnel_integration::sbom::of(&program, &serde_json::from_str(&metadata)?, &lock)?;
    println!("{}", serde_json::to_string_pretty(&bom)?);
    Ok(())
}
