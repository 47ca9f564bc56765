//! Request messages as JSON values one after the other, from an argument or a stream that may never end.

use std::fmt;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tunnel_protos::{MethodName, dynamic::JsonError};

/// Why there is no next request.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The stream broke.
    #[error("cannot read standard input")]
    Read(#[source] std::io::Error),
    /// Not JSON.
    #[error("not JSON")]
    Syntax(#[source] serde_json::Error),
    /// Not the JSON of the method's message.
    #[error(transparent)]
    Json(JsonError),
    /// One value is larger than any message may be.
    #[error("one value is larger than 64 MiB")]
    TooLarge,
    /// More than one request for a method that takes one.
    #[error("{0} takes one message")]
    TooMany(MethodName),
}

/// Values, as they come.
pub struct Input {
    source: Option<Box<dyn AsyncRead + Send + Unpin>>,
    buffer: Vec<u8>,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl Input {
    /// The values in `text`.
    pub fn text(text: &str) -> Self {
        Self { source: None, buffer: text.as_bytes().to_vec() }
    }

    /// The same of a text that must be JSON, so that nobody is asked for access for the sake of a typing error.
    pub fn checked(text: &str) -> Result<Self, InputError> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
        values.try_for_each(|value| value.map(drop)).map_err(InputError::Syntax)?;
        Ok(Self::text(text))
    }

    /// The values that `source` gives, each as soon as it is complete.
    pub fn stream(source: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        Self { source: Some(source), buffer: Vec::new() }
    }

    /// The text of the next value; none at the end.
    pub async fn next(&mut self) -> Result<Option<String>, InputError> {
        loop {
            match first(&self.buffer, self.source.is_none())? {
                Found::Value(end) => return Ok(Some(self.take(end))),
                Found::End => return Ok(None),
                Found::More => self.read().await?,
            }
        }
    }

    fn take(&mut self, end: usize) -> String {
        let rest = self.buffer.split_off(end);
        let value = std::mem::replace(&mut self.buffer, rest);
        // What parsed as JSON is UTF-8.
        String::from_utf8_lossy(&value).into_owned()
    }

    async fn read(&mut self) -> Result<(), InputError> {
        if self.buffer.len() > LARGEST {
            return Err(InputError::TooLarge);
        }
        let Some(source) = &mut self.source else { return Ok(()) };
        if source.read_buf(&mut self.buffer).await.map_err(InputError::Read)? == 0 {
            self.source = None;
        }
        Ok(())
    }
}

/// What the beginning of a buffer holds.
enum Found {
    /// A value that ends here.
    Value(usize),
    /// White space until the end.
    End,
    /// Part of a value.
    More,
}

fn first(buffer: &[u8], complete: bool) -> Result<Found, InputError> {
    let mut values = serde_json::Deserializer::from_slice(buffer).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => {
            let end = values.byte_offset();
            // `12` may go on as `123`; what ends by itself may not.
            let open = !(value.is_object() || value.is_array() || value.is_string()) && end == buffer.len();
            Ok(if open && !complete { Found::More } else { Found::Value(end) })
        }
        Some(Err(error)) if error.is_eof() && !complete => Ok(Found::More),
        Some(Err(error)) => Err(InputError::Syntax(error)),
        None if complete => Ok(Found::End),
        None => Ok(Found::More),
    }
}

/// As large as the largest message that is read.
const LARGEST: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(mut input: Input) -> Result<Vec<String>, InputError> {
        let mut values = Vec::new();
        while let Some(value) = input.next().await? {
            values.push(value.trim().to_owned());
        }
        Ok(values)
    }

    #[tokio::test]
    async fn splits_values_however_they_arrive() {
        let text = "{\"a\": \"}{\"}\n [1]{}  12 ";
        let expected = ["{\"a\": \"}{\"}", "[1]", "{}", "12"];
        assert_eq!(all(Input::checked(text).unwrap()).await.unwrap(), expected);
        let (mut writer, reader) = tokio::io::duplex(1);
        let write = async {
            tokio::io::AsyncWriteExt::write_all(&mut writer, text.as_bytes()).await.unwrap();
            drop(writer);
        };
        let (values, ()) = tokio::join!(all(Input::stream(Box::new(reader))), write);
        assert_eq!(values.unwrap(), expected);
    }

    #[tokio::test]
    async fn gives_a_value_before_the_stream_ends() {
        let (mut writer, reader) = tokio::io::duplex(64);
        let mut input = Input::stream(Box::new(reader));
        tokio::io::AsyncWriteExt::write_all(&mut writer, b"{}").await.unwrap();
        assert_eq!(input.next().await.unwrap().unwrap(), "{}");
    }

    #[tokio::test]
    async fn refuses_broken_and_cut_json() {
        for bad in ["{", "nope", "{} ]"] {
            assert!(matches!(all(Input::text(bad)).await, Err(InputError::Syntax(_))), "{bad}");
            assert!(matches!(Input::checked(bad), Err(InputError::Syntax(_))), "{bad}");
        }
        assert!(all(Input::checked("  ").unwrap()).await.unwrap().is_empty());
    }
}
