//! A further replica joins by the service account of its pod: tokens of a real kube-apiserver's TokenRequest, and our
//! real programs.

use std::{fs, path::PathBuf};

use anyhow::ensure;
use serde_json::Value;
use tempfile::TempDir;
use tunnel_integration::{
    harness::{
        PATIENCE,
        client::{ClientSettings, ServiceAccount},
        command::run,
        wait::until,
    },
    kube::{Kube, TokenKey},
};

use super::lab::{Lab, Site};

/// A customer's cluster of Kubernetes with two service accounts.
struct Customer {
    kube: Kube,
    folder: TempDir,
    audience: String,
}

impl Customer {
    async fn start(label: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kube = Kube::start(folder.path(), TokenKey::Rsa).await.unwrap();
        kube.kubectl(&["create", "namespace", "postern"]).await.unwrap();
        for account in ["client", "stranger"] {
            kube.kubectl(&["--namespace=postern", "create", "serviceaccount", account]).await.unwrap();
        }
        let jwks = kube.kubectl(&["get", "--raw", "/openid/v1/jwks"]).await.unwrap();
        fs::write(folder.path().join("jwks.json"), jwks).unwrap();
        Self { kube, folder, audience: format!("postern/vendor/{label}") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a kubelet does for a pod of this account, before and again while it runs.
    async fn projects(&self, account: &str, audience: &str, file: &str) {
        let audience = format!("--audience={audience}");
        let words = ["--namespace=postern", "create", "token", account, &audience];
        let token = self.kube.kubectl(&words).await.unwrap();
        fs::write(self.path(file), token.trim()).unwrap();
    }

    fn account(&self, token: &str) -> Option<ServiceAccount> {
        Some(ServiceAccount { token: self.path(token), jwks: self.path("jwks.json") })
    }
}

/// A cluster whose first replica registered its service account, with the key set.
async fn first() -> (Lab, Site, Customer) {
    let lab = Lab::start().await;
    let (bundle, token) = lab.invites("acme.bundle", &[]).await;
    let customer = Customer::start(token["label"].as_str().unwrap()).await;
    customer.projects("client", &customer.audience, "token").await;
    let mut settings = lab.settings("customer", &bundle);
    settings.label = token["label"].as_str().unwrap().parse().unwrap();
    settings.service_account = customer.account("token");
    let site = lab.start_site(settings);
    lab.enrolls(&site).await;
    lab.is_called().await;
    (lab, site, customer)
}

/// Another of the same cluster, with a state of its own and a token for all proof.
fn another(lab: &Lab, first: &Site, customer: &Customer, name: &str, token: &str) -> Site {
    let settings = ClientSettings {
        bundle: None,
        label: first.settings.label,
        trust_bundle: lab.broker_settings.trust_bundle.clone(),
        service_account: customer.account(token),
        endpoints: first.settings.endpoints.clone(),
        policy: first.settings.policy.clone(),
        ..ClientSettings::of(&lab.vendor, "acme/prod", &lab.path(name)).unwrap()
    };
    lab.start_site(settings)
}

/// Waits until so many replicas of the cluster hold a tunnel.
async fn connected(lab: &Lab, wanted: usize) {
    until(&format!("{wanted} replicas are connected"), PATIENCE, || async {
        let said = run(lab.desk.command(&["--output", "json", "replicas"]).unwrap()).await?;
        let replicas = said.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        let there = replicas.iter().filter(|replica| replica["brokerSays"]["connected"] == true).count();
        ensure!(there == wanted, "{said}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_pod_of_the_registered_account_joins_and_requests_stay_with_the_first() {
    let (lab, site, customer) = first().await;
    customer.projects("client", &customer.audience, "second-token").await;
    let second = another(&lab, &site, &customer, "second", "second-token");
    connected(&lab, 2).await;
    lab.is_called().await;
    let requests = second.customer.ask(&["requests"]).await.unwrap();
    assert_eq!(requests["requests"].as_array().map_or(0, Vec::len), 0, "{requests}");
    assert!(lab.broker.output().contains("joined by its service account"));
}

#[tokio::test]
async fn tokens_for_others_or_of_other_accounts_are_refused_until_the_right_one_is_there() {
    let (lab, site, customer) = first().await;
    customer.projects("stranger", &customer.audience, "stranger").await;
    customer.projects("client", "postern/vendor/otheraaaaa", "other").await;
    for token in ["stranger", "other"] {
        let refused = another(&lab, &site, &customer, token, token);
        until("it says that it is refused", PATIENCE, || async {
            let view = refused.view().await?;
            let error = view["lastError"].as_str().unwrap_or_default();
            ensure!(error.contains("do not take the proof of this replica"), "{view}");
            Ok(())
        })
        .await
        .unwrap();
        connected(&lab, 1).await;
    }
    // A kubelet replaces the file; nobody restarts the client.
    let waiting = another(&lab, &site, &customer, "third", "other");
    until("it was refused", PATIENCE, || async {
        let view = waiting.view().await?;
        ensure!(view["lastError"] != "", "{view}");
        Ok(())
    })
    .await
    .unwrap();
    customer.projects("client", &customer.audience, "other").await;
    connected(&lab, 2).await;
}
