//! Many idle tunnels as one process: prints `attached` when all are, and holds them until it is ended.

use clap::Parser;
use tunnel_integration::bench::swarm::{self, Options};

/// Attaches many replicas to a broker and keeps them at rest.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    swarm::run(&arguments.options, || println!("attached")).await
}
