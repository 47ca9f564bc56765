//! Answers as tables for people and JSON for scripts. Texts come escaped from the daemon.

mod json;
mod table;

use tunnel_protos::{UnixMillis, v1};

use super::customer::Answer;

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document, for scripts.
    Json,
}

pub(super) fn print(answer: &Answer, format: Format, now: UnixMillis) -> String {
    match format {
        Format::Text => table::answer(answer, now),
        Format::Json => format!("{:#}\n", json::answer(answer)),
    }
}

/// `REQUEST_STATE_PENDING` as `pending`.
fn state(state: i32) -> String {
    let name = v1::RequestState::try_from(state).map_or("unknown", |state| state.as_str_name());
    word(name, "REQUEST_STATE_")
}

fn health(health: i32) -> String {
    let name = v1::Health::try_from(health).map_or("unknown", |health| health.as_str_name());
    word(name, "HEALTH_")
}

fn level(level: i32) -> String {
    let name = v1::GrantLevel::try_from(level).map_or("unknown", |level| level.as_str_name());
    word(name, "GRANT_LEVEL_")
}

fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests;
