use tokio::task::JoinSet;
use tonic::transport::Server;

use super::*;
use crate::testing::broker::serve;

const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";

/// A server whose only service is its own reflection: a bidirectional stream to call.
fn channel(tasks: &mut JoinSet<()>) -> Channel {
    let own = tonic_reflection::server::Builder::configure().build_v1().unwrap();
    serve(Server::builder().add_service(own), tasks)
}

async fn call(json: &str) -> (Result<(), Error>, Vec<String>) {
    let mut tasks = JoinSet::new();
    let channel = channel(&mut tasks);
    let descriptors = reflect(channel.clone(), REFLECTION).await.unwrap();
    let method = descriptors.method(&format!("{REFLECTION}/ServerReflectionInfo").parse().unwrap()).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let mut shown = Vec::new();
    let call = Call {
        channel,
        method,
        headers: MetadataMap::new(),
        max_time: None,
        until,
        defaults: Defaults::Omit,
    };
    let done = call.run(Input::text(json), &mut |json| shown.push(json.to_owned())).await;
    (done, shown)
}

#[tokio::test]
async fn reflection_lists_services() {
    let mut tasks = JoinSet::new();
    assert_eq!(list_services(channel(&mut tasks)).await.unwrap(), [REFLECTION]);
}

#[tokio::test]
async fn an_unknown_service_is_said_by_reflection() {
    let mut tasks = JoinSet::new();
    assert!(reflect(channel(&mut tasks), "no.Such").await.is_err());
}

#[tokio::test]
async fn every_request_gets_its_answer() {
    let (done, shown) =
        call("{\"listServices\": \"\"} {\"fileContainingSymbol\": \"grpc.reflection.v1.ServerReflection\"}")
            .await;
    done.unwrap();
    assert_eq!(shown.len(), 2);
    assert!(shown[0].contains(REFLECTION), "{}", shown[0]);
}

#[tokio::test]
async fn a_client_stream_may_be_empty() {
    let (done, shown) = call("").await;
    done.unwrap();
    assert!(shown.is_empty());
}

#[tokio::test]
async fn a_typo_in_the_request_ends_the_call_as_usage() {
    let (done, _) = call("{\"listService\": \"\"}").await;
    assert_eq!(done.unwrap_err().ending(), Ending::Exit(Exit::Usage));
}

#[test]
fn a_status_exits_like_grpcurl_with_its_message_escaped() {
    let error = Error::from(Status::permission_denied("not \u{1b}granted"));
    assert_eq!(error.ending().code(), 71);
    assert_eq!(error.to_string(), "PermissionDenied: not \\u{1b}granted");
    for cut in [Status::unauthenticated("over"), Status::cancelled("reset"), Status::unavailable("gone")] {
        assert!(Error::from(cut).may_be_the_grants_end().is_some());
    }
    assert!(Error::from(Status::permission_denied("no")).may_be_the_grants_end().is_none());
}
