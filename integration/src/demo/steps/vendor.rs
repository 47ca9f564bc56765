//! The vendor's administrator, offline: keys, CAs, trust bundle, inventory entry.

use anyhow::Result;

use crate::demo::stage::Stage;

/// Makes the vendor's keys and what follows from them.
pub async fn keys(_stage: &mut Stage) -> Result<()> {
    anyhow::bail!("not yet")
}

/// Certifies a customer's exported keys, comparing the words that the customer read out.
pub async fn certify(_stage: &mut Stage, _printed: &str) -> Result<()> {
    anyhow::bail!("not yet")
}
