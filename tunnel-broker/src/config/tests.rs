//! The whole configuration, from the shortest file to every error at once.

use tunnel_runtime::config::{ConfigErrors, Sources, load};

use super::*;

const SHORTEST: &str = "
trust: {bundle: /etc/postern/bundle.pb, vendorKeys: [/etc/postern/vendor.pub]}
mesh: {certificate: /etc/postern/broker.pem, key: /etc/postern/broker.key}
api: {certificate: /etc/postern/api.pem, key: /etc/postern/api.key}
stateDir: /var/lib/postern
";

fn read(yaml: &str) -> Result<Config, ConfigErrors> {
    let sources = Sources { file: "broker.yaml".to_owned(), yaml: yaml.to_owned(), ..Default::default() };
    load(&sources).map(|loaded| loaded.config)
}

fn problems(more: &str) -> Vec<String> {
    let errors = read(&format!("{SHORTEST}{more}")).unwrap_err();
    errors.0.into_iter().map(|error| error.key).collect()
}

#[test]
fn the_example_says_every_default() {
    let example = read(include_str!("../../example.yaml")).unwrap();
    let shortest = read(SHORTEST).unwrap();
    assert_eq!(format!("{:?}", example.limits), format!("{:?}", shortest.limits));
    assert_eq!(format!("{:?}", example.enroll), format!("{:?}", shortest.enroll));
    assert_eq!(format!("{:?}", example.listen), format!("{:?}", shortest.listen));
    assert_eq!(
        (format!("{:?}", example.timeouts), example.log),
        (format!("{:?}", shortest.timeouts), shortest.log)
    );
}

#[test]
fn the_shortest_configuration_has_defaults() {
    let config = read(SHORTEST).unwrap();
    assert_eq!(config.timeouts.probe_interval, Duration::from_secs(15));
    assert_eq!(config.listen.quic.port(), 443);
    assert!(config.listen.admin.ip().is_loopback());
    assert!(config.operators.is_empty() && config.entries.is_none() && config.administrators.is_empty());
    assert!(config.enroll.mesh_ca.is_none());
}

#[test]
fn a_broker_with_a_mesh_ca_needs_no_certificate_of_its_own() {
    let without =
        SHORTEST.replace("mesh: {certificate: /etc/postern/broker.pem, key: /etc/postern/broker.key}", "");
    assert!(read(&without).is_err());
    let issuing = "enroll: {meshCa: {certificate: /ca.pem, key: /ca.key}, brokerId: b7, leafLife: 1h}";
    let config = read(&format!("{without}{issuing}")).unwrap();
    assert!(config.mesh.is_none() && config.enroll.mesh_ca.is_some());
    assert_eq!(
        (config.enroll.broker_id.as_str(), config.enroll.leaf_life),
        ("b7", Duration::from_secs(3600))
    );
}

#[test]
fn every_key_can_be_set() {
    let config = read(&format!(
        "{SHORTEST}
listen: {{quic: '127.0.0.1:0', tcp: '127.0.0.1:0', admin: '127.0.0.1:0'}}
entries: /etc/postern/entries
timeouts: {{probeInterval: 2s, drain: 5s}}
log: {{format: json, level: debug}}
operators:
  '*': {{clusters: [acme/*]}}
  robot: {{clusters: ['*']}}
administrators: [alice, root]
limits:
  shards: 3
  connections: {{tunnels: 7, helloTimeout: 3s}}
  sessions: {{perTunnel: 9, idle: 10m}}
  operators: {{held: 11, databaseTimeout: 1s}}
"
    ))
    .unwrap();
    assert_eq!((config.limits.shards, config.listen.tcp.port()), (3, 0));
    assert_eq!(config.limits.connections.tunnels, 7);
    assert_eq!(config.limits.sessions.idle, Duration::from_secs(600));
    assert_eq!(config.limits.operators.held, 11);
    assert_eq!(config.administrators, ["alice".parse().unwrap(), "root".parse().unwrap()]);
    assert_eq!(config.operators["robot"].clusters, [ClusterPattern::All]);
}

#[test]
fn all_errors_are_found_at_once() {
    let found =
        problems("timeouts: {drain: 15}\nnonsense: 1\nlimits: {shards: many, sessions: {idel: 1s}}\n");
    for key in ["timeouts.drain", "limits.shards", "nonsense", "limits.sessions.idel"] {
        assert!(found.iter().any(|place| place == key), "{key} in {found:?}");
    }
}

#[test]
fn values_that_cannot_work_are_refused() {
    assert_eq!(problems("timeouts: {probeInterval: 10ms}"), ["timeouts.probeInterval"]);
    assert_eq!(problems("timeouts: {probeInterval: 1h}"), ["timeouts.probeInterval"]);
    assert_eq!(problems("enroll: {leafLife: 30s}"), ["enroll.leafLife"]);
    assert_eq!(problems("enroll: {leafLife: 8d}"), ["enroll.leafLife"]);
    assert_eq!(problems("enroll: {brokerId: B 1}"), ["enroll.brokerId"]);
    assert_eq!(problems("enroll: {meshCa: {certificate: /ca.pem}}"), ["enroll.meshCa.key"]);
    assert_eq!(problems("operators: {Alice: {clusters: ['*']}}"), ["operators"]);
    assert_eq!(problems("administrators: [Alice]"), ["administrators"]);
    assert!(read(&SHORTEST.replace("[/etc/postern/vendor.pub]", "[]")).is_err());
}
