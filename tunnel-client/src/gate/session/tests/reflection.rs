use prost::Message;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};
use tunnel_protos::dynamic::Descriptors;

use super::*;

const V1: &str = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const V1ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

const PROTO: &str = r#"
    syntax = "proto3";
    package engine.admin.v1;
    message Empty {}
    service Admin {
        rpc Get(Empty) returns (Empty);
        rpc Watch(Empty) returns (stream Empty);
        rpc Wipe(Empty) returns (Empty);
    }
    service Secret { rpc Get(Empty) returns (Empty); }
"#;

fn descriptors() -> Option<Descriptors> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("engine.proto"), PROTO).unwrap();
    let set = protox::compile(["engine.proto"], [folder.path()]).unwrap();
    Some(Descriptors::decode(&set.encode_to_vec()).unwrap())
}

fn request(method: &str) -> Request<()> {
    let mut request = Operator::request("Get");
    *request.uri_mut() = format!("https://door.example/{method}").parse().unwrap();
    request
}

fn asked(message_request: MessageRequest) -> Bytes {
    let asked = ServerReflectionRequest { host: String::new(), message_request: Some(message_request) };
    frame(&asked.encode_to_vec())
}

fn list() -> Bytes {
    asked(MessageRequest::ListServices(String::new()))
}

/// A whole reflection call that asks once.
async fn call(bench: &mut Bench, method: &str, message: Bytes) -> (Reply, Option<MessageResponse>) {
    let (response, mut body) = bench.operator.begin(request(method), false).await;
    body.send_data(message, true).unwrap();
    let reply = collect(response).await.unwrap();
    let answer = reply.data.get(5..).map(|bytes| ServerReflectionResponse::decode(bytes).unwrap());
    (reply, answer.and_then(|answer| answer.message_response))
}

async fn reflecting() -> Bench {
    bench_with(Options { descriptors: descriptors(), ..Options::default() }).await
}

#[tokio::test]
async fn both_versions_list_what_is_granted_without_asking_the_engine() {
    let mut bench = reflecting().await;
    for method in [V1, V1ALPHA] {
        let (reply, answer) = call(&mut bench, method, list()).await;
        assert_eq!(reply.status.code(), Code::Ok);
        let Some(MessageResponse::ListServicesResponse(found)) = answer else { panic!("{answer:?}") };
        let names: Vec<_> = found.service.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["engine.admin.v1.Admin"]);
    }
    assert_eq!(bench.engine.seen().connections, 0);
}

#[tokio::test]
async fn many_questions_are_answered_in_one_call() {
    let mut bench = reflecting().await;
    let (response, mut body) = bench.operator.begin(request(V1), false).await;
    let mut back = response.await.unwrap().into_body();
    for _ in 0..3 {
        body.send_data(list(), false).unwrap();
        assert!(!back.data().await.unwrap().unwrap().is_empty());
    }
    body.send_data(Bytes::new(), true).unwrap();
    assert_eq!(ending(back).await.code(), Code::Ok);
}

#[tokio::test]
async fn what_todays_policy_denies_is_not_shown() {
    let mut bench = reflecting().await;
    call(&mut bench, V1, list()).await;
    bench.policy.send_replace(Arc::new(testing::policy(testing::MANUAL_ALL)));
    let (_, answer) = call(&mut bench, V1, list()).await;
    let Some(MessageResponse::ListServicesResponse(found)) = answer else { panic!("{answer:?}") };
    assert_eq!(found.service, []);
}

#[tokio::test]
async fn reflection_calls_are_listed_and_counted_like_any_other() {
    let mut bench = reflecting().await;
    let (response, mut body) = bench.operator.begin(request(V1ALPHA), false).await;
    let mut back = response.await.unwrap().into_body();
    body.send_data(list(), false).unwrap();
    let answer = back.data().await.unwrap().unwrap();
    let view = bench.sessions.view(NOW).sessions.remove(0);
    let bytes = (list().len() as u64, answer.len() as u64);
    assert_eq!((view.calls_total, view.calls.len()), (1, 1));
    let call = &view.calls[0];
    assert_eq!((call.method.as_str(), (call.bytes_in, call.bytes_out)), (V1ALPHA, bytes));
    body.send_data(Bytes::new(), true).unwrap();
    assert_eq!(ending(back).await.code(), Code::Ok);
    assert_eq!(bench.sessions.view(NOW).sessions[0].calls.len(), 0);
}

#[tokio::test]
async fn without_descriptors_it_is_unimplemented_and_says_so() {
    let mut bench = bench().await;
    let (reply, _) = call(&mut bench, V1, list()).await;
    assert_eq!((reply.status.code(), reply.reason().as_str()), (Code::Unimplemented, "NO_DESCRIPTORS"));
}

#[tokio::test]
async fn what_is_no_reflection_request_ends_the_call() {
    let mut bench = reflecting().await;
    let huge = asked(MessageRequest::FileContainingSymbol("x".repeat(65 * 1024)));
    for message in
        [huge, Bytes::from_static(&[1, 0, 0, 0, 0]), Bytes::from_static(&[0, 0]), frame(&[0xff; 9])]
    {
        let (reply, _) = call(&mut bench, V1, message).await;
        assert_eq!(
            (reply.status.code(), reply.reason().as_str()),
            (Code::InvalidArgument, "BAD_REFLECTION_REQUEST")
        );
    }
    assert_eq!(bench.operator.call("Get").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn an_open_reflection_call_is_cut_like_any_other() {
    let mut bench = reflecting().await;
    let (response, _body) = bench.operator.begin(request(V1), false).await;
    let back = response.await.unwrap().into_body();
    bench.writer.set_life(&bench.grant, Life::Over(Over::Revoked));
    assert_eq!(reason(&ending(back).await), "GRANT_REVOKED");
    assert_eq!(bench.end().await, End::Cut);
}

#[tokio::test]
async fn only_so_many_answers_wait_for_operators_who_do_not_read() {
    let mut bench = reflecting().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        let (response, body) = bench.operator.begin(request(V1), false).await;
        open.push((response.await.unwrap(), body));
    }
    let (reply, _) = call(&mut bench, V1, list()).await;
    assert_eq!((reply.status.code(), reply.reason().as_str()), (Code::ResourceExhausted, "POLICY_LIMIT"));
    drop(open);
}

#[tokio::test]
async fn a_dead_grant_reflects_nothing() {
    let life = Life::Over(Over::Ended);
    let mut bench = bench_with(Options { life, descriptors: descriptors(), ..Options::default() }).await;
    let (reply, answer) = call(&mut bench, V1, list()).await;
    assert_eq!((reply.reason().as_str(), answer), ("GRANT_ENDED", None));
}

#[tokio::test]
async fn a_long_reflection_call_never_runs_out_of_window() {
    let mut bench = reflecting().await;
    let (response, mut body) = bench.operator.begin(request(V1), false).await;
    let mut back = response.await.unwrap().into_body();
    let question = asked(MessageRequest::FileContainingSymbol("x".repeat(60 * 1024)));
    for _ in 0..100 {
        let mut rest = question.clone();
        while !rest.is_empty() {
            body.reserve_capacity(rest.len());
            let room = std::future::poll_fn(|cx| body.poll_capacity(cx));
            let room = tokio::time::timeout(testing::PATIENCE, room).await.expect("room").unwrap().unwrap();
            body.send_data(rest.split_to(room.min(rest.len())), false).unwrap();
        }
        // The answer repeats the question, and its symbol once more.
        let mut left = 2 * 60 * 1024_usize;
        while left > 0 {
            let chunk = back.data().await.unwrap().unwrap();
            back.flow_control().release_capacity(chunk.len()).unwrap();
            left = left.saturating_sub(chunk.len());
        }
    }
}
