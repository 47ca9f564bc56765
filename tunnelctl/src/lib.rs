//! The operator's and administrator's command line.
