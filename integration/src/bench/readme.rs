//! The README's figures, written anew from a summary between two marks. Pure.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

/// `readme` with what lies between the marks made from `summary`; fails where marks or figures are missing.
pub fn renew(readme: &str, summary: &Value) -> Result<String> {
    let (head, rest) = readme.split_once(BEGIN).context("no mark where the figures begin")?;
    let (_, tail) = rest.split_once(END).context("no mark where the figures end")?;
    Ok(format!("{head}{BEGIN}\n{}{END}{tail}", figures(summary)?))
}

fn figures(summary: &Value) -> Result<String> {
    let mut text = "| what | loopback | wire |\n|---|---|---|\n".to_owned();
    for (what, key) in ROWS {
        let [loopback, wire] = ["loopback", "wire"].map(|link| ratio(summary, link, key));
        let loopback = loopback.with_context(|| format!("no ratio {key}"))?;
        let _ = writeln!(text, "| {what} | {loopback} | {} |", wire.unwrap_or_else(|| "–".to_owned()));
    }
    let idle = summary["idle_kib"].as_f64().context("no figure of idle tunnels")?;
    let call = summary["authorization"]["call_us"].as_f64().context("no figure of authorization")?;
    let decide =
        summary["authorization"]["decide_200_rules_p99_us"].as_f64().context("no figure of decide")?;
    let _ = writeln!(
        text,
        "\nAn idle tunnel takes {idle:.1} KiB of the broker's memory, measured over 2,000. The gate decides on a call \
         in {call:.2} µs;\na request under 200 rules is decided in {decide:.0} µs (p99)."
    );
    Ok(text)
}

fn ratio(summary: &Value, link: &str, key: &str) -> Option<String> {
    Some(format!("{:.2}", summary["shape"][link]["ratios"][key].as_f64()?))
}

const ROWS: [(&str, &str); 9] = [
    ("unary 64 B, one at a time, median latency", "c1_p50"),
    ("unary 64 B, 64 at a time on one connection, calls per second", "c64"),
    ("unary 64 B, 64 connections, calls per second", "c64_connections"),
    ("server stream of 64 KiB messages, bytes per second", "pull"),
    ("client stream of 64 KiB messages, bytes per second", "push"),
    ("new sessions per second", "sessions"),
    ("mutating calls, each audited before it passes, to reading ones, 64 at a time", "tunnel+audit"),
    ("the same with a disk that takes 5 ms for a sync", "tunnel+audit+5ms"),
    ("the same, 512 at a time", "tunnel+audit+5ms c512"),
];
const BEGIN: &str = "<!-- figures: written by make bench -->";
const END: &str = "<!-- end of figures -->";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn summary() -> Value {
        let ratios: serde_json::Map<String, Value> =
            ROWS.iter().map(|(_, key)| ((*key).to_owned(), json!(0.5))).collect();
        let authorization = json!({ "call_us": 0.25, "decide_200_rules_p99_us": 99.4 });
        json!({ "shape": { "loopback": { "ratios": ratios } }, "idle_kib": 35.9, "authorization": authorization })
    }

    #[test]
    fn only_what_lies_between_the_marks_changes() {
        let renewed = renew(&format!("before {BEGIN}\nold\n{END} after"), &summary()).unwrap();
        assert!(renewed.starts_with("before ") && renewed.ends_with(" after") && !renewed.contains("old"));
        assert!(renewed.contains("| new sessions per second | 0.50 | – |"), "{renewed}");
        assert_eq!(renew(&renewed, &summary()).unwrap(), renewed);
    }

    #[test]
    fn a_summary_of_one_figure_writes_nothing() {
        assert!(renew(&format!("{BEGIN}{END}"), &json!({ "idle_kib": 35.9 })).is_err());
        assert!(renew("no marks", &summary()).is_err());
    }
}
