//! Configurations published on a watch: a candidate is checked first, and on failure the old one stays.

use std::sync::Arc;

use tokio::sync::watch;

/// A value that may be replaced while it is in use.
#[derive(Debug)]
pub struct Published<T> {
    sender: watch::Sender<Arc<T>>,
}

impl<T> Published<T> {
    /// Publishes the first value.
    pub fn new(first: T) -> Self {
        Self { sender: watch::Sender::new(Arc::new(first)) }
    }

    /// The value of now.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.sender.borrow())
    }

    /// Follows the value.
    pub fn subscribe(&self) -> watch::Receiver<Arc<T>> {
        self.sender.subscribe()
    }

    /// Publishes a candidate that passed its checks; one that failed leaves the old value, and its error comes back.
    pub fn replace<E>(&self, candidate: Result<T, E>) -> Result<(), E> {
        self.sender.send_replace(Arc::new(candidate?));
        Ok(())
    }
}
