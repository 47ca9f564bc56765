//! A place that an operator holds while it lives: a connection, a watch.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;
use tunnel_protos::OperatorName;

use super::quota::{self, Quotas};

/// A place; given back on drop.
#[derive(Debug)]
pub(super) struct Place {
    what: quota::Place,
    operator: OperatorName,
    quotas: Arc<Mutex<Quotas>>,
}

impl Place {
    /// Takes a place, unless the operator has as many as may be.
    pub(super) fn take(
        quotas: &Arc<Mutex<Quotas>>,
        operator: &OperatorName,
        what: quota::Place,
    ) -> Option<Self> {
        let room = quotas.lock().enter(operator, what, Instant::now());
        room.then(|| Self { what, operator: operator.clone(), quotas: Arc::clone(quotas) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.quotas.lock().leave(&self.operator, self.what);
    }
}
