//! The load generator as its own process: one measurement, one line of JSON on standard output.

use clap::Parser;
use tunnel_integration::bench::load::{self, Shape, Target};

/// Sends one shape of load and prints what it saw.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    shape: Shape,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let measurement = load::run(&arguments.target, &arguments.shape).await?;
    println!("{}", serde_json::to_string(&measurement)?);
    Ok(())
}
