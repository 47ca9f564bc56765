//! A bare HTTP client for the programs' admin ports.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The body of `path`; anything but 200 is an error.
pub async fn get(admin: SocketAddr, path: &str) -> Result<String> {
    let answer = tokio::time::timeout(LIMIT, exchange(admin, path)).await.context("no answer in time")??;
    let (head, body) = answer.split_once("\r\n\r\n").context("not an HTTP answer")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{}: {}", head.lines().next().unwrap_or_default(), body.trim());
    Ok(body.to_owned())
}

async fn exchange(admin: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

const LIMIT: Duration = Duration::from_secs(5);
