//! The admin port: `/live`, `/ready`, `/metrics`, answered from a thread and runtime of its own.
//!
//! Invariant: it answers while every other runtime of the process is busy or stuck.

use std::{io, net::SocketAddr};

use metrics_exporter_prometheus::PrometheusHandle;

use crate::ready::Readiness;

/// A bound admin port that does not answer yet.
#[derive(Debug)]
pub struct Admin {
    listener: std::net::TcpListener,
}

/// A running admin port; dropping it ends its thread.
#[derive(Debug)]
pub struct AdminHandle {}

impl Admin {
    /// Binds the port.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// Where it is bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Starts to answer.
    pub fn serve(self, _readiness: Readiness, _metrics: PrometheusHandle) -> io::Result<AdminHandle> {
        todo!()
    }
}
