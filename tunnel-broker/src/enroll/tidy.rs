//! What enrollment does by itself: keeps the broker's own certificate fresh, writes who was seen, forgets what is over.

use std::{sync::Arc, time::Duration};

use tracing::warn;
use tunnel_protos::UnixMillis;
use tunnel_runtime::{chain, drain};

use super::{Enroll, GRACE};
use crate::{clock, store::StoreError};

impl Enroll {
    /// Does all of it until drained; what was seen last is written before it ends.
    pub(crate) async fn keep(self: Arc<Self>, drain: drain::Watch) {
        tokio::join!(self.keep_leaf(&drain), self.keep_books(&drain));
    }

    async fn keep_books(&self, drain: &drain::Watch) {
        loop {
            if let Err(error) = self.tidy(clock::now()).await {
                warn!(error = %chain(&error), "Enrollment not tidied");
            }
            if drain.is_draining() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(TIDY) => {}
                () = drain.draining() => {}
            }
        }
    }

    /// Writes who was seen, and forgets tokens and replicas 30 days after their end.
    pub(super) async fn tidy(&self, now: UnixMillis) -> Result<(), StoreError> {
        self.write_sightings().await?;
        self.note_confirmed(now).await?;
        self.store.forget_tokens(now.minus(GRACE)).await?;
        self.store.forget_replicas(now.minus(GRACE)).await?;
        Ok(())
    }
}

/// An administrator who looks sees who came within it.
const TIDY: Duration = Duration::from_secs(30);
