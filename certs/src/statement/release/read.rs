//! From the message to the typed release: grammar and bounds of each field.

use std::{collections::BTreeSet, str::FromStr};

use tunnel_protos::{PersonText, UnixMillis, v1};

use super::{Image, OpenError, Release, VERSION};

pub(super) fn release(message: &v1::Release) -> Result<Release, OpenError> {
    if message.version != VERSION {
        return Err(OpenError::Field("version"));
    }
    check_order(message)?;
    Ok(Release {
        product: field("product", &message.product)?,
        component: field("component", &message.component)?,
        name: name(&message.name)?,
        seq: message.release_seq,
        images: images(&message.images)?,
        min_source_seq: message.min_source_seq,
        configuration_schema: message.configuration_schema,
        expires: UnixMillis(message.expires_ms),
    })
}

/// A release that only itself or a later one may be upgraded to would be no release at all.
fn check_order(message: &v1::Release) -> Result<(), OpenError> {
    if message.release_seq == 0 {
        return Err(OpenError::Field("sequence"));
    }
    if message.min_source_seq >= message.release_seq {
        return Err(OpenError::Field("lowest source sequence"));
    }
    Ok(())
}

fn name(text: &str) -> Result<PersonText, OpenError> {
    let name: PersonText = field("name", text)?;
    if name.is_blank() { Err(OpenError::Field("name")) } else { Ok(name) }
}

fn images(messages: &[v1::Image]) -> Result<Vec<Image>, OpenError> {
    if !(1..=Release::MAX_IMAGES).contains(&messages.len()) {
        return Err(OpenError::Field("list of 1 to 64 images"));
    }
    let mut containers = BTreeSet::new();
    let mut images = Vec::with_capacity(messages.len());
    for (number, message) in (1..).zip(messages) {
        let image = Image::read(message).map_err(|source| OpenError::Image { number, source })?;
        if !containers.insert(image.container.clone()) {
            return Err(OpenError::Twice(image.container));
        }
        images.push(image);
    }
    Ok(images)
}

fn field<T: FromStr>(name: &'static str, text: &str) -> Result<T, OpenError> {
    text.parse().map_err(|_| OpenError::Field(name))
}
