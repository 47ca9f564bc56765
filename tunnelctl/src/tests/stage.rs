//! A broker, a gate and an operator's machine; what cluster and gate say changes while a command runs.

use std::{
    future::pending,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, LocalBoxFuture},
    stream,
};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet};
use tokio_stream::wrappers::WatchStream;
use tonic::{Code, Request, Status, service::interceptor::InterceptedService, transport::Server};
use tunnel_certs::{
    credential::{Credential, certificate_to_pem},
    file,
    issue::Authority,
    key::Signer,
    roots::Roots,
    statement::request::Kind,
    tls::{self, GateTls},
    verify::{GrantCertificate, GrantVerifier, Serial},
};
use tunnel_protos::{
    operations::v1::operations_server::OperationsServer,
    operators::Delivery,
    v1::{RequestState, SealedRequest},
};

use crate::{
    Ending, Surroundings,
    surroundings::{Clock, Folders, Terminal},
    testing::{
        Captured, Cluster, Vendor,
        broker::{Broker, Script, delivered, listen, told},
        operations::Played,
        operators,
    },
};

/// A broker, a gate, and an operator's machine.
pub(super) struct Stage {
    pub(super) home: TempDir,
    pub(super) vendor: Vendor,
    pub(super) cluster: Arc<Cluster>,
    /// What the cluster says of access and operation requests, one after the other.
    pub(super) says: watch::Sender<Vec<(RequestState, &'static str)>>,
    /// What it says of certificate requests.
    pub(super) certificates: watch::Sender<(RequestState, &'static str)>,
    /// What the broker says of every request.
    pub(super) delivery: watch::Sender<Delivery>,
    /// The gRPC code that the gate answers every call with, unless 0.
    pub(super) refusal: Arc<AtomicI32>,
    /// Of the certificates that sessions at the gate were opened with, in order.
    pub(super) serials: Arc<Mutex<Vec<Serial>>>,
    /// The operation behind the gate.
    pub(super) operation: Played,
    /// So many certificates were asked for.
    pub(super) certifying: Arc<AtomicUsize>,
    /// The operations that were asked for.
    asked: Arc<Mutex<Vec<Kind>>>,
    api: String,
    pub(super) gate: String,
    _tasks: JoinSet<()>,
}

/// What a command did.
pub(super) struct Done {
    pub(super) ending: Ending,
    pub(super) out: String,
    pub(super) err: String,
}

/// A command that still runs.
pub(super) struct Running {
    pub(super) out: Captured,
    pub(super) err: Captured,
    pub(super) ending: LocalBoxFuture<'static, Ending>,
}

/// A stage whose cluster answers access with `state`, and everything else with Done.
pub(super) async fn stage(state: RequestState) -> Stage {
    let mut tasks = JoinSet::new();
    let vendor = Vendor::at(Clock::system().now());
    let mut cluster = Cluster::new(&vendor);
    cluster.clock = Clock::system();
    let cluster = Arc::new(cluster);
    let says = watch::Sender::new(vec![(state, "")]);
    let certificates = watch::Sender::new((RequestState::Done, ""));
    let delivery = watch::Sender::new(Delivery::Taken);
    let (asked, certifying) = (Arc::default(), Arc::default());
    let saying = (says.subscribe(), certificates.subscribe(), delivery.subscribe());
    let counted = (Arc::clone(&asked), Arc::clone(&certifying));
    let broker = broker(&vendor, &cluster, counted, saying);
    let server = server(&cluster.access);
    let config = tls::operator_api_server(&server.to_server(), operators(&vendor), &[b"h2"]).unwrap();
    let api = listen(config, broker.router(), &mut tasks).await.to_string();
    let refusal = Arc::default();
    let (serials, operation) = (Arc::default(), Played::new(state));
    let gate =
        gate(&cluster, Arc::clone(&refusal), Arc::clone(&serials), operation.clone(), &mut tasks).await;
    let home = tempfile::tempdir().unwrap();
    Stage {
        home,
        vendor,
        cluster,
        says,
        certificates,
        delivery,
        refusal,
        serials,
        operation,
        certifying,
        asked,
        api,
        gate,
        _tasks: tasks,
    }
}

/// What is said about access and operations, about certificates, and where requests are.
type Saying = (
    watch::Receiver<Vec<(RequestState, &'static str)>>,
    watch::Receiver<(RequestState, &'static str)>,
    watch::Receiver<Delivery>,
);

fn broker(
    vendor: &Vendor,
    cluster: &Arc<Cluster>,
    (asked, certifying): (Arc<Mutex<Vec<Kind>>>, Arc<AtomicUsize>),
    (access, other, delivery): Saying,
) -> Broker {
    let cluster = Arc::clone(cluster);
    Broker::listing(vendor.listed(&cluster.entry()), move |_, sealed| {
        let first = stream::iter([delivered(*delivery.borrow())]);
        let answers = match cluster.open(sealed).request.kind {
            Kind::Access(_) => access_answers(&cluster, sealed, access.clone()).boxed(),
            Kind::Certificate(_) => {
                certifying.fetch_add(1, Ordering::Relaxed);
                let (state, reason) = *other.borrow();
                stream::iter([told(cluster.say(sealed, 1, state, reason))]).boxed()
            }
            kind @ Kind::Operation(_) => {
                asked.lock().push(kind);
                access_answers(&cluster, sealed, access.clone()).boxed()
            }
            Kind::Withdraw(_) => stream::iter([told(cluster.settle(sealed, 1, RequestState::Done))]).boxed(),
        };
        Script::Live(first.chain(answers).boxed())
    })
}

/// The newest of what is said, and what comes later.
fn access_answers(
    cluster: &Arc<Cluster>,
    sealed: &SealedRequest,
    says: watch::Receiver<Vec<(RequestState, &'static str)>>,
) -> impl futures_util::Stream<Item = tunnel_protos::operators::watch_request_event::Event> + Send + use<> {
    let (cluster, sealed) = (Arc::clone(cluster), sealed.clone());
    WatchStream::new(says).filter_map(move |all| {
        let newest = all.last().map(|(state, reason)| {
            told(cluster.say(&sealed, u64::try_from(all.len()).unwrap(), *state, reason))
        });
        std::future::ready(newest)
    })
}

/// A certificate for `*.aaaaaaaaaa.tunnel.example`, for the gate and (in these tests) for the API.
fn server(access: &Authority) -> Credential {
    let (label, suffix) = ("aaaaaaaaaa".parse().unwrap(), "tunnel.example".parse().unwrap());
    access.issue_gate_server(&label, &suffix, Clock::system().now()).unwrap()
}

/// A gate whose engine has nothing but reflection, before an operation.
async fn gate(
    cluster: &Cluster,
    refusal: Arc<AtomicI32>,
    serials: Arc<Mutex<Vec<Serial>>>,
    operation: Played,
    tasks: &mut JoinSet<()>,
) -> String {
    let roots = Roots::new(vec![cluster.access.certificate().clone()]).unwrap();
    let gate = GateTls::new(&server(&cluster.access), GrantVerifier::new(cluster.label, roots));
    let known = Arc::new(move |certificate: &GrantCertificate| {
        serials.lock().push(certificate.serial);
        true
    });
    let config = gate.server_config(Clock::system().now(), known).unwrap();
    let engine = tonic_reflection::server::Builder::configure().build_v1().unwrap();
    let refuse = move |request: Request<()>| match refusal.load(Ordering::Relaxed) {
        0 => Ok(request),
        code => Err(Status::new(Code::from_i32(code), "the gate says no")),
    };
    let operation = OperationsServer::with_interceptor(operation, refuse.clone());
    let engine = InterceptedService::new(engine, refuse);
    listen(config, Server::builder().add_service(engine).add_service(operation), tasks).await.to_string()
}

impl Stage {
    pub(super) fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    pub(super) fn folders(&self) -> Folders {
        let at = |name: &str| self.home.path().join(name);
        Folders { config: at("config"), state: at("state"), runtime: at("runtime") }
    }

    /// Runs a command line to its end.
    pub(super) async fn run(&self, line: &[&str]) -> Done {
        let Running { out, err, ending } = self.start(line, Box::pin(pending()));
        let ending = ending.await;
        Done { ending, out: out.text(), err: err.text() }
    }

    /// A command line that is stopped by `interrupt`.
    pub(super) fn start(&self, line: &[&str], interrupt: BoxFuture<'static, ()>) -> Running {
        let (out, err) = (Captured::default(), Captured::default());
        let surroundings = Surroundings {
            folders: self.folders(),
            context: None,
            stdin: Box::new(tokio::io::empty()),
            stdout: Box::new(out.clone()),
            stderr: Box::new(err.clone()),
            terminal: Terminal::default(),
            clock: Clock::system(),
            interrupt,
            prompt: Box::new(|_| Err(std::io::ErrorKind::Unsupported.into())),
            proxies: Vec::new(),
        };
        let words = std::iter::once("tunnelctl").chain(line.iter().copied());
        let args: Vec<_> = words.map(std::ffi::OsString::from).collect();
        Running { out, err, ending: crate::run(args, surroundings).boxed_local() }
    }

    /// Writes what an administrator hands over, and logs in.
    pub(super) async fn login(&self, suffix: &str) -> Done {
        let operator = self.vendor.operator();
        let certificate = certificate_to_pem(operator.credential.certificate());
        file::write(Path::new(&self.path("op.pem")), certificate.as_bytes()).unwrap();
        operator.credential.key().save(Path::new(&self.path("op.key"))).unwrap();
        let ca = certificate_to_pem(self.cluster.access.certificate());
        file::write(Path::new(&self.path("ca.pem")), ca.as_bytes()).unwrap();
        let vendor = self.vendor.key.public().to_pem();
        file::write(Path::new(&self.path("vendor.pub")), vendor.as_bytes()).unwrap();
        let files = ["op.pem", "op.key", "vendor.pub", "ca.pem"].map(|name| self.path(name));
        let line = format!(
            "login --certificate {} --key {} --vendor-key {} --api-ca {} --api {} --suffix {suffix} \
             --api-name api.aaaaaaaaaa.tunnel.example --connect-address {}",
            files[0], files[1], files[2], files[3], self.api, self.gate
        );
        self.run(&line.split_whitespace().collect::<Vec<_>>()).await
    }

    pub(super) async fn connect(&self, more: &[&str]) -> Done {
        let line = ["connect", "acme/prod", "--reason", "disk full", "--method", "a.B/C"];
        self.run(&[&line[..], more].concat()).await
    }

    /// The operation that was asked for last.
    pub(super) fn asked(&self) -> Kind {
        self.asked.lock().last().cloned().unwrap()
    }

    /// The id of the only open request.
    pub(super) async fn only_request(&self) -> String {
        let requests = self.run(&["requests", "--output", "json"]).await;
        let request: serde_json::Value = serde_json::from_str(requests.out.trim()).unwrap();
        request["id"].as_str().unwrap().to_owned()
    }

    /// What the cluster says next of access requests.
    pub(super) fn say(&self, state: RequestState, reason: &'static str) {
        self.says.send_modify(|all| all.push((state, reason)));
    }
}

impl Running {
    /// Runs until the output holds `text`; the command must not end before.
    pub(super) async fn until(&mut self, text: &str) {
        let (out, err) = (self.out.clone(), self.err.clone());
        let seen = async {
            while !out.text().contains(text) && !err.text().contains(text) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let limit = tokio::time::timeout(Duration::from_secs(20), seen);
        tokio::select! {
            seen = limit => assert!(seen.is_ok(), "no {text:?}: {} {}", self.out.text(), self.err.text()),
            ending = &mut self.ending => panic!("{ending:?} before {text:?}: {}", self.err.text()),
        }
    }

    /// Runs to the end.
    pub(super) async fn end(self) -> Done {
        let ending = tokio::time::timeout(Duration::from_secs(20), self.ending).await.expect("an end");
        Done { ending, out: self.out.text(), err: self.err.text() }
    }
}
