//! Measuring the product beside a direct connection: the load generator, the paths it compares, the report.
//!
//! Only ratios within one run mean anything: every path sees the same generator, engine and link.

pub mod authorization;
pub mod figures;
pub mod idle;
pub mod load;
pub mod readme;
pub mod report;
pub mod run;
pub mod site;
pub mod stats;
pub mod swarm;
