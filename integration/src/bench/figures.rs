//! What is measured on every path: the loads of one round, and the figures read from each.

use anyhow::{Result, bail};

use super::load::{Measurement, Shape};

/// One load and what is read from it.
pub struct Load {
    /// What it is, for people.
    pub title: &'static str,
    /// What is sent.
    pub shape: Shape,
    /// What is read from its measurement.
    pub figures: &'static [Figure],
}

/// One figure of a path.
pub struct Figure {
    /// Its key in the summary.
    pub key: &'static str,
    /// Key of its ratio to the direct path, where one is quoted.
    pub ratio: Option<&'static str>,
    /// How it is read.
    pub read: fn(&Measurement) -> f64,
}

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Amount {
    /// Figures to quote.
    Full,
    /// Seconds, to see that the bench works; the figures mean little.
    Smoke,
}

impl Amount {
    const fn seconds(self) -> f64 {
        match self {
            Self::Full => 3.0,
            Self::Smoke => 0.5,
        }
    }

    const fn stream_bytes(self) -> u64 {
        match self {
            Self::Full => 512 << 20,
            Self::Smoke => 32 << 20,
        }
    }
}

/// The loads of one round, in order.
pub fn loads(amount: Amount) -> Vec<Load> {
    let unary = |connections, concurrency, payload| Shape::Unary {
        connections,
        concurrency,
        payload,
        seconds: amount.seconds(),
    };
    let load = |title, shape, figures| Load { title, shape, figures };
    let (bytes, chunk) = (amount.stream_bytes(), 65_536);
    vec![
        load("unary 64 B, 1 at a time", unary(1, 1, 64), ONE),
        load("unary 64 B, 64 on one connection", unary(1, 64, 64), MANY),
        load("unary 64 B, 64 on 64 connections", unary(64, 64, 64), SPREAD),
        load("unary 64 B, 512 on 8 connections", unary(8, 512, 64), CROWD),
        load("unary 1 KiB, 64 on one connection", unary(1, 64, 1024), KIB),
        load("unary 64 KiB, 64 on one connection", unary(1, 64, 65_536), KIB64),
        load("server stream of 64 KiB messages", Shape::Pull { bytes, chunk }, PULL),
        load("client stream of 64 KiB messages", Shape::Push { bytes, chunk }, PUSH),
        load("new sessions", Shape::Sessions { concurrency: 16, seconds: amount.seconds() }, SESSIONS),
    ]
}

/// The loads that give any of the figures named, or all if none is named; fails on a name that no load gives.
pub fn selected(amount: Amount, keys: &[&String]) -> Result<Vec<Load>> {
    let mut selected = loads(amount);
    let known = |key: &&String| selected.iter().any(|load| load.gives(key));
    if let Some(unknown) = keys.iter().find(|key| !known(key)) {
        bail!("no load gives a figure {unknown}");
    }
    selected.retain(|load| keys.is_empty() || keys.iter().any(|key| load.gives(key)));
    Ok(selected)
}

impl Load {
    /// Whether the figure of this key is read from it.
    pub fn gives(&self, key: &str) -> bool {
        self.figures.iter().any(|figure| figure.key == key)
    }
}

const ONE: &[Figure] = &[
    Figure { key: "c1_p50_us", ratio: Some("c1_p50"), read: |m| m.p50_us },
    Figure { key: "c1_p99_us", ratio: None, read: |m| m.p99_us },
];
/// Calls per second, 64 at a time on one connection.
pub const C64: &str = "c64_rps";

const MANY: &[Figure] = &[
    Figure { key: C64, ratio: Some("c64"), read: |m| m.rate },
    Figure { key: "c64_p99_us", ratio: None, read: |m| m.p99_us },
];
/// Calls per second, 512 at a time on 8 connections: enough that a sync of 5 ms is shared, not waited for in turn.
pub const C512: &str = "c512_rps";

const CROWD: &[Figure] = &[Figure { key: C512, ratio: Some("c512"), read: |m| m.rate }];
const SPREAD: &[Figure] =
    &[Figure { key: "c64_connections_rps", ratio: Some("c64_connections"), read: |m| m.rate }];
const KIB: &[Figure] = &[Figure { key: "c64_1kib_rps", ratio: Some("c64_1kib"), read: |m| m.rate }];
const KIB64: &[Figure] = &[Figure { key: "c64_64kib_rps", ratio: Some("c64_64kib"), read: |m| m.rate }];
const PULL: &[Figure] = &[Figure { key: "pull_mbps", ratio: Some("pull"), read: |m| m.mbps }];
const PUSH: &[Figure] = &[Figure { key: "push_mbps", ratio: Some("push"), read: |m| m.mbps }];
const SESSIONS: &[Figure] =
    &[Figure { key: "sessions_per_second", ratio: Some("sessions"), read: |m| m.rate }];
