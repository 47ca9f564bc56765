//! `docs/enroll.md` works: its commands, pasted as they stand, lead from nothing to a call through the tunnel, and
//! through all that comes later.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tunnel_integration::harness::{binaries, grpcurl::Grpcurl, program::Program};

#[tokio::test]
async fn the_enrollment_guide_leads_to_a_call_and_through_what_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("page.sh");
    fs::write(&script, script_of(include_str!("../../../docs/enroll.md"))).unwrap();
    let _group = Group(folder.path().join("group"));
    let reader = reader(folder.path(), &script);
    let mut page = Program::start("bash", reader.into(), &folder.path().join("page.log")).unwrap();
    let read_out = |output: &str| output.contains(END).then(|| output.to_owned());
    let output = page.says("that the page is at its end", DEADLINE, read_out).await.unwrap();
    let (_, answer) = output.rsplit_once("\n{\n").unwrap();
    assert!(answer.contains(r#""healthy": true"#), "{output}");
}

/// The page's commands, each of which must succeed; after them all, a call.
fn script_of(page: &str) -> String {
    let (mut script, mut inside) = (String::from("echo $$ > group\nPATH=$PROGRAMS:$TOOLS:$PATH\n"), false);
    for line in page.lines() {
        match line {
            "```sh main" | "```sh" => inside = true,
            "```" => inside = false,
            "## Later, and when it goes otherwise" => script += LATER,
            _ if inside => script.extend([filled(line).as_str(), "\n"]),
            _ => {}
        }
    }
    script + LAST + "echo '" + END + "'\n"
}

/// What people fill in.
fn filled(line: &str) -> String {
    let fill = |line: String, word: &&str| line.replace(&format!(" {word} "), &format!(" ${word} "));
    ["TOKEN", "LABEL", "REPLICA"].iter().fold(format!("{line} "), fill).trim_end().to_owned()
}

/// A shell in an empty folder, with our programs and free ports, in a process group of its own.
fn reader(folder: &Path, script: &Path) -> Command {
    let (broker, engine) = free_ports();
    let mut shell = Command::new("bash");
    shell.arg("-e").arg(script).current_dir(folder).process_group(0);
    shell.env("SRC", concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    shell.env("BROKER_PORT", broker.to_string()).env("ENGINE_PORT", engine.to_string());
    shell.env("PROGRAMS", programs()).env("TOOLS", tools());
    shell.env_remove("POSTERN_CONTEXT").env_remove("POSTERN_SOCKET");
    shell
}

fn programs() -> PathBuf {
    let names = ["tunnel-certs", "tunnel-broker", "tunnel-client", "tunnelctl", "reference-engine"];
    let paths = names.map(|name| binaries::path(name).unwrap());
    paths[0].parent().unwrap().to_owned()
}

fn tools() -> PathBuf {
    let grpcurl = Grpcurl::find().expect("grpcurl is not installed: run `make tools`");
    grpcurl.path().parent().unwrap().to_owned()
}

/// Two ports below those that the system hands out for port 0, so that no test beside this one takes them meanwhile.
fn free_ports() -> (u16, u16) {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let mut free = (first..32_000).filter(|port| is_free(*port));
    (free.next().unwrap(), free.next().unwrap())
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok()
}

/// The file with the id of the process group that the page's programs are in; they end with it.
struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        let id = fs::read_to_string(&self.0).ok().and_then(|id| id.trim().parse().ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// What the later commands are about: a customer whose bundle somebody else used, and another operator CA.
const LATER: &str = r#"
MADE=$(tunnelctl --output json enroll create other/one --out other.bundle)
TOKEN=$(sed 's/.*"token":"\([^"]*\)".*/\1/' <<< "$MADE") LABEL=$(sed 's/.*"label":"\([^"]*\)".*/\1/' <<< "$MADE")
REPLICA=thief
tunnel-certs ca operator --name initech --out new-ca.pem --key-out new-ca.key
"#;
const LAST: &str = r#"
tunnel-certs rotate status | grep standby
until tunnelctl call acme/prod engine.admin.v1.Admin/GetStatus --reason 'still there'; do sleep 0.2; done
"#;
const END: &str = "the page is at its end";
/// Twelve times what it takes on an idle machine.
const DEADLINE: Duration = Duration::from_secs(240);
