//! `doctor`: each check in turn; what builds on a broken one is skipped.

use std::net::SocketAddr;

use serde_json::json;
use tunnel_certs::crypto;
use tunnel_protos::{Door, DoorName, Label, UnixMillis, operators::Cluster};
use tunnel_runtime::{
    chain::chain,
    doctor::{Finding, Findings, Verdict, bundle, network},
};

use crate::{
    api::Api,
    app::App,
    cli,
    console::{Format, safe},
    context::{Context, ContextName, Contexts},
    desk::Desk,
    doctor::{papers, tls},
    ending::Ending,
    failure::Failure,
    operator::Operator,
};

pub(super) async fn run(app: &mut App, args: &cli::Doctor) -> Result<Ending, Failure> {
    let (name, context) = Contexts::new(&app.folders.config).load(app.context.as_ref())?;
    let mut doctor = Doctor { app, context: &context, findings: Findings::default() };
    doctor.look().await;
    let findings = doctor.findings;
    match app.console.format() {
        Format::Json => app.console.json(&findings.to_json()),
        Format::Text => app.console.print(findings.to_text(safe).trim_end()),
    }
    if let Some(path) = &args.bundle {
        write(path, &findings, &about(&name, &context, app.clock.now()))?;
        app.console.note(format_args!("{} holds what was found; no key is in it", path.display()));
    }
    Ok(findings.exit().into())
}

/// The checks so far.
struct Doctor<'a> {
    app: &'a mut App,
    context: &'a Context,
    findings: Findings,
}

impl Doctor<'_> {
    async fn look(&mut self) {
        let now = self.app.clock.now();
        let operator = Operator::load(&self.context.identity, now);
        self.tell(papers::identity(self.context, &operator, now));
        self.tell(papers::vendor_keys(&self.context.vendor_keys));
        let set = self.app.proxies.iter().cloned().collect();
        self.tell(network::proxies(&set));
        let shown = match &operator {
            Ok(operator) => self.api(operator).await,
            Err(_) => {
                self.tell(Finding::skipped("api-tls", "TLS with the identity", "there is no identity"));
                None
            }
        };
        self.door(shown.as_deref()).await;
    }

    /// The way to the operators' API, and what it says.
    async fn api(&mut self, operator: &Operator) -> Option<Vec<Cluster>> {
        let address = self.reach(&self.context.api.address.clone()).await;
        let tried = format!("TLS with {} as {}", self.context.api.name, operator.name);
        let Some(address) = address else {
            self.tell(Finding::skipped("api-tls", tried, NO_WAY));
            return None;
        };
        match self.ask(operator).await {
            Ok((seen, date)) => {
                self.tell(Finding::good("api-tls", tried, seen));
                self.tell(papers::clock(self.app.clock.now(), date));
                self.entries(operator).await
            }
            Err(trouble) => {
                let shown = tls::look(address, &self.context.api.name).await;
                self.tell(tls::refused(tried, &trouble, &shown, &self.context.api.name));
                None
            }
        }
    }

    /// The first address of a name that takes connections.
    async fn reach(&mut self, address: &str) -> Option<SocketAddr> {
        let (finding, found) = network::resolve(address).await;
        self.tell(finding);
        for address in found {
            let finding = network::tcp(address).await;
            let open = finding.verdict == Verdict::Good;
            self.tell(finding);
            if open {
                return Some(address);
            }
        }
        None
    }

    /// Who the broker is, and its time.
    async fn ask(&self, operator: &Operator) -> Result<(String, Option<UnixMillis>), String> {
        let api =
            Api::new(&self.context.api, &operator.credential).map_err(|error| chain(&error).to_string())?;
        let (who, date) = api.who_am_i_at().await.map_err(|error| chain(&error).to_string())?;
        if who.suffix != self.context.suffix.as_str() {
            return Err(format!("the broker's suffix is {}, not {}", who.suffix, self.context.suffix));
        }
        Ok((format!("broker {} takes you for {}", who.broker_id, who.operator), date))
    }

    async fn entries(&mut self, operator: &Operator) -> Option<Vec<Cluster>> {
        match self.shown(operator).await {
            Ok((said, desk)) => {
                let now = self.app.clock.now();
                let shown: Vec<_> =
                    said.iter().map(|said| (said.cluster.clone(), desk.entries.accept(said, now))).collect();
                self.tell(papers::inventory(&shown, now));
                Some(said)
            }
            Err(failure) => {
                let seen = chain(&failure).to_string();
                self.tell(Finding::good("entries", "the clusters that the broker shows", seen).bad(STATE));
                None
            }
        }
    }

    async fn shown(&self, operator: &Operator) -> Result<(Vec<Cluster>, Desk), Failure> {
        let api = Api::new(&self.context.api, &operator.credential)?;
        Ok((api.clusters().await?, Desk::open(self.app)?))
    }

    /// The way of a session, by a door that does not exist.
    async fn door(&mut self, shown: Option<&[Cluster]>) {
        let label = shown.and_then(|shown| shown.iter().find_map(|said| said.label.parse().ok()));
        let label = label.unwrap_or_else(|| Label::from_random(crypto::random()));
        let host = DoorName { door: Door::from_random(crypto::random()), label }.host(&self.context.suffix);
        let address = self.context.connect_address.clone().unwrap_or_else(|| format!("{host}:443"));
        let tried = format!("TLS with a door that does not exist, {host}");
        let finding = match self.reach(&address).await {
            Some(address) => tls::door(tried, &tls::look(address, &host).await),
            None => Finding::skipped("door-tls", tried, NO_WAY),
        };
        self.tell(finding);
    }

    fn tell(&mut self, finding: Finding) {
        self.app.console.live(&format!("{}: {}", finding.check, safe(&finding.tried)));
        self.findings.push(finding);
    }
}

/// What this machine is set to; names of files, never their content.
fn about(name: &ContextName, context: &Context, now: UnixMillis) -> String {
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"), "os": std::env::consts::OS, "architecture": std::env::consts::ARCH,
        "timeMs": now.0, "context": name.to_string(), "vendor": context.vendor.as_str(),
        "operator": context.operator.as_str(), "suffix": context.suffix.as_str(), "api": context.api,
        "connectAddress": context.connect_address, "certificateFile": context.identity.certificate,
    });
    format!("{about:#}\n")
}

fn write(path: &std::path::Path, findings: &Findings, about: &str) -> Result<(), Failure> {
    let files = [
        ("doctor.txt", findings.to_text(safe)),
        ("doctor.json", format!("{:#}\n", findings.to_json())),
        ("about.json", about.to_owned()),
    ];
    bundle::write(path, &files).map_err(|source| Failure::Input {
        what: "the file",
        path: path.display().to_string(),
        source: Box::new(source),
    })
}

const NO_WAY: &str = "there is no way to it";
const STATE: &str = "look at the checks above, and at this machine's state folder";
