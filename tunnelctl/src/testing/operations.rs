//! One operation behind a gate, as the test plays it: its plan, its events, its bundle, and connections that break.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use prost::Message;
use tokio::{sync::watch, time::timeout};
use tonic::{Request, Response, Status};
use tunnel_certs::crypto;
use tunnel_protos::{
    operations::v1::{
        Bundle, BundleChunk, CancelRequest, Change, Event, FetchBundleRequest, GetRequest, Operation, Plan,
        StartRequest, Step, StepState, StepStatus, WatchRequest, operations_server::Operations,
    },
    v1::RequestState,
};

use super::NOW;

/// The operation; what it says changes while a command runs.
#[derive(Clone)]
pub(crate) struct Played(Arc<watch::Sender<Play>>);

/// All that is known of it.
#[derive(Clone, Default)]
pub(crate) struct Play {
    pub(crate) operation: Operation,
    pub(crate) events: Vec<Event>,
    pub(crate) bundle: Vec<u8>,
    /// So many streams still break after their first message.
    pub(crate) breaks: usize,
    /// So many times all open streams of events were cut.
    pub(crate) cuts: usize,
    pub(crate) starts: usize,
    pub(crate) cancels: usize,
    /// So many calls of Watch were answered.
    pub(crate) watches: usize,
    /// So many calls of Get came.
    pub(crate) gets: usize,
    /// So many calls of Get are still refused, as after the certificate's end.
    pub(crate) ended: usize,
}

impl Played {
    /// An operation of two steps in `state`.
    pub(crate) fn new(state: RequestState) -> Self {
        let step = |title: &str| Step { title: title.into(), ..Step::default() };
        let change =
            Change { object: "storage".into(), field: "replicas".into(), old: "3".into(), new: "5".into() };
        let plan = Plan {
            title: "Scale storage to 5".into(),
            steps: vec![step("Add n4"), step("Add n5")],
            diff: vec![change],
            ..Plan::default()
        };
        let waiting = StepStatus { state: StepState::Waiting.into(), ..StepStatus::default() };
        let operation = Operation {
            id: "3fa8".into(),
            state: state.into(),
            plan_digest: crypto::sha256(&plan.encode_to_vec()).to_vec(),
            plan: Some(plan),
            steps: vec![waiting; 2],
            ..Operation::default()
        };
        Self(Arc::new(watch::Sender::new(Play { operation, ..Play::default() })))
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Play)) {
        self.0.send_modify(change);
    }

    pub(crate) fn look(&self) -> Play {
        self.0.borrow().clone()
    }

    /// A step has moved.
    pub(crate) fn step(&self, step: u32, state: StepState) {
        self.change(|play| {
            let status = StepStatus { state: state.into(), ..StepStatus::default() };
            play.operation.steps[usize::try_from(step).unwrap() - 1] = status.clone();
            play.tell(step, Some(status), "");
        });
    }

    /// The operation has moved.
    pub(crate) fn moves(&self, state: RequestState, text: &str) {
        self.change(|play| play.moves(state, text));
    }

    /// Waits for so many calls of Get.
    pub(crate) async fn gets(&self, number: usize) {
        let mut play = self.0.subscribe();
        let seen = play.wait_for(|play| play.gets >= number);
        timeout(Duration::from_secs(20), seen).await.expect("calls of Get").unwrap();
    }

    /// It made a bundle of these bytes.
    pub(crate) fn bundle(&self, bytes: Vec<u8>, released: bool) {
        self.change(|play| {
            let digest = crypto::sha256(&bytes).to_vec();
            let size = bytes.len().try_into().unwrap();
            play.operation.bundle = Some(Bundle { digest, bytes: size, released, ..Bundle::default() });
            play.bundle = bytes;
        });
    }
}

impl Play {
    fn moves(&mut self, state: RequestState, text: &str) {
        self.operation.state = state.into();
        self.operation.summary = text.into();
        self.tell(0, None, text);
    }

    fn tell(&mut self, step: u32, status: Option<StepStatus>, text: &str) {
        let number = u64::try_from(self.events.len()).unwrap() + 1;
        let state = self.operation.state;
        self.events.push(Event { number, time_ms: NOW.0, state, step, status, text: text.into() });
        self.operation.last_event = number;
    }

    fn is_over(&self) -> bool {
        crate::requester::is_over(self.operation.state())
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What is known and what comes, each event once.
fn events(play: watch::Receiver<Play>, after: u64, breaks: bool) -> Answers<Event> {
    let cuts = play.borrow().cuts;
    Box::pin(stream::unfold((play, after, false), move |(mut play, after, is_done)| async move {
        if is_done {
            return None;
        }
        if breaks && after > 0 {
            return Some((Err(Status::unavailable("cut")), (play, after, true)));
        }
        loop {
            let (next, is_over, is_cut) = {
                let now = play.borrow_and_update();
                let next = now.events.iter().find(|event| event.number > after).cloned();
                (next, now.is_over(), now.cuts > cuts)
            };
            if is_cut {
                return Some((Err(Status::unavailable("cut")), (play, after, true)));
            }
            match next {
                Some(event) => {
                    let number = event.number;
                    return Some((Ok(event), (play, number, false)));
                }
                None if is_over => return None,
                None => play.changed().await.ok()?,
            }
        }
    }))
}

#[tonic::async_trait]
impl Operations for Played {
    type WatchStream = Answers<Event>;
    type FetchBundleStream = Answers<BundleChunk>;

    async fn get(&self, _: Request<GetRequest>) -> Result<Response<Operation>, Status> {
        let mut is_ended = false;
        self.change(|play| {
            play.gets += 1;
            is_ended = play.ended > 0;
            play.ended = play.ended.saturating_sub(1);
        });
        if is_ended {
            return Err(Status::unauthenticated("the certificate has ended"));
        }
        Ok(Response::new(self.look().operation))
    }

    async fn start(&self, _: Request<StartRequest>) -> Result<Response<Operation>, Status> {
        self.change(|play| {
            play.starts += 1;
            play.moves(RequestState::Running, "started");
        });
        Ok(Response::new(self.look().operation))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let mut breaks = false;
        self.change(|play| {
            play.watches += 1;
            breaks = play.breaks > 0;
            play.breaks = play.breaks.saturating_sub(1);
        });
        Ok(Response::new(events(self.0.subscribe(), request.into_inner().after, breaks)))
    }

    async fn cancel(&self, _: Request<CancelRequest>) -> Result<Response<Operation>, Status> {
        self.change(|play| {
            play.cancels += 1;
            if !play.is_over() {
                play.moves(RequestState::Cancelled, "stopped by its operator");
            }
        });
        Ok(Response::new(self.look().operation))
    }

    async fn fetch_bundle(
        &self,
        request: Request<FetchBundleRequest>,
    ) -> Result<Response<Self::FetchBundleStream>, Status> {
        let play = self.look();
        let offset = usize::try_from(request.into_inner().offset).unwrap();
        let pieces = play.bundle[offset..].chunks(1000);
        let mut chunks: Vec<_> =
            pieces.map(|data| Ok(BundleChunk { data: data.to_vec(), bundle: None })).collect();
        if play.breaks > 0 {
            self.change(|play| play.breaks -= 1);
            chunks.truncate(1);
            chunks.push(Err(Status::unavailable("cut")));
        }
        Ok(Response::new(Box::pin(stream::iter(chunks))))
    }
}
