//! Calls through gates, all the while that something is done to them, by plain gRPC channels; nothing is tried twice but
//! what no gate began.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use tokio::{sync::watch, task::JoinSet};
use tonic::{Status, transport::Channel};

use super::{channel::never_begun, operator::Pass, wait::until};
use crate::generated::admin::v1::{GetStatusRequest, GetStatusResponse, admin_client::AdminClient};

/// The calls; dropping it ends them.
pub struct Calls {
    counts: Arc<Counts>,
    per_caller: Vec<Arc<AtomicU64>>,
    stop: watch::Sender<bool>,
    callers: JoinSet<()>,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Calls that were made.
    pub calls: u64,
    /// Calls that did not succeed.
    pub failed: u64,
}

#[derive(Default)]
struct Counts {
    failed: AtomicU64,
    first_failure: parking_lot::Mutex<Option<String>>,
}

impl Calls {
    /// Calls [`STATUS`] with each of these from now on; the names are for messages.
    pub fn start(passes: Vec<(String, Pass)>) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (counts, mut per_caller, mut callers) = (Arc::<Counts>::default(), Vec::new(), JoinSet::new());
        for (name, pass) in passes {
            let answered = Arc::<AtomicU64>::default();
            per_caller.push(answered.clone());
            let client = AdminClient::new(pass.channel()?);
            callers.spawn(call(client, name, answered, counts.clone(), stopped.clone()));
        }
        Ok(Self { counts, per_caller, stop, callers })
    }

    /// Each is answered still, within `limit`, after all that was done.
    pub async fn all_still_answered(&self, limit: Duration) -> Result<()> {
        let before: Vec<u64> = self.answered().collect();
        until("every call is answered", limit, || async {
            let silent = before.iter().zip(self.answered()).filter(|(before, now)| *before == now).count();
            ensure!(silent == 0, "{silent} of {} are silent", before.len());
            Ok::<_, anyhow::Error>(())
        })
        .await
    }

    fn answered(&self) -> impl Iterator<Item = u64> + '_ {
        self.per_caller.iter().map(|answered| answered.load(Ordering::Relaxed))
    }

    /// Lets the last calls end and counts.
    pub async fn stop(mut self) -> Result<Report> {
        self.stop.send_replace(true);
        while let Some(ended) = self.callers.join_next().await {
            ended?;
        }
        let failed = self.counts.failed.load(Ordering::Relaxed);
        let report = Report { calls: self.answered().sum::<u64>() + failed, failed };
        if let Some(first) = self.counts.first_failure.lock().as_ref() {
            eprintln!("the first failed call: {first}");
        }
        Ok(report)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calls: {}\nfailed calls: {}", self.calls, self.failed)
    }
}

async fn call(
    mut client: AdminClient<Channel>,
    name: String,
    answered: Arc<AtomicU64>,
    counts: Arc<Counts>,
    mut stopped: watch::Receiver<bool>,
) {
    while !*stopped.borrow_and_update() {
        match failure(tokio::time::timeout(LATE, get_status(&mut client)).await) {
            None => drop(answered.fetch_add(1, Ordering::Relaxed)),
            Some(why) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                counts.first_failure.lock().get_or_insert_with(|| format!("{name}: {why}"));
            }
        }
        // An error says that the counting side is gone.
        let _ = tokio::time::timeout(PAUSE, stopped.changed()).await;
    }
}

/// One call, which sessions whose tunnel is replaced do not take any more; the caller's deadline bounds it.
pub(crate) async fn get_status(client: &mut AdminClient<Channel>) -> Result<GetStatusResponse, Status> {
    loop {
        match client.get_status(GetStatusRequest::default()).await {
            Err(status) if never_begun(&status) => {}
            ended => return ended.map(tonic::Response::into_inner),
        }
    }
}

fn failure<T>(answer: Result<Result<T, tonic::Status>, tokio::time::error::Elapsed>) -> Option<String> {
    match answer {
        Ok(Ok(_)) => None,
        Ok(Err(status)) => Some(format!("{status:?}")),
        Err(_) => Some(format!("no answer within {LATE:?}")),
    }
}

/// What is called.
pub const STATUS: &str = "engine.admin.v1.Admin/GetStatus";
/// A caller that waits longer has given up.
const LATE: Duration = Duration::from_secs(20);
/// Ten calls a second and caller leave the cores to what is done.
const PAUSE: Duration = Duration::from_millis(100);
