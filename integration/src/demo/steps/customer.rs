//! The customer's side: own keys, own configuration, engine and client; words read out and words typed.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    demo::stage::{BUNDLE, Stage},
    harness::{PATIENCE, wait::until},
};

/// An approver makes a key; the policy names its public half.
pub async fn name_approver(stage: &mut Stage) -> Result<()> {
    stage.told.step("The customer names who may approve", "customer's on-call engineer");
    let made = stage.shell.run(&mut stage.told, "tunnel-certs key approver --out customer/alice.key").await?;
    let line = made.lines().find_map(|line| line.split_once("key: \"")).context("no line for the policy")?.1;
    let key = line.split('"').next().unwrap_or_default();
    stage.client_settings.policy =
        stage.play.policy(&format!("approvers: {{ alice: {{ key: \"{key}\" }} }}\n"));
    stage.told.command("cat customer/policy.yaml");
    stage.told.output(&stage.client_settings.policy);
    stage.told.good("what is not listed is denied");
    Ok(())
}

/// Engine and client start; the client makes its keys, redeems the bundle and dials out.
pub async fn start(stage: &mut Stage) -> Result<()> {
    stage.told.step("The customer starts engine and client", "customer's platform engineer");
    stage.told.command(stage.play.start);
    stage.start_engine().await?;
    let engine = stage.engine_settings.address();
    stage.client_settings.endpoints = vec![("default".to_owned(), format!("http://{engine}"))];
    stage.told.command(&format!("install -m 0600 vendor/{BUNDLE} customer/"));
    fs::copy(stage.path("vendor").join(BUNDLE), stage.path("customer").join(BUNDLE))?;
    stage.told.command("tunnel-client run --config customer/client.yaml &");
    stage.start_client().await?;
    let check = "tunnel-client profile check --config customer/client.yaml --live";
    let printed = stage.shell.quietly(check).await?;
    stage.told.command(check);
    stage.told.output(printed.text.lines().next_back().unwrap_or_default());
    ensure!(printed.status.success(), "the profile does not fit the engine: {}", printed.text);
    stage.told.good(&format!(
        "engine on {engine} (customer only); the client made its keys, none of which leaves it, and dialed out"
    ));
    Ok(())
}

/// The eight words of the registration, which the customer reads out on the telephone.
pub async fn registered(stage: &mut Stage) -> Result<String> {
    let words = until("the client has registered", PATIENCE, || async {
        let view = enrollment(stage).await?;
        let words = view["registrationWords"].as_str().unwrap_or_default();
        ensure!(!words.is_empty(), "{view}");
        Ok::<_, anyhow::Error>(words.to_owned())
    })
    .await?;
    stage.told.command(ENROLLMENT);
    stage.told.output(&stage.shell.quietly(ENROLLMENT).await?.result);
    Ok(words)
}

/// The approver types what the vendor's administrator reads out.
pub async fn confirm(stage: &mut Stage) -> Result<()> {
    stage.told.step("… and eight other words back: the customer confirms", "customer's on-call engineer");
    let words = stage.read_out.take().context("nobody read words out")?;
    until("the entry has arrived", PATIENCE, || async {
        let view = enrollment(stage).await?;
        ensure!(view["entryWaits"] == true, "{view}");
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    stage.told.explain("The client never shows these words: they can only come from who signed.");
    let line = format!(
        "tunnel-client enroll confirm {words} --key customer/alice.key --note 'heard by telephone' \
         --socket customer/run/approvers.sock"
    );
    stage.shell.run(&mut stage.told, &line).await?;
    stage.enrolled = true;
    stage.told.good("requests are taken from now on");
    Ok(())
}

async fn enrollment(stage: &Stage) -> Result<Value> {
    let ran = stage.shell.quietly(&format!("{ENROLLMENT} --output json")).await?;
    serde_json::from_str(&ran.result).with_context(|| ran.text.clone())
}

/// The audit log, shown and verified.
pub async fn audit(stage: &mut Stage) -> Result<()> {
    stage.told.step("Every move is in the customer's audit log", "customer's auditor");
    let show =
        format!("tunnel-client audit show --config customer/client.yaml --grant {}", stage.access()?.grant);
    let shown = stage.shell.run(&mut stage.told, &show).await?;
    for part in ["alice", "says yes", stage.play.write.0.method] {
        ensure!(shown.contains(part), "{part} is missing: {shown}");
    }
    let verify = "tunnel-client audit verify --config customer/client.yaml";
    let whole = stage.shell.run(&mut stage.told, verify).await?;
    ensure!(whole.contains("Whole:"), "not whole: {whole}");
    stage.told.good("each line names the one before by its digest");
    Ok(())
}

/// One page about one grant.
pub async fn receipt(stage: &mut Stage) -> Result<()> {
    stage.told.step("A receipt of it all", "customer's auditor");
    let grant = stage.access()?.grant.clone();
    let line = format!(
        "tunnel-client audit report --config customer/client.yaml --grant {grant} --out customer/receipt.pb"
    );
    let printed = stage.shell.run(&mut stage.told, &line).await?;
    ensure!(printed.contains("alice") && printed.contains("INC-7"), "who approved what for which ticket");
    stage.shell.told(&mut stage.told, "tunnel-client audit verify --config customer/client.yaml").await?;
    stage.told.good("asked, approved by, every call, revoked: and the log still verifies");
    Ok(())
}

/// A request that waits for a person.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its id.
    pub id: String,
    /// Its eight words.
    pub words: String,
}

/// The one request that waits, as the customer sees it.
pub async fn pending(stage: &Stage) -> Result<Pending> {
    let line = "tunnel-client requests --output json --socket customer/run/approvers.sock";
    until("the customer sees the request", PATIENCE, || async {
        let ran = stage.shell.quietly(line).await?;
        let list: Value = serde_json::from_str(&ran.text).with_context(|| ran.text.clone())?;
        let mut requests = list["requests"].as_array().into_iter().flatten();
        let one = requests.find(|one| one["state"] == "pending").context("none pending")?;
        let text = |key: &str| one[key].as_str().map(str::to_owned).with_context(|| format!("no {key}"));
        Ok::<_, anyhow::Error>(Pending { id: text("id")?, words: text("words")? })
    })
    .await
}

/// Everything that an approver must see.
pub async fn show(stage: &mut Stage, pending: &Pending) -> Result<()> {
    let line = format!("tunnel-client show {} --socket customer/run/approvers.sock", pending.id);
    let printed = stage.shell.run(&mut stage.told, &line).await?;
    ensure!(printed.contains(&pending.words), "the words are not shown: {printed}");
    Ok(())
}

/// A plan as the customer is shown it.
#[derive(Debug)]
pub struct Plan {
    /// For people.
    pub text: String,
    /// What a yes names.
    pub digest: String,
}

/// The plan of an operation, once it is made.
pub async fn show_plan(stage: &mut Stage, pending: &Pending) -> Result<Plan> {
    let line = format!("tunnel-client show {} {SOCKET}", pending.id);
    let digest = until("it is planned", PATIENCE, || async {
        let view = json(stage, &line).await?;
        let operation = &view["operation"];
        ensure!(!operation["plan"].is_null(), "{view}");
        Ok::<_, anyhow::Error>(operation["planDigest"].as_str().context("no digest")?.to_owned())
    })
    .await?;
    Ok(Plan { text: stage.shell.run(&mut stage.told, &line).await?, digest })
}

/// The id of the operation that was asked for last.
pub async fn newest_operation(stage: &Stage) -> Result<String> {
    let list = json(stage, &format!("tunnel-client requests --all {SOCKET}")).await?;
    let requests = list["requests"].as_array().into_iter().flatten();
    let operations = requests.filter(|one| one["kind"] == "operation");
    let newest = operations.max_by_key(|one| one["received"].as_i64()).context("no operation")?;
    Ok(newest["id"].as_str().context("no id")?.to_owned())
}

/// What a command of the customer's prints for scripts.
pub async fn json(stage: &Stage, line: &str) -> Result<Value> {
    let text = stage.shell.quietly(&format!("{line} --output json")).await?.result;
    serde_json::from_str(&text).with_context(|| text.clone())
}

/// Alice says yes, by her own key.
pub async fn approve(stage: &mut Stage, pending: &Pending) -> Result<()> {
    let line = yes(pending);
    stage.shell.run(&mut stage.told, &line).await.map(drop)
}

/// The same to an operation, with the plan that she was shown.
pub async fn approve_plan(stage: &mut Stage, pending: &Pending, plan: &Plan) -> Result<()> {
    let line = format!("{} --plan {}", yes(pending), plan.digest);
    stage.shell.run(&mut stage.told, &line).await.map(drop)
}

fn yes(Pending { id, words }: &Pending) -> String {
    format!(
        "tunnel-client approve {id} --key customer/alice.key --note 'go ahead' --yes --words '{words}' {SOCKET}"
    )
}

/// How the customer's people reach the client.
pub const SOCKET: &str = "--socket customer/run/approvers.sock";
const ENROLLMENT: &str = "tunnel-client enroll status --socket customer/run/approvers.sock";
