//! The section `webhook`: whom to tell of requests.

use std::{fmt, path::PathBuf, str::FromStr};

use http::{HeaderName, HeaderValue};
use tunnel_protos::v1::RequestState;
use tunnel_runtime::config::{FromSection, Section};

use crate::notify::Endpoint;

/// Whom to tell of requests, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Where to.
    pub url: Endpoint,
    /// The shared secret that signs each message: `whsec_` and base64 of 24 to 64 bytes, in a 0600 file.
    pub secret_file: PathBuf,
    /// CA certificates (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Sent along, for whoever routes messages; not for secrets.
    pub headers: Vec<Header>,
    /// What is told.
    pub events: Vec<Event>,
    /// What the body looks like.
    pub format: Format,
}

/// A header as it is written: `Name: value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header(pub HeaderName, pub HeaderValue);

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A request that came into this state.
    Request(RequestState),
    /// An enrollment or new keys that wait for people.
    Enrollment,
}

/// What the body looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// CloudEvents 1.0, structured JSON.
    CloudEvents,
    /// `{"text": …}`, as Slack and those who imitate it take.
    Slack,
}

impl FromSection for WebhookConfig {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (url, secret_file) = (section.required("url"), section.path("secretFile"));
        let (ca_file, headers) = (section.optional_path("caFile"), section.values("headers"));
        let events = section.values::<Event>("events");
        let format = section.optional::<Format>("format");
        let events = events?;
        Some(Self {
            url: url?,
            secret_file: secret_file?,
            ca_file: ca_file?,
            headers: headers?,
            events: if events.is_empty() { DEFAULT.to_vec() } else { events },
            format: format?.unwrap_or(Format::CloudEvents),
        })
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, String::from_utf8_lossy(self.1.as_bytes()))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(state) => {
                let name = state.as_str_name();
                f.write_str(&name.strip_prefix(STATE).unwrap_or(name).to_lowercase())
            }
            Self::Enrollment => f.write_str(ENROLLMENT),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CloudEvents => "cloudevents",
            Self::Slack => "slack",
        })
    }
}

impl FromStr for Header {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').ok_or("not a header: Name: value")?;
        let name: HeaderName = name.trim().parse().map_err(|_| "not a header's name")?;
        let ours = ["host", "content-type", "content-length", "transfer-encoding", "connection"];
        if ours.contains(&name.as_str()) || name.as_str().starts_with("webhook-") {
            return Err("this header is ours to set");
        }
        Ok(Self(name, value.trim().parse().map_err(|_| "not a header's value")?))
    }
}

impl FromStr for Event {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == ENROLLMENT {
            return Ok(Self::Enrollment);
        }
        let name = format!("{STATE}{}", text.to_uppercase().replace('-', "_"));
        let state = RequestState::from_str_name(&name).filter(|state| *state != RequestState::Unspecified);
        state.map(Self::Request).ok_or(NO_EVENT)
    }
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "cloudevents" => Ok(Self::CloudEvents),
            "slack" => Ok(Self::Slack),
            _ => Err("not a format: cloudevents or slack"),
        }
    }
}

const STATE: &str = "REQUEST_STATE_";
const ENROLLMENT: &str = "enrollment";
const NO_EVENT: &str =
    "neither enrollment nor a state of a request: pending, approved, denied, expired, active, …";
/// What waits for people.
const DEFAULT: [Event; 2] = [Event::Request(RequestState::Pending), Event::Enrollment];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_ours_cannot_be_set() {
        for bad in
            ["no colon", "Host: x", "webhook-signature: v1,x", "Content-Length: 1", "a b: c", "x: a\nb"]
        {
            assert!(bad.parse::<Header>().is_err(), "{bad}");
        }
        assert!("X-Routing: on-call".parse::<Header>().is_ok());
    }

    #[test]
    fn events_are_states_or_enrollment() {
        for event in DEFAULT {
            assert_eq!(event.to_string().parse(), Ok(event));
        }
        assert_eq!("pending".parse(), Ok(Event::Request(RequestState::Pending)));
        assert!("unspecified".parse::<Event>().is_err() && "surprise".parse::<Event>().is_err());
    }
}
