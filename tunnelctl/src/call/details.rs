//! The details of a status (`google.rpc.*`) in lines for people; what they say is the gate's or the engine's.

use tonic::Status;
use tonic_types::{ErrorDetail, ErrorInfo, StatusExt};
use tunnel_protos::time::lasting;

use crate::console::safe;

/// One line for each fact, safe to show; commands that the gate advises come last.
pub(super) fn lines(status: &Status) -> Vec<String> {
    let details = status.get_error_details_vec();
    let mut lines: Vec<_> = details.iter().take(MOST_DETAILS).flat_map(detail).collect();
    let ours =
        details.iter().any(|detail| matches!(detail, ErrorDetail::ErrorInfo(info) if info.domain == DOMAIN));
    if ours {
        lines.extend(commands(status.message()));
    }
    lines
}

fn detail(detail: &ErrorDetail) -> Vec<String> {
    match detail {
        ErrorDetail::ErrorInfo(info) => error_info(info),
        ErrorDetail::RetryInfo(info) => {
            let after = info.retry_delay.map(|delay| format!("retry after {}", lasting(delay)));
            after.into_iter().collect()
        }
        ErrorDetail::Help(help) => help
            .links
            .iter()
            .map(|link| format!("see {}: {}", safe(&link.description), safe(&link.url)))
            .collect(),
        ErrorDetail::BadRequest(bad) => {
            let violations = bad.field_violations.iter();
            violations
                .map(|wrong| format!("field {}: {}", safe(&wrong.field), safe(&wrong.description)))
                .collect()
        }
        ErrorDetail::PreconditionFailure(failed) => {
            let violations = failed.violations.iter();
            violations
                .map(|wrong| format!("{}: {}", safe(&wrong.subject), safe(&wrong.description)))
                .collect()
        }
        ErrorDetail::QuotaFailure(failed) => {
            let violations = failed.violations.iter();
            violations
                .map(|wrong| format!("{}: {}", safe(&wrong.subject), safe(&wrong.description)))
                .collect()
        }
        ErrorDetail::ResourceInfo(info) => vec![format!(
            "{} {}: {}",
            safe(&info.resource_type),
            safe(&info.resource_name),
            safe(&info.description)
        )],
        ErrorDetail::LocalizedMessage(text) => vec![safe(&text.message)],
        ErrorDetail::DebugInfo(info) => vec![safe(&info.detail)],
        ErrorDetail::RequestInfo(info) => vec![format!("request id {}", safe(&info.request_id))],
        _ => Vec::new(),
    }
}

fn error_info(info: &ErrorInfo) -> Vec<String> {
    let mut facts: Vec<_> = info.metadata.iter().take(MOST_DETAILS).collect();
    facts.sort();
    let facts = facts.into_iter().map(|(key, value)| format!("{}: {}", safe(key), safe(value)));
    std::iter::once(format!("reason: {} ({})", safe(&info.reason), safe(&info.domain))).chain(facts).collect()
}

/// What stands in backticks, ready to paste. Only words that a shell takes as they are: the engine could have written
/// them, too.
fn commands(message: &str) -> Vec<String> {
    let quoted = message.split('`').skip(1).step_by(2);
    let plain = |c: char| c.is_ascii_alphanumeric() || " ./_-+:@%=…".contains(c);
    let commands = quoted.filter(|text| text.starts_with("tunnelctl ") && text.chars().all(plain));
    commands.map(|command| command.replace('…', "'why you need it'")).collect()
}

/// `google.rpc.ErrorInfo.domain` of everything that Postern itself says.
const DOMAIN: &str = "postern.dev";
/// Enough for every gate; an engine could send thousands.
const MOST_DETAILS: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::Code;
    use tonic_types::ErrorDetails;

    use super::*;

    fn status(domain: &str, message: &str) -> Status {
        let facts =
            HashMap::from([("method".to_owned(), "a.B/D".to_owned()), ("a".to_owned(), "\u{1b}".to_owned())]);
        let details = ErrorDetails::with_error_info("METHOD_NOT_GRANTED", domain, facts);
        Status::with_error_details(Code::PermissionDenied, message, details)
    }

    #[test]
    fn facts_and_the_command_to_run_are_lines() {
        let message =
            "a.B/D is not granted; run `tunnelctl connect acme/prod --method a.B/D --reason …` to ask";
        let expected = [
            "reason: METHOD_NOT_GRANTED (postern.dev)",
            "a: \\u{1b}",
            "method: a.B/D",
            "tunnelctl connect acme/prod --method a.B/D --reason 'why you need it'",
        ];
        assert_eq!(lines(&status(DOMAIN, message)), expected);
    }

    #[test]
    fn nothing_that_a_shell_would_read_is_offered_for_pasting() {
        for bad in ["`tunnelctl x; rm -rf ~`", "`tunnelctl $(x)`", "`rm -rf x`", "tunnelctl x"] {
            assert_eq!(commands(bad), Vec::<String>::new(), "{bad}");
        }
        assert_eq!(lines(&status("engine.example", "run `tunnelctl withdraw x`")).len(), 3);
    }

    #[test]
    fn engines_details_are_readable() {
        let mut details = ErrorDetails::with_bad_request_violation("size", "too large");
        details.set_retry_info(Some(std::time::Duration::from_secs(90)));
        details.add_help_link("manual", "https://example.org");
        let status = Status::with_error_details(Code::InvalidArgument, "no", details);
        assert_eq!(
            lines(&status),
            ["retry after 1m 30s", "field size: too large", "see manual: https://example.org"]
        );
    }
}
