//! A vendor with a broker that enrolls and an administrator's machine, and the customers that they invite.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tunnel_integration::{
    generated::admin::v1::{GetStatusRequest, admin_client::AdminClient},
    harness::{
        PATIENCE,
        approver_key::ApproverKey,
        broker::{ADMINISTRATOR, BrokerSettings},
        client::ClientSettings,
        command::{Ended, ended, output, run},
        customer::Customer,
        operator::Operator,
        program::{Program, tail},
        tunnelctl::Tunnelctl,
        vendor::Vendor,
        wait::until,
    },
    reference_engine::{Options, ReferenceEngine, Running as Engine},
};
use tunnel_protos::ClusterName;

/// What the policy lets in by itself.
pub(crate) const STATUS: &str = "engine.admin.v1.Admin/GetStatus";

/// The vendor's side, and an engine.
pub(crate) struct Lab {
    pub(crate) vendor: Vendor,
    pub(crate) broker_settings: BrokerSettings,
    pub(crate) broker: Program,
    pub(crate) desk: Tunnelctl,
    pub(crate) key: ApproverKey,
    engine: Engine,
    folder: TempDir,
}

/// A customer's side.
pub(crate) struct Site {
    pub(crate) settings: ClientSettings,
    pub(crate) customer: Customer,
    pub(crate) client: Program,
    pub(crate) key: String,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same with a broker that is configured otherwise.
    pub(crate) async fn start_with(change: impl FnOnce(&mut BrokerSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let vendor = Vendor::create(&place("vendor")).unwrap();
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut broker_settings =
            BrokerSettings::enrolling(&vendor, "b1", &place("broker"), localhost).unwrap();
        "1s".clone_into(&mut broker_settings.probe_interval);
        change(&mut broker_settings);
        let (broker, listen) = broker_settings.spawn(&place("broker"), &[]).await.unwrap();
        broker_settings.listen = listen;
        let engine = ReferenceEngine::build(Options::loopback(place("engine"))).unwrap().spawn().unwrap();
        let desk = Tunnelctl::new(&place("desk"), Vec::new()).unwrap();
        let key = ApproverKey::create(folder.path()).await.unwrap();
        let lab = Self { vendor, broker_settings, broker, desk, key, engine, folder };
        lab.logs_in().await;
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The administrator, with an identity of now and the vendor key as it lies there.
    pub(crate) async fn logs_in(&self) {
        let identity = self.vendor.operator(&ADMINISTRATOR.parse().unwrap()).unwrap();
        self.desk.login(&self.vendor, &identity, self.broker_settings.listen.tcp).await.unwrap();
    }

    /// Types `tunnelctl --output json WORDS` at the administrator's machine, which must succeed; its last document.
    pub(crate) async fn types(&self, words: &[&str]) -> Value {
        let words = [&["--output", "json"], words].concat();
        let printed = run(self.desk.command(&words).unwrap()).await.unwrap();
        serde_json::from_str(printed.lines().last().unwrap_or_default())
            .unwrap_or_else(|_| panic!("{printed}"))
    }

    /// Makes a bundle for `acme/prod`; its file, and its token with its label.
    pub(crate) async fn invites(&self, file: &str, more: &[&str]) -> (PathBuf, Value) {
        let path = self.path(file);
        let out = path.display().to_string();
        let made = self.types(&[&["enroll", "create", "acme/prod", "--out", &out], more].concat()).await;
        (path, made)
    }

    /// A customer with this bundle, whose client is not started.
    pub(crate) fn settings(&self, name: &str, bundle: &Path) -> ClientSettings {
        let mut settings = ClientSettings::of(&self.vendor, "acme/prod", &self.path(name)).unwrap();
        let own = settings.folder.join("enrollment.bundle");
        fs::copy(bundle, &own).unwrap();
        settings.bundle = Some(own);
        settings.endpoints = vec![(
            "default".to_owned(),
            format!("http://{}", self.engine.addresses().h2c.expect("it listens on h2c")),
        )];
        settings.policy = self.key.policy(ACCESS);
        settings
    }

    /// The same, started.
    pub(crate) fn site(&self, name: &str, bundle: &Path) -> Site {
        self.start_site(self.settings(name, bundle))
    }

    pub(crate) fn start_site(&self, settings: ClientSettings) -> Site {
        let client = settings.spawn(&[]).unwrap();
        self.site_of(settings, client)
    }

    pub(crate) fn site_of(&self, settings: ClientSettings, client: Program) -> Site {
        let key = self.key.file.display().to_string();
        Site { customer: Customer::new(&settings.socket()), settings, client, key }
    }

    /// What `tunnelctl enroll confirm` says to these words.
    pub(crate) async fn confirm(&self, words: &str) -> Ended {
        let key = self.vendor.private_key_file().unwrap();
        let mut command = self.desk.command(&["--output", "json", "enroll", "confirm", "acme/prod"]).unwrap();
        command.args(words.split(' ')).arg("--vendor-key").arg(key);
        ended(command).await.unwrap()
    }

    /// Words read out and typed on both sides.
    pub(crate) async fn enrolls(&self, site: &Site) {
        let confirmed = self.confirm(&site.registered().await).await;
        assert_eq!(confirmed.code, Some(0), "{confirmed:?}");
        let said: Value = serde_json::from_str(&confirmed.stdout).unwrap();
        site.confirms(said["words"].as_str().unwrap()).await;
    }

    pub(crate) fn operator(&self, name: &str) -> Operator {
        let name = name.parse().unwrap();
        let identity = self.vendor.operator(&name).unwrap();
        Operator::new(&self.vendor, &identity, &name, self.broker_settings.listen.tcp).unwrap()
    }

    /// Waits until an operator with a fresh identity gets through to the engine.
    pub(crate) async fn is_called(&self) {
        until("a call works", PATIENCE, || async {
            let pass = self.operator("ada").pass(&cluster(), &[STATUS]).await?;
            AdminClient::new(pass.channel()?).get_status(GetStatusRequest {}).await?;
            Ok::<_, anyhow::Error>(())
        })
        .await
        .unwrap();
    }

    /// Starts the broker again at its sockets.
    pub(crate) async fn start_broker(&mut self) {
        self.start_broker_through(&[]).await;
    }

    /// The same, entered through something.
    pub(crate) async fn start_broker_through(&mut self, entry: &[String]) {
        let (broker, _) = self.broker_settings.spawn(&self.path("broker"), entry).await.unwrap();
        self.broker = broker;
    }

    /// Types `tunnel-certs WORDS --vendor-key FILE` at the administrator's machine and waits for its end.
    pub(crate) async fn certs(&self, words: &[&str]) -> Ended {
        let mut command = self.desk.program("tunnel-certs", words).unwrap();
        command.arg("--vendor-key").arg(self.vendor.private_key_file().unwrap());
        output(command, "", JOB).await.unwrap().into()
    }
}

impl Site {
    /// What `tunnel-client enroll status` says.
    pub(crate) async fn status(&self) -> Ended {
        self.customer.run(&["enroll", "status"]).await.unwrap()
    }

    /// The same as JSON, whatever its exit code.
    pub(crate) async fn view(&self) -> Result<Value> {
        let ended = self.customer.run(&["enroll", "status", "--output", "json"]).await?;
        let told = || format!("{}{}", ended.stderr, tail(&self.client.output()));
        serde_json::from_str(&ended.stdout).with_context(told)
    }

    /// Waits for this state.
    pub(crate) async fn becomes(&self, state: &str) -> Value {
        until(&format!("the enrollment is {state}"), PATIENCE, || async {
            let view = self.view().await?;
            ensure!(view["state"] == state, "{view}");
            Ok::<_, anyhow::Error>(view)
        })
        .await
        .unwrap()
    }

    /// The words of the registration, once a broker has it.
    pub(crate) async fn registered(&self) -> String {
        let view = self.becomes("registered").await;
        view["registrationWords"].as_str().unwrap().to_owned()
    }

    /// The approver types what was read out.
    pub(crate) async fn confirms(&self, words: &str) {
        until("the entry arrives", PATIENCE, || async {
            let view = self.view().await?;
            ensure!(view["entryWaits"] == true, "{view}");
            Ok::<_, anyhow::Error>(())
        })
        .await
        .unwrap();
        let typed: Vec<&str> = ["enroll", "confirm"].into_iter().chain(words.split(' ')).collect();
        let ended = self.customer.run(&[&typed[..], &["--key", &self.key]].concat()).await.unwrap();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    /// What `tunnel-client status` says.
    pub(crate) async fn says(&self) -> Result<Value> {
        let ended = self.customer.run(&["status", "--output", "json"]).await?;
        serde_json::from_str(&ended.stdout).with_context(|| ended.stderr)
    }

    /// New keys in place of the cluster's, with words on both sides.
    pub(crate) async fn rotates_keys(&self, lab: &Lab) {
        let rotated: Value = self.customer.told(&["keys", "rotate"], 4).await.unwrap();
        let confirmed = until("the vendor has the next keys", PATIENCE, || async {
            let ended = lab.confirm(rotated["registrationWords"].as_str().unwrap_or_default()).await;
            if ended.code == Some(0) { Ok(ended) } else { Err(ended.stderr) }
        })
        .await
        .unwrap();
        let words: Value = serde_json::from_str(&confirmed.stdout).unwrap();
        self.confirms(words["words"].as_str().unwrap()).await;
        assert_eq!(self.status().await.code, Some(0));
    }

    /// Starts the client again, as it is configured now.
    pub(crate) fn restarts(&mut self) {
        self.client = self.settings.spawn(&[]).unwrap();
    }
}

pub(crate) fn cluster() -> ClusterName {
    "acme/prod".parse().unwrap()
}

/// For a rotation, which waits for every replica.
const JOB: Duration = Duration::from_secs(120);
pub(crate) const ACCESS: &str =
    "  - methods: [\"engine.admin.v1.Admin/*\", \"engine.admin.v1.Faults/*\"]\n    approval: auto\n";
