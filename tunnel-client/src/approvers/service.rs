//! The gRPC service over a [`Desk`]: one method each, in terms of [`Counter`], which proves and checks.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use tokio::net::unix::UCred;
use tokio_stream::wrappers::IntervalStream;
use tonic::{Request, Response, Status};
use tunnel_protos::approvers::{self as api, approvers_server::Approvers};

use super::{
    Desk, MOST_REQUESTS, Peer,
    counter::{Counter, is_pending},
    hygiene,
};

pub(super) struct Service<D>(Arc<Counter<D>>);

impl<D: Desk> Service<D> {
    pub(super) fn new(counter: Arc<Counter<D>>) -> Self {
        Self(counter)
    }
}

#[tonic::async_trait]
impl<D: Desk> Approvers for Service<D> {
    async fn list_requests(
        &self,
        request: Request<api::ListRequestsRequest>,
    ) -> Result<Response<api::ListRequestsReply>, Status> {
        let views = self.0.desk.list(request.into_inner().all);
        let requests = views.into_iter().map(hygiene::request).collect();
        Ok(Response::new(api::ListRequestsReply { requests }))
    }

    async fn get_request(
        &self,
        request: Request<api::GetRequestRequest>,
    ) -> Result<Response<api::RequestView>, Status> {
        let view = self.0.find(&request.into_inner().id, is_pending)?;
        Ok(Response::new(hygiene::request(view)))
    }

    async fn get_status(&self, _: Request<api::GetStatusRequest>) -> Result<Response<api::Status>, Status> {
        Ok(Response::new(hygiene::status(self.0.desk.status())))
    }

    async fn approve(
        &self,
        request: Request<api::AnswerRequest>,
    ) -> Result<Response<api::RequestView>, Status> {
        let (peer, asked) = taken(request)?;
        let view = self.0.approve(peer, asked).await?;
        Ok(Response::new(hygiene::request(view)))
    }

    async fn deny(&self, request: Request<api::AnswerRequest>) -> Result<Response<api::RequestView>, Status> {
        let (peer, asked) = taken(request)?;
        let view = self.0.deny(peer, asked).await?;
        Ok(Response::new(hygiene::request(view)))
    }

    async fn revoke(
        &self,
        request: Request<api::RevokeRequest>,
    ) -> Result<Response<api::RevokeReply>, Status> {
        let (peer, asked) = taken(request)?;
        self.0.revoke(peer, asked).await.map(Response::new)
    }

    async fn pause(&self, request: Request<api::PauseRequest>) -> Result<Response<api::PauseView>, Status> {
        let (peer, asked) = taken(request)?;
        self.0.pause(peer, &asked).await.map(|view| Response::new(hygiene::pause(view)))
    }

    async fn resume(
        &self,
        request: Request<api::ResumeRequest>,
    ) -> Result<Response<api::ResumeReply>, Status> {
        let (peer, asked) = taken(request)?;
        self.0.resume(peer, asked).await.map(Response::new)
    }

    async fn list_operators(
        &self,
        _: Request<api::ListOperatorsRequest>,
    ) -> Result<Response<api::ListOperatorsReply>, Status> {
        let views = self.0.desk.operators();
        let operators = views.into_iter().take(MOST_REQUESTS).map(hygiene::operator).collect();
        Ok(Response::new(api::ListOperatorsReply { operators }))
    }

    async fn deny_operator(
        &self,
        request: Request<api::DenyOperatorRequest>,
    ) -> Result<Response<api::DenyOperatorReply>, Status> {
        let (peer, asked) = taken(request)?;
        self.0.deny_operator(peer, &asked).await.map(Response::new)
    }

    async fn allow_operator(
        &self,
        request: Request<api::AllowOperatorRequest>,
    ) -> Result<Response<api::AllowOperatorReply>, Status> {
        let (peer, asked) = taken(request)?;
        self.0.allow_operator(peer, asked).await.map(Response::new)
    }

    type WatchSessionsStream = Pin<Box<dyn Stream<Item = Result<api::SessionsView, Status>> + Send>>;

    async fn watch_sessions(
        &self,
        _: Request<api::WatchSessionsRequest>,
    ) -> Result<Response<Self::WatchSessionsStream>, Status> {
        let desk = self.0.desk.clone();
        let mut ticks = tokio::time::interval(SNAPSHOTS);
        // A watcher that does not read gets the newest state later, not all that it missed.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let place = self.0.watcher()?;
        let views = IntervalStream::new(ticks).map(move |_| {
            let _held = &place;
            Ok(hygiene::sessions(desk.sessions()))
        });
        Ok(Response::new(Box::pin(views.take_until(self.0.drained()))))
    }

    async fn get_challenge(
        &self,
        _: Request<api::GetChallengeRequest>,
    ) -> Result<Response<api::Challenge>, Status> {
        Ok(Response::new(self.0.challenge()))
    }

    async fn reset_clock(
        &self,
        request: Request<api::ResetClockRequest>,
    ) -> Result<Response<api::ResetClockReply>, Status> {
        let (peer, asked) = taken(request)?;
        self.0.reset_clock(peer, asked).await.map(Response::new)
    }
}

/// Who asks, and what. Without the kernel's word on who it is, nothing is changed.
pub(super) fn taken<T>(request: Request<T>) -> Result<(Peer, T), Status> {
    let credentials = request.extensions().get::<UCred>();
    let uid = credentials.map(UCred::uid).ok_or_else(|| Status::internal("the socket names no peer"))?;
    Ok((Peer { uid }, request.into_inner()))
}

/// People watch at this pace.
const SNAPSHOTS: Duration = Duration::from_secs(1);
