//! Metrics of enrollment: `postern_client_enrollment_…`.

use metrics::{counter, describe_counter};

pub(crate) fn describe() {
    describe_counter!(ENTRIES_REFUSED, "Inventory entries of brokers that were not taken");
    describe_counter!(WRONG_WORDS, "Words for the inventory entry that were wrong");
    describe_counter!(ATTEMPTS, "Attempts to get a mesh certificate by enrollment, by how each ended");
}

pub(crate) fn entry_refused() {
    counter!(ENTRIES_REFUSED).increment(1);
}

pub(super) fn wrong_words() {
    counter!(WRONG_WORDS).increment(1);
}

/// `result` is `issued`, `refused` or `failed`.
pub(super) fn attempt(result: &'static str) {
    counter!(ATTEMPTS, "result" => result).increment(1);
}

const ENTRIES_REFUSED: &str = "postern_client_enrollment_entries_refused_total";
const WRONG_WORDS: &str = "postern_client_enrollment_wrong_words_total";
const ATTEMPTS: &str = "postern_client_enrollment_attempts_total";
