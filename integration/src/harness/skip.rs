//! Tests that need more than an unprivileged user may: they run as root, and nowhere else are they left out in silence.

use std::io::{self, Write};

/// Says that a test is left out, where `tools/steps.sh` counts it; as root, which CI is, that is a failure.
pub fn needs_root(what: &str) {
    assert!(!rustix::process::geteuid().is_root(), "root must be able to {what}");
    // Not by `eprintln`, which the tests' runner keeps to itself.
    let _ = writeln!(io::stderr(), "left out: only root can {what}");
}
