mod audited;
mod engines;
mod farewell;
mod hostile;
mod operations;
mod reflection;

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::{HeaderName, HeaderValue, Method as HttpMethod, StatusCode};
use tokio::io::DuplexStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tracing::Span;
use tunnel_certs::verify::{GrantCertificate, Serial};
use tunnel_protos::{Door, GrantId, UnixMillis};
use tunnel_runtime::{grpc::GrpcServer, tasks::Task};

use super::*;
use crate::{
    engine::Engine,
    gate::{
        Behind, behind,
        grants::{self, GrantRef, GrantsWriter, Level, Life, Over},
        sessions::{About, Sessions},
        testing::{
            self,
            engine::{TestEngine, frame},
            operator::{Operator, Reply, collect},
        },
    },
    requests::Pause,
};

const METHODS: [&str; 11] =
    ["Get", "Chat", "Put", "Watch", "Pull", "Hang", "Fail", "Html", "Reset", "NoStatus", "Headers"];
const NOW: UnixMillis = UnixMillis(1_000_000_000);

/// A session between an operator and an engine, with every part at hand.
struct Bench {
    engine: TestEngine,
    operator: Operator,
    writer: GrantsWriter,
    grant: GrantId,
    policy: watch::Sender<Arc<Policy>>,
    drain: drain::Drain,
    paused: watch::Sender<Option<Pause>>,
    sessions: Sessions,
    session: Task<End>,
}

#[derive(Clone)]
struct Options {
    life: Life,
    certificate_end: UnixMillis,
    clock: Clock,
    policy: &'static str,
    longest: Option<Duration>,
    refusal: Option<Refusal>,
    /// The connection to the engine never comes up.
    connecting: bool,
    paused: Option<Pause>,
    descriptors: Option<Descriptors>,
    audit: Audit,
    /// Instead of an engine: the operation's own API, and whether only its plan may be looked at.
    own: Option<(GrpcServer, bool)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            life: Life::Active { until: NOW.plus(Duration::from_secs(3600)) },
            certificate_end: NOW.plus(Duration::from_secs(900)),
            clock: Clock::new(|| NOW),
            policy: testing::ALLOW_ALL,
            longest: None,
            refusal: None,
            connecting: false,
            paused: None,
            descriptors: None,
            audit: Audit::default(),
            own: None,
        }
    }
}

async fn bench() -> Bench {
    build(TestEngine::start(), Options::default()).await
}

async fn bench_with(options: Options) -> Bench {
    build(TestEngine::start(), options).await
}

async fn build(engine: TestEngine, options: Options) -> Bench {
    let known = engine.engine();
    let (near, rest) = assemble(&known, options);
    let Rest { writer, grant, policy, drain, paused, sessions, session } = rest;
    let operator = Operator::connect(near).await;
    Bench { engine, operator, writer, grant, policy, drain, paused, sessions, session }
}

/// A bench without its two ends.
struct Rest {
    writer: GrantsWriter,
    grant: GrantId,
    policy: watch::Sender<Arc<Policy>>,
    drain: drain::Drain,
    paused: watch::Sender<Option<Pause>>,
    sessions: Sessions,
    session: Task<End>,
}

fn granted(life: Life) -> (GrantsWriter, GrantRef) {
    let door = Door::from_random([5; 17]);
    let names = METHODS.map(|name| format!("engine.admin.v1.Admin/{name}"));
    let methods: Vec<_> = names.iter().map(|name| (name.as_str(), Level::Auto)).collect();
    let (writer, view) = grants::channel();
    writer.put(testing::content(&methods, door), life);
    (writer, view.door(&door).unwrap())
}

fn certificate(grant: GrantId, not_after: UnixMillis) -> GrantCertificate {
    GrantCertificate { grant, serial: Serial::new([1; 16]), not_before: NOW, not_after }
}

fn assemble(known: &Engine, options: Options) -> (DuplexStream, Rest) {
    let (writer, grant_ref) = match &options.own {
        Some((_, dry_run)) => operations::granted(options.life, *dry_run),
        None => granted(options.life),
    };
    let grant = grant_ref.grant().id;
    let (policy, policy_seen) = watch::channel(Arc::new(testing::policy(options.policy)));
    let today = policy_seen.borrow().clone();
    let (drain, drain_seen) = drain::channel();
    let own = options.own.clone().map(|(server, _)| server);
    let target = if own.is_some() { "operations" } else { "default" }.parse().unwrap();
    let Behind { upstream, mutates, metadata, .. } = behind(own, known.clone(), target, &drain_seen);
    assert!(!options.connecting || upstream.claim());
    let certificate = certificate(grant, options.certificate_end);
    let methods = Methods::new(&grant_ref, &today, mutates);
    let (paused, paused_seen) = watch::channel(options.paused);
    let sessions = Sessions::default();
    let listed = sessions.list(About {
        grant,
        operator: grant_ref.grant().operator.clone(),
        target: "default".parse().unwrap(),
        since: NOW,
        methods: methods.names(),
    });
    let session = Session {
        caller: Arc::new(Caller { cluster: "acme/prod".parse().unwrap(), grant }),
        methods,
        listed,
        paused: paused_seen,
        descriptors: options.descriptors,
        reflection: OnceLock::new(),
        metadata: Arc::new(RequestMetadata::new(
            metadata,
            &grant_ref.grant().operator,
            grant,
            Some(HeaderValue::from_static("Bearer engine")),
        )),
        admitted: Admitted { grant: grant_ref, target: "default".parse().unwrap(), certificate },
        upstream,
        audit: options.audit,
        metrics: Arc::new(Metrics::new()),
        policy: policy_seen,
        drain: drain_seen,
        clock: options.clock,
        longest: options.longest,
        refusal: options.refusal,
    };
    let (near, far) = tokio::io::duplex(256 * 1024);
    let session = Task::spawn(Span::none(), session.run(far));
    (near, Rest { writer, grant, policy, drain, paused, sessions, session })
}

impl Bench {
    /// Opens silent streams whose first message has come.
    async fn watch(&mut self, count: usize) -> Vec<(RecvStream, SendStream<Bytes>)> {
        let mut begun = Vec::new();
        for _ in 0..count {
            begun.push(self.operator.begin(Operator::request("Watch"), true).await);
        }
        let mut open = Vec::new();
        for (response, body) in begun {
            let mut back = response.await.unwrap().into_body();
            back.data().await.unwrap().unwrap();
            open.push((back, body));
        }
        open
    }

    async fn end(self) -> End {
        tokio::time::timeout(testing::PATIENCE, self.session).await.expect("an end in time").unwrap()
    }
}

/// The status that a stream ends with.
async fn ending(mut back: RecvStream) -> Status {
    let trailers = tokio::time::timeout(testing::PATIENCE, back.trailers()).await.expect("an end in time");
    Status::from_header_map(&trailers.unwrap().expect("trailers")).expect("a status")
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn a_unary_call_passes_both_ways_with_trailers() {
    let mut bench = bench().await;
    let reply = bench.operator.call("Get").await;
    assert_eq!((reply.http, reply.status.code()), (StatusCode::OK, Code::Ok));
    assert_eq!(reply.data, frame(b"hello"));
    assert_eq!(reply.headers["x-engine"], "1");
}

#[tokio::test]
async fn open_calls_and_their_bytes_can_be_watched() {
    let mut bench = bench().await;
    bench.operator.call("Get").await;
    let streams = bench.watch(1).await;
    let view = bench.sessions.view(NOW).sessions.remove(0);
    assert_eq!((view.grant, view.operator.as_str()), (bench.grant.to_string(), "ana"));
    assert_eq!((view.calls_total, view.bytes_in, view.bytes_out), (2, 10, 20));
    assert_eq!((view.calls.len(), view.calls[0].method.as_str()), (1, "engine.admin.v1.Admin/Watch"));
    drop((streams, bench.operator));
    bench.engine.until(|seen| seen.dead == 1).await;
    let Bench { sessions, session, .. } = bench;
    session.await.unwrap();
    assert_eq!(sessions.count(), 0);
}

#[tokio::test]
async fn a_client_stream_passes_message_by_message() {
    let mut bench = bench().await;
    let (response, mut body) = bench.operator.begin(Operator::request("Put"), false).await;
    for round in 1..=3 {
        body.send_data(frame(b"12345"), round == 3).unwrap();
        bench.engine.until(|seen| seen.taken == round * 10).await;
    }
    let reply = collect(response).await.unwrap();
    assert_eq!((reply.status.code(), reply.data), (Code::Ok, frame(b"taken")));
}

#[tokio::test]
async fn a_bidirectional_stream_answers_before_it_ends() {
    let mut bench = bench().await;
    let (response, mut body) = bench.operator.begin(Operator::request("Chat"), false).await;
    let mut back = response.await.unwrap().into_body();
    for message in [&b"one"[..], b"two"] {
        body.send_data(frame(message), false).unwrap();
        assert_eq!(back.data().await.unwrap().unwrap(), frame(message));
    }
    body.send_data(Bytes::new(), true).unwrap();
    assert!(back.data().await.is_none());
    assert_eq!(back.trailers().await.unwrap().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn a_large_server_stream_passes_whole() {
    let mut bench = bench().await;
    let reply = bench.operator.call("Pull").await;
    assert_eq!((reply.status.code(), reply.data.len()), (Code::Ok, 64 << 20));
}

#[tokio::test]
async fn a_reader_that_stops_holds_back_the_engine() {
    let mut bench = bench().await;
    let (response, _body) = bench.operator.begin(Operator::request("Pull"), true).await;
    let _unread = response.await.unwrap();
    // Calls beside it still pass, and when they have, the stalled one has filled what it can.
    for _ in 0..50 {
        assert_eq!(bench.operator.call("Get").await.status.code(), Code::Ok);
    }
    let given = bench.engine.seen().given;
    assert!(given < 8 << 20, "{given} bytes were taken from the engine for nobody");
}

#[tokio::test]
async fn an_engines_own_error_passes_as_it_is() {
    let mut bench = bench().await;
    assert_eq!(bench.operator.call("Fail").await.status.code(), Code::NotFound);
}

#[tokio::test]
async fn the_engine_sees_who_calls_and_its_own_credential() {
    let mut bench = bench().await;
    let mut request = Operator::request("Get");
    request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer operator"));
    request.headers_mut().insert("cookie", HeaderValue::from_static("a=b"));
    request.headers_mut().insert("x-allowed", HeaderValue::from_static("yes"));
    bench.operator.send(request).await;
    let seen = bench.engine.seen();
    assert_eq!(seen.headers["authorization"], "Bearer engine");
    assert_eq!(seen.headers["postern-operator"], "ana");
    assert_eq!(seen.headers["postern-grant"], bench.grant.to_string().as_str());
    assert_eq!(seen.headers["x-allowed"], "yes");
    assert!(!seen.headers.contains_key("cookie"));
    assert_eq!(seen.authority, "localhost");
}

#[tokio::test]
async fn an_operators_trailers_never_reach_the_engine() {
    let mut bench = bench().await;
    let (response, mut body) = bench.operator.begin(Operator::request("Get"), false).await;
    body.send_data(frame(b"hello"), false).unwrap();
    let trailers = [("postern-operator", "root"), ("authorization", "Bearer operator")];
    let pair = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    body.send_trailers(trailers.map(pair).into_iter().collect()).unwrap();
    let reply = collect(response).await.unwrap();
    assert_eq!((reply.status.code(), reply.data), (Code::Ok, frame(b"hello")));
    assert_eq!(bench.engine.seen().trailers, []);
}

#[tokio::test]
async fn repeated_headers_that_rules_look_at_are_refused() {
    let mut bench = bench().await;
    for (name, value) in [("content-type", "text/html"), ("te", "trailers"), ("grpc-timeout", "1S")] {
        let mut request = Operator::request("Get");
        request.headers_mut().append("grpc-timeout", HeaderValue::from_static("2S"));
        request.headers_mut().append(name, HeaderValue::from_static(value));
        assert_eq!(bench.operator.send(request).await.reason(), "NOT_A_GRPC_CALL", "{name}");
    }
    assert_eq!(bench.engine.seen().calls, 0);
}

#[tokio::test]
async fn an_operators_cancel_reaches_the_engine() {
    let mut bench = bench().await;
    let (response, mut body) = bench.operator.begin(Operator::request("Watch"), true).await;
    let mut back = response.await.unwrap().into_body();
    back.data().await.unwrap().unwrap();
    body.send_reset(Reason::CANCEL);
    bench.engine.until(|seen| seen.resets == [Reason::CANCEL]).await;
}

#[tokio::test]
async fn a_cancel_before_the_answer_reaches_the_engine() {
    let mut bench = bench().await;
    let (_response, mut body) = bench.operator.begin(Operator::request("Hang"), true).await;
    bench.engine.until(|seen| seen.calls == 1).await;
    body.send_reset(Reason::CANCEL);
    bench.engine.until(|seen| seen.resets == [Reason::CANCEL]).await;
}

#[tokio::test]
async fn an_engines_reset_reaches_the_operator() {
    let mut bench = bench().await;
    let (response, _body) = bench.operator.begin(Operator::request("Reset"), true).await;
    let error = collect(response).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
}

#[tokio::test]
async fn a_deadline_is_kept_and_told_to_the_engine() {
    let mut bench = bench().await;
    let mut request = Operator::request("Hang");
    request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("50m"));
    let reply = bench.operator.send(request).await;
    assert_eq!((reply.status.code(), reply.reason().as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    bench.engine.until(|seen| seen.resets == [Reason::CANCEL]).await;
    assert_eq!(bench.engine.seen().headers["grpc-timeout"], "50000000n");
}

#[tokio::test]
async fn a_call_without_a_deadline_gets_the_gates_longest() {
    let longest = Some(Duration::from_millis(50));
    let mut bench = bench_with(Options { longest, ..Options::default() }).await;
    assert_eq!(bench.operator.call("Hang").await.status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_deadline_told_to_the_engine_is_never_after_the_grants_end() {
    let until = NOW.plus(Duration::from_secs(30));
    let mut bench = bench_with(Options { life: Life::Active { until }, ..Options::default() }).await;
    let mut request = Operator::request("Get");
    request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("1H"));
    bench.operator.send(request).await;
    assert_eq!(bench.engine.seen().headers["grpc-timeout"], "30000000u");
}

#[tokio::test]
async fn refusals_come_as_trailers_alone_and_never_reach_the_engine() {
    let mut bench = bench().await;
    let reply = bench.operator.call("Drop").await;
    assert_eq!((reply.http, reply.status.code()), (StatusCode::OK, Code::PermissionDenied));
    assert_eq!(reply.reason(), "METHOD_NOT_GRANTED");
    assert!(
        reply.status.message().contains("tunnelctl connect acme/prod --method engine.admin.v1.Admin/Drop")
    );
    let mut get = Operator::request("Get");
    *get.method_mut() = HttpMethod::GET;
    assert_eq!(bench.operator.send(get).await.http, StatusCode::METHOD_NOT_ALLOWED);
    let mut json = Operator::request("Get");
    json.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    assert_eq!(bench.operator.send(json).await.http, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(bench.engine.seen().calls, 0);
}

#[tokio::test]
async fn an_expired_certificate_is_told_on_every_call() {
    let certificate_end = NOW.minus(Duration::from_secs(1));
    let mut bench = bench_with(Options { certificate_end, ..Options::default() }).await;
    for _ in 0..2 {
        let reply = bench.operator.call("Get").await;
        assert_eq!(
            (reply.status.code(), reply.reason().as_str()),
            (Code::Unauthenticated, "CERTIFICATE_EXPIRED")
        );
        let command = format!("run `tunnelctl connect acme/prod --resume {}`", bench.grant);
        assert!(reply.status.message().contains(&command), "{}", reply.status.message());
    }
}

#[tokio::test]
async fn a_grant_that_was_over_before_is_told_on_every_call() {
    for (over, reason) in [(Over::Revoked, "GRANT_REVOKED"), (Over::Ended, "GRANT_ENDED")] {
        let mut bench = bench_with(Options { life: Life::Over(over), ..Options::default() }).await;
        for _ in 0..2 {
            let reply = bench.operator.call("Get").await;
            assert_eq!((reply.status.code(), reply.reason().as_str()), (Code::Unauthenticated, reason));
        }
    }
}

#[tokio::test]
async fn a_session_may_be_let_in_only_to_be_refused() {
    let refusal = Some(Refusal::Sessions);
    let mut bench = bench_with(Options { refusal, ..Options::default() }).await;
    assert_eq!(bench.operator.call("Get").await.status.code(), Code::ResourceExhausted);
}

/// Does `cut` to a session with 1,000 open streams: each must end with `expected`, at both ends, within a second.
async fn cuts_a_thousand(cut: impl FnOnce(&Bench), expected: &str) {
    let mut bench = bench().await;
    let streams = bench.watch(1_000).await;
    let began = Instant::now();
    cut(&bench);
    for (back, _) in streams {
        assert_eq!(reason(&ending(back).await), expected);
    }
    bench.engine.until(|seen| seen.dead == 1_000).await;
    println!("1000 streams dead {} ms after {expected}", began.elapsed().as_millis());
    assert!(began.elapsed() < CUT, "{:?}", began.elapsed());
}

/// The bound is one second; a build without optimization beside other tests gets more.
const CUT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });

/// One after the other, so that they do not measure each other.
#[tokio::test]
async fn each_kind_of_cut_ends_a_thousand_streams_within_a_second() {
    let revoke = |bench: &Bench| bench.writer.set_life(&bench.grant, Life::Over(Over::Revoked));
    cuts_a_thousand(revoke, "GRANT_REVOKED").await;
    let end = |bench: &Bench| bench.writer.set_life(&bench.grant, Life::Active { until: NOW });
    cuts_a_thousand(end, "GRANT_ENDED").await;
    cuts_a_thousand(|bench| bench.writer.remove(&bench.grant), "GRANT_ENDED").await;
    let pause = |bench: &Bench| drop(bench.paused.send_replace(Some(testing::pause(NOW))));
    cuts_a_thousand(pause, "PAUSED_BY_CUSTOMER").await;
    let stricter = Arc::new(testing::policy(testing::MANUAL_ALL));
    let stricter = |bench: &Bench| drop(bench.policy.send_replace(stricter));
    cuts_a_thousand(stricter, "POLICY_STRICTER").await;
}

#[tokio::test]
async fn a_pause_cuts_what_is_open_with_its_status() {
    let mut bench = bench().await;
    let streams = bench.watch(20).await;
    bench.paused.send_replace(Some(testing::pause(NOW)));
    for (back, _) in streams {
        let status = ending(back).await;
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::FailedPrecondition, "PAUSED_BY_CUSTOMER")
        );
    }
    bench.engine.until(|seen| seen.dead == 20).await;
    assert_eq!(bench.end().await, End::Cut);
}

#[tokio::test]
async fn while_paused_every_call_is_told_so_and_after_it_they_pass() {
    let paused = Some(testing::pause(NOW));
    let mut bench = bench_with(Options { paused, ..Options::default() }).await;
    for method in ["Get", "Drop"] {
        let reply = bench.operator.call(method).await;
        assert_eq!(
            (reply.status.code(), reply.reason().as_str()),
            (Code::FailedPrecondition, "PAUSED_BY_CUSTOMER")
        );
    }
    assert_eq!(bench.engine.seen().connections, 0);
    bench.paused.send_replace(None);
    assert_eq!(bench.operator.call("Get").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn the_grants_end_cuts_open_streams() {
    let until = NOW.plus(Duration::from_millis(200));
    let mut bench = bench_with(Options { life: Life::Active { until }, ..Options::default() }).await;
    let mut streams = bench.watch(1).await;
    bench.writer.set_life(&bench.grant, Life::Active { until: NOW });
    assert_eq!(reason(&ending(streams.remove(0).0).await), "GRANT_ENDED");
    assert_eq!(bench.end().await, End::Cut);
}

#[tokio::test]
async fn the_certificates_end_cuts_open_streams_where_the_policy_says_so() {
    let begun = Instant::now();
    let clock = Clock::new(move || NOW.plus(begun.elapsed()));
    let (certificate_end, policy) = (NOW.plus(Duration::from_millis(500)), testing::UNTIL_CERTIFICATE);
    let mut bench = bench_with(Options { certificate_end, policy, clock, ..Options::default() }).await;
    let mut streams = bench.watch(1).await;
    assert_eq!(reason(&ending(streams.remove(0).0).await), "CERTIFICATE_EXPIRED");
    assert_eq!(bench.end().await, End::Cut);
}

#[tokio::test]
async fn an_operator_who_reads_nothing_is_cut_all_the_same() {
    let mut bench = bench().await;
    let (response, _body) = bench.operator.begin(Operator::request("Pull"), true).await;
    let _unread = response.await.unwrap();
    bench.engine.until(|seen| seen.given > 1 << 20).await;
    let revoked = Instant::now();
    bench.writer.set_life(&bench.grant, Life::Over(Over::Revoked));
    assert_eq!(bench.end().await, End::Cut);
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
}

#[tokio::test]
async fn a_stricter_policy_cuts_what_it_would_not_let_pass_and_nothing_else() {
    let mut bench = bench().await;
    let mut streams = bench.watch(2).await;
    let (response, mut body) = bench.operator.begin(Operator::request("Chat"), false).await;
    let mut chat = response.await.unwrap().into_body();
    let only_chat = "{ version: 1, access: [ { methods: [engine.admin.v1.Admin/Chat], approval: auto } ] }";
    bench.policy.send_replace(Arc::new(testing::policy(only_chat)));
    for (back, _) in streams.drain(..) {
        let status = ending(back).await;
        assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "POLICY_STRICTER"));
    }
    bench.engine.until(|seen| seen.resets.len() == 2).await;
    body.send_data(frame(b"still here"), true).unwrap();
    assert_eq!(chat.data().await.unwrap().unwrap(), frame(b"still here"));
    // And back again: the old cut is forgotten.
    bench.policy.send_replace(Arc::new(testing::policy(testing::ALLOW_ALL)));
    assert_eq!(bench.operator.call("Get").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn a_stricter_policy_cuts_even_if_a_new_call_finds_it_first() {
    let mut bench = bench().await;
    let mut streams = bench.watch(1).await;
    bench.policy.send_replace(Arc::new(testing::policy(testing::MANUAL_ALL)));
    assert_eq!(bench.operator.call("Get").await.reason(), "POLICY_STRICTER");
    assert_eq!(reason(&ending(streams.remove(0).0).await), "POLICY_STRICTER");
}

#[tokio::test]
async fn a_stricter_policy_refuses_new_calls_by_its_rule() {
    let mut bench = bench().await;
    assert_eq!(bench.operator.call("Get").await.status.code(), Code::Ok);
    bench.policy.send_replace(Arc::new(testing::policy(testing::MANUAL_ALL)));
    let reply = bench.operator.call("Get").await;
    assert_eq!((reply.status.code(), reply.reason().as_str()), (Code::PermissionDenied, "POLICY_STRICTER"));
}

#[tokio::test]
async fn a_policys_limit_ends_the_stream_that_passes_it() {
    let mut bench = bench().await;
    bench.policy.send_replace(Arc::new(testing::bytes(100_000)));
    let reply = bench.operator.call("Pull").await;
    assert_eq!((reply.status.code(), reply.reason().as_str()), (Code::ResourceExhausted, "POLICY_LIMIT"));
    assert!((1..=100_000).contains(&reply.data.len()), "{} bytes passed", reply.data.len());
    let info = reply.status.get_details_error_info().unwrap();
    assert_eq!((info.metadata["limit"].as_str(), info.metadata["value"].as_str()), ("bytes", "100000"));
}

#[tokio::test]
async fn headers_and_trailers_count_as_bytes() {
    for (method, most) in [("Fail", 10), ("Get", 50)] {
        let policy = testing::bytes(most);
        let mut bench = bench().await;
        bench.policy.send_replace(Arc::new(policy));
        let reply = bench.operator.call(method).await;
        assert_eq!(reply.reason(), "POLICY_LIMIT", "{method}");
    }
}

#[tokio::test]
async fn draining_finishes_what_runs_and_takes_nothing_new() {
    let mut bench = bench().await;
    let (response, mut body) = bench.operator.begin(Operator::request("Chat"), false).await;
    let mut back = response.await.unwrap().into_body();
    bench.drain.begin();
    body.send_data(frame(b"still here"), true).unwrap();
    assert_eq!(back.data().await.unwrap().unwrap(), frame(b"still here"));
    assert_eq!(back.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    assert_eq!(bench.end().await, End::Closed);
}

#[tokio::test]
async fn the_last_phase_of_a_shutdown_cuts() {
    let mut bench = bench().await;
    let (response, _body) = bench.operator.begin(Operator::request("Watch"), true).await;
    let _back = response.await.unwrap().into_body();
    bench.drain.cut();
    assert_eq!(bench.end().await, End::Cut);
}

#[tokio::test]
async fn an_engine_that_is_down_is_unavailable_and_found_again() {
    let mut bench = build(TestEngine::absent(), Options::default()).await;
    let reply = bench.operator.call("Get").await;
    assert_eq!((reply.status.code(), reply.reason().as_str()), (Code::Unavailable, "ENGINE_UNREACHABLE"));
    bench.engine.come();
    assert_eq!(bench.operator.call("Get").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn an_engine_that_dies_within_a_call_is_unavailable_and_found_again() {
    let mut bench = bench().await;
    let (response, _body) = bench.operator.begin(Operator::request("Hang"), true).await;
    bench.engine.until(|seen| seen.calls == 1).await;
    bench.engine.go().await;
    let reply = collect(response).await.unwrap();
    assert_eq!((reply.status.code(), reply.reason().as_str()), (Code::Unavailable, "ENGINE_CONNECTION_LOST"));
    bench.engine.come();
    assert_eq!(bench.operator.call("Get").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn a_misbehaving_engine_is_named_as_such() {
    let mut bench = bench().await;
    for (method, reason) in [
        ("Html", "ENGINE_NOT_GRPC"),
        ("NoStatus", "ENGINE_WITHOUT_STATUS"),
        ("Headers", "ENGINE_HEADERS_TOO_LARGE"),
    ] {
        let reply = bench.operator.call(method).await;
        assert_eq!((reply.status.code(), reply.reason().as_str()), (Code::Unavailable, reason), "{method}");
    }
    assert_eq!(bench.operator.call("Get").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn all_calls_of_a_session_share_one_connection_to_the_engine() {
    let mut bench = bench().await;
    for _ in 0..3 {
        bench.operator.call("Get").await;
    }
    assert_eq!(bench.engine.seen().connections, 1);
}

#[tokio::test]
async fn an_operator_who_resets_all_the_time_is_cut() {
    let mut bench = bench().await;
    for count in 1..=limits::RESETS_PER_SECOND as usize + 1 {
        let (_response, mut body) = bench.operator.begin(Operator::request("Hang"), true).await;
        bench.engine.until(|seen| seen.calls == count).await;
        body.send_reset(Reason::CANCEL);
    }
    assert_eq!(bench.end().await, End::Abuse);
}

#[tokio::test]
async fn resets_count_while_the_engine_is_being_connected() {
    let mut bench = bench_with(Options { connecting: true, ..Options::default() }).await;
    for _ in 0..=limits::RESETS_PER_SECOND {
        let (_response, mut body) = bench.operator.begin(Operator::request("Get"), true).await;
        // Its headers must have left before the reset, or h2 sends neither.
        tokio::task::yield_now().await;
        body.send_reset(Reason::CANCEL);
    }
    assert_eq!(bench.end().await, End::Abuse);
}

#[tokio::test]
async fn an_operator_who_goes_leaves_nothing_open() {
    let mut bench = bench().await;
    let (response, _body) = bench.operator.begin(Operator::request("Watch"), true).await;
    let _back = response.await.unwrap().into_body();
    let Bench { engine, operator, session, .. } = bench;
    drop(operator);
    engine.until(|seen| seen.dead == 1).await;
    let end = tokio::time::timeout(testing::PATIENCE, session).await.expect("an end in time").unwrap();
    assert!(matches!(end, End::Closed | End::Broken), "{end:?}");
}
