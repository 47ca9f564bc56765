//! What lies in `deploy/`: images, units, alert rules and dashboards fit the programs, the charts and the documents.

mod alerts;
mod image;
mod sbom;
mod units;

/// The text of a file of this repository.
fn repository(path: &str) -> String {
    let whole = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&whole).unwrap_or_else(|error| panic!("{path}: {error}"))
}
