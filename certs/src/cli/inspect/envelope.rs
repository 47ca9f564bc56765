//! Statements: envelopes of every kind, their payloads as JSON.

use anyhow::{Context, Result};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};
use tunnel_protos::{FILE_DESCRIPTOR_SET, v1};

use crate::{
    cli::report::Report,
    statement::envelope::{self, PayloadType},
    verify::Summary,
    words::Words,
};

/// Reports an envelope; its signatures are listed, not verified.
pub(super) fn describe(bytes: &[u8]) -> Result<Report> {
    let envelope = v1::Envelope::decode(bytes).context("neither PEM nor a statement")?;
    let kind = PayloadType::ALL.into_iter().find(|kind| kind.as_str() == envelope.payload_type);
    let kind = kind.context("neither PEM nor a statement of ours")?;
    let digest = envelope::digest(&envelope);
    let report =
        Report::new().with("kind", kind.as_str()).with("digest", digest).with("words", Words::of(&digest));
    let report = match kind {
        PayloadType::Registration => report.with("to be proven by", proof(&envelope)?),
        _ => report,
    };
    Ok(report
        .value("signatures", envelope.signatures.iter().map(signature).collect())
        .value("payload", payload(kind, &envelope.payload)?))
}

/// A MAC travels beside a registration, not in it; whether there must be one is written in it.
fn proof(envelope: &v1::Envelope) -> Result<&'static str> {
    let registration = v1::Registration::decode(&envelope.payload[..]).context("a malformed payload")?;
    Ok(match (registration.token_id.is_empty(), envelope.signatures.len()) {
        (false, _) => "the MAC that came with it (tunnelctl enroll confirm), and its words",
        (true, 0 | 1) => "its words: there is no MAC, it was exported to a file",
        (true, _) => "the cluster key before, which signed it, too, and its words",
    })
}

fn signature(signature: &v1::Signature) -> Value {
    let keyid = data_encoding::HEXLOWER.encode(&signature.keyid);
    let certificate = signature.certificate.as_deref().map(|der| match Summary::read(der) {
        Ok(summary) => summary.names.join(" "),
        Err(error) => error.to_string(),
    });
    json!({ "keyId": keyid, "certificate": certificate })
}

fn payload(kind: PayloadType, bytes: &[u8]) -> Result<Value> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
    let descriptor = pool.get_message_by_name(kind.message()).context("a payload without a message")?;
    let message = DynamicMessage::decode(descriptor, bytes).context("a malformed payload")?;
    // The names that the protocol's files use, so that a field can be looked up there.
    let options = SerializeOptions::new().use_proto_field_name(false).stringify_64_bit_integers(false);
    Ok(message.serialize_with_options(serde_json::value::Serializer, &options)?)
}
