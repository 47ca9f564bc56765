//! Engines that do not even keep to HTTP/2, written frame by frame; the counterpart of the service `Faults`.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// Connections are accepted and nothing is ever sent.
    Silence,
    /// The answer to the first call is a header block that never ends.
    EndlessHeaders,
    /// The answer is not HTTP/2.
    Garbage,
    /// The connection is closed as soon as a call arrives.
    Close,
    /// The first call of a connection is reset, again and again without end.
    Resets,
}

/// A listening engine with one fault; dropping it closes everything.
#[derive(Debug)]
pub struct BadEngine {
    address: SocketAddr,
    sent: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl BadEngine {
    /// Listens on a free loopback port.
    pub async fn spawn(fault: WireFault) -> io::Result<Self> {
        let socket = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = socket.local_addr()?;
        let sent = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(socket, fault, Arc::clone(&sent)));
        Ok(Self { address, sent, _tasks: tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes of endless headers or resets its callers have taken so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

async fn accept(socket: TcpListener, fault: WireFault, sent: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = socket.accept().await {
        let sent = Arc::clone(&sent);
        connections.spawn(async move {
            // A caller who hangs up is what these engines are for.
            let _ = misbehave(stream, fault, &sent).await;
        });
    }
}

async fn misbehave(mut stream: TcpStream, fault: WireFault, sent: &AtomicU64) -> io::Result<()> {
    match fault {
        WireFault::Silence => tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop),
        WireFault::Garbage => stream.write_all(b"HTTP/1.1 418 I'm a teapot\r\n\r\n").await,
        WireFault::Close => wait_for_call(&mut stream).await.map(drop),
        WireFault::Resets => {
            let call = wait_for_call(&mut stream).await?;
            send_endless_resets(&mut stream, call, sent).await
        }
        WireFault::EndlessHeaders => {
            let call = wait_for_call(&mut stream).await?;
            send_endless_headers(&mut stream, call, sent).await
        }
    }
}

/// Greets and tells the stream of the first call.
async fn wait_for_call(stream: &mut TcpStream) -> io::Result<u32> {
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    stream.read_exact(&mut [0; PREFACE]).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let length = u64::from(u32::from_be_bytes([0, a, b, c]));
        tokio::io::copy(&mut (&mut *stream).take(length), &mut tokio::io::sink()).await?;
        match kind {
            HEADERS => return Ok(u32::from_be_bytes(id)),
            SETTINGS if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await?,
            _ => {}
        }
    }
}

async fn send_endless_headers(stream: &mut TcpStream, call: u32, sent: &AtomicU64) -> io::Result<()> {
    // Without END_HEADERS; 0x88 is `:status: 200`.
    stream.write_all(&frame(HEADERS, 0, call, &[0x88])).await?;
    // A literal, never indexed: a name of 6 bytes and a value of 100.
    let header = [&[0x00, 6][..], b"filler", &[100], &[b'z'; 100]].concat();
    let more = frame(CONTINUATION, 0, call, &header.repeat(100));
    loop {
        stream.write_all(&more).await?;
        sent.fetch_add(more.len() as u64, Ordering::Relaxed);
    }
}

async fn send_endless_resets(stream: &mut TcpStream, call: u32, sent: &AtomicU64) -> io::Result<()> {
    let resets = frame(RST_STREAM, 0, call, &INTERNAL_ERROR.to_be_bytes()).repeat(1000);
    loop {
        stream.write_all(&resets).await?;
        sent.fetch_add(resets.len() as u64, Ordering::Relaxed);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
/// What the resets give as their reason.
const INTERNAL_ERROR: u32 = 2;
