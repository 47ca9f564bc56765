//! The vendor's administrator: keys, CAs and trust bundle, the broker, and the customer that is invited and confirmed.

use anyhow::{Context, Result};
use tunnel_protos::Label;

use super::{customer, operator::login_as};
use crate::demo::{
    shell::Shell,
    stage::{ADMINISTRATOR, BUNDLE, Stage},
};

/// Makes the vendor's keys and what follows from them.
pub async fn keys(stage: &mut Stage) -> Result<()> {
    stage.told.step("The vendor makes its keys", "vendor's administrator, offline");
    for line in KEYS {
        stage.shell.told(&mut stage.told, line).await?;
    }
    sign_trust(stage, "").await?;
    stage.told.good("customers and operators pin vendor.pub, and nothing else");
    Ok(())
}

/// The same, with keys that sign releases.
pub async fn release_keys(stage: &mut Stage) -> Result<()> {
    stage.told.step("The vendor makes its keys", "vendor's administrator, offline");
    for line in KEYS.iter().chain(&RELEASE_KEYS) {
        stage.shell.told(&mut stage.told, line).await?;
    }
    let more = " --release-key vendor/release-1.pub --release-key vendor/release-2.pub --release-threshold 2";
    sign_trust(stage, more).await?;
    stage
        .told
        .good("a release takes both release keys; customers and operators pin vendor.pub, and nothing else");
    Ok(())
}

async fn sign_trust(stage: &mut Stage, more: &str) -> Result<()> {
    let bundle = format!("{TRUST_BUNDLE} --broker {}{more}", stage.broker_settings.listen.tcp);
    stage.shell.run(&mut stage.told, &bundle).await.map(drop)
}

/// The broker that customers dial; it issues mesh certificates and is trusted with nothing else.
pub async fn start_broker(stage: &mut Stage) -> Result<()> {
    stage.told.step("The vendor starts a broker", "vendor's network");
    stage.told.command("tunnel-broker --config broker/broker.yaml &");
    stage.start_broker().await?;
    let listen = stage.broker_settings.listen;
    stage.told.good(&format!("on {} (UDP) and {} (TCP)", listen.quic, listen.tcp));
    Ok(())
}

/// An administrator logs in and makes the one file that a customer needs.
pub async fn invite(stage: &mut Stage) -> Result<()> {
    stage.told.step("A customer is invited, by one file", "vendor's administrator");
    let (desk, login) = (desk(stage), login_as(stage, ADMINISTRATOR));
    desk.told(&mut stage.told, &login).await?;
    let create = format!("tunnelctl enroll create acme/prod --out vendor/{BUNDLE}");
    let printed = desk.result(&mut stage.told, &create).await?;
    stage.client_settings.label = label(&printed).context("no label in what `enroll create` printed")?;
    stage.told.good("works once, for 72 hours; the broker knows a hash of its secret");
    Ok(())
}

/// The customer reads eight words out; they are compared with those of the keys that arrived, which are signed then.
pub async fn confirm(stage: &mut Stage) -> Result<()> {
    stage.told.step("Eight words by telephone: the vendor confirms the customer", "vendor's administrator");
    let words = customer::registered(stage).await?;
    let confirm = format!("tunnelctl enroll confirm acme/prod {words} --vendor-key vendor/vendor.key");
    let printed = desk(stage).result(&mut stage.told, &confirm).await?;
    let read_out = printed.lines().find_map(|line| line.strip_prefix("words of the entry: "));
    stage.read_out = Some(read_out.context("no words of the entry")?.to_owned());
    stage.told.good("the vendor signed what the customer read out, whatever the broker had shown");
    Ok(())
}

/// The administrator's own machine.
fn desk(stage: &Stage) -> Shell {
    stage.shell.of(ADMINISTRATOR)
}

/// The label in `… (kind cluster, label wowtuocpck), …`.
fn label(printed: &str) -> Option<Label> {
    let (_, rest) = printed.split_once("label ")?;
    rest.split(')').next()?.parse().ok()
}

const KEYS: [&str; 6] = [
    "tunnel-certs key vendor --plain --out vendor/vendor.key",
    "tunnel-certs ca mesh --name initech --out vendor/mesh-ca.pem --key-out vendor/mesh-ca.key",
    "tunnel-certs ca operator --name initech --out vendor/operator-ca.pem --key-out vendor/operator-ca.key",
    "tunnel-certs issue api-server --suffix tunnel.example --out vendor/api.pem --key-out vendor/api.key",
    "tunnel-certs issue operator --ca vendor/operator-ca.pem --ca-key vendor/operator-ca.key --vendor initech --name adam --out vendor/adam.pem --key-out vendor/adam.key",
    "tunnel-certs issue operator --ca vendor/operator-ca.pem --ca-key vendor/operator-ca.key --vendor initech --name ada --out vendor/operator.pem --key-out vendor/operator.key",
];

const RELEASE_KEYS: [&str; 2] = [
    "tunnel-certs key release --out vendor/release-1.key",
    "tunnel-certs key release --out vendor/release-2.key",
];

const TRUST_BUNDLE: &str = "tunnel-certs statement trust-bundle --vendor initech --suffix tunnel.example --sequence 1 --vendor-key vendor/vendor.pub --mesh-root vendor/mesh-ca.pem --operator-root vendor/operator-ca.pem --allow-private 127.0.0.0/8 --key vendor/vendor.key --out vendor/trust-bundle.pb";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_label_of_a_bundle() {
        let printed =
            "vendor/acme-prod.bundle for acme/prod (kind cluster, label wowtuocpck), good until x\n";
        let known = Label::from_random([7; 17]);
        assert_eq!(label(&printed.replace("wowtuocpck", &known.to_string())), Some(known));
        assert_eq!(label("no such thing"), None);
    }
}
