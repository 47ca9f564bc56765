//! `enroll create`: draws label, token and secret on this machine; the broker learns a hash, the customer gets a file.

use std::path::Path;

use serde_json::json;
use tunnel_certs::{
    crypto,
    enrollment::{Bundle, Secret},
    file,
    statement::trust_bundle::TrustBundle,
};
use tunnel_protos::{
    ClusterName, Label, TokenId, UnixMillis,
    operators::Token,
    v1::{self, TokenKind},
};
use tunnel_runtime::layout::quoted;

use crate::{
    app::App,
    cli::{EnrollCreate, Kind},
    console::when,
    ending::Ending,
    failure::Failure,
    office::Office,
    signing,
    trust::Current,
};

pub(super) async fn run(app: &mut App, args: EnrollCreate) -> Result<Ending, Failure> {
    check(&args)?;
    let office = Office::open(app)?;
    let bundle = bundle(&office, &args, app.clock.now()).await?;
    // Kept first: a token whose secret is nowhere could never be confirmed.
    office.kept.save(&bundle)?;
    let secret = bundle.secret.broker_secret().sha256();
    if let Err(error) = office.api().create_token(token(&bundle), secret).await {
        office.kept.remove(bundle.token)?;
        return Err(error.into());
    }
    if let Err(source) = file::create_private(&args.out, bundle.to_text().as_bytes()) {
        // Nobody can redeem what is in no file; the token's own end is the second net.
        let _ = office.api().revoke_token(bundle.token).await;
        office.kept.remove(bundle.token)?;
        return Err(input("the file", &args.out, source));
    }
    report(app, &bundle, &args);
    Ok(Ending::OK)
}

/// What can be refused before anything is made.
fn check(args: &EnrollCreate) -> Result<(), Failure> {
    if args.expires > Bundle::MAX_LIFE {
        return Err(Failure::Usage("a bundle is good for 30 days at most: --expires 72h".into()));
    }
    if args.out.exists() {
        let path = args.out.display();
        return Err(Failure::Usage(format!("{path} exists already; choose another name with --out")));
    }
    Ok(())
}

async fn bundle(office: &Office, args: &EnrollCreate, now: UnixMillis) -> Result<Bundle, Failure> {
    let trust = trust(office, args.trust_bundle.as_deref(), now).await?;
    let TrustBundle { vendor, suffix, vendor_keys, broker_addresses, .. } = trust.bundle;
    let broker_addresses = if args.brokers.is_empty() { broker_addresses } else { args.brokers.clone() };
    if broker_addresses.is_empty() {
        let text =
            "the trust bundle names no broker: say where customers reach one, --broker broker.example:443";
        return Err(Failure::Usage(text.into()));
    }
    Ok(Bundle {
        vendor,
        suffix,
        broker_addresses,
        vendor_keys,
        trust_bundle: trust.envelope,
        cluster: args.cluster.clone(),
        label: label(office, args, now).await?,
        kind: args.kind.into(),
        token: TokenId::from_random(crypto::random()),
        secret: Secret::random(),
        expires: now.plus(args.expires),
    })
}

/// The trust bundle to hand over: proven here by the pinned keys, and there by the keys that go along.
async fn trust(office: &Office, file: Option<&Path>, now: UnixMillis) -> Result<Current, Failure> {
    let trust = match file {
        None => office.trust().await?,
        Some(path) => {
            let envelope =
                signing::signed(path, tunnel_certs::statement::envelope::PayloadType::TrustBundle)?;
            office.trust.accept(Some(envelope))?
        }
    };
    if trust.bundle.expires <= now {
        let text = "the trust bundle has expired: publish a newer one first (tunnelctl trust publish)";
        return Err(Failure::Usage(text.into()));
    }
    let bytes = prost::Message::encode_to_vec(&trust.envelope);
    TrustBundle::open(&bytes, &trust.bundle.vendor_keys, now).map_err(|_| {
        Failure::Usage(
            "the trust bundle is signed by a vendor key that it retires, so that a new customer could not verify it: \
             publish one that a key of its own list signed (tunnel-certs rotate vendor-key)"
                .into(),
        )
    })?;
    Ok(trust)
}

/// A new cluster gets a label of its own; one that has an entry, or was invited before, keeps its: the customer's state
/// folder is bound to it.
async fn label(office: &Office, args: &EnrollCreate, now: UnixMillis) -> Result<Label, Failure> {
    if let Some(label) = args.label {
        return Ok(label);
    }
    let cluster = &args.cluster;
    match (office.entry(cluster, now).await?, args.kind) {
        (Some(opened), _) => Ok(opened.entry.label),
        (None, Kind::Cluster) => {
            Ok(invited(office, cluster).await?.unwrap_or_else(|| Label::from_random(crypto::random())))
        }
        (None, Kind::Replica) => Err(Failure::Usage(format!(
            "{cluster} has no inventory entry yet: its first replica enrolls with a bundle of kind cluster"
        ))),
    }
}

/// The label of the newest bundle for a cluster: of this machine, else as the broker says. A wrong one helps nobody: the
/// customer's client takes no bundle with another label than its own.
async fn invited(office: &Office, cluster: &ClusterName) -> Result<Option<Label>, Failure> {
    if let Some(kept) = office.kept.of(cluster)?.first() {
        return Ok(Some(kept.bundle.label));
    }
    let mut tokens = office.api().tokens().await?;
    tokens.retain(|token| token.cluster == cluster.as_str());
    let newest = tokens.into_iter().max_by_key(|token| token.created_ms);
    Ok(newest.and_then(|token| token.label.parse().ok()))
}

fn token(bundle: &Bundle) -> Token {
    Token {
        id: bundle.token.to_string(),
        kind: bundle.kind.into(),
        cluster: bundle.cluster.to_string(),
        label: bundle.label.to_string(),
        expires_ms: bundle.expires.0,
        ..Token::default()
    }
}

fn report(app: &mut App, bundle: &Bundle, args: &EnrollCreate) {
    let Bundle { cluster, label, token, expires, .. } = bundle;
    let out = args.out.display().to_string();
    let value = json!({
        "event": "created", "file": out, "token": token.to_string(), "cluster": cluster.to_string(),
        "label": label.to_string(), "kind": kind(bundle.kind), "expiresMs": expires.0,
    });
    let until = when::until(*expires, app.clock.now());
    let text =
        format!("{} for {cluster} (kind {}, label {label}), good until {until}", out, kind(bundle.kind));
    app.console.result(&value, text);
    app.console.note("The file holds a secret: hand it over by a way that only the customer can read. Then:");
    app.console.note(format_args!(
        "  customer:  enrollment: {{ bundle: {} }} in tunnel-client's file",
        quoted(&out)
    ));
    if bundle.kind == TokenKind::Cluster {
        app.console.note("  customer:  reads you the 8 words of `tunnel-client status`");
        app.console.note(format_args!(
            "  you:       tunnelctl enroll confirm {cluster} THE 8 WORDS --vendor-key vendor.key"
        ));
    }
}

fn kind(kind: v1::TokenKind) -> String {
    tunnel_protos::text::spoken(kind.as_str_name(), "TOKEN_KIND_")
}

fn input(what: &'static str, path: &Path, source: file::FileError) -> Failure {
    Failure::Input { what, path: path.display().to_string(), source: Box::new(source) }
}
