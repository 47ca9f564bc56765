//! Enrollment bundles: everything but their secret.

use prost::Message;
use serde_json::{Value, json};
use tunnel_protos::v1::TokenKind;

use crate::{
    cli::report::Report,
    enrollment::{Bundle, Opened},
    statement::trust_bundle::TrustBundle,
};

/// Reports a bundle, whose trust bundle is signed by one of its own vendor keys.
pub(super) fn describe(opened: &Opened) -> Report {
    let bundle = &opened.bundle;
    let kind = match bundle.kind {
        TokenKind::Replica => "replica",
        TokenKind::Cluster | TokenKind::Unspecified => "cluster",
    };
    Report::new()
        .with("kind", "enrollment bundle")
        .with("for", kind)
        .with("sha256", data_encoding::HEXLOWER.encode(&opened.sha256))
        .with("vendor", &bundle.vendor)
        .with("suffix", &bundle.suffix)
        .with("brokers", bundle.broker_addresses.join(" "))
        .with("cluster", &bundle.cluster)
        .with("label", bundle.label)
        .with("token", bundle.token)
        .with("secret", "(not shown)")
        .time("expires", bundle.expires)
        .value("vendor keys", bundle.vendor_keys.iter().map(|key| json!(key.to_line())).collect())
        .value("trust bundle", trust(bundle))
}

fn trust(bundle: &Bundle) -> Value {
    let bytes = bundle.trust_bundle.encode_to_vec();
    let opened = TrustBundle::open_at_any_time(&bytes, &bundle.vendor_keys);
    opened.map_or(
        Value::Null,
        |trust| json!({ "sequence": trust.sequence, "expires": trust.expires.to_string() }),
    )
}
