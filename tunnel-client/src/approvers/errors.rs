//! Why the desk did not do what it was asked, one enum per operation; each text says what to do.

use std::time::Duration;

use tunnel_protos::{PauseId, text::spoken, v1::RequestState};

/// What kept the disk from taking it.
pub type StoreFault = Box<dyn std::error::Error + Send + Sync>;

/// Why an answer to a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// No request of this id.
    #[error("no such request")]
    Unknown,
    /// Only pending requests are answered.
    #[error("the request is {} already; there is nothing to answer", state(*.0))]
    NotPending(RequestState),
    /// What was shown is not what is pending.
    #[error("this is not the request that was shown; look again with `tunnel-client show`")]
    Changed,
    /// Nobody can say yes to what nobody can see.
    #[error("it is still being planned; look again in a moment with `tunnel-client show`")]
    NotPlanned,
    /// The plan that was shown is not the one that would be carried out.
    #[error("the plan has changed since it was shown; look again with `tunnel-client show`, then approve")]
    PlanChanged,
    /// Today's policy denies what it asks for.
    #[error("today's policy denies it: {0}")]
    Policy(String),
    /// This approver or this signed approval was counted already.
    #[error("this answer was given already and counts once")]
    Replayed,
    /// For now nothing is decided.
    #[error("nothing is decided now: {0}")]
    Refusing(String),
    /// A yes that is not stored is none; a no holds until a restart.
    #[error("not stored; free the disk and answer again")]
    NotStored(#[source] StoreFault),
}

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// No request of this id.
    #[error("no such request")]
    Unknown,
    /// Only live grants and pending requests can be revoked.
    #[error("the request is {} already; there is nothing to revoke", state(*.0))]
    NotLive(RequestState),
    /// It is revoked in memory, and sessions are cut, but a restart would forget it.
    #[error("revoked, but not stored: it would come back with a restart; free the disk and revoke again")]
    NotStored(#[source] StoreFault),
}

/// Why an operation was not stopped.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// No operation of this id.
    #[error("no such operation")]
    Unknown,
    /// Nothing runs that could be stopped.
    #[error("the request is {}: nothing of it runs; `tunnel-client deny` or `revoke` ends it", state(*.0))]
    NotNow(RequestState),
    /// It stops, but a restart would forget that it is to.
    #[error("it stops, but that is not stored: a restart would go on; free the disk and cancel again")]
    NotStored(#[source] StoreFault),
}

/// Why nothing was done about a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// None lies here.
    #[error("there is no bundle of this operation; `tunnel-client bundle list` shows those that there are")]
    Unknown,
    /// No such file in it.
    #[error("the bundle has no such file; `tunnel-client bundle list` shows its files")]
    NoFile,
    /// Another one than was shown.
    #[error("this is not the bundle that was shown; look again with `tunnel-client bundle list`")]
    Changed,
    /// Not by today's policy, or not now.
    #[error("{0}")]
    Refused(String),
    /// The disk.
    #[error("the disk did not do it; free it and run the command again")]
    NotStored(#[source] StoreFault),
}

/// Why a pause was not ended.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Nothing is paused.
    #[error("nothing is paused")]
    NotPaused,
    /// Another pause than the one that was shown.
    #[error("another pause is in force, {0}; look at `tunnel-client status` and resume that one")]
    Other(PauseId),
    /// Somebody wants the pause who asked for it after this resume.
    #[error(
        "still paused: somebody ordered a pause meanwhile; look at `tunnel-client status`, then resume again"
    )]
    Again,
    /// This signed approval was used already.
    #[error("this approval was given already and counts once")]
    Replayed,
    /// It stays paused.
    #[error("still paused: not stored; free the disk and resume again")]
    NotStored(#[source] StoreFault),
}

/// Why the list of denied operators was not changed.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// It is not on the list.
    #[error("this operator is not denied; `tunnel-client operators` lists those that are")]
    NotDenied,
    /// The list is bounded.
    #[error("the list of denied operators is full; allow one that is gone for good, or pause")]
    Full,
    /// This signed approval was used already.
    #[error("this approval was given already and counts once")]
    Replayed,
    /// A deny holds until a restart; an allow does not hold at all.
    #[error("not stored; free the disk and run the command again")]
    NotStored(#[source] StoreFault),
}

/// Why the clock was not set back.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// A reset goes back, and never before the wall clock.
    #[error("the time must be between this machine's clock and the highest time seen")]
    Bounds,
    /// This signed approval was used already.
    #[error("this approval was given already and counts once")]
    Replayed,
    /// The old time stays.
    #[error("not stored; free the disk and run the command again")]
    NotStored(#[source] StoreFault),
}

/// Why an inventory entry was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// There is nothing to confirm.
    #[error("no inventory entry waits for its words; `tunnel-client enroll status` says what is next")]
    NothingWaits,
    /// Another entry than the one that was looked at.
    #[error(
        "another inventory entry came meanwhile; ask the vendor's administrator for the words of the newest one"
    )]
    Changed,
    /// Other words.
    #[error(
        "these are not the words of the inventory entry that came: have the vendor's administrator read them out again, \
         over a way that you trust; if they still differ, the entry is not the one that was signed for you"
    )]
    WrongWords,
    /// Words are not to be guessed.
    #[error("too many wrong words; wait {} s, and have the words read out again", .0.as_secs() + 1)]
    TooMany(Duration),
    /// It does not hold any more.
    #[error("the inventory entry does not hold any more: {0}")]
    Over(String),
    /// Nothing is confirmed that is not stored.
    #[error("not confirmed: not stored; free the disk and run the command again")]
    NotStored(#[source] StoreFault),
}

/// Why no new keys were made.
#[derive(Debug, thiserror::Error)]
pub enum RotateKeysError {
    /// There is nothing to replace yet.
    #[error(
        "there is no confirmed inventory entry yet, so there are no keys to replace; `tunnel-client enroll status`"
    )]
    NotEnrolled,
    /// A key refused to sign.
    #[error("the registration of the new keys")]
    Sign(#[source] StoreFault),
    /// Nothing is registered that is not stored.
    #[error("not stored; free the disk and run the command again")]
    NotStored(#[source] StoreFault),
}

/// Why nothing was changed about trust.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// It does not prove itself, or nothing follows from it now.
    #[error(transparent)]
    Refused(StoreFault),
    /// Nothing by that name.
    #[error(transparent)]
    Unknown(StoreFault),
    /// Not what can be meant.
    #[error(transparent)]
    Malformed(StoreFault),
    /// A restart would forget it.
    #[error(transparent)]
    NotStored(StoreFault),
}

/// `REQUEST_STATE_ROLLED_BACK` as `rolled-back`, the word that people see everywhere.
fn state(state: RequestState) -> String {
    spoken(state.as_str_name(), "REQUEST_STATE_")
}
