//! The charts: rendered by the real helm, looked over as what they render, fed to the real programs, and taken by a real
//! kube-apiserver.

mod apiserver;
mod configuration;
mod pods;
mod render;
mod rights;
mod sidecar;
mod tokens;
mod values;

use serde_json::Value;

use self::render::{CHARTS, Case, LIBRARIES, cases, helm};

/// What lies at a dotted path; null if nothing does.
fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(value, |value, key| &value[key])
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap()
}

fn name(object: &Value) -> &str {
    at(object, "metadata.name").as_str().unwrap()
}

#[tokio::test]
async fn every_chart_passes_the_lint() {
    for case in cases() {
        let ended = helm(&case.words("lint", &["--strict"])).await;
        assert_eq!(ended.code, Some(0), "{case:?}: {}{}", ended.stdout, ended.stderr);
    }
    for library in LIBRARIES {
        let ended = helm(&["lint".to_owned(), "--strict".to_owned(), render::folder(library)]).await;
        assert_eq!(ended.code, Some(0), "{library}: {}{}", ended.stdout, ended.stderr);
    }
}

#[tokio::test]
async fn every_chart_refuses_an_older_kubernetes() {
    for chart in CHARTS {
        let case = cases().into_iter().find(|case| case.chart == chart).unwrap();
        let ended = helm(&case.words("template", &["--kube-version", "1.29.14"])).await;
        assert!(ended.stderr.contains("incompatible with Kubernetes v1.29.14"), "{case:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn what_is_required_is_asked_for_by_its_name() {
    let wanted = [
        ("tunnel-client", "enrollment.existingSecret"),
        ("tunnel-client", "profile.existingConfigMap"),
        ("tunnel-client", "policy.preset"),
        ("tunnel-broker", "trust.existingConfigMap"),
        ("tunnel-broker", "meshCa.existingSecret"),
        ("tunnel-broker", "api.existingSecret"),
        ("example-engine", "postern.enrollment.existingSecret"),
        ("example-engine", "postern.profile.existingConfigMap"),
        ("example-engine", "postern.policy.preset"),
    ];
    for (chart, path) in wanted {
        let ended = Case::new(chart, "minimal").run(&["--set", &format!("{path}=")]).await;
        let (part, _) = path.rsplit_once('.').unwrap();
        assert!(ended.code != Some(0) && ended.stderr.contains(part), "{chart} {path}: {}", ended.stderr);
    }
    let both = Case::new("tunnel-client", "minimal").run(&["--set", "policy.existingConfigMap=own"]).await;
    assert!(both.stderr.contains("not both"), "{}", both.stderr);
}
