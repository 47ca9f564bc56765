//! A real kube-apiserver takes what the charts render, without a warning, in a namespace that demands hardened pods.

use serde_json::Value;
use tempfile::TempDir;
use tunnel_integration::kube::{Kube, TokenKey};

use super::{
    at, kind,
    render::{Case, cases},
};

const NAMESPACE: &str = r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"postern","labels":{
    "pod-security.kubernetes.io/enforce":"restricted","pod-security.kubernetes.io/warn":"restricted"}}}"#;

/// A control plane with a namespace `postern` that takes hardened pods only.
pub(super) async fn started(tokens: TokenKey) -> (TempDir, Kube) {
    let folder = tempfile::tempdir().unwrap();
    let kube = Kube::start(folder.path(), tokens).await.unwrap();
    create(&kube, NAMESPACE).await;
    (folder, kube)
}

pub(super) async fn create(kube: &Kube, object: &str) {
    let ended = kube.kubectl_with(&["--namespace=postern", "create", "-f", "-"], object).await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

async fn dry_run(kube: &Kube, objects: &str) -> Vec<Value> {
    let words =
        ["--namespace=postern", "apply", "--server-side", "--dry-run=server", "-o", "json", "-f", "-"];
    let ended = kube.kubectl_with(&words, objects).await.unwrap();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{objects}");
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    if kind(&answer) == "List" { answer["items"].as_array().unwrap().clone() } else { vec![answer] }
}

#[tokio::test]
async fn a_real_apiserver_takes_what_every_chart_renders() {
    let (_folder, kube) = started(TokenKey::Rsa).await;
    // Nobody makes this one here, and pods of some value sets run as it or as others.
    for account in ["default", "own-account"] {
        create(&kube, &account_named(account)).await;
    }
    create(&kube, PRIORITY).await;
    for case in cases().into_iter().filter(|case| case.chart != "tunnel-client-crds") {
        let objects = case.objects().await;
        for account in objects.iter().filter(|object| kind(object) == "ServiceAccount") {
            let words = ["--namespace=postern", "apply", "--server-side", "-f", "-"];
            let ended = kube.kubectl_with(&words, &account.to_string()).await.unwrap();
            assert_eq!(ended.code, Some(0), "{case:?}: {}", ended.stderr);
        }
        assert_eq!(dry_run(&kube, &case.text().await).await.len(), objects.len(), "{case:?}");
    }
}

pub(super) fn account_named(name: &str) -> String {
    format!(r#"{{"apiVersion":"v1","kind":"ServiceAccount","metadata":{{"name":"{name}"}}}}"#)
}

const PRIORITY: &str =
    r#"{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"high"},"value":1000}"#;

#[tokio::test]
async fn a_pod_that_is_not_hardened_is_refused_there() {
    let (_folder, kube) = started(TokenKey::Rsa).await;
    create(&kube, &account_named("default")).await;
    let pod = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bare"},"spec":{"containers":[{"name":"c","image":"i:1"}]}}"#;
    let ended = kube
        .kubectl_with(&["--namespace=postern", "create", "--dry-run=server", "-f", "-"], pod)
        .await
        .unwrap();
    assert!(ended.code != Some(0) && ended.stderr.contains("PodSecurity"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_sidecar_gets_no_token_where_the_engine_gets_one() {
    let (_folder, kube) = started(TokenKey::Rsa).await;
    create(&kube, &account_named("default")).await;
    let objects = Case::new("example-engine", "minimal").objects().await;
    let engine = objects.iter().find(|object| kind(object) == "StatefulSet").unwrap();
    let mut spec = at(engine, "spec.template.spec").clone();
    // Made from the claim's template by a controller, which is not there.
    spec["volumes"].as_array_mut().unwrap().push(serde_json::json!({ "name": "data", "emptyDir": {} }));
    let pod =
        serde_json::json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x-0" }, "spec": spec });
    let made = dry_run(&kube, &pod.to_string()).await.remove(0);
    let volume = |container: &Value| {
        let mounts = container["volumeMounts"].as_array().unwrap();
        let token = |mount: &&Value| mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount";
        mounts.iter().find(token).unwrap()["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(volume(&made["spec"]["initContainers"][0]), "postern-no-token");
    assert!(volume(&made["spec"]["containers"][0]).starts_with("kube-api-access-"));
}
