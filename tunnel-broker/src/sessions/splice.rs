//! Moves bytes both ways between an operator and a gate. A full side stops the other: back-pressure, no buffer.
//! An end of one direction is passed on and the other goes on; a failure ends both.

use std::io;

use bytes::Buf;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::{
    chunks::{Chunks, Sink, Source},
    watchdog::{Flow, Verdict, Watchdog},
};
use crate::{config::SessionLimits, metrics};

/// How a session ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Both sides said that no more will come.
    Finished,
    /// The watchdog ended it.
    Given(Verdict),
    /// The operator's connection failed.
    Operator(io::Error),
    /// The stream to the cluster failed.
    Cluster(io::Error),
}

impl End {
    /// For metrics.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Given(Verdict::Idle) => "idle",
            Self::Given(Verdict::Stalled) => "stalled",
            Self::Operator(_) => "operator",
            Self::Cluster(_) => "cluster",
        }
    }
}

/// Splices until both directions are finished, one fails, or the watchdog ends it.
pub(crate) async fn splice(
    operator: (impl Source, impl Sink),
    cluster: (impl Source, impl Sink),
    limits: &SessionLimits,
) -> End {
    let flows = Default::default();
    let mut watchdog = Watchdog::new(limits.idle, limits.stalled, Instant::now());
    let end = tokio::select! {
        end = both(operator, cluster, &flows) => end,
        verdict = watch(&mut watchdog, &flows) => End::Given(verdict),
    };
    count(watchdog.look(&flows, Instant::now()).0);
    debug!(up = flows[0].bytes(), down = flows[1].bytes(), "Session carried ciphertext");
    end
}

async fn both(
    (mut operator_source, mut operator_sink): (impl Source, impl Sink),
    (mut cluster_source, mut cluster_sink): (impl Source, impl Sink),
    flows: &[Flow; 2],
) -> End {
    let up = async {
        copy(&mut operator_source, &mut cluster_sink, &flows[0])
            .await
            .map_err(|failed| failed.into_end(End::Operator, End::Cluster))
    };
    let down = async {
        copy(&mut cluster_source, &mut operator_sink, &flows[1])
            .await
            .map_err(|failed| failed.into_end(End::Cluster, End::Operator))
    };
    match tokio::try_join!(up, down) {
        Ok(((), ())) => End::Finished,
        Err(end) => end,
    }
}

/// Which side of a direction failed.
enum Failed {
    Read(io::Error),
    Write(io::Error),
}

impl Failed {
    fn into_end(self, read: fn(io::Error) -> End, write: fn(io::Error) -> End) -> End {
        match self {
            Self::Read(error) => read(error),
            Self::Write(error) => write(error),
        }
    }
}

async fn copy(source: &mut impl Source, sink: &mut impl Sink, flow: &Flow) -> Result<(), Failed> {
    let mut chunks = Chunks::new();
    while source.read(&mut chunks).await.map_err(Failed::Read)? {
        let bytes = chunks.remaining();
        flow.begin();
        sink.write(&mut chunks).await.map_err(Failed::Write)?;
        flow.done(bytes);
    }
    sink.finish().await.map_err(Failed::Write)
}

async fn watch(watchdog: &mut Watchdog, flows: &[Flow; 2]) -> Verdict {
    loop {
        sleep(watchdog.interval()).await;
        let (moved, verdict) = watchdog.look(flows, Instant::now());
        count(moved);
        if let Some(verdict) = verdict {
            return verdict;
        }
    }
}

fn count(moved: [u64; 2]) {
    let counters = metrics::session_bytes();
    counters.iter().zip(moved).for_each(|(counter, bytes)| counter.increment(bytes));
}

#[cfg(test)]
mod tests;
