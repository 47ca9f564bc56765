//! Operations: what is made is what is read, and each field keeps its grammar and bounds.

use super::{
    operation::{
        CollectDebug, ComponentUpgrade, Configure, Resources, Restart, RunTask, Scale, SettingChange, Size,
        Start, Upgrade, What,
    },
    *,
};
use crate::testing::MINUTE;

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn names<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| name(text)).collect()
}

fn scale(size: Size) -> What {
    What::Scale(Scale { component: name("storage"), size })
}

fn replicas() -> What {
    scale(Size::Replicas { expected: 3, wanted: 5 })
}

fn resources() -> What {
    let expected = Resources { cpu_millis: 500, memory_bytes: 1 << 30, storage_bytes: 0 };
    scale(Size::Resources { expected, wanted: Resources { cpu_millis: 1000, ..expected } })
}

fn upgrade() -> What {
    let one = |component, release| ComponentUpgrade {
        component: name(component),
        expected_release: name("2.4.0 (build 7)"),
        release,
    };
    What::Upgrade(Upgrade {
        components: vec![one("storage", vec![1, 2, 3]), one("proxy", vec![4])],
        at_once: 2,
        soak: Some(MINUTE),
        allow_downgrade: true,
    })
}

fn restart() -> What {
    What::Restart(Restart {
        component: name("storage"),
        nodes: names(&["n1.rack_2/a", "n2"]),
        expected_replicas: 3,
    })
}

fn configure() -> What {
    let change = |setting, value| SettingChange { name: name(setting), expected: name("64"), value };
    What::Configure(Configure {
        component: name("storage"),
        settings: vec![change("cache.size_mb", name("128")), change("log.level", name(""))],
    })
}

fn run_task() -> What {
    What::RunTask(RunTask {
        task: name("compact"),
        targets: names(&["default", "n2"]),
        arguments: vec![(name("revision"), name("17")), (name("physical"), name("true"))],
    })
}

fn collect_debug() -> What {
    What::CollectDebug(CollectDebug { collectors: names(&["status", "alarms"]), targets: vec![] })
}

fn every_kind() -> [What; 7] {
    [replicas(), resources(), upgrade(), restart(), configure(), run_task(), collect_debug()]
}

fn operation(what: What) -> Operation {
    Operation { what, start: Start::OnApproval, dry_run: false, wanted: HOUR }
}

fn opened(operation: &Operation) -> Operation {
    let world = World::new();
    let kind = Kind::Operation(Box::new(operation.clone()));
    let envelope = make(&Request { kind, ..world.request() }, &world.key, &world.certificate).unwrap();
    match world.open(&envelope.encode_to_vec()).unwrap().request.kind {
        Kind::Operation(opened) => *opened,
        other => panic!("{other:?}"),
    }
}

/// What is wrong with a good request for `what` after `change`.
fn fault(what: What, change: impl FnOnce(&mut v1::OperationRequest)) -> Fault {
    let mut message = operation(what).to_message();
    assert_eq!(super::read_operation::operation(message.clone()).unwrap().to_message(), message);
    change(&mut message);
    let kind = Some(v1::request::Kind::Operation(message));
    World::new().fault(|request| request.kind = kind)
}

/// The field that is wrong with a good request for `what` after `change` of its kind.
macro_rules! field_of {
    ($what:expr, $kind:ident, $change:expr) => {
        match fault($what, |message| match &mut message.kind {
            Some(v1::operation_request::Kind::$kind(kind)) => {
                let change: &dyn Fn(&mut _) = &$change;
                change(kind);
            }
            other => panic!("{other:?}"),
        }) {
            Fault::Field(field) => field.to_owned(),
            Fault::Text { field, .. } => format!("text of {field}"),
            Fault::Number { what, got } => format!("{got} {what}"),
            other => panic!("{other:?}"),
        }
    };
}

#[test]
fn opens_every_kind_as_it_was_made() {
    for what in every_kind() {
        for (start, dry_run) in [(Start::OnApproval, true), (Start::OnCall, false)] {
            let asked = Operation { start, dry_run, ..operation(what.clone()) };
            assert_eq!(opened(&asked), asked);
        }
    }
}

#[test]
fn names_are_those_of_policies() {
    let names = every_kind().map(|what| what.name());
    assert_eq!(names, ["scale", "scale", "upgrade", "restart", "configure", "runTask", "collectDebug"]);
}

#[test]
fn it_says_what_and_when() {
    for start in [0, 3] {
        assert_eq!(fault(replicas(), |m| m.start = start), Fault::Field("start"), "{start}");
    }
    assert_eq!(fault(replicas(), |m| m.kind = None), Fault::NoKind);
    assert_eq!(opened(&Operation { wanted: Duration::ZERO, ..operation(restart()) }).wanted, Duration::ZERO);
}

#[test]
fn fields_of_tomorrow_are_refused() {
    let world = World::new();
    let kind = Kind::Operation(Box::new(operation(replicas())));
    let mut message = Request { kind, ..world.request() }.to_message();
    let mut inner = match message.kind.take() {
        Some(v1::request::Kind::Operation(operation)) => operation.encode_to_vec(),
        other => panic!("{other:?}"),
    };
    // Field 200, which no operation has: one that was understood in part would be another operation.
    inner.extend([0xc0, 0x0c, 0x01]);
    let mut bytes = message.encode_to_vec();
    let length = u8::try_from(inner.len()).ok().filter(|length| *length < 128).unwrap();
    bytes.extend([0x8a, 0x01, length]);
    bytes.extend(inner);
    let fault = fault_of(world.open(&world.sign_bytes(bytes)).unwrap_err());
    assert!(matches!(fault, Fault::Payload(_)), "{fault:?}");
}

#[test]
fn a_scale_is_of_replicas_or_resources_with_what_is_expected() {
    const SIZE: &str = "size (replicas or resources, with what is expected)";
    assert_eq!(field_of!(replicas(), Scale, |m: &mut v1::Scale| m.component = "S".into()), "component");
    assert_eq!(
        field_of!(replicas(), Scale, |m: &mut v1::Scale| m.expected_replicas = 0),
        "expected replicas"
    );
    assert_eq!(field_of!(replicas(), Scale, |m: &mut v1::Scale| m.replicas = 0), "replicas");
    let some = Some(v1::Resources { cpu_millis: 1, ..v1::Resources::default() });
    assert_eq!(field_of!(replicas(), Scale, |m: &mut v1::Scale| m.resources = some), SIZE);
    assert_eq!(field_of!(resources(), Scale, |m: &mut v1::Scale| m.replicas = 3), SIZE);
    assert_eq!(field_of!(resources(), Scale, |m: &mut v1::Scale| m.expected_replicas = 3), SIZE);
    assert_eq!(field_of!(resources(), Scale, |m: &mut v1::Scale| m.expected_resources = None), SIZE);
    assert_eq!(field_of!(resources(), Scale, |m: &mut v1::Scale| m.resources = None), SIZE);
    let nothing = Some(v1::Resources::default());
    assert_eq!(field_of!(resources(), Scale, |m: &mut v1::Scale| m.resources = nothing), "resources");
}

#[test]
fn an_upgrade_names_1_to_16_components_once_with_their_releases() {
    let of = |n: usize| v1::ComponentUpgrade {
        component: format!("c{n}"),
        expected_release: "1".into(),
        release: vec![1],
    };
    assert_eq!(field_of!(upgrade(), Upgrade, |m: &mut v1::Upgrade| m.components.clear()), "0 components");
    assert_eq!(
        field_of!(upgrade(), Upgrade, |m: &mut v1::Upgrade| m.components = (0..17).map(of).collect()),
        "17 components"
    );
    assert_eq!(
        field_of!(upgrade(), Upgrade, |m: &mut v1::Upgrade| m.components[1].component = "storage".into()),
        "component"
    );
    assert_eq!(
        field_of!(upgrade(), Upgrade, |m: &mut v1::Upgrade| m.components[0].component = String::new()),
        "component"
    );
    assert_eq!(
        field_of!(upgrade(), Upgrade, |m: &mut v1::Upgrade| m.components[0].release.clear()),
        "release"
    );
    assert_eq!(
        field_of!(upgrade(), Upgrade, |m: &mut v1::Upgrade| m.components[0].expected_release =
            "2\u{7}".into()),
        "text of expected release"
    );
    let hour = |more: u64| Some(v1::Strategy { at_once: 1, soak_ms: 3_600_000 + more });
    assert_eq!(field_of!(upgrade(), Upgrade, |m: &mut v1::Upgrade| m.strategy = hour(1)), "soak time");
}

#[test]
fn what_an_upgrade_leaves_out_is_the_careful_way() {
    let message = v1::OperationRequest {
        kind: Some(v1::operation_request::Kind::Upgrade(v1::Upgrade {
            components: vec![v1::ComponentUpgrade {
                component: "storage".into(),
                expected_release: "1".into(),
                release: vec![1],
            }],
            ..v1::Upgrade::default()
        })),
        start: v1::StartWhen::OnCall.into(),
        ..v1::OperationRequest::default()
    };
    let What::Upgrade(upgrade) = super::read_operation::operation(message).unwrap().what else {
        panic!("not an upgrade")
    };
    assert_eq!((upgrade.at_once, upgrade.soak, upgrade.allow_downgrade), (1, None, false));
}

#[test]
fn a_restart_names_at_most_64_nodes_once() {
    let nodes = |count: usize| (0..count).map(|n| format!("n{n}")).collect::<Vec<_>>();
    assert_eq!(field_of!(restart(), Restart, |m: &mut v1::Restart| m.nodes = nodes(65)), "65 nodes");
    assert_eq!(field_of!(restart(), Restart, |m: &mut v1::Restart| m.nodes[1] = m.nodes[0].clone()), "node");
    for bad in ["", "a b", "n1;rm", &"n".repeat(129)] {
        assert_eq!(field_of!(restart(), Restart, |m: &mut v1::Restart| m.nodes[0] = bad.into()), "node");
    }
    assert_eq!(field_of!(restart(), Restart, |m: &mut v1::Restart| m.component = "a/b".into()), "component");
    assert_eq!(
        field_of!(restart(), Restart, |m: &mut v1::Restart| m.expected_replicas = 0),
        "expected replicas"
    );
    let all = What::Restart(Restart { component: name("s"), nodes: vec![], expected_replicas: 1 });
    assert_eq!(opened(&operation(all.clone())).what, all);
}

#[test]
fn a_configure_changes_1_to_64_settings_once() {
    let change = |n: usize| v1::SettingChange { name: format!("s{n}"), ..v1::SettingChange::default() };
    assert_eq!(field_of!(configure(), Configure, |m: &mut v1::Configure| m.settings.clear()), "0 settings");
    assert_eq!(
        field_of!(configure(), Configure, |m: &mut v1::Configure| m.settings = (0..65).map(change).collect()),
        "65 settings"
    );
    let twice = |m: &mut v1::Configure| m.settings[1].name = m.settings[0].name.clone();
    assert_eq!(field_of!(configure(), Configure, twice), "setting");
    assert_eq!(
        field_of!(configure(), Configure, |m: &mut v1::Configure| m.settings[0].name = "a=b".into()),
        "setting"
    );
    assert_eq!(
        field_of!(configure(), Configure, |m: &mut v1::Configure| m.component = String::new()),
        "component"
    );
    assert_eq!(
        field_of!(configure(), Configure, |m: &mut v1::Configure| m.settings[0].value = "a\nb".into()),
        "text of value"
    );
    assert_eq!(
        field_of!(configure(), Configure, |m: &mut v1::Configure| m.settings[0].expected = "\u{202e}".into()),
        "text of expected value"
    );
}

#[test]
fn a_task_has_at_most_32_arguments_and_64_targets_once() {
    let argument = |n: usize| v1::Argument { name: format!("a{n}"), value: String::new() };
    let targets = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>();
    assert_eq!(
        field_of!(run_task(), RunTask, |m: &mut v1::RunTask| m.arguments = (0..33).map(argument).collect()),
        "33 arguments"
    );
    let twice = |m: &mut v1::RunTask| m.arguments[1].name = m.arguments[0].name.clone();
    assert_eq!(field_of!(run_task(), RunTask, twice), "argument");
    assert_eq!(
        field_of!(run_task(), RunTask, |m: &mut v1::RunTask| m.arguments[0].name = "a b".into()),
        "argument"
    );
    assert_eq!(
        field_of!(run_task(), RunTask, |m: &mut v1::RunTask| m.arguments[0].value = "x".repeat(513)),
        "text of argument"
    );
    assert_eq!(field_of!(run_task(), RunTask, |m: &mut v1::RunTask| m.task = "rm -rf".into()), "task");
    assert_eq!(field_of!(run_task(), RunTask, |m: &mut v1::RunTask| m.targets = targets(65)), "65 targets");
    assert_eq!(
        field_of!(run_task(), RunTask, |m: &mut v1::RunTask| m.targets[1] = "default".into()),
        "target"
    );
}

#[test]
fn a_debug_bundle_has_1_to_64_collectors_once() {
    type Debug = v1::CollectDebug;
    let collectors = |count: usize| (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>();
    let of = |change: &dyn Fn(&mut Debug)| field_of!(collect_debug(), CollectDebug, change);
    assert_eq!(of(&|m| m.collectors.clear()), "0 collectors");
    assert_eq!(of(&|m| m.collectors = collectors(65)), "65 collectors");
    assert_eq!(of(&|m| m.collectors[1] = "status".into()), "collector");
    assert_eq!(of(&|m| m.collectors[0] = "../x".into()), "collector");
    assert_eq!(of(&|m| m.targets = vec!["t".into(), "t".into()]), "target");
}

#[test]
fn soaking_for_an_hour_is_the_longest() {
    let What::Upgrade(upgrade) = upgrade() else { panic!("not an upgrade") };
    let longest = What::Upgrade(Upgrade { soak: Some(HOUR), ..upgrade });
    assert_eq!(opened(&operation(longest.clone())).what, longest);
}
