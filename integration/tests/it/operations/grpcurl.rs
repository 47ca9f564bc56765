//! Plain grpcurl at an operation's own door: no program of ours on the operator's side.

use std::path::PathBuf;

use serde_json::Value;
use tunnel_integration::harness::{
    grpcurl::{Grpcurl, Ran},
    operation::{debug, on_call, scale},
    operator::Submitted,
};
use tunnel_protos::v1::RequestState;

use super::{
    Lab,
    pauses::{running, slow},
};

const OPERATIONS: &str = "postern.operations.v1.Operations";

struct Caller {
    grpcurl: Grpcurl,
    flags: Vec<String>,
    address: String,
    protoset: PathBuf,
}

impl Caller {
    async fn of(lab: &Lab, submitted: &Submitted) -> Self {
        let pass = lab.session(submitted).await.pass;
        let protoset = lab.world.folder().join("postern.protoset");
        std::fs::write(&protoset, tunnel_protos::FILE_DESCRIPTOR_SET).unwrap();
        Self {
            grpcurl: Grpcurl::find().expect("grpcurl is not installed: run `make tools`"),
            flags: pass.grpcurl_flags(lab.world.folder()).unwrap(),
            address: lab.world.address().to_string(),
            protoset,
        }
    }

    async fn call(&self, method: &str, request: &str) -> Ran {
        let method = format!("{OPERATIONS}/{method}");
        let protoset = self.protoset.display().to_string();
        let more = ["-protoset", &protoset, "-max-time", "15", "-d", request, &self.address, &method];
        let flags = self.flags.iter().map(String::as_str);
        self.grpcurl.run(&flags.chain(more).collect::<Vec<_>>(), "").await.unwrap()
    }
}

fn messages(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let messages = serde_json::Deserializer::from_str(&ran.stdout).into_iter();
    messages.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn an_operation_is_looked_at_started_and_watched() {
    let lab = Lab::start().await;
    let submitted = lab.ask(on_call(scale("storage", 3, 4).unwrap())).await;
    lab.ada.reaches(&submitted, &[RequestState::Approved]).await.unwrap();
    let caller = Caller::of(&lab, &submitted).await;
    let got = messages(&caller.call("Get", "{}").await);
    assert_eq!(got[0]["state"], "REQUEST_STATE_APPROVED", "{got:?}");
    assert_eq!(got[0]["plan"]["operation"], "scale", "{got:?}");
    messages(&caller.call("Start", "{}").await);
    let events = messages(&caller.call("Watch", "{}").await);
    assert_eq!(events.last().unwrap()["state"], "REQUEST_STATE_SUCCEEDED", "{events:?}");
    let got = messages(&caller.call("Get", "{}").await);
    assert_eq!(got[0]["state"], "REQUEST_STATE_SUCCEEDED", "{got:?}");
}

#[tokio::test]
async fn a_running_operation_is_cancelled() {
    let lab = slow().await;
    let submitted = running(&lab).await;
    let caller = Caller::of(&lab, &submitted).await;
    messages(&caller.call("Cancel", "{}").await);
    let outcome = lab.over(&submitted).await;
    assert_eq!(outcome.state, RequestState::Cancelled, "{outcome:?}");
}

#[tokio::test]
async fn reflection_shows_an_operations_own_methods_and_nothing_of_the_engine() {
    let lab = Lab::start().await;
    let submitted = lab.ask(on_call(scale("storage", 3, 4).unwrap())).await;
    lab.ada.reaches(&submitted, &[RequestState::Approved]).await.unwrap();
    let caller = Caller::of(&lab, &submitted).await;
    let flags = caller.flags.iter().map(String::as_str);
    let list: Vec<_> = flags.chain(["-max-time", "15", &caller.address, "list"]).collect();
    let services = caller.grpcurl.run(&list, "").await.unwrap();
    let names: Vec<_> =
        services.stdout.lines().filter(|name| !name.starts_with("grpc.reflection.")).collect();
    assert_eq!(names, [OPERATIONS], "{services:?}");
    let methods = caller.grpcurl.run(&[&list[..], &[OPERATIONS]].concat(), "").await.unwrap();
    let names: Vec<_> = methods.stdout.lines().filter_map(|name| name.rsplit('.').next()).collect();
    assert_eq!(names, ["Cancel", "FetchBundle", "Get", "Start", "Watch"], "{methods:?}");
}

#[tokio::test]
async fn a_bundle_is_fetched_only_once_it_was_released() {
    let lab = Lab::start().await;
    let (submitted, outcome) = lab.run(debug(&["status"]).unwrap()).await;
    assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
    let caller = Caller::of(&lab, &submitted).await;
    let early = caller.call("FetchBundle", "{}").await;
    assert_eq!(early.code(), Some(FAILED_PRECONDITION), "{early:?}");
    lab.release_bundle(&submitted).await.unwrap();
    let chunks = messages(&caller.call("FetchBundle", "{}").await);
    assert_eq!(chunks[0]["bundle"]["released"], true, "{chunks:?}");
}

const FAILED_PRECONDITION: i32 = 9;
