//! The operator's side: log in, be refused, ask, get a certificate.

use std::fs;

use anyhow::{Context, Result, bail};
use rustls_pki_types::ServerName;
use tunnel_certs::{credential::certificates_from_pem, crypto::random};
use tunnel_protos::Door;

use crate::{
    demo::stage::{Access, Stage},
    harness::{
        alert::{Answer, answer},
        channel::Peer,
        grpcurl::Grpcurl,
        stranger,
    },
};

/// The operator makes a context of identity, vendor key and API.
pub async fn log_in(stage: &mut Stage) -> Result<()> {
    stage.told.step("An operator logs in at the broker", "vendor's operator, 3 a.m.");
    let tcp = stage.broker_settings.listen.tcp;
    let login = format!(
        "tunnelctl login --certificate vendor/operator.pem --key vendor/operator.key \
         --vendor-key vendor/vendor.pub --api {tcp} --api-ca vendor/api.pem --suffix tunnel.example \
         --connect-address {tcp}"
    );
    stage.shell.run(&mut stage.told, &login).await?;
    stage.shell.run(&mut stage.told, "tunnelctl clusters").await?;
    Ok(())
}

/// Without a certificate there is nothing to reach.
pub async fn refused(stage: &mut Stage) -> Result<()> {
    stage.told.step("Refused without a certificate", "anyone on the internet");
    let listen = stage.broker_settings.listen;
    let door = Door::from_random(random::<17>());
    let name = format!("{door}.{}.tunnel.example", stage.client_settings.label);
    if Grpcurl::find().is_some() {
        stage.told.explain("A door that nobody was granted:");
        let line = format!("grpcurl -insecure -max-time 5 -servername {name} {} list", listen.tcp);
        stage.shell.refused(&mut stage.told, &line).await?;
    } else {
        stage.told.explain("(grpcurl is not installed; `make tools` does it. tunnelctl stands in for it.)");
    }
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

/// Request, decision, certificate.
pub async fn connect(stage: &mut Stage) -> Result<()> {
    stage.told.step("Signed, sealed request → decision → certificate", "operator ↔ customer's client");
    stage.told.explain(
        "tunnelctl signs the request, seals it to the customer's key and hands it to the broker; the client\n\
         opens it, decides by its own policy and certifies a key that never left the operator's machine.",
    );
    let access = ask(stage, "disk of node 3 is full").await?;
    let short = access.grant.clone();
    stage.access = Some(access);
    stage.told.explain("The customer sees it, too:");
    super::customer::look(stage).await?;
    stage.told.good(&format!("grant {short} is live"));
    Ok(())
}

/// Connects once more and reads what was printed.
pub async fn ask(stage: &mut Stage, reason: &str) -> Result<Access> {
    let line = format!(
        "tunnelctl connect acme/prod --method engine.admin.v1.Admin/GetStatus \
         --method engine.admin.v1.Admin/RunTask --reason '{reason}' --reason-type incident --ticket INC-7 --for 30m \
         --out operator/session --protoset customer/reference-engine.protoset"
    );
    let printed = stage.shell.run(&mut stage.told, &line).await?;
    Access::read(&printed).context("no grpcurl line in what tunnelctl connect printed")
}
