//! How far the enrollment is, for whoever looks at a state folder from outside, beside a client that may run in it.
//!
//! Invariant: it only reads; nothing is made, finished or kept.

use tunnel_certs::statement::trust_bundle::TrustBundle;
use tunnel_protos::UnixMillis;

use super::{Home, HomeError, record::Confirmed};
use crate::config::{Cluster, Config};

/// What lies there.
#[derive(Debug)]
pub struct Glance {
    /// Which cluster this is.
    pub cluster: Cluster,
    /// Whether an enrollment came to its end here.
    pub enrolled: bool,
    /// The end of the enrollment bundle, if there is one.
    pub bundle_until: Option<UnixMillis>,
    /// The enrollment bundle's trust bundle: all there is before the first start.
    pub trust: Option<TrustBundle>,
    /// The inventory entry that a person confirmed, in its envelope.
    pub entry: Option<Vec<u8>>,
}

impl Glance {
    /// Looks into configuration and state folder.
    pub fn of(config: &Config) -> Result<Self, HomeError> {
        let home = Home::read(config)?;
        Ok(Self {
            trust: home.handed().cloned(),
            cluster: home.cluster,
            enrolled: home.enrolled,
            bundle_until: home.bundle_until,
            entry: Confirmed::read(&config.state_dir)?.map(|confirmed| confirmed.envelope),
        })
    }
}
