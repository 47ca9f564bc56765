//! Where the enrollment is and what to do next, for people. Pure; the words of an entry never appear.

use tunnel_protos::{
    UnixMillis,
    approvers::{EnrollmentState, EnrollmentView},
};

use super::{Awaited, Shown};
use crate::enrollment::{
    Member,
    progress::{Phase, Progress},
};

pub(super) fn view(shown: &Shown, progress: &Progress, open: bool) -> EnrollmentView {
    let state = state(shown, progress, open);
    let words = shown.next_words.or(shown.words).or(progress.words);
    let token = match progress.phase {
        Phase::Asking { until } => until,
        Phase::Certified | Phase::Failed => None,
    };
    let errors = [&progress.last_error, &shown.refused];
    let last_error = errors.into_iter().find(|error| !error.is_empty());
    EnrollmentView {
        state: state.into(),
        next: next(state, shown, progress),
        registration_words: words.map(|words| words.to_string()).unwrap_or_default(),
        token_expires_ms: token.map_or(0, |until| until.0),
        last_error: last_error.cloned().unwrap_or_default(),
        entry_expires_ms: shown.expires.map_or(0, |UnixMillis(expires)| expires),
        entry_sequence: shown.sequence,
        entry_waits: shown.waiting.is_some(),
        waiting_entry_digest: shown.waiting.map(|digest| digest.as_bytes().to_vec()).unwrap_or_default(),
    }
}

fn state(shown: &Shown, progress: &Progress, open: bool) -> EnrollmentState {
    match progress.phase {
        Phase::Asking { .. } => EnrollmentState::Redeeming,
        Phase::Failed => EnrollmentState::Failed,
        Phase::Certified if open || progress.member == Member::Further => EnrollmentState::Enrolled,
        Phase::Certified if shown.waiting.is_some() => EnrollmentState::EntryWaits,
        Phase::Certified => EnrollmentState::Registered,
    }
}

/// What waits for people who exchange words, if anything does.
pub(super) fn awaited(shown: &Shown, progress: &Progress, open: bool) -> Option<Awaited> {
    let entry = shown.waiting.map(Awaited::Entry);
    match state(shown, progress, open) {
        EnrollmentState::EntryWaits => entry,
        EnrollmentState::Registered => shown.words.or(progress.words).map(Awaited::Registration),
        EnrollmentState::Enrolled => entry.or(shown.next_words.map(Awaited::Registration)),
        EnrollmentState::Redeeming | EnrollmentState::Failed | EnrollmentState::Unspecified => None,
    }
}

impl Awaited {
    /// What to do about it.
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Registration(_) => READ_OUT,
            Self::Entry(_) => CONFIRM,
        }
    }
}

/// What somebody has to do; empty if nobody has to do anything.
fn next(state: EnrollmentState, shown: &Shown, progress: &Progress) -> String {
    match state {
        EnrollmentState::Redeeming if progress.last_error.is_empty() => "",
        EnrollmentState::Redeeming => REACH,
        EnrollmentState::Failed => ANEW,
        EnrollmentState::EntryWaits => CONFIRM,
        EnrollmentState::Registered => READ_OUT,
        EnrollmentState::Enrolled if shown.waiting.is_some() => CONFIRM,
        EnrollmentState::Enrolled if shown.next_words.is_some() => READ_OUT,
        EnrollmentState::Enrolled | EnrollmentState::Unspecified => "",
    }
    .to_owned()
}

/// Why requests are not taken while there is no entry, with what to do.
pub(super) fn refusing(shown: &Shown, progress: &Progress) -> String {
    if progress.member == Member::Further {
        return FURTHER.to_owned();
    }
    let state = state(shown, progress, false);
    let what = match state {
        EnrollmentState::Redeeming => "this client is not enrolled yet",
        EnrollmentState::Failed => "this client could not be enrolled",
        EnrollmentState::EntryWaits => "nobody has confirmed the inventory entry yet",
        EnrollmentState::Registered | EnrollmentState::Enrolled | EnrollmentState::Unspecified => {
            "the vendor has not confirmed this cluster's keys yet"
        }
    };
    let error = Some(progress.last_error.as_str()).filter(|error| !error.is_empty());
    let what = error.map_or_else(|| what.to_owned(), |error| format!("{what}: {error}"));
    match next(state, shown, progress) {
        next if next.is_empty() => what,
        next => format!("{what}. {next}"),
    }
}

const REACH: &str =
    "It is tried again by itself; see to it that this machine reaches the vendor's brokers over TCP";
const ANEW: &str = "Ask the vendor's administrator for a new enrollment bundle (`tunnelctl enroll create`) and put it in \
                    place of the old one; it is read again by itself";
const READ_OUT: &str = "Read the words of the registration to the vendor's administrator (`tunnelctl enroll confirm`), who \
                        reads other words back; type those: `tunnel-client enroll confirm WORDS…`";
const CONFIRM: &str = "Have the vendor's administrator read out the 8 words of the inventory entry, and type them as an \
                       approver: `tunnel-client enroll confirm WORDS…`";
const FURTHER: &str = "this is a further replica, which only keeps tunnels; the first one takes requests";

#[cfg(test)]
mod tests {
    use tunnel_certs::words::Words;
    use tunnel_protos::Digest;

    use super::*;

    const ENTRY: Digest = Digest::new([7; 32]);

    fn progress(phase: Phase) -> Progress {
        let words = Some(Words::of(&Digest::new([1; 32])));
        Progress { member: Member::First, phase, words, last_error: String::new() }
    }

    #[test]
    fn each_state_says_what_is_next() {
        let waits = Shown { waiting: Some(ENTRY), ..Shown::default() };
        let rotates = Shown { next_words: Some(Words::of(&Digest::new([2; 32]))), ..Shown::default() };
        let asking = Phase::Asking { until: Some(UnixMillis(9)) };
        let failed = Progress { last_error: "not reached".into(), ..progress(asking) };
        let (nothing, certified) = (Shown::default(), progress(Phase::Certified));
        let state = |shown: &Shown, progress: &Progress, open| {
            let view = view(shown, progress, open);
            (view.state(), view.next)
        };
        let says = |next: &str| next.to_owned();
        assert_eq!(state(&nothing, &progress(asking), false), (EnrollmentState::Redeeming, says("")));
        assert_eq!(state(&nothing, &failed, false), (EnrollmentState::Redeeming, says(REACH)));
        assert_eq!(state(&nothing, &progress(Phase::Failed), false), (EnrollmentState::Failed, says(ANEW)));
        assert_eq!(state(&nothing, &certified, false), (EnrollmentState::Registered, says(READ_OUT)));
        assert_eq!(state(&waits, &certified, false), (EnrollmentState::EntryWaits, says(CONFIRM)));
        assert_eq!(state(&nothing, &certified, true), (EnrollmentState::Enrolled, says("")));
        assert_eq!(state(&rotates, &certified, true), (EnrollmentState::Enrolled, says(READ_OUT)));
        assert_eq!(state(&waits, &certified, true), (EnrollmentState::Enrolled, says(CONFIRM)));
        let words = progress(asking).words.unwrap();
        assert_eq!(awaited(&nothing, &progress(asking), false), None);
        assert_eq!(awaited(&nothing, &certified, false), Some(Awaited::Registration(words)));
        assert_eq!(awaited(&waits, &certified, false), Some(Awaited::Entry(ENTRY)));
        assert_eq!(awaited(&nothing, &certified, true), None);
        assert_eq!(awaited(&rotates, &certified, true), rotates.next_words.map(Awaited::Registration));
        assert_eq!(awaited(&waits, &certified, true), Some(Awaited::Entry(ENTRY)));
        let further = Progress { member: Member::Further, ..certified };
        assert_eq!(awaited(&nothing, &further, false), None);
        assert_eq!(state(&nothing, &further, false), (EnrollmentState::Enrolled, says("")));
        assert_eq!(refusing(&nothing, &further), FURTHER);
    }

    #[test]
    fn the_words_of_an_entry_are_nowhere() {
        let entry = Words::of(&ENTRY).to_string();
        let shown = Shown { waiting: Some(ENTRY), refused: "older".into(), ..Shown::default() };
        for phase in [Phase::Certified, Phase::Failed, Phase::Asking { until: None }] {
            let progress = progress(phase);
            for text in [format!("{:?}", view(&shown, &progress, false)), refusing(&shown, &progress)] {
                let pairs: Vec<_> = entry.split(' ').collect();
                assert!(!text.contains(&pairs[..2].join(" ")), "{text}");
            }
        }
    }
}
