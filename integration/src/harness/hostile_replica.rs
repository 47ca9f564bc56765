//! A replica that was taken over: it holds a real mesh certificate, or one of somebody else, and writes what a test wants.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use tokio::{io::AsyncWriteExt, time::timeout};
use tunnel_certs::{
    credential::Credential,
    crypto::random,
    issue::Authority,
    key::{Algorithm, Signer, SigningKey},
    roots::Roots,
    tls,
    verify::MeshVerifier,
};
use tunnel_protos::{
    Label,
    v1::{Hello, ReplicaMessage, replica_message::Body},
};
use tunnel_transport::{
    Limits, Stream, Tunnel, frame,
    quic::{ALPN, ClientTls, Dial, dial},
};

use super::{
    PATIENCE,
    vendor::{Vendor, now},
};

/// Whoever dials a broker.
#[derive(Debug)]
pub struct HostileReplica {
    verifier: MeshVerifier,
    credential: Credential,
    broker: SocketAddr,
}

/// A tunnel with its control stream, raw.
pub struct Line {
    /// Kept open.
    pub tunnel: Tunnel,
    control: Stream,
    said: u64,
}

impl HostileReplica {
    /// A replica of a cluster of its own whose certificate `mesh` signed.
    pub fn of(vendor: &Vendor, mesh: &Authority, broker: SocketAddr) -> Result<Self> {
        let key = Arc::new(SigningKey::generate(Algorithm::P256)?);
        let (label, life) = (Label::from_random(random::<17>()), std::time::Duration::from_secs(3600));
        let certificate =
            mesh.issue_replica(key.public(), vendor.name(), &label, &"r1".parse()?, life, now())?;
        Self::showing(vendor, Credential::new(vec![certificate], key)?, broker)
    }

    /// Whoever has that credential.
    pub fn showing(vendor: &Vendor, credential: Credential, broker: SocketAddr) -> Result<Self> {
        let roots = Roots::new(vec![vendor.mesh().certificate().clone()])?;
        Ok(Self { verifier: MeshVerifier::new(vendor.name().clone(), roots), credential, broker })
    }

    /// A QUIC handshake.
    pub async fn dial(&self) -> Result<Tunnel> {
        let verifier = self.verifier.clone();
        let dialing = Dial {
            address: self.broker,
            server_name: "broker.tunnel.example".to_owned(),
            tls: ClientTls {
                config: tls::mesh_client(&self.credential, verifier.clone(), &[ALPN])?,
                verifier,
            },
            limits: Limits::default(),
            deadline: PATIENCE,
        };
        Ok(dial(&dialing).await?)
    }

    /// A tunnel on which nothing has been said.
    pub async fn line(&self) -> Result<Line> {
        let tunnel = self.dial().await?;
        let first = timeout(PATIENCE, tunnel.accept()).await.context("no control stream")??;
        let control = first.header(PATIENCE).await?.accept(PATIENCE).await?;
        Ok(Line { tunnel, control, said: 0 })
    }

    /// A tunnel that is attached.
    pub async fn attached(&self) -> Result<Line> {
        let mut line = self.line().await?;
        let capabilities = vec!["requests".to_owned()];
        let hello = Hello { min_version: 1, max_version: 1, epoch: 1, capabilities, ..Default::default() };
        line.say(Body::Hello(hello)).await?;
        Ok(line)
    }
}

impl Line {
    /// Sends a control message.
    pub async fn say(&mut self, body: Body) -> Result<()> {
        // What has an id that was there is a repetition.
        self.said += 1;
        let message = ReplicaMessage { id: self.said, body: Some(body) };
        self.write(&frame::encode(&message, frame::CONTROL_CAP)?).await
    }

    /// Writes bytes where control messages belong.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.control.write_all(bytes).await?;
        Ok(self.control.flush().await?)
    }
}
