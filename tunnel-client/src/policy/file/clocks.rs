//! `clocks`: how long things may take, each within its bound.

use std::time::Duration;

use tunnel_runtime::config::{FromSection, Section, Span};

use crate::policy::Clocks;

impl FromSection for Clocks {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let standard = Self::default();
        let request_ttl = clock(section, "requestTtl", standard.request_ttl, Self::MAX_WAIT);
        let claim_window = clock(section, "claimWindow", standard.claim_window, Self::MAX_WAIT);
        let work_window = clock(section, "workWindow", standard.work_window, Self::MAX_WORK_WINDOW);
        let ttl = clock(section, "certificateTtl", standard.certificate_ttl, Self::MAX_CERTIFICATE_TTL);
        Some(Self {
            request_ttl: request_ttl?,
            claim_window: claim_window?,
            work_window: work_window?,
            certificate_ttl: ttl?,
        })
    }
}

fn clock(
    section: &mut Section<'_>,
    key: &'static str,
    standard: Duration,
    most: Duration,
) -> Option<Duration> {
    let value = section.or(key, Span(standard))?.get();
    if value.is_zero() || value > most {
        return section.reject(key, format!("must be more than 0 and at most {}", Span(most)));
    }
    Some(value)
}
