//! What the charts let their programs do in Kubernetes is a list that is checked in; and nothing secret is in a chart.

use serde_json::Value;

use super::{
    kind, name,
    render::{CHARTS, LIBRARIES, cases, folder},
};

#[tokio::test]
async fn rights_in_kubernetes_are_those_of_the_list() {
    let mut found: Vec<String> = Vec::new();
    for case in cases() {
        let objects = case.objects().await;
        found.extend(objects.iter().flat_map(rights).map(|right| format!("{}: {right}", case.chart)));
    }
    found.sort_unstable();
    found.dedup();
    for chart in CHARTS.into_iter().chain(LIBRARIES) {
        if !found.iter().any(|right| right.starts_with(&format!("{chart}:"))) {
            found.push(format!("{chart}: none"));
        }
    }
    found.sort_unstable();
    let list = std::fs::read_to_string(format!("{}/rights.txt", folder(""))).unwrap();
    let listed: Vec<_> = list.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(found, listed, "helm/rights.txt lists what the charts grant");
}

/// One line for each rule, and for whom it is bound.
fn rights(object: &Value) -> Vec<String> {
    let list = |value: &Value| {
        let words = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        words.collect::<Vec<_>>().join(",")
    };
    let rule = |rule: &Value| {
        let [groups, resources, names, verbs] =
            ["apiGroups", "resources", "resourceNames", "verbs"].map(|key| list(&rule[key]));
        format!("{} {}: {verbs} {groups}/{resources} [{names}]", kind(object), name(object))
    };
    match kind(object) {
        "Role" | "ClusterRole" => object["rules"].as_array().into_iter().flatten().map(rule).collect(),
        "RoleBinding" | "ClusterRoleBinding" => {
            vec![format!("{} {}: {}", kind(object), name(object), object["roleRef"]["name"])]
        }
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn no_chart_renders_a_secret() {
    for case in cases() {
        let text = case.text().await;
        assert!(!case.objects().await.iter().any(|object| kind(object) == "Secret"), "{case:?}");
        for secret in ["PRIVATE KEY", "whsec_", "password"] {
            assert!(!text.contains(secret), "{case:?} renders {secret}");
        }
    }
}
