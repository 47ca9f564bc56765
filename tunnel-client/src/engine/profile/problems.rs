//! What was found wrong with a profile so far: all of it is told at once.

use super::{ProfileError, ProfileErrors};

#[derive(Debug, Default)]
pub(super) struct Problems(Vec<ProfileError>);

impl Problems {
    /// The value, or none after its problem was noted.
    pub(super) fn keep<T>(&mut self, outcome: Result<T, ProfileError>) -> Option<T> {
        outcome.map_err(|error| self.0.push(error)).ok()
    }

    /// Notes what is wrong with `key`.
    pub(super) fn add(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.0.push(value(key, problem));
    }

    /// Notes what is wrong with `key`, and gives none.
    pub(super) fn none<T>(&mut self, key: impl Into<String>, problem: impl Into<String>) -> Option<T> {
        self.add(key, problem);
        None
    }

    /// `made`, unless something is wrong.
    pub(super) fn unless_any<T>(self, made: T) -> Result<T, ProfileErrors> {
        if self.0.is_empty() { Ok(made) } else { Err(ProfileErrors(self.0)) }
    }
}

/// A value that cannot be.
pub(super) fn value(key: impl Into<String>, problem: impl Into<String>) -> ProfileError {
    ProfileError::Value { key: key.into(), problem: problem.into() }
}
