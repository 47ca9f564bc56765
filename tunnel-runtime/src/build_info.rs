//! The `build_info` gauge: which build a scrape came from.

/// Which build runs.
#[derive(Debug, Clone, Copy)]
pub struct BuildInfo {
    /// The program's name.
    pub program: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl BuildInfo {
    /// Sets the gauge.
    pub fn record(self) {
        metrics::describe_gauge!(NAME, "Always 1; the labels say which build runs");
        metrics::gauge!(NAME, "program" => self.program, "version" => self.version).set(1.0);
    }
}

const NAME: &str = "build_info";
