//! The results of a run: collected per link, path and figure; printed as a table and written as JSON.
//!
//! Keys are only ever added, never renamed: other tools read `summary.json`.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Map, Value, json};

use super::{
    figures::{C64, C512, Figure, Load},
    load::Measurement,
    stats::Spread,
};

/// The path that every other one is compared with.
pub const DIRECT: &str = "direct";

/// All that was measured on one link shape.
#[derive(Debug, Default)]
pub struct LinkResults {
    values: BTreeMap<&'static str, BTreeMap<String, Vec<f64>>>,
    ratios: BTreeMap<&'static str, &'static str>,
}

impl LinkResults {
    /// Adds one measurement of `path`.
    pub fn add(&mut self, path: &str, load: &Load, measurement: &Measurement) {
        for figure in load.figures {
            self.add_figure(path, figure, (figure.read)(measurement));
        }
    }

    fn add_figure(&mut self, path: &str, figure: &Figure, value: f64) {
        let paths = self.values.entry(figure.key).or_default();
        paths.entry(path.to_owned()).or_default().push(value);
        if let Some(ratio) = figure.ratio {
            self.ratios.insert(ratio, figure.key);
        }
    }

    fn spread(&self, key: &str, path: &str) -> Option<Spread> {
        Spread::of(self.values.get(key)?.get(path)?)
    }

    /// Median of `path` divided by that of the direct path.
    fn ratio(&self, key: &str, path: &str) -> Option<f64> {
        self.ratio_to(key, path, DIRECT)
    }

    fn ratio_to(&self, key: &str, path: &str, base: &str) -> Option<f64> {
        Some(self.spread(key, path)?.median / self.spread(key, base)?.median)
    }

    fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.values.values().flat_map(BTreeMap::keys).cloned().collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// `{path: {figure: median, …, "spread": {figure: [min, max]}}, …, "ratios": {…}}`; ratios are the tunnel's to
    /// direct, and under the name of an audited path that one's calls to the tunnel's.
    pub fn to_json(&self) -> Value {
        let mut link = Map::new();
        for path in self.paths() {
            link.insert(path.clone(), self.path_json(&path));
        }
        let ratios = self.ratios.iter();
        let ratios =
            ratios.filter_map(|(name, key)| Some(((*name).to_owned(), rounded(self.ratio(key, TUNNEL)?))));
        let audited = AUDITED.iter();
        let audited = audited.filter_map(|(name, key, path)| {
            Some(((*name).to_owned(), rounded(self.ratio_to(key, path, TUNNEL)?)))
        });
        link.insert("ratios".to_owned(), Value::Object(ratios.chain(audited).collect()));
        Value::Object(link)
    }

    fn path_json(&self, path: &str) -> Value {
        let (mut figures, mut spreads) = (Map::new(), Map::new());
        for key in self.values.keys() {
            if let Some(spread) = self.spread(key, path) {
                figures.insert((*key).to_owned(), rounded(spread.median));
                spreads.insert((*key).to_owned(), json!([rounded(spread.min), rounded(spread.max)]));
            }
        }
        figures.insert("spread".to_owned(), Value::Object(spreads));
        Value::Object(figures)
    }

    /// A table for people: figure, then per path its median, its ends and its ratio to the direct path.
    pub fn table(&self, link: &str) -> String {
        let mut table = format!("{link:<22}");
        let paths = self.paths();
        for path in &paths {
            let _ = write!(table, "{path:>32}");
        }
        table.push('\n');
        for key in self.values.keys() {
            let _ = write!(table, "{key:<22}");
            for path in &paths {
                let _ = write!(table, "{:>32}", self.cell(key, path));
            }
            table.push('\n');
        }
        table
    }

    fn cell(&self, key: &str, path: &str) -> String {
        let Some(spread) = self.spread(key, path) else { return "–".to_owned() };
        let mut cell = format!("{:.0} ({:.0}–{:.0})", spread.median, spread.min, spread.max);
        if let Some(ratio) = self.ratio(key, path).filter(|_| path != DIRECT) {
            let _ = write!(cell, " × {ratio:.2}");
        }
        cell
    }
}

/// The whole product, the path whose ratios are quoted.
pub const TUNNEL: &str = "tunnel";

/// The same for calls that mutate: each waits for its audit record.
pub const AUDIT: &str = "tunnel+audit";

/// The same on a disk that takes 5 ms for every sync.
pub const AUDIT_SLOW: &str = "tunnel+audit+5ms";

/// Ratios of audited calls to those of the tunnel: name, figure, path.
const AUDITED: [(&str, &str, &str); 4] = [
    (AUDIT, C64, AUDIT),
    (AUDIT_SLOW, C64, AUDIT_SLOW),
    ("tunnel+audit c512", C512, AUDIT),
    ("tunnel+audit+5ms c512", C512, AUDIT_SLOW),
];

fn rounded(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::{Amount, loads};

    fn results() -> LinkResults {
        let mut results = LinkResults::default();
        for round in [1.0, 2.0, 3.0] {
            for (path, factor) in [(DIRECT, 1.0), (TUNNEL, 0.5)] {
                for load in loads(Amount::Smoke) {
                    let measurement = Measurement {
                        p50_us: 100.0 * round / factor,
                        rate: 1000.0 * round * factor,
                        mbps: 10.0 * round * factor,
                        ..Default::default()
                    };
                    results.add(path, &load, &measurement);
                }
            }
        }
        results
    }

    #[test]
    fn the_summary_has_the_keys_that_others_read() {
        let json = results().to_json();
        for path in [DIRECT, TUNNEL] {
            assert_eq!(json[path]["c1_p50_us"], json!(if path == DIRECT { 200.0 } else { 400.0 }));
            assert!(json[path]["c64_rps"].is_number() && json[path]["pull_mbps"].is_number());
        }
        assert_eq!(json["ratios"]["c1_p50"], json!(2.0));
        assert_eq!(json["ratios"]["c64"], json!(0.5));
        assert_eq!(json["ratios"]["pull"], json!(0.5));
    }

    #[test]
    fn the_table_tells_medians_ends_and_ratios() {
        let table = results().table("loopback");
        assert!(table.contains("c64_rps") && table.contains("1000 (500–1500) × 0.50"), "{table}");
    }
}
