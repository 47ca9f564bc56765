//! `-H 'name: value'`, as grpcurl takes it; values of `-bin` headers are base64.

use tonic::metadata::{AsciiMetadataKey, BinaryMetadataKey, BinaryMetadataValue, MetadataMap};

use super::Error;

/// Reads headers.
pub fn parse(headers: &[String]) -> Result<MetadataMap, Error> {
    let mut map = MetadataMap::new();
    for header in headers {
        add(&mut map, header).ok_or_else(|| Error::Header(header.clone()))?;
    }
    Ok(map)
}

fn add(map: &mut MetadataMap, header: &str) -> Option<()> {
    let (name, value) = header.split_once(':')?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    if name.ends_with("-bin") {
        let bytes = data_encoding::BASE64.decode(value.as_bytes()).ok()?;
        map.append_bin(
            BinaryMetadataKey::from_bytes(name.as_bytes()).ok()?,
            BinaryMetadataValue::from_bytes(&bytes),
        );
    } else {
        map.append(AsciiMetadataKey::from_bytes(name.as_bytes()).ok()?, value.parse().ok()?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(header: &str) -> Result<MetadataMap, Error> {
        parse(&[header.to_owned()])
    }

    #[test]
    fn reads_text_and_binary_headers() {
        assert_eq!(one("X-A: b:c").unwrap().get("x-a").unwrap(), "b:c");
        assert_eq!(
            one("x-bin: AAE=").unwrap().get_bin("x-bin").unwrap().to_bytes().unwrap().as_ref(),
            [0, 1]
        );
    }

    #[test]
    fn refuses_what_is_no_header() {
        for bad in ["no colon", "bad name: x", "x-bin: !", "a: \u{7}"] {
            assert!(one(bad).is_err(), "{bad}");
        }
    }
}
