//! The shapes of load.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use tokio::{task::JoinSet, time::Instant};

use super::{
    Endpoint, Measurement, Shape,
    call::{Call, framed, framed_field_one},
};
use crate::bench::stats::percentile;

/// Runs one shape.
pub(super) async fn run(endpoint: &Endpoint, shape: &Shape) -> Result<Measurement> {
    match *shape {
        Shape::Unary { connections, concurrency, payload, seconds } => {
            unary(endpoint, connections, concurrency, payload, Duration::from_secs_f64(seconds)).await
        }
        Shape::Pull { bytes, chunk } => pull(endpoint, bytes, chunk).await,
        Shape::Push { bytes, chunk } => push(endpoint, bytes, chunk).await,
        Shape::Sessions { concurrency, seconds } => {
            sessions(endpoint, concurrency, Duration::from_secs_f64(seconds)).await
        }
    }
}

async fn unary(
    endpoint: &Endpoint,
    connections: usize,
    concurrency: usize,
    payload: usize,
    length: Duration,
) -> Result<Measurement> {
    let call = Call::new(endpoint.authority(), ECHO)?;
    let message = framed_field_one(&vec![b'x'; payload]);
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(endpoint.open().await?);
    }
    let mut measurement = patiently(length, async |period| {
        let mut workers = JoinSet::new();
        for session in open.iter().cycle().take(concurrency) {
            workers.spawn(call_repeatedly(session.sender(), call.clone(), message.clone(), period));
        }
        collect(workers).await
    })
    .await?;
    measurement.mbps = measurement.rate * payload as f64 / 1e6;
    Ok(measurement)
}

async fn sessions(endpoint: &Endpoint, concurrency: usize, length: Duration) -> Result<Measurement> {
    let call = Call::new(endpoint.authority(), ECHO)?;
    let message = framed_field_one(&[b'x'; 64]);
    patiently(length, async |period| {
        let mut workers = JoinSet::new();
        for _ in 0..concurrency {
            workers.spawn(connect_repeatedly(endpoint.clone(), call.clone(), message.clone(), period));
        }
        collect(workers).await
    })
    .await
}

async fn pull(endpoint: &Endpoint, bytes: u64, chunk: u32) -> Result<Measurement> {
    let mut request = Vec::new();
    prost::encoding::uint32::encode(1, &chunk, &mut request);
    prost::encoding::uint64::encode(2, &bytes, &mut request);
    let call = Call::new(endpoint.authority(), SNAPSHOT)?;
    let session = endpoint.open().await?;
    let start = Instant::now();
    let received = call.unary(session.sender(), framed(&request)).await?;
    ensure!(received >= bytes, "{received} of {bytes} bytes came");
    Ok(stream_measurement(bytes, start.elapsed()))
}

async fn push(endpoint: &Endpoint, bytes: u64, chunk: u32) -> Result<Measurement> {
    let count = usize::try_from(bytes.div_ceil(u64::from(chunk)))?;
    let message = framed_field_one(&vec![b'x'; chunk as usize]);
    let mut discard = Vec::new();
    prost::encoding::bool::encode(2, &true, &mut discard);
    let messages = std::iter::once(framed(&discard)).chain(std::iter::repeat_n(message, count));
    let call = Call::new(endpoint.authority(), IMPORT)?;
    let session = endpoint.open().await?;
    let start = Instant::now();
    call.client_stream(session.sender(), messages).await?;
    Ok(stream_measurement(count as u64 * u64::from(chunk), start.elapsed()))
}

/// When latencies count; calls begun before or ended after it only keep the path warm.
#[derive(Clone, Copy)]
struct Period {
    start: Instant,
    end: Instant,
}

impl Period {
    fn after_warm_up(length: Duration) -> Self {
        let start = Instant::now() + WARM_UP;
        Self { start, end: start + length }
    }
}

async fn call_repeatedly(
    sender: SendRequest<Bytes>,
    call: Call,
    message: Bytes,
    period: Period,
) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    let mut begin = Instant::now();
    while begin < period.end {
        call.unary(sender.clone(), message.clone()).await?;
        begin = note(&mut latencies, begin, period);
    }
    Ok(latencies)
}

async fn connect_repeatedly(
    endpoint: Endpoint,
    call: Call,
    message: Bytes,
    period: Period,
) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    let mut begin = Instant::now();
    while begin < period.end {
        let session = endpoint.open().await?;
        call.unary(session.sender(), message.clone()).await?;
        begin = note(&mut latencies, begin, period);
    }
    Ok(latencies)
}

/// Records what began at `begin` and ended now, in microseconds; returns now.
fn note(latencies: &mut Vec<f64>, begin: Instant, period: Period) -> Instant {
    let now = Instant::now();
    if begin >= period.start && now <= period.end {
        latencies.push((now - begin).as_secs_f64() * 1e6);
    }
    now
}

/// Measures for `length`, or for longer on a machine so busy that not one call began and ended within it.
async fn patiently(
    mut length: Duration,
    measure: impl AsyncFn(Period) -> Result<Vec<f64>>,
) -> Result<Measurement> {
    loop {
        let latencies = measure(Period::after_warm_up(length)).await?;
        if !latencies.is_empty() {
            return Ok(summary(latencies, length));
        }
        ensure!(length < LONGEST, "not one call ended within {length:?}");
        length *= 4;
    }
}

async fn collect(mut workers: JoinSet<Result<Vec<f64>>>) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    while let Some(done) = workers.join_next().await {
        latencies.extend(done??);
    }
    Ok(latencies)
}

fn summary(mut latencies: Vec<f64>, length: Duration) -> Measurement {
    latencies.sort_by(f64::total_cmp);
    Measurement {
        calls: latencies.len() as u64,
        seconds: length.as_secs_f64(),
        p50_us: percentile(&latencies, 0.5),
        p99_us: percentile(&latencies, 0.99),
        rate: latencies.len() as f64 / length.as_secs_f64(),
        mbps: 0.0,
    }
}

fn stream_measurement(bytes: u64, elapsed: Duration) -> Measurement {
    let seconds = elapsed.as_secs_f64();
    Measurement { calls: 1, seconds, mbps: bytes as f64 / seconds / 1e6, ..Default::default() }
}

/// Long enough for connection windows to have opened and code to be in caches.
const WARM_UP: Duration = Duration::from_millis(300);

/// A path on which no call ends within this is broken.
const LONGEST: Duration = Duration::from_secs(8);

const ECHO: &str = "engine.admin.v1.Admin/Echo";
const SNAPSHOT: &str = "engine.admin.v1.Admin/Snapshot";
const IMPORT: &str = "engine.admin.v1.Admin/Import";

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls of `took`, one after the other.
    async fn calls(took: Duration, period: Period) -> Result<Vec<f64>> {
        let (mut latencies, mut begin) = (Vec::new(), Instant::now());
        while begin < period.end {
            tokio::time::sleep(took).await;
            begin = note(&mut latencies, begin, period);
        }
        Ok(latencies)
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_machine_is_measured_for_longer() {
        let length = Duration::from_millis(500);
        let slow = patiently(length, async |period| calls(Duration::from_millis(600), period).await);
        let measurement = slow.await.unwrap();
        assert_eq!((measurement.calls, measurement.seconds), (2, 2.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_path_on_which_no_call_ends_is_an_error() {
        let length = Duration::from_millis(500);
        let stuck = patiently(length, async |period| calls(Duration::from_secs(60), period).await);
        assert!(stuck.await.is_err());
    }
}
