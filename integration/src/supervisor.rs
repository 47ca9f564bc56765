//! A companion for engines that cannot restart themselves: runs one program and, asked by gRPC, ends it and starts it
//! again. It ends only its own child, by its id, and never leaves it dead because a caller went away.

use std::{
    ffi::OsString,
    io,
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};
use tracing::{info, info_span};
use tunnel_runtime::tasks::Task;

use crate::generated::supervisor::v1::{
    GetStatusRequest, GetStatusResponse, RestartRequest, RestartResponse,
    supervisor_server::{Supervisor as Service, SupervisorServer},
};

/// The encoded `FileDescriptorSet` of its service.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("../profiles/supervisor.protoset");

/// A program that is kept, and who may ask to restart it.
#[derive(Debug)]
pub struct Supervisor {
    address: SocketAddr,
    listener: TcpListener,
    keeper: Keeper,
}

impl Supervisor {
    /// Starts the program and binds the socket; port 0 works, see [`Supervisor::address`].
    pub async fn start(words: Vec<OsString>, listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, listener, keeper: Keeper::start(words)? })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `end`; then the program is ended, too.
    pub async fn serve(self, end: impl Future<Output = ()>) -> io::Result<()> {
        let (orders, inbox) = mpsc::channel(QUEUE);
        let _server = Task::spawn(info_span!("supervisor"), async move {
            let router = Server::builder().add_service(SupervisorServer::new(Desk { orders }));
            router.serve_with_incoming(TcpListenerStream::new(self.listener)).await
        });
        self.keeper.run(inbox, end).await
    }
}

/// What callers ask of the keeper; who has gone is not answered, and all the same it is done.
#[derive(Debug)]
enum Order {
    Restart(oneshot::Sender<io::Result<u32>>),
    Status(oneshot::Sender<(u32, bool)>),
}

/// Owner of the child.
#[derive(Debug)]
struct Keeper {
    words: Vec<OsString>,
    child: Child,
    restarts: u32,
}

impl Keeper {
    fn start(words: Vec<OsString>) -> io::Result<Self> {
        let child = spawn(&words)?;
        Ok(Self { words, child, restarts: 0 })
    }

    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Order>,
        end: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                Some(order) = inbox.recv() => self.follow(order).await,
            }
        }
        self.end_child().await.map(drop)
    }

    async fn follow(&mut self, order: Order) {
        match order {
            Order::Restart(reply) => {
                let restarted = self.restart().await;
                let _ = reply.send(restarted);
            }
            Order::Status(reply) => {
                let running = matches!(self.child.try_wait(), Ok(None));
                let _ = reply.send((self.restarts, running));
            }
        }
    }

    async fn restart(&mut self) -> io::Result<u32> {
        let status = self.end_child().await?;
        info!(%status, "Ended");
        self.child = spawn(&self.words)?;
        self.restarts += 1;
        Ok(self.restarts)
    }

    /// Asks the child to end, and kills it if it does not.
    async fn end_child(&mut self) -> io::Result<ExitStatus> {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            kill_process(id, Signal::TERM)?;
        }
        match timeout(GRACE, self.child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.child.kill().await?;
                self.child.wait().await
            }
        }
    }
}

fn spawn(words: &[OsString]) -> io::Result<Child> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program"))?;
    Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).spawn()
}

/// Takes calls to the keeper.
struct Desk {
    orders: mpsc::Sender<Order>,
}

impl Desk {
    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        let gone = || Status::unavailable("the supervisor is ending");
        self.orders.try_send(order(reply)).map_err(|_| Status::resource_exhausted("too much at a time"))?;
        answer.await.map_err(|_| gone())
    }
}

#[tonic::async_trait]
impl Service for Desk {
    async fn restart(&self, request: Request<RestartRequest>) -> Result<Response<RestartResponse>, Status> {
        info!(reason = request.get_ref().reason, "Restart");
        let restarts = self.ask(Order::Restart).await?;
        let restarts = restarts.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(RestartResponse { restarts }))
    }

    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        let (restarts, running) = self.ask(Order::Status).await?;
        Ok(Response::new(GetStatusResponse { restarts, running }))
    }
}

/// Restarts wait for each other; nobody needs more of them.
const QUEUE: usize = 8;
/// etcd hands its leadership over before it ends.
const GRACE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
