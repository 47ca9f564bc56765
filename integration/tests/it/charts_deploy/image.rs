//! The static client in an empty root, as an image FROM scratch is one: it resolves a broker's name by DNS and attaches.
//!
//! Needs root, and the binary that `make image-check` builds before it runs this.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::chown,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, FileType, Mode, chmod, makedev, mknodat};
use tokio::{net::UdpSocket, process::Command};
use tunnel_integration::harness::{
    broker::BrokerSettings, client::ClientSettings, command::ended, program::Program, skip::needs_root,
    vendor::Vendor,
};
use tunnel_runtime::tasks::Tasks;

/// What the image's and the charts' programs run as.
const USER: u32 = 65532;
/// Loopback, and nobody else's: port 53 of it is free.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 53, 0, 53);

/// A folder with nothing but the program and what every container gets: names, and random bytes.
struct Root(tempfile::TempDir);

impl Root {
    fn create(program: &Path) -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(root.path("etc")).unwrap();
        fs::copy(program, root.path("tunnel-client")).unwrap();
        fs::write(root.path("etc/resolv.conf"), format!("nameserver {RESOLVER}\n")).unwrap();
        fs::write(root.path("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        fs::create_dir(root.path("dev")).unwrap();
        device(&root.path("dev/random"), 8);
        device(&root.path("dev/urandom"), 9);
        root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(format!("--userspec={USER}:{USER}")).arg(self.0.path()).arg("/tunnel-client").args(words);
        command.env_clear();
        command
    }
}

fn device(path: &Path, minor: u32) {
    let (kind, mode) = (FileType::CharacterDevice, Mode::from_raw_mode(0o666));
    mknodat(CWD, path, kind, mode, makedev(1, minor)).unwrap();
    // What the umask took.
    chmod(path, mode).unwrap();
}

/// Where `tools/static.sh` put it for `make image-check`.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(3).unwrap().join("static/tunnel-client")
}

fn give(folder: &Path) {
    chown(folder, Some(USER), Some(USER)).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { give(&entry) } else { chown(&entry, Some(USER), Some(USER)).unwrap() }
    }
}

#[tokio::test]
#[ignore = "needs root and the static binary: make image-check"]
async fn a_static_client_in_an_empty_root_finds_its_broker_by_dns() {
    if !rustix::process::geteuid().is_root() {
        return needs_root("change its root");
    }
    let root = Root::create(&program());
    let version = ended(root.command(&["--version"])).await.unwrap();
    assert!(version.code == Some(0) && version.stdout.starts_with("tunnel-client "), "{version:?}");

    let (folder, work, tasks) = (tempfile::tempdir().unwrap(), root.path("work"), Tasks::new());
    let resolver = UdpSocket::bind(SocketAddr::from((RESOLVER, 53))).await.unwrap();
    tasks.spawn(tracing::info_span!("resolver"), answer(resolver));
    let vendor = Vendor::create(&folder.path().join("vendor")).unwrap();
    let broker = BrokerSettings::of(&vendor, "b1", &folder.path().join("broker"), Ipv4Addr::LOCALHOST.into());
    let (_broker, listen) = broker.unwrap().spawn(folder.path(), &[]).await.unwrap();
    let name = format!("broker.image.test:{}", listen.quic.port());

    let mut client = ClientSettings::of(&vendor, "acme/prod", &work).unwrap();
    let bundle = vendor.trust_bundle(&[name]).unwrap();
    for (from, to) in [(&bundle, "trust-bundle.pb"), (&vendor.key_file(), "vendor.pub")] {
        fs::copy(from, work.join(to)).unwrap();
    }
    (client.trust_bundle, client.vendor_key) = ("trust-bundle.pb".into(), "vendor.pub".into());
    client.endpoints = vec![("default".to_owned(), "http://127.0.0.1:1".to_owned())];
    client.export_keys(&vendor).await.unwrap();
    give(&work);
    let run = root.command(&["run", "--config", "/work/client.yaml"]);
    let mut program = Program::start("client", run, &folder.path().join("client.log")).unwrap();
    client.attached(&mut program).await.unwrap();
}

/// Answers every question for an IPv4 address with loopback, and all others with nothing.
async fn answer(socket: UdpSocket) {
    let mut question = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut question).await {
        let is_ipv4 = question[..length].ends_with(&[0, 1, 0, 1]);
        // The same id and question; a response without error; one answer or none.
        let mut reply = question[..length].to_vec();
        reply[2..4].copy_from_slice(&[0x81, 0x80]);
        reply[6..12].copy_from_slice(&[0, u8::from(is_ipv4), 0, 0, 0, 0]);
        if is_ipv4 {
            // The question's name, A, IN, 60 s, four bytes.
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        let _ = socket.send_to(&reply, from).await;
    }
}
