//! A check's report as text for people and as JSON for scripts. What engines said is escaped here.

use std::path::Path;

use serde_json::{Value, json};
use tunnel_protos::{
    dynamic::CallKind,
    text::{escape, escape_json},
    v1::Health,
};

use crate::{
    cli::output::Format,
    engine::{
        check::{
            ComponentReport, Difference, Known, MethodLine, Reached, Report, SchemaReport, TargetReport,
        },
        profile::SightedNode,
    },
};

/// The whole report.
pub(super) fn report(path: &Path, report: &Report, format: Format) -> String {
    match format {
        Format::Text => text(path, report),
        Format::Json => escape_json(&format!("{:#}\n", document(path, report))),
    }
}

fn text(path: &Path, report: &Report) -> String {
    let name = report.name.as_deref().unwrap_or("not readable");
    let mut lines = vec![format!("{}: {}", path.display(), escape(name, LONGEST))];
    lines.extend(methods(&report.methods));
    lines.extend(report.targets.iter().flat_map(target));
    lines.extend(report.components.iter().filter_map(component));
    lines.extend(section("notes", &report.notes));
    let wrong: Vec<String> = report.broken.iter().chain(&report.unfit).cloned().collect();
    lines.extend(section("problems", &wrong));
    if wrong.is_empty() {
        lines.push("no problems".to_owned());
    }
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

fn section(title: &str, entries: &[String]) -> Vec<String> {
    let title = (!entries.is_empty()).then(|| format!("{title}:"));
    title.into_iter().chain(entries.iter().map(|entry| format!("  {}", escape(entry, LONGEST)))).collect()
}

fn methods(lines: &[MethodLine]) -> Vec<String> {
    let reads = lines.iter().filter(|line| !line.mutates).count();
    let title = format!("{} methods, {reads} read-only:", lines.len());
    let service = |line: &&MethodLine| line.method.service().to_owned();
    let mut text = if lines.is_empty() { Vec::new() } else { vec![title] };
    let mut last = None;
    for line in lines {
        let service = service(&line);
        if last.as_ref() != Some(&service) {
            text.push(format!("  {service}"));
        }
        last = Some(service);
        text.push(method(line));
    }
    text
}

fn method(line: &MethodLine) -> String {
    let more = match (&line.operation, line.known) {
        (Some(operation), _) => format!("  ({operation})"),
        (None, Known::ByPattern) => String::new(),
        (None, Known::ByName) => "  (by its exact name only)".to_owned(),
        (None, Known::Never) => "  (not in the descriptors)".to_owned(),
    };
    format!("    {:<14} {:<14} {}{more}", class(line), kind(line.kind), line.method.method())
}

/// What calls of it are to those who ask for access.
fn class(line: &MethodLine) -> &'static str {
    match &line.operation {
        _ if line.known == Known::Never => "unknown",
        Some(operation) if operation.operation() == "run" => "task",
        Some(_) => "operation-only",
        None if line.mutates => "mutates",
        None => "read-only",
    }
}

fn target(target: &TargetReport) -> Vec<String> {
    let reached = match &target.reached {
        Reached::Plain => "reached in the clear",
        Reached::Tls => "reached by TLS, its certificate verified",
        Reached::Failed(_) => "not reached",
    };
    let first = format!(
        "target {} at {}: {reached}, health {}",
        target.target,
        target.endpoint,
        health(target.health)
    );
    let differences = match &target.schema {
        SchemaReport::Compared(differences) => differences.as_slice(),
        _ => &[],
    };
    let differences = differences.iter().map(|one| format!("    {}", escape(&one.to_string(), LONGEST)));
    [first, format!("  descriptors: {}", schema(&target.schema))].into_iter().chain(differences).collect()
}

fn schema(schema: &SchemaReport) -> String {
    match schema {
        SchemaReport::NotAsked => "not asked for".to_owned(),
        SchemaReport::Unserved(why) => format!("not compared: {}", escape(why, LONGEST)),
        SchemaReport::Compared(differences) if differences.is_empty() => "the same at the engine".to_owned(),
        SchemaReport::Compared(differences) => format!("{} differences", differences.len()),
        SchemaReport::OnlyLive(count) => format!("none of our own; {count} methods at the engine"),
    }
}

/// What operations of it would find.
fn component(report: &ComponentReport) -> Option<String> {
    let seen = report.seen.as_ref()?;
    let nodes = |ready: bool| {
        let names = seen.nodes.iter().filter(|node| node.ready == ready).map(|node| node.name.as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        (!names.is_empty()).then(|| format!("{}: {names}", if ready { "ready" } else { "not ready" }))
    };
    let settings = seen.settings.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let parts = [
        seen.replicas.map(|replicas| format!("{replicas} replicas")),
        seen.release.as_ref().map(|release| format!("release {release}")),
        nodes(true),
        nodes(false),
        (!settings.is_empty()).then(|| format!("settings: {settings}")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    let told = if parts.is_empty() { "shows nothing".to_owned() } else { parts.join("; ") };
    Some(escape(&format!("component {}: {told}", report.component), LONGEST))
}

fn document(path: &Path, report: &Report) -> Value {
    json!({
        "profile": path.display().to_string(),
        "name": report.name,
        "exit": report.exit() as u8,
        "methods": report.methods.iter().map(method_document).collect::<Vec<_>>(),
        "targets": report.targets.iter().map(target_document).collect::<Vec<_>>(),
        "components": report.components.iter().map(component_document).collect::<Vec<_>>(),
        "problems": report.broken.iter().chain(&report.unfit).collect::<Vec<_>>(),
        "notes": report.notes,
    })
}

fn method_document(line: &MethodLine) -> Value {
    json!({
        "method": line.method.as_str(),
        "class": match class(line) {
            "mutates" => "mutating",
            class => class,
        },
        "operation": line.operation.as_ref().map(ToString::to_string),
        "call": line.kind.map(|some| kind(Some(some))),
        "byPattern": line.known == Known::ByPattern,
    })
}

fn target_document(target: &TargetReport) -> Value {
    json!({
        "target": target.target.as_str(),
        "endpoint": target.endpoint,
        "reached": !matches!(target.reached, Reached::Failed(_)),
        "tls": target.reached == Reached::Tls,
        "health": health(target.health),
        "descriptors": schema(&target.schema),
        "differences": match &target.schema {
            SchemaReport::Compared(all) => all.iter().map(Difference::to_string).collect(),
            _ => Vec::new(),
        },
    })
}

fn component_document(report: &ComponentReport) -> Value {
    let seen = report.seen.as_ref();
    let nodes = |node: &SightedNode| json!({ "name": node.name.as_str(), "ready": node.ready });
    json!({
        "component": report.component.as_str(),
        "seen": seen.is_some(),
        "replicas": seen.and_then(|seen| seen.replicas),
        "release": seen.and_then(|seen| seen.release.as_deref()),
        "nodes": seen.map(|seen| seen.nodes.iter().map(nodes).collect::<Vec<_>>()).unwrap_or_default(),
    })
}

fn kind(kind: Option<CallKind>) -> &'static str {
    match kind {
        None => "unknown",
        Some(CallKind::Unary) => "unary",
        Some(CallKind::ClientStream) => "client stream",
        Some(CallKind::ServerStream) => "server stream",
        Some(CallKind::Bidirectional) => "bidirectional",
    }
}

fn health(health: Health) -> String {
    super::super::output::health(health.into())
}

/// Of any line; enough for a list of methods.
const LONGEST: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Report {
        let line = |method: &str, mutates, known| MethodLine {
            method: method.parse().unwrap(),
            kind: Some(CallKind::Unary),
            mutates,
            operation: None,
            known,
        };
        Report {
            name: Some("sample".to_owned()),
            methods: vec![
                line("a.B/Get", false, Known::ByPattern),
                line("a.B/Put", true, Known::ByPattern),
                line("grpc.health.v1.Health/Check", false, Known::ByName),
            ],
            unfit: vec!["target default: \u{1b}[31mgone".to_owned()],
            ..Report::default()
        }
    }

    #[test]
    fn methods_stand_under_their_service_with_what_they_are() {
        let text = report(Path::new("p.yaml"), &sample(), Format::Text);
        assert!(
            text.contains("3 methods, 2 read-only:\n  a.B\n    read-only      unary          Get\n"),
            "{text}"
        );
        assert!(text.contains("    mutates        unary          Put\n"), "{text}");
        assert!(text.contains("Check  (by its exact name only)"), "{text}");
    }

    #[test]
    fn methods_of_operations_tell_what_to_ask_for() {
        let profile = crate::engine::profile::testing::profile();
        let report = Report { methods: crate::engine::check::methods(&profile), ..Report::default() };
        let text = report_text(&report);
        for line in [
            "    operation-only unary          Scale  (tunnelctl request scale storage)\n",
            "    task           server stream  Work  (tunnelctl request run compact)\n",
            "    mutates        unary          Set\n",
            "    read-only      unary          Status\n",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
        assert_eq!(document(Path::new("p.yaml"), &report)["methods"][0]["class"], "operation-only");
    }

    fn report_text(of: &Report) -> String {
        report(Path::new("p.yaml"), of, Format::Text)
    }

    #[test]
    fn what_an_engine_says_is_escaped() {
        assert!(!report(Path::new("p.yaml"), &sample(), Format::Text).contains('\u{1b}'));
    }

    #[test]
    fn the_document_has_the_same_facts() {
        let document = document(Path::new("p.yaml"), &sample());
        assert_eq!((&document["exit"], &document["methods"][1]["class"]), (&json!(1), &json!("mutating")));
        assert_eq!(document["methods"][2]["byPattern"], false);
    }
}
