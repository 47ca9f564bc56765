//! Enrollment against a broker's door over real TLS: honest, absent and hostile.

mod entries;
mod hostile;
mod keys;
mod redeem;
mod renewal;
