use std::{convert::Infallible, future::pending, time::Duration};

use http::Request;
use tonic::{Code, body::Body};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::*;

fn status(response: &Response<Body>) -> Option<Code> {
    Status::from_header_map(response.headers()).map(|status| status.code())
}

fn request(timeout: Option<&str>) -> Request<()> {
    let builder = Request::builder().uri("/a.B/C");
    timeout
        .into_iter()
        .fold(builder, |builder, value| builder.header("grpc-timeout", value))
        .body(())
        .unwrap()
}

async fn hang(_: Request<()>) -> Result<Response<Body>, Infallible> {
    pending().await
}

async fn stream(_: Request<()>) -> Result<Response<Body>, Infallible> {
    let body = http_body_util::Full::from("never read");
    Ok(Response::new(Body::new(body)))
}

#[tokio::test(start_paused = true)]
async fn a_hanging_service_exceeds_the_deadline() {
    let began = tokio::time::Instant::now();
    let service = DeadlineLayer::new(Duration::from_secs(5)).layer(service_fn(hang));
    let response = service.oneshot(request(None)).await.unwrap();
    assert_eq!(status(&response), Some(Code::DeadlineExceeded));
    assert_eq!(began.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_shorter_grpc_timeout_wins_and_a_longer_one_does_not() {
    for (asked, expected) in [("10m", Duration::from_millis(10)), ("1H", Duration::from_secs(5))] {
        let began = tokio::time::Instant::now();
        let service = DeadlineLayer::new(Duration::from_secs(5)).layer(service_fn(hang));
        service.oneshot(request(Some(asked))).await.unwrap();
        assert_eq!(began.elapsed(), expected);
    }
}

#[tokio::test]
async fn one_request_too_many_is_refused_at_once() {
    let mut service = LimitLayer::new(1).layer(service_fn(hang));
    let first = service.ready().await.unwrap().call(request(None));
    let refused = service.ready().await.unwrap().call(request(None)).await.unwrap();
    assert_eq!(status(&refused), Some(Code::ResourceExhausted));
    drop(first);
}

#[tokio::test]
async fn a_response_counts_until_its_body_is_gone() {
    let mut service = LimitLayer::new(1).layer(service_fn(stream));
    let first = service.ready().await.unwrap().call(request(None)).await.unwrap();
    let second = service.ready().await.unwrap().call(request(None)).await.unwrap();
    assert_eq!((status(&first), status(&second)), (None, Some(Code::ResourceExhausted)));
    drop(first);
    let third = service.ready().await.unwrap().call(request(None)).await.unwrap();
    assert_eq!(status(&third), None);
}

#[tokio::test]
async fn one_caller_takes_no_more_than_its_share() {
    let mut service = LimitLayer::new(9).layer(service_fn(stream));
    let mut call = |share: &Share| {
        let mut asked = request(None);
        asked.extensions_mut().insert(share.clone());
        service.call(asked)
    };
    let (greedy, other) = (Share::new(1), Share::new(1));
    let first = call(&greedy).await.unwrap();
    assert_eq!(status(&call(&greedy).await.unwrap()), Some(Code::ResourceExhausted));
    assert_eq!(status(&call(&other).await.unwrap()), None);
    drop(first);
    assert_eq!(status(&call(&greedy).await.unwrap()), None);
}

#[tokio::test]
async fn spans_pass_the_answer_on() {
    let response = SpanLayer.layer(service_fn(stream)).oneshot(request(None)).await.unwrap();
    assert_eq!(status(&response), None);
}
