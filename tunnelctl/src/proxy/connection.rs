//! One local connection: its greeting, its session at the gate, and the bytes between the two.

use std::time::Duration;

use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep},
};
use tokio_rustls::client::TlsStream;
use tunnel_runtime::chain::chain;

use super::{
    Shared,
    greeting::{self, Greeting},
    listener::Local,
    splice::{self, Ended},
};
use crate::{
    console::safe,
    session::{DialError, Line},
};

/// Serves it to its end; whatever is wrong is told to the person.
pub(super) async fn serve(mut local: Box<dyn Local>, shared: &Shared) {
    // A client that closes or says nothing wants nothing.
    let Ok(greeting) = Greeting::read(&mut *local).await else { return };
    let Greeting::Http2(preface) = greeting else {
        shared.note(greeting.problem().unwrap_or_default().into());
        let _ = greeting::refuse(&mut *local, &greeting).await;
        return;
    };
    let mut upstream = shared.upstream.clone();
    let line = upstream.borrow_and_update().line.clone();
    match connect(&line).await {
        Ok(gate) => {
            if splice::both(&mut *local, gate, &preface, upstream).await == Ended::Unanswered {
                refuse(&mut *local, shared, &DialError::Deadline(line.host.clone())).await;
            }
        }
        Err(error) => refuse(&mut *local, shared, &error).await,
    }
}

/// A broker that restarts is back within seconds, and the client's first bytes are held for so long.
async fn connect(line: &Line) -> Result<TlsStream<TcpStream>, DialError> {
    let tls = line.connector()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match line.connect(&tls).await {
            Ok(gate) => return Ok(gate),
            Err(source) if Instant::now() + PAUSE >= deadline => return Err(line.failed(source)),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Closed without a word of HTTP/2: after one, clients would come back at once instead of a little later each time.
async fn refuse(local: &mut dyn Local, shared: &Shared, error: &DialError) {
    let _ = local.shutdown().await;
    shared.note(format!("no session: {}", safe(&chain(error).to_string())));
}

/// As soon as a broker may be back without being asked too often.
const PAUSE: Duration = Duration::from_millis(250);
/// Clients give a connection 20 s.
const PATIENCE: Duration = Duration::from_secs(15);
