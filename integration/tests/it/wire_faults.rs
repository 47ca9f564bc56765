//! The engines that break HTTP/2 do what they are for: each is seen by an ordinary client as the fault it stands for.

use std::time::Duration;

use tonic::{Code, transport::Channel};
use tunnel_integration::{
    generated::admin::v1::{EchoRequest, admin_client::AdminClient},
    reference_engine::{BadEngine, WireFault},
};

async fn call(engine: &BadEngine) -> Result<(), Code> {
    let endpoint = Channel::from_shared(format!("http://{}", engine.address())).unwrap();
    let channel = endpoint.timeout(Duration::from_secs(1)).connect_lazy();
    let echo = AdminClient::new(channel).echo(EchoRequest { payload: "hello".into() }).await;
    echo.map(drop).map_err(|status| status.code())
}

#[tokio::test]
async fn a_silent_engine_runs_into_the_deadline() {
    let engine = BadEngine::spawn(WireFault::Silence).await.unwrap();
    assert_eq!(call(&engine).await, Err(Code::Cancelled));
}

#[tokio::test]
async fn garbage_breaks_the_connection() {
    let engine = BadEngine::spawn(WireFault::Garbage).await.unwrap();
    call(&engine).await.unwrap_err();
}

#[tokio::test]
async fn a_connection_closed_under_a_call_fails_it() {
    let engine = BadEngine::spawn(WireFault::Close).await.unwrap();
    call(&engine).await.unwrap_err();
}

#[tokio::test]
async fn endless_headers_are_cut_by_the_caller() {
    let engine = BadEngine::spawn(WireFault::EndlessHeaders).await.unwrap();
    call(&engine).await.unwrap_err();
    assert!(engine.sent() > 0);
}

#[tokio::test]
async fn endless_resets_fail_a_call() {
    let engine = BadEngine::spawn(WireFault::Resets).await.unwrap();
    call(&engine).await.unwrap_err();
    assert!(engine.sent() > 0);
}
