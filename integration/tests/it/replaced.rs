//! Whatever can be replaced is, in a random order, under calls that may not fail. `SEED=n` repeats an order.

mod pieces;
mod stage;

use std::env;

use tunnel_certs::crypto;
use tunnel_integration::dice::Dice;

use self::{pieces::ALL, stage::Stage};

/// Orders at a time; each waits for the end of a certificate's first two thirds, and costs little meanwhile.
const ORDERS: usize = 3;

#[expect(clippy::disallowed_methods, reason = "the one switch of whoever repeats an order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_replaced_in_any_order_and_no_call_fails() {
    let seeds = match env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..ORDERS).map(|_| u64::from_le_bytes(crypto::random())).collect(),
    };
    futures_util::future::join_all(seeds.into_iter().map(in_the_order_of)).await;
}

async fn in_the_order_of(seed: u64) {
    let mut order = ALL;
    Dice::new(seed).shuffle(&mut order);
    println!("SEED={seed}: {order:?}");
    let mut stage = Stage::set().await;
    let calls = stage.calls().await;
    for piece in order {
        println!("SEED={seed}: {piece:?}");
        stage.replace(piece).await;
        calls.all_still_answered(stage::LIMIT).await.unwrap();
        stage.lab.is_called().await;
    }
    let report = calls.stop().await.unwrap();
    println!("SEED={seed}: {report}");
    assert!(report.calls > 0 && report.failed == 0, "SEED={seed}: {report}");
}
