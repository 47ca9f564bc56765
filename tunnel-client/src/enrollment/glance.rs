//! How far the enrollment is, for whoever looks at a state folder from outside, beside a client that may run in it.
//!
//! Invariant: it only reads; nothing is made, finished or kept.

use tunnel_certs::statement::trust_bundle::TrustBundle;
use tunnel_protos::UnixMillis;

use super::{
    Home, HomeError, home,
    record::{Confirmed, Enrolled},
};
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
        let read = Home::read(config)?;
        let path = config.enrollment.as_ref().and_then(|means| means.bundle.as_deref());
        // One that is gone has served; anything else that is wrong with it was told above.
        let opened = path.and_then(|path| home::load(path).ok());
        Ok(Self {
            trust: read.handed().cloned(),
            cluster: read.cluster,
            enrolled: Enrolled::read(&config.state_dir)?.is_some(),
            bundle_until: opened.map(|opened| opened.bundle.expires),
            entry: Confirmed::read(&config.state_dir)?.map(|confirmed| confirmed.envelope),
        })
    }
}
