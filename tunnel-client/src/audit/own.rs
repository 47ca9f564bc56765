//! What the log writes about itself: its beginning, its breaks, and the ends of intents.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    event::{Call, Called, Event, Millis},
    line::LineHash,
};

/// A record that nobody handed over.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Own {
    /// The first record of a log.
    Origin {
        /// Random, hex: tells two logs of one cluster apart.
        origin: String,
        cluster: String,
        label: String,
    },
    /// The first record of each further file.
    Segment {
        /// Intents that still wait for their outcome, so that the files before need not be read at a start.
        open: Vec<Open>,
    },
    /// The last line was not whole, and was cut off.
    Torn { bytes: u64, sha256: LineHash },
    /// The log was found to be less than what was written.
    Damaged { why: String },
    /// The process ended before the outcome was known.
    Indeterminate(Open),
    /// Whoever wanted to act went away before the intent was durable; nothing was done.
    Abandoned(Open),
    /// A call that mutates has ended.
    CallEnded {
        #[serde(flatten)]
        open: Open,
        #[serde(flatten)]
        called: Called,
    },
    /// A request's move is stored, or was not.
    Moved {
        #[serde(flatten)]
        open: Open,
        stored: bool,
    },
    /// A step is done, or is not.
    StepEnded {
        #[serde(flatten)]
        open: Open,
        done: bool,
    },
    /// Records that found no room while the disk was slow or full.
    Dropped { records: u64, since: Millis, until: Millis },
    /// The log could not be written for a while.
    Unwritable { since: Millis, error: String },
    /// Earlier records were removed because of their age; they were marked as exported.
    Retention {
        /// The first one that is kept.
        first: u64,
        /// The hash it continues from.
        continues: LineHash,
        /// Up to which record the customer had marked copies then.
        exported: u64,
    },
}

/// An intent by its sequence, and what it was about.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Open {
    pub(super) of: u64,
    #[serde(flatten)]
    pub(super) about: About,
}

/// What an intent was about, repeated in its outcome so that one can be found without the other.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum About {
    /// A call.
    Call(Call),
    /// A request.
    Request {
        /// Its id.
        request: String,
    },
    /// A step: of its own fields only whose it is, so that no reader takes its end for that of an operator's call.
    Step {
        /// The operation's request.
        request: String,
    },
    /// As it was read at a start.
    Read(Map<String, Value>),
}

impl About {
    /// What `event` is about; none if no outcome follows such an event.
    pub(super) fn intent(event: &Event) -> Option<Self> {
        match event {
            Event::Call(call) => Some(Self::Call(call.clone())),
            Event::Move(moved) => Some(Self::Request { request: moved.request.to_string() }),
            Event::Step { request, late: false, .. } => Some(Self::Step { request: request.to_string() }),
            _ => None,
        }
    }
}

impl Own {
    /// Whether it is the end of an intent.
    pub(super) fn closes(&self) -> Option<u64> {
        match self {
            Self::Indeterminate(open)
            | Self::Abandoned(open)
            | Self::CallEnded { open, .. }
            | Self::Moved { open, .. }
            | Self::StepEnded { open, .. } => Some(open.of),
            _ => None,
        }
    }
}

/// Kinds of records that end an intent.
pub(super) const ENDS: [&str; 5] = ["indeterminate", "abandoned", "callEnded", "moved", "stepEnded"];
