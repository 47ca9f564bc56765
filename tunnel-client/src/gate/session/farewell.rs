//! How a session that is cut ends: every open call gets its status, the engine its resets, and both sides a moment.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use h2::Reason;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{End, Running, Stop};
use crate::gate::{limits, status::Refusal};

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Running<S> {
    /// Ends every call with `refusal`; whoever does not read it in time is reset.
    pub(super) async fn cut(mut self, refusal: Refusal) -> End {
        self.cut = true;
        self.session.methods.cut(&refusal);
        self.wake_calls();
        self.leave();
        let told = poll_fn(|cx| self.poll_farewell(cx));
        if timeout(limits::FAREWELL, told).await.is_err() {
            self.close(Reason::NO_ERROR).await;
        }
        End::Cut
    }

    /// Ends an operator who broke a limit of HTTP/2, without a word to the calls.
    pub(super) async fn shut_out(mut self) -> End {
        self.close(Reason::ENHANCE_YOUR_CALM).await;
        End::Abuse
    }

    /// Lets every call be polled, so that it looks whether it is cut.
    pub(super) fn wake_calls(&mut self) {
        self.jobs = std::mem::take(&mut self.jobs).into_iter().collect();
    }

    /// Until the connection is over, whatever else happens.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.poll_step(cx) {
                Poll::Ready(Stop::Gone(_)) => return Poll::Ready(()),
                Poll::Ready(Stop::Cut(_) | Stop::Abuse) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// GOAWAY, a reset for what is still open, and a moment for both to leave.
    async fn close(&mut self, reason: Reason) {
        self.connection.abrupt_shutdown(reason);
        self.jobs.clear();
        let closed = poll_fn(|cx| self.connection.poll_closed(cx));
        let _ = timeout(limits::LAST_WORD, closed).await;
    }
}
