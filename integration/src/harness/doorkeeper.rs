//! What stands between an operator and a broker's TCP port, and lets connections through or does not.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Result;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// So many are closed at once, the others pass to the broker.
    Late(usize),
    /// All are closed at once.
    Never,
    /// All are taken and left without an answer.
    Silent,
}

/// The port, open until it is dropped.
#[derive(Debug)]
pub struct Doorkeeper {
    address: SocketAddr,
    met: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Doorkeeper {
    /// In front of `broker`.
    pub async fn stand(broker: SocketAddr, manner: Manner) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, met, mut tasks) = (listener.local_addr()?, Arc::default(), JoinSet::new());
        tasks.spawn(keep(listener, broker, manner, Arc::clone(&met)));
        Ok(Self { address, met, _tasks: tasks })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub fn met(&self) -> usize {
        self.met.load(Ordering::Relaxed)
    }
}

async fn keep(listener: TcpListener, broker: SocketAddr, manner: Manner, met: Arc<AtomicUsize>) {
    let (mut passing, mut held) = (JoinSet::new(), Vec::new());
    while let Ok((tcp, _)) = listener.accept().await {
        let before = met.fetch_add(1, Ordering::Relaxed);
        match manner {
            Manner::Late(refused) if before >= refused => {
                passing.spawn(pass(tcp, broker));
            }
            Manner::Silent => held.push(tcp),
            Manner::Late(_) | Manner::Never => drop(tcp),
        }
    }
}

async fn pass(mut near: TcpStream, broker: SocketAddr) {
    if let Ok(mut far) = TcpStream::connect(broker).await {
        // However it ends, both ends see it.
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}
