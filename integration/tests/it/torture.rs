//! Power cuts under load, a few of them; `make torture` makes 200.

use tunnel_integration::torture::{Jobs, Options, run, seed};

#[tokio::test]
async fn what_was_acknowledged_holds_after_every_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { rounds: 12, seed: seed(), jobs: Jobs::All };
    println!("seed {}", options.seed);
    let report = run(options, folder.path(), |line| println!("{line}")).await;
    println!("{}", report.unwrap_or_else(|error| panic!("seed {}: {error:#}", options.seed)));
}
