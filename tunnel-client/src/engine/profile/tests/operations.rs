//! Components, tasks and collectors: what is read of them, and everything that is refused.

use tunnel_protos::MethodName;

use crate::engine::profile::{
    Answer, Answers, Per, Reach, Risk, Var, Vars, Where,
    testing::{PROFILE, answer, parse, profile},
};

fn refusal(from: &str, to: &str) -> String {
    assert!(PROFILE.contains(from), "{from} is not in the profile");
    parse(&PROFILE.replace(from, to)).unwrap_err().to_string()
}

fn method(name: &str) -> MethodName {
    format!("shop.v1.{name}").parse().unwrap()
}

#[test]
fn a_component_knows_how_it_is_seen_and_changed() {
    let profile = profile();
    let component = &profile.operable().components()[&"storage".parse().unwrap()];
    let upgrade = component.upgrade.as_ref().unwrap();
    let vars = Vars::default().text("release", "v2").text("node", "storage-1").text("component", "storage");
    let request = upgrade.call.request.render(&vars).unwrap();
    assert_eq!(request.json, r#"{"nodes":["storage-1"],"part":"storage","release":"v2"}"#);
    assert_eq!((upgrade.per, &upgrade.call.endpoint), (Reach::Node, &Where::Any));
    let Where::Companion(via) = &component.restart.as_ref().unwrap().call.endpoint else {
        panic!("no companion")
    };
    assert_eq!(via[&"storage-1".parse().unwrap()].as_str(), "sup-a");
    let scale = component.scale.as_ref().unwrap();
    assert!(scale.problem(5).is_none() && scale.problem(4).is_some() && scale.problem(11).is_some());
    assert!(component.configure.as_ref().unwrap().at_once());
    assert_eq!((component.gate.soak.as_secs(), component.gate.deadline.as_secs()), (2, 60));
}

#[test]
fn a_task_takes_its_arguments_and_nothing_else() {
    let profile = profile();
    let task = &profile.operable().tasks()[&"compact".parse().unwrap()];
    let pause = &task.arguments[&"pause".parse().unwrap()];
    let vars = Vars::default()
        .with("pause", pause.check("7").unwrap())
        .with("deep", Var::Flag(true))
        .text("who", "me");
    let request = task.call.request.render(&vars).unwrap();
    assert_eq!(request.json, r#"{"deep":true,"kind":"KIND_COMPACT","note":"by me","pause":7}"#);
    assert!(pause.check("1001").is_err());
    assert_eq!((task.per, task.risk, task.call.timeout.as_secs()), (Per::Once, Risk::Low, 600));
}

#[test]
fn what_there_is_comes_from_what_the_engine_tells() {
    let profile = profile();
    let component = &profile.operable().components()[&"storage".parse().unwrap()];
    let status = answer(
        "Status",
        r#"{"parts":[{"name":"other","replicas":9},{"name":"storage","replicas":3,"releaseName":"v1"}],
            "settings":{"max-connections":"5","secret":"s3cret","unlisted":"x"}}"#,
    );
    let nodes = answer(
        "Nodes",
        r#"{"nodes":[{"name":"storage-1","state":"NODE_STATE_READY","release":"v1","startedAt":"7"},
                     {"name":"storage-2"}]}"#,
    );
    let each = profile.endpoints().keys().map(|target| (target.clone(), (&status).into())).collect();
    let answers = Answers::from([
        ("response".to_owned(), Answer::One((&status).into())),
        ("nodes".to_owned(), Answer::One((&nodes).into())),
        ("each".to_owned(), Answer::Each(each)),
    ]);
    let sighting = component.find.sight(&answers, profile.endpoints().keys()).unwrap();
    assert_eq!((sighting.replicas, sighting.release.as_deref()), (Some(3), Some("v1")));
    let ready: Vec<_> = sighting.nodes.iter().map(|node| (node.name.as_str(), node.ready)).collect();
    assert_eq!(ready, [("storage-1", true), ("storage-2", false)]);
    assert_eq!(sighting.nodes[0].incarnation.as_deref(), Some("7"));
    let settings: Vec<_> =
        sighting.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        settings,
        [("max-connections", "5")],
        "neither what is sensitive nor what is not listed is seen"
    );
}

#[test]
fn methods_of_operations_are_theirs_alone() {
    let profile = profile();
    let of = |name: &str| profile.operation_of(&method(name)).map(ToString::to_string);
    assert_eq!(of("Admin/Scale").as_deref(), Some("tunnelctl request scale storage"));
    assert_eq!(of("Admin/Work").as_deref(), Some("tunnelctl request run compact"));
    assert_eq!(of("Supervisor/Restart").as_deref(), Some("tunnelctl request restart storage"));
    assert_eq!((of("Admin/Status"), of("Admin/Debug"), of("Admin/Set")), (None, None, None));
}

#[test]
fn a_task_that_only_reads_leaves_its_method_to_access() {
    let text = PROFILE.replace("readOnly: [", "readOnly: [ shop.v1.Admin/Work,");
    assert_eq!(parse(&text).unwrap().operation_of(&method("Admin/Work")), None);
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    for (from, to, says) in [
        ("shop.v1.Admin/Work\n", "shop.v1.Admin/Wrok\n", "tasks.compact.method"),
        ("shop.v1.Admin/Work\n", "shop.v1.Admin/Feed\n", "takes a stream"),
        ("method: shop.v1.Admin/Debug,", "method: shop.v1.Admin/Work,", "answers with a stream"),
        ("note: \"by ${who}\"", "note: \"by ${whom}\"", "`${whom}` is not known here"),
        ("note: \"by ${who}\"", "note: \"by ${who\"", "without a name"),
        ("note: \"by ${who}\"", "note: x", "tasks.compact.arguments.who"),
        ("kind: KIND_COMPACT", "kind: KIND_COMPCAT", "tasks.compact.request"),
        ("pause: \"${pause}\"", "puase: \"${pause}\"", "puase"),
        ("deep: \"${deep}\"", "deep: \"${pause}\"", "tasks.compact.request"),
        ("type: int, min: 0, max: 1000, default: 0", "type: int, min: 9, max: 1", "`min` is more than `max`"),
        ("type: int, min: 0, max: 1000, default: 0", "type: int, max: 5, default: 6", "`default` takes"),
        ("type: enum, values: [me, you]", "type: enum", "at least one"),
        ("type: enum, values: [me, you]", "type: string, values: [me]", "`values` are for enum"),
        ("type: enum, values: [me, you]", "type: float", "tasks.compact.arguments.who"),
        ("type: bool, default: false", "type: bool, sensitive: true", "`sensitive` is for settings"),
        ("timeout: 10m", "timeout: 10", "tasks.compact.timeout"),
        ("timeout: 10m", "timeout: 48h", "at most"),
        ("response.done", "response.doen", "has no field `doen`"),
        ("response.finished", "respnose.finished", "`respnose` is not known here; known: response"),
        ("response.finished", "response.finished &&", "not an expression"),
        ("component: storage\n    risk", "component: store\n    risk", "there is no component store"),
        ("allow: [release,", "allow: [releese,", "has no field `releese`"),
        ("allow: [release,", "allow: [tree,", "can hold itself"),
        ("allow: [release,", "allow: [release.name,", "plain value"),
        ("sizeCap: 64KiB", "sizeCap: 1GiB", "debug.info.sizeCap"),
        ("release_name\"", "releaseName\"", "the .proto file says `release_name`"),
        ("ready: \"node.state", "ready: \"node.stat", "has no field `stat`"),
        ("      ready:", "      raedy:", "raedy"),
        ("      nodes: \"nodes.nodes\"\n", "", "go with `nodes`"),
        (
            "      release: \"resp",
            "      #release: \"resp",
            "find.release` in the engine profile: is missing",
        ),
        ("soak: 2s", "soak: 2m", "must be longer"),
        ("replicas: \"${replicas}\" }", "replicas: 3 }", "no place for ${replicas}"),
        ("min: 1, max: 9, odd", "min: 0, max: 9, odd", "at least 1"),
        ("storage-1: sup-a", "storage-1: sup-b", "there is no companion sup-b"),
        (", nodes: [\"${node}\"] }", " }", "needs ${node} or ${nodes}"),
        ("settings: \"${settings}\"", "settings: {}", "needs either ${settings}"),
        ("sup-a: \"http://127.0.0.1:3\"", "b: \"http://127.0.0.1:3\"", "is an endpoint, too"),
        ("readOnly: [", "readOnly: [ shop.v1.Admin/Scale,", "marked readOnly"),
        ("ok: \"response.healthy\"", "ok: \"response.helthy\"", "health.ok"),
        ("descriptors: shop.protoset\n", "", "needs `descriptors`"),
        ("        nodes: { method", "        response: { method", "needs a name of a-z"),
    ] {
        let error = refusal(from, to);
        assert!(error.contains(says), "{from} -> {to}: {error}");
    }
}

#[test]
fn a_field_list_that_names_what_is_not_there_is_told_with_its_place() {
    let error = refusal("allow: [release, shards,", "allow: [release, shards.kyes,");
    assert_eq!(
        error.trim(),
        "`debug.info.allow` in the engine profile: `shards.kyes` names nothing: shop.v1.Shard has no field `kyes`; it \
         has index, recent"
    );
}

#[test]
fn all_problems_come_at_once() {
    let text = PROFILE
        .replace("response.done", "response.doen")
        .replace("component: storage\n    risk", "component: store\n    risk")
        .replace("allow: [release,", "allow: [releese,")
        .replace("soak: 2s", "soak: 2")
        .replace("min: 1, max: 9, odd", "min: 1, mx: 9, odd")
        .replace("response.healthy", "response.helthy");
    let error = parse(&text).unwrap_err().to_string();
    for part in [
        "tasks.compact.progress",
        "there is no component store",
        "debug.info.allow",
        "storage.gate.soak",
        "storage.scale",
        "health.ok",
    ] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
}

#[test]
fn no_operation_needs_anything() {
    let bare = parse("{ name: own, endpoints: { default: 'http://127.0.0.1:1' } }").unwrap();
    assert!(bare.operable().is_empty());
}
