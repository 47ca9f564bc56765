//! Tokens that a real kube-apiserver makes for its service accounts prove further replicas, and no others.

use std::time::SystemTime;

use tunnel_certs::service_account::{self, Expected};
use tunnel_integration::kube::{Kube, TokenKey};
use tunnel_protos::UnixMillis;

use super::apiserver::{account_named, create, started};

#[tokio::test]
async fn tokens_of_a_real_cluster_prove_a_service_account() {
    for tokens in [TokenKey::Rsa, TokenKey::P256] {
        let (_folder, kube) = started(tokens).await;
        create(&kube, &account_named("client")).await;
        let jwks = kube.kubectl(&["get", "--raw", "/openid/v1/jwks"]).await.unwrap();
        let ours = token(&kube, "postern/initech/k3v7aaaaaa").await;
        let other = token(&kube, "postern/initech/otheraaaaa").await;
        let verify = |token: &str, expected: &Expected| {
            service_account::verify(
                jwks.as_bytes(),
                token,
                expected,
                UnixMillis::from_system(SystemTime::now()),
            )
        };
        verify(&ours, &expected()).unwrap();
        assert!(verify(&other, &expected()).is_err(), "another cluster's token is taken");
        let stranger = Expected { subject: "system:serviceaccount:postern:default".to_owned(), ..expected() };
        assert!(verify(&ours, &stranger).is_err(), "another account's token is taken");
    }
}

fn expected() -> Expected {
    Expected {
        audience: "postern/initech/k3v7aaaaaa".to_owned(),
        issuer: "https://kubernetes.default.svc".to_owned(),
        subject: "system:serviceaccount:postern:client".to_owned(),
    }
}

async fn token(kube: &Kube, audience: &str) -> String {
    let audience = format!("--audience={audience}");
    let made = kube.kubectl(&["--namespace=postern", "create", "token", "client", &audience]).await.unwrap();
    made.trim().to_owned()
}
