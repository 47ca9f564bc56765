//! `supervisor`: keeps one program running and restarts it when asked to by `supervisor.v1.Supervisor/Restart`. Prints
//! `listening h2c ADDRESS` once the program is started.

use std::{ffi::OsString, io, net::SocketAddr, os::fd::AsFd as _};

use clap::Parser;
use tokio::{io::AsyncReadExt as _, net::unix::pipe::Receiver};
use tunnel_integration::supervisor::Supervisor;
use tunnel_runtime::drain;

/// A companion for an engine that cannot restart itself.
#[derive(Parser)]
struct Arguments {
    /// Listen in plain HTTP/2; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// End with standard input, which is a pipe: whoever started it cannot leave it behind.
    #[arg(long)]
    with_stdin: bool,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    let Arguments { listen, with_stdin, program } = Arguments::parse();
    let supervisor = Supervisor::start(program, listen).await?;
    println!("listening h2c {}", supervisor.address());
    let stdin = with_stdin.then(stdin).transpose()?;
    let end = async {
        tokio::select! {
            _ = drain::signaled() => {}
            () = ends(stdin) => {}
        }
    };
    Ok(supervisor.serve(end).await?)
}

/// Read as a pipe: the blocking reads of `tokio::io::stdin` outlive everything else.
fn stdin() -> io::Result<Receiver> {
    Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)
}

async fn ends(pipe: Option<Receiver>) {
    let Some(mut pipe) = pipe else { return std::future::pending().await };
    let mut nothing = [0; 64];
    while pipe.read(&mut nothing).await.is_ok_and(|read| read > 0) {}
}
