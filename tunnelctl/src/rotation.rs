//! The rotation of the mesh CA as a job that can be killed anywhere and started again: it looks, lets
//! [`tunnel_certs::rotation`] decide, does that one step, and looks again.
//!
//! Invariant: acknowledgements count only when their cluster's key, or a further replica's own mesh key, signed them.

use std::time::Duration;

use tunnel_certs::{file::FileError, roots::RootsError, rotation::Stuck};
use tunnel_protos::v1::RotationPhase;

pub(crate) mod bundle;
pub(crate) mod job;
mod marker;
pub(crate) mod observed;

/// Why a rotation does not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The certificates allow no step.
    #[error("the rotation cannot go on: {0}")]
    Stuck(Stuck),
    /// The broker says something that this build does not know.
    #[error("the broker is in a phase that this tunnel-certs does not know: use a newer one")]
    Phase,
    /// What the broker made is no CA to be trusted.
    #[error("the broker's next mesh CA is refused: {0}")]
    Refused(&'static str),
    /// A bundle cannot be made of these.
    #[error("cannot make the trust bundle")]
    Bundle(#[source] RootsError),
    /// A bundle that was signed elsewhere is another one.
    #[error("the signed trust bundle is not the one that is needed now: {0}")]
    Signed(String),
    /// The note of a rotation under way.
    #[error("cannot keep the note of the rotation under way")]
    Marker(#[source] FileError),
    /// A step that would cut somebody off.
    #[error("{0}")]
    Unsafe(String),
}

/// The phase in the words of the command line.
pub(crate) fn phase_name(phase: RotationPhase) -> String {
    tunnel_protos::text::spoken(phase.as_str_name(), "ROTATION_PHASE_")
}

/// No operator identity outlives it.
pub(crate) const OPERATOR_LIFE: Duration = Duration::from_secs(12 * 3600);
