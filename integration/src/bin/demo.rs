//! `make demo`: the main job from end to end. `HOLD=1` leaves it running and prints lines to paste.

use std::process::ExitCode;

use tokio::{signal::ctrl_c, time::Instant};
use tunnel_integration::demo::{hold, narrator::Narrator, play};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "main reads the environment")]
    let hold = std::env::var("HOLD").is_ok_and(|value| !value.is_empty() && value != "0");
    match run(hold).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(hold: bool) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("postern-demo-").tempdir()?;
    let start = Instant::now();
    let mut stage = match play(folder.path(), Narrator::standard()).await {
        Ok(stage) => stage,
        Err(error) => {
            // Kept, so that the logs named below can be looked at.
            let folder = folder.keep();
            return Err(error.context(format!("logs and files are in {}", folder.display())));
        }
    };
    stage.told.end(start.elapsed());
    if hold {
        hold::lines(&mut stage).await?;
        ctrl_c().await?;
    }
    Ok(())
}
