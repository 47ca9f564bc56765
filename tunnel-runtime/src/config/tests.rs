use std::{net::SocketAddr, path::PathBuf};

use super::*;

#[derive(Debug, PartialEq)]
struct Config {
    name: String,
    listen: SocketAddr,
    idle: Span,
    quic: Quic,
    targets: BTreeMap<String, Target>,
    roots: Vec<PathBuf>,
    state: PathBuf,
    policy: Option<PathBuf>,
    password: Option<Secret>,
    fallback: Option<Target>,
}

#[derive(Debug, PartialEq)]
struct Quic {
    max_streams: u32,
}

#[derive(Debug, PartialEq)]
struct Target {
    address: String,
}

impl FromSection for Config {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (name, listen) = (section.required("name"), section.required("listen"));
        let idle = section.or("idle", Span::seconds(30));
        let (quic, targets) = (section.section("quic"), section.named("targets"));
        let (roots, state) = (section.paths("roots"), section.path_or("state", "/var/lib/state"));
        let policy = section.optional_path("policy");
        let (password, fallback) = (section.optional("password"), section.optional_section("fallback"));
        Some(Self {
            name: name?,
            listen: listen?,
            idle: idle?,
            quic: quic?,
            targets: targets?,
            roots: roots?,
            state: state?,
            policy: policy?,
            password: password?,
            fallback: fallback?,
        })
    }
}

impl FromSection for Quic {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let max_streams: u32 = section.or("maxStreams", 100)?;
        if max_streams == 0 {
            return section.reject("maxStreams", "is at least 1");
        }
        Some(Self { max_streams })
    }
}

impl FromSection for Target {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        Some(Self { address: section.required("address")? })
    }
}

const MINIMAL: &str = "name: broker\nlisten: 127.0.0.1:443\n";

fn sources(yaml: &str, environment: &[(&str, &str)]) -> Sources {
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Sources { file: "postern.yaml".into(), yaml: yaml.into(), environment }
}

fn read(yaml: &str, environment: &[(&str, &str)]) -> Config {
    load(&sources(yaml, environment)).unwrap().config
}

fn errors(yaml: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let errors = load::<Config>(&sources(yaml, environment)).unwrap_err();
    errors.0.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_not_said_has_its_default() {
    let config = read(MINIMAL, &[]);
    assert_eq!((config.idle, config.quic.max_streams), (Span::seconds(30), 100));
    assert!(config.targets.is_empty() && config.password.is_none() && config.fallback.is_none());
}

#[test]
fn an_unknown_key_fails_with_its_line_and_column() {
    let yaml = format!("{MINIMAL}quic:\n  maxStreams: 5\n  maxStream: 6\n");
    let unknown = "postern.yaml:5:3: quic.maxStream: unknown key; known here: maxStreams";
    assert_eq!(errors(&yaml, &[]), [unknown]);
}

#[test]
fn the_environment_overrides_every_key() {
    let yaml = format!("{MINIMAL}idle: 5s\ntargets: {{main-1: {{address: b}}}}\n");
    let config = read(
        &yaml,
        &[
            ("POSTERN_IDLE", "7s"),
            ("POSTERN_QUIC_MAX_STREAMS", "9"),
            ("POSTERN_TARGETS_MAIN_1_ADDRESS", "z"),
            ("POSTERN_ROOTS", "/a, /b"),
            ("POSTERN_FALLBACK_ADDRESS", "f"),
        ],
    );
    assert_eq!((config.idle, config.quic.max_streams), (Span::seconds(7), 9));
    assert_eq!(config.targets["main-1"].address, "z");
    assert_eq!(config.roots, ["/a", "/b"].map(PathBuf::from));
    assert_eq!(config.fallback, Some(Target { address: "f".into() }));
}

#[test]
fn relative_paths_start_at_the_files_folder() {
    let yaml = format!("{MINIMAL}roots: [a, /b]\npolicy: policy.yaml\n");
    let mut sources = sources(&yaml, &[("POSTERN_STATE", "state")]);
    sources.file = "/etc/postern/postern.yaml".to_owned();
    let config = load::<Config>(&sources).unwrap().config;
    assert_eq!(config.roots, ["/etc/postern/a", "/b"].map(PathBuf::from));
    assert_eq!(config.state, PathBuf::from("/etc/postern/state"));
    assert_eq!(config.policy, Some("/etc/postern/policy.yaml".into()));
}

#[test]
fn every_error_is_told_at_once() {
    let yaml = "listen: nowhere\nidle: 30\nquic: {maxStreams: 0}\ntargets: []\nextra: 1\n";
    let told = errors(yaml, &[("POSTERN_ROOTS", "/x")]);
    let expected = [
        "postern.yaml: name: is missing",
        "postern.yaml:1:9: listen: invalid socket address syntax",
        "postern.yaml:2:7: idle: not a duration with a unit, like 500ms, 30s, 15m, 24h or 7d",
        "postern.yaml:3:20: quic.maxStreams: is at least 1",
        "postern.yaml:4:10: targets: takes a mapping",
        "postern.yaml:5:1: extra: unknown key; known here: fallback, idle, listen, name, password, policy, quic, roots, state, targets",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_wrong_variable_is_named() {
    let told = errors(MINIMAL, &[("POSTERN_QUIC_MAX_STREAMS", "many"), ("POSTERN_LISTEN", "x")]);
    assert_eq!(told[0], "POSTERN_LISTEN: listen: invalid socket address syntax");
    assert_eq!(told[1], "POSTERN_QUIC_MAX_STREAMS: quic.maxStreams: invalid digit found in string");
}

#[test]
fn scalars_stay_as_they_were_written() {
    for name in ["0755", "1e3", "1e999", "no", "true", "0x1f", "1_000", ".inf", "22222e7222"] {
        assert_eq!(read(&format!("name: {name}\nlisten: 127.0.0.1:1\n"), &[]).name, name);
    }
    assert_eq!(read("name: '007'\nlisten: 127.0.0.1:1\n", &[]).name, "007");
}

#[test]
fn malformed_yaml_fails_with_its_place() {
    assert!(errors("name: [\n", &[])[0].starts_with("postern.yaml:"));
    assert!(errors("- a\n", &[])[0].contains("not a mapping"));
    assert!(errors("name: a\nname: b\n", &[])[0].starts_with("postern.yaml:2:1"));
}

#[test]
fn an_empty_file_lets_the_environment_say_all() {
    for yaml in ["", "# nothing\n", "---\n"] {
        let config = read(yaml, &[("POSTERN_NAME", "a"), ("POSTERN_LISTEN", "[::1]:1")]);
        assert_eq!(config.name, "a");
    }
}

#[test]
fn the_effective_configuration_reads_back_and_hides_secrets() {
    let yaml = format!("{MINIMAL}password: hunter2\ntargets: {{a: {{address: 'x: y'}}}}\nroots: [/r]\n");
    let loaded = load::<Config>(&sources(&yaml, &[])).unwrap();
    assert!(!loaded.effective.contains("hunter2"), "{}", loaded.effective);
    let again = read(&loaded.effective, &[("POSTERN_PASSWORD", "hunter2")]);
    assert_eq!(again, loaded.config);
}

#[test]
fn variables_that_name_no_key_are_told() {
    let sources = sources(
        MINIMAL,
        &[("POSTERN_IDEL", "1s"), ("POSTERN_IDLE", "1s"), (FILE_VARIABLE, "/x"), ("PATH", "/bin")],
    );
    assert_eq!(load::<Config>(&sources).unwrap().unused_environment, ["POSTERN_IDEL"]);
}

#[derive(Debug, PartialEq)]
struct Modes {
    restart: Option<Mode>,
    tasks: BTreeMap<String, Mode>,
    listed: bool,
}

#[derive(Debug, PartialEq)]
struct Mode(String);

impl FromSection for Modes {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let listed = section.has("tasks");
        let (restart, tasks) =
            (section.section_or_value("restart", "mode"), section.named_or_value("tasks", "mode"));
        Some(Self { restart: restart?, tasks: tasks?, listed })
    }
}

impl FromSection for Mode {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        section.required("mode").map(Self)
    }
}

#[test]
fn a_single_value_is_short_for_a_section() {
    let read =
        |yaml: &str| load::<Modes>(&Sources { file: "f".into(), yaml: yaml.into(), ..Sources::default() });
    let mode = |text: &str| Mode(text.to_owned());
    let modes = read("restart: auto\ntasks: { compact: auto, reindex: { mode: deny } }").unwrap().config;
    assert_eq!(modes.restart, Some(mode("auto")));
    assert_eq!(modes.tasks["reindex"], mode("deny"));
    let absent = read("").unwrap().config;
    assert_eq!(absent, Modes { restart: None, tasks: BTreeMap::new(), listed: false });
    let error = read("restart: [auto]\ntasks: { compact: { other: 1 } }").unwrap_err().to_string();
    assert!(error.contains("f:1:10") && error.contains("tasks.compact.other"), "{error}");
}
