//! The customer's own side: whether the policy can be read, and whether the engine is what the profile says.

use std::{fmt::Write as _, path::Path, sync::Arc, time::Duration};

use tokio::time::timeout;
use tunnel_protos::v1::Health;
use tunnel_runtime::{chain, doctor::Finding};

use crate::{
    config::Config,
    engine::{
        Profile,
        check::{self, Reached, Report, Scope},
        profile::Authorization,
    },
    policy::{Methods, Policy},
};

/// What was found.
pub(super) struct Customer {
    pub(super) findings: Vec<Finding>,
    /// Of the policy; none without a good one.
    pub(super) digest: Option<String>,
}

impl Customer {
    pub(super) async fn look(config: &Config) -> Self {
        let profile = Profile::load(&config.profile).ok();
        let (policy, digest) = policy(config.policy.as_deref(), profile.as_ref());
        let engine = engine(&config.profile).await;
        Self { findings: vec![policy, engine], digest }
    }
}

fn policy(file: Option<&Path>, profile: Option<&Profile>) -> (Finding, Option<String>) {
    let Some(file) = file else {
        let finding = Finding::good(POLICY, "the configuration", "it names none, so everything is denied");
        return (finding.doubtful("set `policy`"), None);
    };
    let tried = file.display().to_string();
    let finding = |seen: String| Finding::good(POLICY, tried.clone(), seen);
    let methods = profile.map(Methods::of).unwrap_or_default();
    let read = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let loaded = read.and_then(|text| {
        Policy::load_named(&tried, &text, Arc::new(methods)).map_err(|error| chain(&error).to_string())
    });
    match loaded {
        Err(error) => (finding(lines(&error)).bad(MEND_POLICY), None),
        Ok(policy) => (judge(&policy, finding), Some(policy.digest().to_owned())),
    }
}

fn judge(policy: &Policy, finding: impl Fn(String) -> Finding) -> Finding {
    let (rules, approvers) = (policy.access().len(), policy.approvers().iter().count());
    let seen = format!("preset {}, {rules} rules, {approvers} approvers", policy.preset());
    let warnings: Vec<_> = policy.warnings().iter().map(ToString::to_string).collect();
    if warnings.is_empty() {
        return finding(seen);
    }
    finding(format!("{seen}; {}", shown(&warnings))).doubtful("tunnel-client policy check shows each")
}

async fn engine(file: &Path) -> Finding {
    let finding = |seen: String| Finding::good(PROFILE, file.display().to_string(), seen);
    let Ok(report) = timeout(DEADLINE, check::run(file, Scope::Live)).await else {
        let seen = format!("the engine was not looked through within {} s", DEADLINE.as_secs());
        return finding(seen).bad(LIVE);
    };
    let problems: Vec<_> = report.broken.iter().chain(&report.unfit).map(|text| lines(text)).collect();
    if problems.is_empty() {
        return finding(well(&report));
    }
    let mask = check::open(file).map(|engine| Mask::of(engine.profile())).unwrap_or_default();
    finding(mask.over(&shown(&problems))).bad(if report.broken.is_empty() { LIVE } else { FILES })
}

/// Each target in a few words.
fn well(report: &Report) -> String {
    let targets = report.targets.iter().map(|target| {
        let how = if target.reached == Reached::Tls { "TLS" } else { "in the clear" };
        let health = if target.health == Health::Serving { "serving" } else { "health unknown" };
        format!("{} at {}: {how}, {health}", target.target, target.endpoint)
    });
    let targets: Vec<_> = targets.collect();
    format!("{}; {}", report.name.clone().unwrap_or_default(), shown(&targets))
}

/// An engine may repeat our credential in what it says of it.
#[derive(Default)]
struct Mask(Vec<String>);

impl Mask {
    fn of(profile: &Profile) -> Self {
        let Some(Authorization::Bearer(path) | Authorization::Basic(path)) =
            &profile.credentials().authorization
        else {
            return Self::default();
        };
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let whole = text.trim().to_owned();
        let password = whole.split_once(':').map(|(_, password)| password.to_owned());
        let encoded = data_encoding::BASE64.encode(whole.as_bytes());
        Self([whole, encoded].into_iter().chain(password).filter(|secret| !secret.is_empty()).collect())
    }

    fn over(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

/// A few, and how many more.
fn shown(texts: &[String]) -> String {
    let mut shown = texts.iter().take(MOST).cloned().collect::<Vec<_>>().join("; ");
    if let Some(more) = texts.len().checked_sub(MOST).filter(|more| *more > 0) {
        let _infallible = write!(shown, "; and {more} more");
    }
    shown
}

fn lines(text: &str) -> String {
    text.trim_end().replace('\n', "; ")
}

const POLICY: &str = "policy";
const PROFILE: &str = "profile";
/// Within what a person waits, and beside the brokers.
const DEADLINE: Duration = Duration::from_secs(30);
/// More say nothing more.
const MOST: usize = 5;
const MEND_POLICY: &str =
    "`tunnel-client policy check` shows every place; until it is mended, a start denies everything";
const FILES: &str =
    "`tunnel-client profile check` shows all of it; mend the profile or the files that it names";
const LIVE: &str = "`tunnel-client profile check --live` shows all of it; is the engine up, and are address and credentials right?";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_that_an_engine_repeats_is_masked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.yaml");
        std::fs::write(folder.path().join("pair"), "me:hunter2\n").unwrap();
        let text = "{ name: own, endpoints: { default: 'https://127.0.0.1:1' }, \
                    credentials: { tls: { ca: ca.pem }, basicFile: pair } }";
        std::fs::write(&path, text).unwrap();
        let mask = Mask::of(&Profile::load(&path).unwrap());
        let said = "bad password hunter2, or me:hunter2, or Basic bWU6aHVudGVyMg==";
        assert_eq!(mask.over(said), "bad password ***, or ***, or Basic ***");
        assert_eq!(Mask::default().over(said), said);
    }

    #[test]
    fn long_lists_end() {
        let texts: Vec<_> = (0..7).map(|each| each.to_string()).collect();
        assert_eq!(shown(&texts), "0; 1; 2; 3; 4; and 2 more");
        assert_eq!(shown(&texts[..5]), "0; 1; 2; 3; 4");
    }
}
