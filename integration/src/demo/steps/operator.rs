//! The operator's side: log in, be refused, ask, get a certificate.

use std::{fs, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use rustls_pki_types::ServerName;
use tokio::{io::AsyncReadExt, process::Child, time::timeout};
use tunnel_certs::{credential::certificates_from_pem, crypto::random};
use tunnel_protos::Door;

use crate::{
    demo::stage::{Access, Stage, Waiting},
    harness::{
        alert::{Answer, answer},
        channel::Peer,
        stranger,
    },
};

/// The operator makes a context of identity, vendor key and API.
pub async fn log_in(stage: &mut Stage) -> Result<()> {
    stage.told.step("An operator logs in at the broker", "vendor's operator, 3 a.m.");
    let login = login_line(stage);
    stage.shell.run(&mut stage.told, &login).await?;
    let seen = stage.shell.run(&mut stage.told, "tunnelctl clusters").await?;
    ensure!(seen.contains("acme/prod"), "the cluster is not listed: {seen}");
    stage.told.good("the operator pins the vendor's key, and sees which clusters are there");
    Ok(())
}

/// How an operator logs in.
pub fn login_line(stage: &Stage) -> String {
    login_as(stage, "operator")
}

/// How the holder of `vendor/WHO.pem` logs in.
pub fn login_as(stage: &Stage, who: &str) -> String {
    let tcp = stage.broker_settings.listen.tcp;
    format!(
        "tunnelctl login --certificate vendor/{who}.pem --key vendor/{who}.key \
         --vendor-key vendor/vendor.pub --api {tcp} --api-ca vendor/api.pem --suffix tunnel.example \
         --connect-address {tcp}"
    )
}

/// Without a certificate there is nothing to reach.
pub async fn refused(stage: &mut Stage) -> Result<()> {
    stage.told.step("Refused without a certificate", "anyone on the internet");
    let listen = stage.broker_settings.listen;
    let door = Door::from_random(random::<17>());
    let name = format!("{door}.{}.tunnel.example", stage.client_settings.label);
    stage.told.explain("A door that nobody was granted:");
    let line = format!("grpcurl -insecure -max-time 5 -servername {name} {} list", listen.tcp);
    stage.shell.refused(&mut stage.told, &line).await?;
    let told =
        format!("The operators' API, asked without a certificate: {}", without_certificate(stage).await?);
    stage.told.explain(&told);
    stage.told.good("no door without a grant, no API without an operator's identity");
    Ok(())
}

/// What the operators' API says to a TLS client that has no certificate.
async fn without_certificate(stage: &Stage) -> Result<String> {
    let pem = fs::read(stage.path("vendor/api.pem"))?;
    let anchors = certificates_from_pem(&pem)?;
    let peer = Peer {
        address: stage.broker_settings.listen.tcp,
        name: ServerName::try_from("api.tunnel.example")?,
        tls: stranger::anonymous(&anchors)?,
    };
    match answer(&peer).await? {
        Answer::Alert(name) => Ok(format!("TLS alert {name}")),
        other => bail!("{other:?} instead of an alert"),
    }
}

/// Asks for what needs a person: pending, with the same words on both sides.
pub async fn request(stage: &mut Stage) -> Result<()> {
    stage.told.step("Signed, sealed request: pending on both sides", "operator ↔ customer's client");
    stage.told.explain(
        "tunnelctl signs the request, seals it to the customer's key and hands it to the broker; the client opens\n\
         it and decides by the customer's policy: this one needs a person.",
    );
    let line = connect_line(stage, "disk of node 3 is full");
    let mut command = stage.shell.start(&mut stage.told, &line)?;
    let pending = super::customer::pending(stage).await?;
    let said = heard(&mut command, &pending.words).await?;
    stage.told.output(&said);
    stage.told.explain("The customer sees the same eight words:");
    super::customer::show(stage, &pending).await?;
    stage.told.good(&format!("both sides read: {}", pending.words));
    stage.waiting = Some(Waiting { command, pending });
    Ok(())
}

/// An approver says yes; the waiting command gets its certificate.
pub async fn approved(stage: &mut Stage) -> Result<()> {
    stage.told.step("Approved: a certificate for minutes", "customer's on-call engineer");
    let Waiting { command, pending } = stage.waiting.take().context("nobody waits")?;
    super::customer::approve(stage, &pending).await?;
    let output = timeout(LIMIT, command.wait_with_output()).await.context("the operator still waits")??;
    let printed = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "tunnelctl connect failed: {printed}");
    stage.told.explain("The operator's waiting command ends with:");
    stage.told.output(&String::from_utf8_lossy(&output.stdout));
    let access = Access::read(&printed).context("no grpcurl line in what tunnelctl connect printed")?;
    stage.told.good(&format!("grant {} is live", access.grant));
    stage.access = Some(access);
    Ok(())
}

/// Asks once more, gets it approved, and reads what was printed.
pub async fn ask(stage: &mut Stage, reason: &str) -> Result<Access> {
    let line = connect_line(stage, reason);
    let command = stage.shell.start(&mut stage.told, &line)?;
    let pending = super::customer::pending(stage).await?;
    super::customer::approve(stage, &pending).await?;
    let output = timeout(LIMIT, command.wait_with_output()).await.context("the operator still waits")??;
    let printed = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    Access::read(&printed).with_context(|| format!("no grpcurl line: {printed}"))
}

fn connect_line(stage: &Stage, reason: &str) -> String {
    let methods: Vec<String> = stage.play.asked.iter().map(|method| format!("--method '{method}'")).collect();
    format!(
        "tunnelctl connect acme/prod {} --reason '{reason}' --reason-type incident --ticket INC-7 --for 30m \
         --anew --out operator/session",
        methods.join(" ")
    )
}

/// What a waiting command said, up to the line with the words.
async fn heard(command: &mut Child, words: &str) -> Result<String> {
    let output = command.stderr.as_mut().context("its output")?;
    let mut said = Vec::new();
    let listen = async {
        while !String::from_utf8_lossy(&said).contains(words) {
            ensure!(output.read_buf(&mut said).await? > 0, "it ended: {}", String::from_utf8_lossy(&said));
        }
        Ok(())
    };
    timeout(LIMIT, listen).await.context("the operator did not see the same words")??;
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok(said.lines().take_while(|line| !line.starts_with("waiting")).collect::<Vec<_>>().join("\n"))
}

/// Far beyond what any of it takes.
const LIMIT: Duration = Duration::from_secs(15);
