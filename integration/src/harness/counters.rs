//! Counters of a running program, read before and after something is done to it.

use std::{future::Future, net::SocketAddr};

use anyhow::{Result, ensure};

use super::{PATIENCE, broker::metrics, wait::until};

/// The metrics of one program.
#[derive(Debug, Clone, Copy)]
pub struct Counters(SocketAddr);

impl Counters {
    /// Those at an admin port.
    pub const fn at(admin: SocketAddr) -> Self {
        Self(admin)
    }

    /// The sum of all series of `series`, which is written `name{label="value",…}` or `name`; 0 without any.
    pub async fn value(self, series: &str) -> Result<f64> {
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels: Vec<_> = labels.trim_end_matches('}').split(',').collect();
        let is_it = |line: &String| {
            line[name.len()..].starts_with(['{', ' ']) && labels.iter().all(|label| line.contains(label))
        };
        let lines = metrics(self.0, name).await?;
        let values = lines.iter().filter(|line| is_it(line)).filter_map(|line| line.rsplit(' ').next());
        Ok(values.filter_map(|value| value.parse::<f64>().ok()).sum())
    }

    /// Does something, and waits until the series stands higher than before.
    pub async fn moves<T>(self, series: &str, done: impl Future<Output = T>) -> Result<T> {
        let before = self.value(series).await?;
        let done = done.await;
        until(&format!("{series} rises"), PATIENCE, || async {
            let now = self.value(series).await?;
            ensure!(now > before, "{before} before, {now} now");
            Ok::<_, anyhow::Error>(())
        })
        .await?;
        Ok(done)
    }
}
