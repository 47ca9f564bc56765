//! Identity, clock and entries: what is signed, until when, and whether the clocks agree.

use std::time::Duration;

use tunnel_certs::{key::PublicKey, statement::inventory::Opened};
use tunnel_protos::{UnixMillis, time::lasting};
use tunnel_runtime::{chain::chain, doctor::Finding};

use crate::{
    console::when,
    context::Context,
    entries,
    operator::{self, Operator},
};

/// The operator's certificate.
pub(crate) fn identity(
    context: &Context,
    loaded: &Result<Operator, operator::Error>,
    now: UnixMillis,
) -> Finding {
    let tried = context.identity.certificate.display().to_string();
    let operator = match loaded {
        Ok(operator) => operator,
        Err(error) => return Finding::good("identity", tried, chain(error).to_string()).bad(NEW_IDENTITY),
    };
    let until = when::until(operator.not_after, now);
    let finding =
        Finding::good("identity", tried, format!("{} of {}, until {until}", operator.name, operator.vendor));
    if operator.not_after.since(now) < SHORT { finding.doubtful(NEW_IDENTITY) } else { finding }
}

/// The pinned vendor keys, to be compared with what was handed over.
pub(crate) fn vendor_keys(keys: &[PublicKey]) -> Finding {
    let ids: Vec<_> = keys.iter().map(|key| data_encoding::HEXLOWER.encode(&key.keyid()[..16])).collect();
    Finding::good("vendor-keys", "the keys that this context pins", ids.join(", "))
}

/// This machine's clock against the broker's word.
pub(crate) fn clock(now: UnixMillis, broker: Option<UnixMillis>) -> Finding {
    let finding = |seen: String| Finding::good("clock", "this machine's time and the broker's", seen);
    let Some(broker) = broker else {
        return finding(format!("{now} here; the broker says no time"));
    };
    let off = now.since(broker).max(broker.since(now));
    let seen = format!("{now} here, broker says {broker}");
    if off <= AGREE {
        return finding(seen);
    }
    let finding = finding(format!("{seen}: {} apart", lasting(off)));
    if off <= SKEW { finding.doubtful(CLOCK) } else { finding.bad(CLOCK) }
}

/// All entries that the broker shows.
pub(crate) fn inventory(shown: &[(String, Result<Opened, entries::Error>)], now: UnixMillis) -> Finding {
    let finding =
        |seen: String| Finding::good("entries", format!("the entries of {} clusters", shown.len()), seen);
    let refused: Vec<_> =
        shown.iter().filter_map(|(name, entry)| Some((name, entry.as_ref().err()?))).collect();
    if let Some((name, error)) = refused.first() {
        let seen = format!("{} not believed; {name}: {}", refused.len(), chain(*error));
        return finding(seen).bad(ENTRY);
    }
    let ends = shown.iter().filter_map(|(name, entry)| Some((entry.as_ref().ok()?.entry.expires, name)));
    match ends.min() {
        None => finding("none is shown to you".into()),
        Some((end, name)) if end.since(now) < entries::DUE => {
            finding(format!("all proven; that of {name} ends {}", when::until(end, now))).doubtful(RENEW)
        }
        Some((end, _)) => finding(format!("all proven, good until {end} at least")),
    }
}

/// Requests end with the identity, so less is worth a word.
const SHORT: Duration = Duration::from_secs(3600);
/// Clocks that are kept agree by far better.
const AGREE: Duration = Duration::from_secs(30);
/// Clients refuse requests from further in the future.
const SKEW: Duration = Duration::from_secs(120);
const NEW_IDENTITY: &str = "get a new certificate from your identity team, to the same file";
const CLOCK: &str =
    "set this machine's clock (NTP): customers refuse requests that are more than 2 minutes in the future";
const ENTRY: &str = "tell your administrators: `tunnelctl inventory list` shows each; do not ask for access by what is not proven";
const RENEW: &str =
    "an administrator renews it: tunnelctl inventory renew --all --within 30d --vendor-key vendor.key";
