//! Writing to the state folder off the runtime's threads, one thing after the other, with a deadline.
//!
//! Invariant: a write that took too long ends before the next one begins, so that nothing older overtakes what is newer.

use std::{io, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use tunnel_certs::file::FileError;

/// The turns of one room's writes; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Disk(Arc<Semaphore>);

impl Default for Disk {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Disk {
    /// Does `work` in its turn. An error of time says that it may still be done, unless it had not begun.
    pub(crate) async fn run<T, E>(&self, work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<FileError> + Send + 'static,
    {
        let turn = Arc::clone(&self.0);
        let done = async {
            // It is never closed, and gives turns in the order in which they were asked for.
            let turn = turn.acquire_owned().await;
            let held = move || {
                let done = work();
                drop(turn);
                done
            };
            spawn_blocking(held).await.unwrap_or_else(|panic| Err(failed(io::Error::other(panic)).into()))
        };
        let late = |_| Err(failed(io::ErrorKind::TimedOut.into()).into());
        timeout(DEADLINE, done).await.unwrap_or_else(late)
    }
}

fn failed(source: io::Error) -> FileError {
    FileError::Io { action: "write", path: "state folder".into(), source }
}

/// Far beyond a healthy disk; whoever waits behind a sick one would rather hear of it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_given_up_and_never_overtaken() {
        let (disk, (release, hung)) = (Disk::default(), mpsc::channel());
        let (order, seen) = mpsc::channel();
        let write = |name: &'static str, until: Option<mpsc::Receiver<()>>| {
            let order = order.clone();
            move || {
                if let Some(until) = until {
                    let _ = until.recv();
                }
                order.send(name).map_err(|_| failed(io::ErrorKind::Other.into()))
            }
        };
        // The clock stands still while a thread of the runtime works, so time passes by hand.
        let mut older = Box::pin(disk.run(write("older", Some(hung))));
        let first = tokio::select! {
            biased;
            done = &mut older => done,
            () = tokio::task::yield_now() => Ok(()),
        };
        first.unwrap();
        tokio::time::advance(DEADLINE).await;
        assert!(older.await.is_err());
        let mut newer = Box::pin(disk.run(write("newer", None)));
        tokio::select! {
            biased;
            _ = &mut newer => panic!("the older one still writes"),
            () = tokio::task::yield_now() => {}
        }
        release.send(()).unwrap();
        newer.await.unwrap();
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["older", "newer"]);
    }
}
