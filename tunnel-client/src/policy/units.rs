//! Values with units inside the policy file: the same grammar as in every configuration file.

use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error};

/// A value that is written as text, for example `15m` or `64MiB`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written<T>(pub(super) T);

impl<'de, T> Deserialize<'de> for Written<T>
where
    T: FromStr,
    T::Err: Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}
