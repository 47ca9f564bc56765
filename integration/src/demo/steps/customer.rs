//! The customer's side: own keys, own configuration, engine and client; and the vendor's broker that they dial.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::demo::stage::Stage;

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

/// Engine, broker and client start; the client dials out.
pub async fn start(stage: &mut Stage) -> Result<()> {
    stage.told.step("Engine, broker and client start", "customer's and vendor's networks");
    stage.told.command("reference-engine --data engine/data --h2c 127.0.0.1:0 &");
    stage.start_engine().await?;
    let engine = stage.engine_settings.h2c;
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
    stage.told.command("cat customer/policy.yaml");
    let policy = stage.client_settings.policy.clone();
    stage.told.output(&policy);
    Ok(())
}

/// What the customer sees of the requests.
pub async fn look(stage: &mut Stage) -> Result<()> {
    let line = "tunnel-client requests --socket customer/run/approvers.sock";
    let printed = stage.shell.run(&mut stage.told, line).await?;
    let grant = &stage.access()?.grant;
    let short = grant.get(..8).context("a grant's id")?;
    ensure!(printed.contains(short), "the customer does not see grant {grant}");
    Ok(())
}
