//! Operations: what the operator asks for, what the customer is shown, and what comes of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use data_encoding::HEXLOWER;
use serde_json::Value;
use tokio::{process::Child, time::timeout};
use tunnel_certs::crypto::sha256;

use super::customer::{self, Pending, SOCKET};
use crate::demo::stage::Stage;

/// What belongs to an operation is not called by hand.
pub async fn by_hand(stage: &mut Stage) -> Result<()> {
    stage.told.step("What operations do is not called by hand", "operator → customer's policy");
    let line =
        "tunnelctl connect acme/prod --method engine.admin.v1.Admin/Scale --reason 'more load' --wait 10s";
    let said = stage.shell.refused(&mut stage.told, line).await?;
    ensure!(said.contains("tunnelctl request scale storage"), "it does not say what to use: {said}");
    stage.told.good("refused, with the command to use");
    Ok(())
}

/// Within the policy's limits: nobody is asked.
pub async fn scale(stage: &mut Stage) -> Result<()> {
    stage.told.step("Scale: within the policy's limits, so it takes nobody", "operator ↔ customer's client");
    stage.told.explain(
        "The operator says what it expects to find. The client plans on its own side, decides by the policy, runs\n\
         each step and waits until the engine is well:",
    );
    let line = "tunnelctl request scale acme/prod storage --expect 3 --replicas 4 --reason 'more load' --ticket INC-7";
    let done = run(stage, line).await?;
    ensure!(done.contains("succeeded"), "it does not say how it ended: {done}");
    healthy(stage, "\"replicas\": 4").await?;
    stage.told.explain("The same again expects what is not there any more:");
    let said = stage.shell.refused(&mut stage.told, line).await?;
    ensure!(said.contains("denied") && said.contains('4'), "it does not say what was found: {said}");
    stage.told.explain("And --dry-run stops at the plan:");
    let far =
        "tunnelctl request scale acme/prod storage --expect 4 --replicas 5 --reason 'more load' --dry-run";
    let plan = stage.shell.run(&mut stage.told, far).await?;
    ensure!(plan.contains("from 4 to 5 replicas"), "the plan is not shown: {plan}");
    healthy(stage, "\"replicas\": 4").await?;
    stage.told.good("planned, decided, done and healthy");
    Ok(())
}

/// A signed release, approved by a person, node by node.
pub async fn upgrade(stage: &mut Stage) -> Result<()> {
    stage.told.step("A release, signed by two people", "vendor's release engineers");
    sign(stage, "1.1.0", 2).await?;
    stage.told.step(
        "Upgrade: the customer reads the plan, says yes, and it goes node by node",
        "operator ↔ customer",
    );
    let said = asked(stage, &upgrade_line("1.1.0")).await?;
    ensure!(said.success, "the upgrade failed: {}", said.text);
    ensure!(said.plan.contains("storage-2") && said.plan.contains("1.1.0"), "not the plan: {}", said.plan);
    stage.told.good("each node was ready and well before the next one began");
    Ok(())
}

/// A release that never becomes ready.
pub async fn broken_upgrade(stage: &mut Stage) -> Result<()> {
    stage.told.step("An upgrade whose health gate fails takes itself back", "operator ↔ customer");
    sign(stage, "1.2.0-broken", 3).await?;
    let said =
        asked(stage, &upgrade_line("1.2.0-broken").replace("--expect 1.0.0", "--expect 1.1.0")).await?;
    ensure!(!said.success, "a broken release was brought: {}", said.text);
    let status = healthy(stage, "1.1.0").await?;
    ensure!(!status.contains("broken"), "not taken back: {status}");
    stage.told.good("the first node went there and back, the others were never touched, the engine is well");
    Ok(())
}

/// A task with its progress.
pub async fn compact(stage: &mut Stage) -> Result<()> {
    stage.told.step("A compaction, with its progress", "operator ↔ customer's client");
    let line = "tunnelctl request run acme/prod compact --arg pauseMillis=200 --reason 'the log grows' --ticket INC-7";
    let done = run(stage, line).await?;
    ensure!(done.contains("done 4 of 4") && done.contains("succeeded"), "no progress, or no end: {done}");
    stage.told.good("shard by shard, as the engine counts");
    Ok(())
}

/// A debug bundle: previewed, collected, looked at, released, fetched.
pub async fn bundle(stage: &mut Stage) -> Result<()> {
    stage.told.step("A debug bundle: the customer sees what would leave", "operator ↔ customer");
    let line = "tunnelctl request debug acme/prod status engine --reason 'why is it slow' --ticket INC-7";
    let said = asked(stage, line).await?;
    ensure!(said.success, "no bundle: {}", said.text);
    ensure!(said.plan.contains("uptime_millis"), "the fields are not shown: {}", said.plan);
    stage.told.step("The bundle stays with the customer until somebody lets it go", "customer's engineer");
    let id = said.id;
    let get = format!("tunnelctl bundle get {id} -o operator/bundle.tar.zst");
    let said = stage.shell.refused(&mut stage.told, &get).await?;
    ensure!(said.contains("not released"), "it does not say why: {said}");
    let list = format!("tunnel-client bundle list {id} {SOCKET}");
    stage.shell.run(&mut stage.told, &list).await?;
    let made = customer::json(stage, &list).await?;
    let text = |value: &Value| value.as_str().map(str::to_owned).with_context(|| made.to_string());
    let (file, digest) = (text(&made["files"][0]["path"])?, text(&made["sha256"])?);
    let read = format!("tunnel-client bundle read {id} {file} {SOCKET}");
    let content = stage.shell.run(&mut stage.told, &read).await?;
    ensure!(!content.trim().is_empty(), "nothing to look at in {file}");
    let release = format!(
        "tunnel-client bundle release {id} --yes --digest {digest} --key customer/alice.key --note 'go ahead' {SOCKET}"
    );
    stage.shell.run(&mut stage.told, &release).await?;
    stage.shell.run(&mut stage.told, &get).await?;
    let archive = std::fs::read(stage.path("operator/bundle.tar.zst"))?;
    ensure!(HEXLOWER.encode(&sha256(&archive)) == digest, "not the bundle that was released");
    let log = stage.shell.quietly("tunnel-client audit export --config customer/client.yaml").await?.result;
    ensure!(log.contains(&digest), "the digest is not in the audit log");
    let bytes = zstd::decode_all(&*archive)?;
    for secret in crate::reference_engine::MADE_UP_SECRETS {
        ensure!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} left");
    }
    stage.told.good("the digest is the one in the customer's audit log; nothing unlisted left");
    Ok(())
}

/// The audit log of the operations.
pub async fn audit(stage: &mut Stage) -> Result<()> {
    stage.told.step("Every step is in the customer's audit log", "customer's auditor");
    for id in stage.operations.clone() {
        let show = format!("tunnel-client audit show --config customer/client.yaml --grant {id}");
        let shown = stage.shell.run(&mut stage.told, &show).await?;
        ensure!(shown.contains("planned: ") && shown.contains("step 1: "), "no plan or no step: {shown}");
    }
    let verify = "tunnel-client audit verify --config customer/client.yaml";
    let whole = stage.shell.run(&mut stage.told, verify).await?;
    ensure!(whole.contains("Whole:"), "not whole: {whole}");
    stage.told.good("plan, decision, each step and each gate, in one chain");
    Ok(())
}

/// A page about each.
pub async fn receipts(stage: &mut Stage) -> Result<()> {
    stage.told.step("A receipt of each", "customer's auditor");
    for (number, id) in stage.operations.clone().into_iter().enumerate() {
        let line = format!(
            "tunnel-client audit report --config customer/client.yaml --grant {id} --out customer/receipt-{number}.pb"
        );
        let printed = stage.shell.run(&mut stage.told, &line).await?;
        for part in ["INC-7", "planned: ", "step 1: "] {
            ensure!(printed.contains(part), "{part} is missing: {printed}");
        }
    }
    stage.told.good("asked, planned, approved by, each step and its end");
    Ok(())
}

/// Asks for what the policy decides by itself, and waits for its good end.
async fn run(stage: &mut Stage, line: &str) -> Result<String> {
    let said = stage.shell.run(&mut stage.told, line).await?;
    let id = customer::newest_operation(stage).await?;
    stage.operations.push(id);
    Ok(said)
}

/// The engine's status, which must say that it is well, and `part`.
async fn healthy(stage: &Stage, part: &str) -> Result<String> {
    let call = "tunnelctl call acme/prod engine.admin.v1.Admin/GetStatus -d '{}' --reason 'look at it' --wait 10s \
                --protoset customer/reference-engine.protoset";
    let status = stage.shell.quietly(call).await?;
    ensure!(status.status.success(), "no status: {}", status.text);
    ensure!(status.text.contains("\"healthy\": true"), "the engine is not well: {}", status.text);
    ensure!(status.text.contains(part), "{part} is missing: {}", status.text);
    Ok(status.text)
}

/// How an operation that needed a person ended.
struct Said {
    id: String,
    plan: String,
    text: String,
    success: bool,
}

/// Asks for what needs a person; Alice reads the plan and says yes; the operator's command waits to the end.
async fn asked(stage: &mut Stage, line: &str) -> Result<Said> {
    let command = stage.shell.start(&mut stage.told, line)?;
    let pending = customer::pending(stage).await?;
    let plan = customer::show_plan(stage, &pending).await?;
    customer::approve_plan(stage, &pending, &plan).await?;
    let (text, success) = ended(command).await?;
    stage.told.explain("The operator's waiting command says:");
    stage.told.output(&text);
    let Pending { id, .. } = pending;
    stage.operations.push(id.clone());
    Ok(Said { id, plan: plan.text, text, success })
}

async fn ended(command: Child) -> Result<(String, bool)> {
    let output = timeout(LIMIT, command.wait_with_output()).await.context("the operator still waits")??;
    let text = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    Ok((text.into_owned(), output.status.success()))
}

async fn sign(stage: &mut Stage, name: &str, seq: u32) -> Result<()> {
    let digest = "7".repeat(64);
    let sign = format!(
        "tunnel-certs release sign --product initech-db --component storage --name {name} --seq {seq} \
         --image engine=registry.example/engine@sha256:{digest} --key vendor/release-1.key --out vendor/{name}.half"
    );
    stage.shell.told(&mut stage.told, &sign).await?;
    let add = format!(
        "tunnel-certs release add-signature vendor/{name}.half --key vendor/release-2.key --out vendor/{name}.release"
    );
    stage.shell.run(&mut stage.told, &add).await?;
    Ok(())
}

fn upgrade_line(name: &str) -> String {
    format!(
        "tunnelctl request upgrade acme/prod --release vendor/{name}.release --expect 1.0.0 --soak 300ms \
         --reason 'fixes INC-7' --ticket INC-7"
    )
}

/// Far beyond what any of it takes.
const LIMIT: Duration = Duration::from_secs(60);
