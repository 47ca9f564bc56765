//! What runs within a session beside its connection: calls, the way to the engine, signals, timers.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::time::sleep;
use tunnel_protos::MethodName;

use crate::gate::{
    answer::Answer,
    keepalive,
    metrics::Metrics,
    reflection::Reflect,
    relay::{Failure, Relay},
    signals::{Event, Signals},
    status::{Caller, Refusal},
    upstream::Upstream,
};

/// One of a session's jobs; dropping it ends what it does.
pub(super) type Job = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What a job came to.
pub(super) enum Done {
    /// A call ended; `gone` if its operator reset it.
    Call { gone: bool },
    /// The connection to the engine ended.
    Upstream,
    /// Something happened outside; the signals are to be followed on.
    Event(Event, Box<Signals>),
    /// The operator answers no pings.
    Dead,
    /// Time to look around.
    Tick,
}

/// Runs a call and answers it, whatever comes.
pub(super) fn relayed(relay: Relay, mut answer: Answer, caller: Arc<Caller>) -> Job {
    Box::pin(async move {
        let method = relay.ledger.method().clone();
        let ended = relay.run(&mut answer).await;
        over(ended, answer, &caller, Some(&method))
    })
}

/// Runs a reflection call.
pub(super) fn reflected(reflect: Reflect, mut answer: Answer, caller: Arc<Caller>) -> Job {
    Box::pin(async move {
        let ended = reflect.run(&mut answer).await;
        over(ended, answer, &caller, None)
    })
}

fn over(
    ended: Result<(), Failure>,
    mut answer: Answer,
    caller: &Caller,
    method: Option<&MethodName>,
) -> Done {
    let mut gone = false;
    match ended {
        Ok(()) => {}
        Err(Failure::Refuse(refusal)) => refuse(answer, &refusal, caller, method),
        Err(Failure::Reset(reason)) => answer.reset(reason),
        Err(Failure::Gone) => gone = true,
    }
    Done::Call { gone }
}

/// A call that was answered at once.
pub(super) fn refused() -> Job {
    Box::pin(std::future::ready(Done::Call { gone: false }))
}

/// Answers a call with a status of ours.
pub(super) fn refuse(mut answer: Answer, refusal: &Refusal, caller: &Caller, method: Option<&MethodName>) {
    Metrics::refusal(refusal.reason());
    answer.refuse(refusal, &refusal.status(caller, method));
}

/// Connects to the engine and keeps the connection going.
pub(super) fn connected(upstream: Arc<Upstream>) -> Job {
    Box::pin(async move {
        upstream.run().await;
        Done::Upstream
    })
}

/// Waits for the next signal.
pub(super) fn follow(mut signals: Box<Signals>) -> Job {
    Box::pin(async move { Done::Event(signals.next().await, signals) })
}

/// Watches whether the operator is still there.
pub(super) fn alive(ping: Option<h2::PingPong>) -> Job {
    Box::pin(async move {
        keepalive::watch(ping, keepalive::INTERVAL).await;
        Done::Dead
    })
}

/// Wakes the session once in a while.
pub(super) fn tick() -> Job {
    Box::pin(async {
        sleep(TICK).await;
        Done::Tick
    })
}

/// How often a session looks whether it is idle.
const TICK: Duration = Duration::from_secs(60);
