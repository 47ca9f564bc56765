//! Every pod of every chart is hardened, whatever the values say, and outlives its drain.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    at, kind, name,
    render::{Case, cases, yaml},
};

/// A pod that some object makes.
struct Pod {
    whose: String,
    labels: Value,
    spec: Value,
}

impl Pod {
    fn of(case: &Case, object: &Value) -> Option<Self> {
        let template = match kind(object) {
            "Pod" => object,
            "Deployment" | "StatefulSet" | "Job" => at(object, "spec.template"),
            "CronJob" => at(object, "spec.jobTemplate.spec.template"),
            _ => return None,
        };
        let whose = format!("{} {}: {} {}", case.chart, case.values, kind(object), name(object));
        let labels = at(template, "metadata.labels").clone();
        Some(Self { whose, labels, spec: template["spec"].clone() })
    }

    fn containers(&self) -> Vec<&Value> {
        let of = |key| self.spec[key].as_array().into_iter().flatten();
        of("initContainers").chain(of("containers")).collect()
    }

    fn is_selected_by(&self, selector: &Value) -> bool {
        selector.as_object().unwrap().iter().all(|(key, value)| self.labels[key] == *value)
    }
}

async fn pods() -> Vec<(Case, Vec<Value>, Vec<Pod>)> {
    let mut all = Vec::new();
    for case in cases() {
        let objects = case.objects().await;
        let pods: Vec<_> = objects.iter().filter_map(|object| Pod::of(&case, object)).collect();
        assert_eq!(pods.is_empty(), case.chart == "tunnel-client-crds", "{case:?}");
        all.push((case, objects, pods));
    }
    all
}

#[tokio::test]
async fn every_container_is_hardened() {
    let wanted = [
        ("runAsNonRoot", json!(true)),
        ("allowPrivilegeEscalation", json!(false)),
        ("readOnlyRootFilesystem", json!(true)),
        ("capabilities", json!({ "drop": ["ALL"] })),
        ("seccompProfile", json!({ "type": "RuntimeDefault" })),
        ("privileged", Value::Null),
    ];
    for pod in pods().await.into_iter().flat_map(|(_, _, pods)| pods) {
        for container in pod.containers() {
            for (setting, value) in &wanted {
                let found = &container["securityContext"][setting];
                assert_eq!(found, value, "{}: {} {setting}", pod.whose, container["name"]);
            }
            let image = container["image"].as_str().unwrap();
            let tail = image.rsplit('/').next().unwrap();
            assert!(tail.contains(':') && !tail.ends_with(":latest"), "{}: {image}", pod.whose);
        }
    }
}

#[tokio::test]
async fn every_pod_is_hardened() {
    for (case, _, pods) in pods().await {
        for Pod { whose, spec, .. } in pods {
            let context = &spec["securityContext"];
            assert_eq!(context["runAsNonRoot"], json!(true), "{whose}");
            assert!(context["runAsUser"].as_u64().is_some_and(|user| user > 0), "{whose}");
            assert!(context["fsGroup"].as_u64().is_some_and(|group| group > 0), "{whose}");
            assert_eq!(context["seccompProfile"], json!({ "type": "RuntimeDefault" }), "{whose}");
            for shared in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
                assert!(spec[shared].is_null(), "{whose}: {shared}");
            }
            // The example engine has one of its own; its sidecar is looked at against a real kube-apiserver.
            assert_eq!(
                spec["automountServiceAccountToken"],
                json!(case.chart == "example-engine"),
                "{whose}"
            );
            for volume in spec["volumes"].as_array().unwrap() {
                let kinds = ["configMap", "secret", "projected", "persistentVolumeClaim", "emptyDir"];
                let known = kinds.iter().any(|kind| volume.get(*kind).is_some());
                assert!(known, "{whose}: {volume}");
                let unbounded = volume.get("emptyDir").is_some_and(|dir| dir["sizeLimit"].is_null());
                assert!(!unbounded, "{whose}: {volume}");
            }
        }
    }
}

#[tokio::test]
async fn every_program_gets_longer_than_its_drain() {
    for (case, objects, pods) in pods().await {
        let Some(drain) = objects.iter().find_map(drain) else {
            assert_eq!(case.chart, "tunnel-client-crds");
            continue;
        };
        for pod in pods.iter().filter(|pod| runs_for_long(pod)) {
            let grace = pod.spec["terminationGracePeriodSeconds"].as_u64().unwrap();
            // What a client adds for its store to close, and then some.
            assert!(Duration::from_secs(grace) >= drain + Duration::from_secs(5), "{}: {grace}", pod.whose);
        }
    }
}

/// The drain that a rendered configuration says.
fn drain(object: &Value) -> Option<Duration> {
    let data = object["data"].as_object()?;
    let text = data.get("client.yaml").or_else(|| data.get("broker.yaml"))?.as_str()?;
    let drain = yaml(text)["timeouts"]["drain"].as_str()?.to_owned();
    Some(Duration::from_secs(drain.strip_suffix('s')?.parse().unwrap()))
}

fn runs_for_long(pod: &Pod) -> bool {
    [": Deployment ", ": StatefulSet "].iter().any(|kind| pod.whose.contains(kind))
}

#[tokio::test]
async fn the_program_alone_is_selected_and_one_replica_of_it_runs() {
    for (case, objects, pods) in pods().await {
        let workloads = objects.iter().filter(|object| ["Deployment", "StatefulSet"].contains(&kind(object)));
        for workload in workloads {
            assert_eq!(at(workload, "spec.replicas"), &json!(1), "{case:?}");
        }
        if case.chart == "example-engine" {
            continue;
        }
        for object in &objects {
            let selector = match kind(object) {
                "Service" => at(object, "spec.selector"),
                "PodDisruptionBudget" | "Deployment" | "StatefulSet" => {
                    at(object, "spec.selector.matchLabels")
                }
                _ => continue,
            };
            for pod in &pods {
                assert_eq!(
                    pod.is_selected_by(selector),
                    runs_for_long(pod),
                    "{case:?} {}: {}",
                    name(object),
                    pod.whose
                );
            }
        }
        let budget = objects.iter().find(|object| kind(object) == "PodDisruptionBudget");
        assert_eq!(budget.is_some(), runs_something(&pods), "{case:?}");
        if let Some(budget) = budget {
            assert_eq!(at(budget, "spec.maxUnavailable"), &json!(1));
        }
    }
}

fn runs_something(pods: &[Pod]) -> bool {
    pods.iter().any(runs_for_long)
}
