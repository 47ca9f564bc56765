//! The metrics recorder of a process: histograms with buckets by metric name, never summaries.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The buckets of one histogram.
#[derive(Debug, Clone, Copy)]
pub struct Buckets {
    /// Full name of the metric.
    pub metric: &'static str,
    /// Upper bounds, ascending.
    pub bounds: &'static [f64],
}

/// Why the recorder could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A histogram without bounds.
    #[error("the histogram {metric} has no bounds")]
    Bounds {
        /// Which one.
        metric: &'static str,
        /// What the exporter said.
        source: metrics_exporter_prometheus::BuildError,
    },
    /// One is installed already.
    #[error("cannot install the metrics recorder")]
    Install(#[source] metrics_exporter_prometheus::BuildError),
}

/// Latencies of local work and of round trips, in seconds; for every histogram that names no bounds of its own.
pub const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Installs the recorder of the process; called once, by `main`.
pub fn install(buckets: &[Buckets]) -> Result<PrometheusHandle, MetricsError> {
    builder(buckets)?.install_recorder().map_err(MetricsError::Install)
}

fn builder(buckets: &[Buckets]) -> Result<PrometheusBuilder, MetricsError> {
    let fallback = |source| MetricsError::Bounds { metric: "default", source };
    let builder = PrometheusBuilder::new().set_buckets(SECONDS).map_err(fallback)?;
    buckets.iter().try_fold(builder, |builder, Buckets { metric, bounds }| {
        let name = Matcher::Full((*metric).to_owned());
        builder.set_buckets_for_metric(name, bounds).map_err(|source| MetricsError::Bounds { metric, source })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_histogram_has_buckets_and_none_is_a_summary() {
        let named = Buckets { metric: "size_bytes", bounds: &[10.0, 20.0] };
        let recorder = builder(&[named]).unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("size_bytes").record(15.0);
            metrics::histogram!("wait_seconds").record(0.002);
        });
        let text = handle.render();
        assert!(text.contains("size_bytes_bucket{le=\"20\"} 1"), "{text}");
        assert!(text.contains("wait_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
        assert!(!text.contains("summary"), "{text}");
    }

    #[test]
    fn bounds_that_are_missing_are_an_error() {
        let none = Buckets { metric: "x", bounds: &[] };
        assert!(matches!(builder(&[none]), Err(MetricsError::Bounds { metric: "x", .. })));
    }
}
