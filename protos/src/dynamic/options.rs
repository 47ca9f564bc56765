//! What a schema says of its own fields.

use prost::Message as _;
use prost_reflect::FieldDescriptor;

/// Whether the schema marks the field `debug_redact`: its values are not for eyes.
pub fn is_redacted(field: &FieldDescriptor) -> bool {
    // By number: the options that come with a schema may be older than this one.
    Redaction::decode(&*field.options().encode_to_vec()).is_ok_and(|options| options.debug_redact())
}

#[derive(Clone, PartialEq, prost::Message)]
struct Redaction {
    #[prost(bool, optional, tag = "16")]
    debug_redact: Option<bool>,
}
