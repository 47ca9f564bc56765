//! The customer's side: own keys, own configuration, engine and client; and the vendor's broker that they dial.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    demo::stage::Stage,
    harness::{PATIENCE, wait::until},
};

/// The customer makes its keys; the vendor certifies their public halves.
pub async fn register(stage: &mut Stage) -> Result<()> {
    stage.told.step("The customer makes its own keys", "customer's platform engineer");
    stage.told.explain(
        "No private key leaves the customer. Eight words, read out on the telephone, tie the exported public keys\n\
         to this customer.",
    );
    stage.client_settings.write()?;
    let export = "tunnel-client keys export --config customer/client.yaml --out customer/registration.pb";
    let printed = stage.shell.run(&mut stage.told, export).await?;
    super::vendor::certify(stage, &printed).await
}

/// An approver makes a key; the policy names its public half.
pub async fn name_approver(stage: &mut Stage) -> Result<()> {
    stage.told.step("The customer names who may approve", "customer's on-call engineer");
    let made = stage.shell.run(&mut stage.told, "tunnel-certs key approver --out customer/alice.key").await?;
    let line = made.lines().find_map(|line| line.split_once("key: \"")).context("no line for the policy")?.1;
    let key = line.split('"').next().unwrap_or_default();
    let access = stage.play.access;
    stage.client_settings.policy =
        format!("version: 1\napprovers: {{ alice: {{ key: \"{key}\" }} }}\naccess:\n{access}");
    stage.told.command("cat customer/policy.yaml");
    stage.told.output(&stage.client_settings.policy);
    stage.told.good("what is not listed is denied");
    Ok(())
}

/// Engine, broker and client start; the client dials out.
pub async fn start(stage: &mut Stage) -> Result<()> {
    stage.told.step("Engine, broker and client start", "customer's and vendor's networks");
    stage.told.command(stage.play.start);
    stage.start_engine().await?;
    let engine = stage.engine_settings.address();
    stage.told.command("tunnel-broker --config broker/broker.yaml &");
    let entry = format!("{}.pb", stage.client_settings.label);
    fs::copy(stage.path("customer/entry.pb"), stage.broker_settings.entries.join(entry))?;
    stage.start_broker().await?;
    let listen = stage.broker_settings.listen;
    stage.client_settings.brokers = vec![listen.quic];
    stage.client_settings.endpoints = vec![("default".to_owned(), format!("http://{engine}"))];
    stage.told.command("tunnel-client run --config customer/client.yaml &");
    stage.start_client().await?;
    stage.told.good(&format!(
        "engine on {engine} (customer only); broker on {} (UDP) and {} (TCP); the client dialed out",
        listen.quic, listen.tcp
    ));
    let check = "tunnel-client profile check --config customer/client.yaml --live";
    let printed = stage.shell.quietly(check).await?;
    stage.told.command(check);
    stage.told.output(printed.text.lines().next_back().unwrap_or_default());
    ensure!(printed.status.success(), "the profile does not fit the engine: {}", printed.text);
    Ok(())
}

/// The audit log, shown and verified.
pub async fn audit(stage: &mut Stage) -> Result<()> {
    stage.told.step("Every move is in the customer's audit log", "customer's auditor");
    let show =
        format!("tunnel-client audit show --config customer/client.yaml --grant {}", stage.access()?.grant);
    stage.shell.run(&mut stage.told, &show).await?;
    stage.shell.run(&mut stage.told, "tunnel-client audit verify --config customer/client.yaml").await?;
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

/// Alice says yes, by her own key.
pub async fn approve(stage: &mut Stage, pending: &Pending) -> Result<()> {
    let Pending { id, words } = pending;
    let line = format!(
        "tunnel-client approve {id} --key customer/alice.key --note 'go ahead' --yes --words '{words}' \
         --socket customer/run/approvers.sock"
    );
    stage.shell.run(&mut stage.told, &line).await.map(drop)
}
