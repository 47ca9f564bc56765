//! Answers as text for people and JSON for scripts.
//!
//! The daemon escaped texts already; they are escaped again where text is laid out, so that this program can be
//! pointed at any socket.

pub(super) mod json;

mod enrollment;
mod list;
mod operation;
mod over;
mod request;
mod status;
mod text;
mod trust;

use std::path::Path;

use serde_json::json;
use tunnel_certs::words::Words;
use tunnel_protos::{text::spoken, v1};

pub(super) use self::{
    enrollment::enrollment,
    list::{operators, paused, requests},
    operation::{bundle, bundles},
    request::{Pasted, request},
    status::status,
    text::{bytes, columns, safe, stamp},
    trust::{access_ca, access_ca_end, access_ca_end_json, access_ca_json, trust, trust_json},
};

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document, for scripts.
    Json,
}

impl Format {
    /// What `keys export` says: the file, and the words to be compared.
    pub fn exported(self, out: &Path, words: &Words) -> String {
        let file = out.display().to_string();
        match self {
            Self::Text => format!("{file} holds the public keys; read these words to the vendor:\n{words}"),
            Self::Json => format!("{:#}", json!({ "file": file, "words": words.to_string() })),
        }
    }
}

/// `REQUEST_STATE_PENDING` as `pending`.
pub(super) fn state(state: i32) -> String {
    let name = v1::RequestState::try_from(state).map_or("unknown", |state| state.as_str_name());
    spoken(name, "REQUEST_STATE_")
}

pub(super) fn health(health: i32) -> String {
    let name = v1::Health::try_from(health).map_or("unknown", |health| health.as_str_name());
    spoken(name, "HEALTH_")
}

fn level(level: i32) -> String {
    let name = v1::GrantLevel::try_from(level).map_or("unknown", |level| level.as_str_name());
    spoken(name, "GRANT_LEVEL_")
}

fn answer(answer: i32) -> String {
    let name = v1::Answer::try_from(answer).map_or("unknown", |answer| answer.as_str_name());
    spoken(name, "ANSWER_")
}

fn occasion(occasion: i32) -> String {
    let name = v1::ReasonType::try_from(occasion).map_or("unknown", |occasion| occasion.as_str_name());
    spoken(name, "REASON_TYPE_")
}

#[cfg(test)]
mod tests;
