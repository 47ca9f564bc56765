//! An administrator's machine before a broker that keeps what it is told, over real mutual TLS; and the customer's half
//! of an enrollment.

use std::{
    future::pending,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use prost::Message;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tunnel_certs::{
    credential::certificate_to_pem,
    enrollment::{Bundle, Opened},
    file,
    issue::self_signed_api_server,
    key::{Algorithm, SealingKey, Signer, SigningKey},
    statement::{
        inventory::{self, Entry},
        registration::{self, Registration},
    },
};
use tunnel_protos::{Label, v1::Envelope};
use zeroize::Zeroizing;

use super::stage::Done;
use crate::{
    Surroundings,
    surroundings::{Clock, Folders, Terminal},
    testing::{
        Captured, Vendor,
        hall::{Hall, now},
    },
};

/// An administrator's machine, and the broker.
pub(super) struct House {
    pub(super) home: TempDir,
    pub(super) vendor: Vendor,
    pub(super) hall: Hall,
    address: std::net::SocketAddr,
    _tasks: JoinSet<()>,
}

/// The customer's side of one cluster.
pub(super) struct Customer {
    pub(super) key: Arc<SigningKey>,
    sealing: SealingKey,
}

/// A machine that is logged in.
pub(super) async fn house() -> House {
    let mut tasks = JoinSet::new();
    let vendor = Vendor::at(now());
    let hall = Hall::new(&vendor);
    let home = tempfile::tempdir().unwrap();
    let life = Duration::from_secs(3600);
    let server = self_signed_api_server(&"tunnel.example".parse().unwrap(), &[], life, now()).unwrap();
    let address = hall.listen(&server.to_server(), &vendor, &mut tasks).await;
    let house = House { home, vendor, hall, address, _tasks: tasks };
    house.write("api.pem", certificate_to_pem(server.certificate()).as_bytes());
    house.vendor.key.save(&house.path("vendor.key")).unwrap();
    house.write("vendor.pub", house.vendor.key.public().to_pem().as_bytes());
    let operator = house.vendor.operator();
    house.write("op.pem", certificate_to_pem(operator.credential.certificate()).as_bytes());
    operator.credential.key().save(&house.path("op.key")).unwrap();
    house.login("--vendor-key @vendor.pub").await;
    house
}

impl House {
    /// Logs in with these vendor keys pinned.
    pub(super) async fn login(&self, keys: &str) {
        self.done(&format!(
            "login --certificate @op.pem --key @op.key --api-ca @api.pem --api {} --suffix tunnel.example {keys}",
            self.address
        ))
        .await;
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        file::write(&self.path(name), bytes).unwrap();
    }

    /// Runs `tunnelctl`; words that begin with `@` are files of this machine.
    pub(super) async fn run(&self, line: &str) -> Done {
        let (surroundings, out, err) = self.surroundings();
        let ending = crate::run(self.words("tunnelctl", line), surroundings).await;
        Done { ending, out: out.text(), err: err.text() }
    }

    /// Runs `tunnel-certs`.
    pub(super) async fn certs(&self, line: &str) -> Done {
        let (surroundings, out, err) = self.surroundings();
        let ending = crate::certs::run(self.words("tunnel-certs", line), surroundings).await;
        Done { ending, out: out.text(), err: err.text() }
    }

    /// Runs it, and demands that it worked.
    pub(super) async fn done(&self, line: &str) -> Done {
        let done = match line.strip_prefix("tunnel-certs ") {
            Some(rest) => self.certs(rest).await,
            None => self.run(line).await,
        };
        assert_eq!(done.ending.code(), 0, "{line}: {} {}", done.out, done.err);
        done
    }

    fn words(&self, program: &str, line: &str) -> Vec<std::ffi::OsString> {
        let words = line.split_whitespace().map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name).into_os_string(),
            None => word.into(),
        });
        std::iter::once(program.into()).chain(words).collect()
    }

    fn surroundings(&self) -> (Surroundings, Captured, Captured) {
        let (out, err) = (Captured::default(), Captured::default());
        let at = |name: &str| self.home.path().join(name);
        let surroundings = Surroundings {
            folders: Folders { config: at("config"), state: at("state"), runtime: at("runtime") },
            context: None,
            stdin: Box::new(tokio::io::empty()),
            stdout: Box::new(out.clone()),
            stderr: Box::new(err.clone()),
            terminal: Terminal::default(),
            clock: Clock::system(),
            interrupt: Box::pin(pending()),
            prompt: Box::new(|_| Ok(Zeroizing::new("correct horse".into()))),
            proxies: Vec::new(),
        };
        (surroundings, out, err)
    }

    /// The bundle that `enroll create` wrote.
    pub(super) fn bundle(&self, name: &str) -> Opened {
        Bundle::load(&self.path(name)).unwrap()
    }

    /// Publishes an entry of a cluster behind the command line's back.
    pub(super) fn publish(
        &self,
        cluster: &str,
        label: Label,
        customer: &Customer,
        sequence: u64,
    ) -> Envelope {
        let entry = Entry {
            cluster: cluster.parse().unwrap(),
            label,
            cluster_key: customer.key.public().clone(),
            sealing_key: *customer.sealing.public(),
            sequence,
            expires: now().plus(Duration::from_secs(20 * 24 * 3600)),
        };
        let signed = entry.make(&self.vendor.key).unwrap();
        self.hall.books().entries.insert(cluster.into(), signed.clone());
        signed
    }

    /// The entry that the broker has of a cluster.
    pub(super) fn entry(&self, cluster: &str) -> inventory::Opened {
        let signed = self.hall.books().entries[cluster].encode_to_vec();
        inventory::open(&signed, &[self.vendor.key.public().clone()], now()).unwrap()
    }
}

impl Customer {
    pub(super) fn new() -> Self {
        let key = Arc::new(SigningKey::generate(Algorithm::Ed25519).unwrap());
        Self { key, sealing: SealingKey::generate().unwrap() }
    }

    fn registration(&self, label: Label, bundle: Option<&Opened>) -> Registration {
        Registration {
            bundle_sha256: bundle.map(|opened| opened.sha256),
            token: bundle.map(|opened| opened.bundle.token),
            label,
            mesh_csr: SigningKey::generate(Algorithm::P256).unwrap().csr().unwrap(),
            cluster_key: self.key.public().clone(),
            sealing_key: *self.sealing.public(),
            jwks: vec![],
            facts: vec![("version".parse().unwrap(), "0.1.0".parse().unwrap())],
        }
    }

    /// Redeems a bundle; gives the words that the customer reads.
    pub(super) fn redeem(&self, house: &House, bundle: &Opened) -> String {
        let registration = self.registration(bundle.bundle.label, Some(bundle));
        let signed = registration.make(&*self.key).unwrap();
        let mac = bundle.bundle.secret.ends_secret().mac(&signed);
        let words = words(&signed);
        house.hall.books().redeemed.insert(bundle.bundle.token.to_string(), (signed, mac.to_vec()));
        words
    }

    /// Sends new keys over the tunnel, signed by the old ones; gives the words.
    pub(super) fn replace(&self, house: &House, label: Label, old: &Self) -> String {
        let signed = self.registration(label, None).make_replacement(&*self.key, &*old.key).unwrap();
        let words = words(&signed);
        house.hall.books().replacements.insert(label.to_string(), signed);
        words
    }
}

fn words(signed: &Envelope) -> String {
    registration::open(&signed.encode_to_vec()).unwrap().words.to_string()
}

/// Whether anything in a folder holds these bytes.
pub(super) fn anywhere(folder: &Path, needle: &[u8]) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return anywhere(&path, needle);
        }
        std::fs::read(&path).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    })
}
