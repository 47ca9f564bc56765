//! Ends the TLS of operators' connections and serves the API to them, operator identities only.

use std::{io, sync::Arc, time::Duration};

use http::Extensions;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use tokio::{
    net::TcpStream,
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::{Request, service::Routes};
use tracing::{debug, info};
use tunnel_certs::verify::{OperatorCertificate, VerifyError};
use tunnel_protos::{
    OperatorName, UnixMillis,
    operators::{administration_server::AdministrationServer, operators_server::OperatorsServer},
};
use tunnel_runtime::{
    drain,
    grpc::{GrpcLimits, GrpcServer},
};

use super::{
    admin::Admin,
    api::Api,
    place::Place,
    quota::{self, Quotas},
    status::CallError,
};
use crate::{
    accept::{rewind::Rewind, waiting_room::Seat},
    clock,
    config::Limits,
    metrics::{self, Queue},
    trust::{ApiTls, changed},
};

/// Who calls, proven by the connection's certificate.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    operator: OperatorName,
    not_after: UnixMillis,
}

/// Serves connections to the API.
pub(crate) struct ApiServer {
    tls: watch::Receiver<Arc<ApiTls>>,
    grpc: GrpcServer,
    quotas: Arc<Mutex<Quotas>>,
    connections: Semaphore,
    handshake_timeout: Duration,
    drain: drain::Watch,
}

impl ApiServer {
    /// Serves `api`, and `admin` beside it, behind the limits.
    pub(crate) fn new(
        tls: watch::Receiver<Arc<ApiTls>>,
        (api, admin): (Api, Admin),
        limits: &Limits,
        drain: drain::Watch,
    ) -> Self {
        let quotas = api.quotas();
        let service = OperatorsServer::new(api).max_decoding_message_size(MAX_MESSAGE);
        let admin = AdministrationServer::new(admin).max_decoding_message_size(MAX_MESSAGE);
        let handshake_timeout = limits.connections.hello_timeout;
        let bounds = GrpcLimits {
            connections: limits.operators.connections,
            requests: limits.operators.requests,
            deadline: DEADLINE,
        };
        let grpc =
            GrpcServer::new(Routes::new(service).add_service(admin), bounds).counted(metrics::api_call);
        let connections = Semaphore::new(limits.operators.connections.min(Semaphore::MAX_PERMITS));
        Self { tls, grpc, quotas, connections, handshake_timeout, drain }
    }

    /// Serves one connection until it ends; its seat is free once it has proven itself.
    pub(crate) async fn serve(&self, stream: Rewind<TcpStream>, seat: Seat) {
        let Ok(_connection) = self.connections.try_acquire() else {
            return metrics::refused(Queue::Api);
        };
        let accepted = self.accept(stream).await;
        drop(seat);
        if let Some((stream, caller)) = accepted {
            self.attend(stream, caller).await;
        }
    }

    async fn attend(&self, stream: TlsStream<Rewind<TcpStream>>, caller: Caller) {
        let operator = caller.operator.clone();
        let Some(_place) = Place::take(&self.quotas, &operator, quota::Place::Connection) else {
            debug!(%operator, "Operator refused, too many connections");
            return metrics::refused(Queue::ApiPerOperator);
        };
        debug!(%operator, "Operator connected");
        let mut extensions = Extensions::new();
        extensions.insert(self.quotas.lock().share(&operator, Instant::now()));
        extensions.insert(caller);
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
        tokio::select! {
            () = self.grpc.serve_connection(stream, extensions, self.drain.clone()) => {}
            () = self.distrusted(&chain) => info!(%operator, "Operator cut off, its CA is no longer trusted"),
        }
    }

    /// Waits until a new trust bundle has no root for this certificate. One that only ran out is told so at each call.
    async fn distrusted(&self, chain: &[CertificateDer<'static>]) {
        let mut tls = self.tls.clone();
        loop {
            let verified = tls.borrow_and_update().verifier.verify(chain, clock::now());
            if !matches!(verified, Ok(_) | Err(VerifyError::Expired)) {
                return;
            }
            changed(&mut tls).await;
        }
    }

    async fn accept(&self, stream: Rewind<TcpStream>) -> Option<(TlsStream<Rewind<TcpStream>>, Caller)> {
        let (result, accepted) = match timeout(self.handshake_timeout, self.handshake(stream)).await {
            Ok(Ok(accepted)) => ("ok", Some(accepted)),
            Ok(Err(error)) => {
                debug!(%error, "Operator refused");
                ("refused", None)
            }
            Err(_) => ("deadline", None),
        };
        metrics::handshake(metrics::Place::Api, result);
        accepted
    }

    async fn handshake(
        &self,
        stream: Rewind<TcpStream>,
    ) -> io::Result<(TlsStream<Rewind<TcpStream>>, Caller)> {
        let tls = Arc::clone(&self.tls.borrow());
        let stream = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let verified = tls.verifier.verify(chain, clock::now()).map_err(io::Error::other)?;
        let OperatorCertificate { operator, not_after, .. } = verified;
        Ok((stream, Caller { operator, not_after }))
    }
}

impl Caller {
    /// The operator who made `request`, if the certificate has not run out since the handshake.
    pub(super) fn of<T>(request: &Request<T>) -> Result<OperatorName, CallError> {
        let caller = request.extensions().get::<Self>().ok_or(CallError::Anonymous)?;
        if clock::now() > caller.not_after {
            return Err(CallError::Expired);
        }
        Ok(caller.operator.clone())
    }
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer").finish_non_exhaustive()
    }
}

/// A sealed request with its framing.
const MAX_MESSAGE: usize = 72 * 1024;
/// Longer than the longest database call.
const DEADLINE: Duration = Duration::from_secs(10);
