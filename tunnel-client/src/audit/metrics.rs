//! The audit log's metrics.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Describes every metric of this file; called once, when the recorder is in place.
pub fn describe() {
    describe_counter!(RECORDS, "Audit records that are durable");
    describe_counter!(REFUSED, "Acts refused because they could not be recorded");
    describe_counter!(DROPPED, "Records of reads that found no room; the log says how many, too");
    describe_counter!(SYNCS, "Syncs of the audit log");
    describe_histogram!(SYNC, "How long a sync of the audit log took");
    describe_histogram!(LAG, "How long the oldest record of a sync waited until it was durable");
    describe_gauge!(GROUP, "Acts that shared the last sync");
    describe_gauge!(LAST, "Sequence of the last durable audit record");
    describe_gauge!(HELD, "Audit files older than the retention that wait for an export");
    describe_gauge!(UNWRITABLE, "1 while the audit log cannot be written");
    // There before their first event: what is not there neither increases nor compares.
    counter!(REFUSED).increment(0);
    unwritable(false);
    held(0);
}

/// `lag` is of the oldest of the records, failed attempts included.
pub(super) fn synced(records: usize, group: usize, took: Duration, lag: Duration) {
    counter!(RECORDS).increment(records as u64);
    counter!(SYNCS).increment(1);
    histogram!(SYNC).record(took.as_secs_f64());
    histogram!(LAG).record(lag.as_secs_f64());
    gauge!(GROUP).set(f64::from(u32::try_from(group).unwrap_or(u32::MAX)));
}

pub(super) fn refused() {
    counter!(REFUSED).increment(1);
}

pub(super) fn dropped(records: u64) {
    counter!(DROPPED).increment(records);
}

#[expect(clippy::cast_precision_loss, reason = "a log of 2^53 records is out of reach")]
pub(super) fn last(seq: u64) {
    gauge!(LAST).set(seq as f64);
}

#[expect(clippy::cast_precision_loss, reason = "a folder of 2^53 files is out of reach")]
pub(super) fn held(files: u64) {
    gauge!(HELD).set(files as f64);
}

pub(super) fn unwritable(broken: bool) {
    gauge!(UNWRITABLE).set(f64::from(u8::from(broken)));
}

const RECORDS: &str = "postern_client_audit_records_total";
const REFUSED: &str = "postern_client_audit_refused_total";
const DROPPED: &str = "postern_client_audit_dropped_total";
const SYNCS: &str = "postern_client_audit_syncs_total";
const SYNC: &str = "postern_client_audit_sync_seconds";
const LAG: &str = "postern_client_audit_lag_seconds";
const GROUP: &str = "postern_client_audit_group_size";
const LAST: &str = "postern_client_audit_last_record";
const HELD: &str = "postern_client_audit_held_files";
const UNWRITABLE: &str = "postern_client_audit_unwritable";
