//! What was read whole from the disk, on its way to somebody in parts: bounded in number, and in time if nobody takes it.
//!
//! Invariant: a place among those who read is held exactly as long as the bytes are.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream::unfold};
use tokio::{sync::mpsc, time::timeout};
use tracing::info_span;
use tunnel_runtime::tasks::Task;

use super::places::Place;

/// Bytes with the place that they take; dropped, both are given back.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) bytes: Bytes,
    pub(super) place: Place,
}

/// Who reads stopped reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody read on in time; try again, from where it ended")]
pub(super) struct Stalled;

struct Flow {
    parts: mpsc::Receiver<Vec<u8>>,
    left: usize,
    _task: Task<()>,
}

impl Lent {
    /// In parts of at most 64 KiB; ends early, with an error, if none is taken for a while. Dropped, it ends at once.
    pub(super) fn parts(self) -> impl Stream<Item = Result<Vec<u8>, Stalled>> + Send + 'static {
        let (sender, parts) = mpsc::channel(1);
        let left = self.bytes.len();
        let flow = Flow { parts, left, _task: Task::spawn(info_span!("bundle"), self.pour(sender)) };
        unfold(Some(flow), |flow| async move { flow?.next().await })
    }

    async fn pour(mut self, sender: mpsc::Sender<Vec<u8>>) {
        let all = async {
            while !self.bytes.is_empty() {
                let part = self.bytes.split_to(self.bytes.len().min(PART));
                // A copy: what lies in the channel must not keep the whole.
                let Ok(Ok(())) = timeout(STALLED, sender.send(part.to_vec())).await else { return };
            }
        };
        // Late is as stalled: the receiver sees that some is left.
        let _ = timeout(LONGEST, all).await;
        // Before the receiver hears of the end: who has read all of it finds the place free.
        drop(self);
    }
}

impl Flow {
    async fn next(mut self) -> Option<(Result<Vec<u8>, Stalled>, Option<Self>)> {
        match self.parts.recv().await {
            Some(part) => {
                self.left = self.left.saturating_sub(part.len());
                Some((Ok(part), Some(self)))
            }
            None => (self.left > 0).then_some((Err(Stalled), None)),
        }
    }
}

/// As the protocol says.
pub(super) const PART: usize = 64 << 10;
/// A link that takes no part for so long carries nothing.
const STALLED: Duration = Duration::from_secs(30);
/// The largest bundle at 75 KB a second; what is slower goes on from where it ended.
const LONGEST: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use tokio::time::sleep;

    use super::{super::places::Places, *};

    fn lent(places: &Places, parts: usize) -> Lent {
        let place = places.any().unwrap();
        Lent { bytes: vec![7; parts * PART].into(), place }
    }

    #[tokio::test(start_paused = true)]
    async fn what_stalls_ends_and_gives_its_place_back() {
        let places = Places::new(1);
        let mut parts = Box::pin(lent(&places, 9).parts());
        assert_eq!(parts.next().await.unwrap().unwrap().len(), PART);
        sleep(STALLED / 2).await;
        assert_eq!(places.free(), 0);
        sleep(STALLED).await;
        assert_eq!(places.free(), 1);
        let rest: Vec<_> = parts.collect().await;
        assert!(rest.len() < 8 && rest.last() == Some(&Err(Stalled)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_too_slowly_gives_the_place_back_as_well() {
        let places = Places::new(1);
        let parts = lent(&places, 99).parts();
        let slow = parts.then(|part| async {
            sleep(STALLED - STALLED / 6).await;
            part
        });
        let read: Vec<_> = slow.collect().await;
        assert!(read.len() < 60 && read.last() == Some(&Err(Stalled)));
        assert_eq!(places.free(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_gets_all_of_it() {
        let places = Places::new(1);
        let read: Vec<_> = lent(&places, 9).parts().collect().await;
        assert_eq!(read.iter().map(|part| part.as_ref().unwrap().len()).sum::<usize>(), 9 * PART);
    }
}
