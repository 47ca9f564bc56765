//! `enroll`: bundles for customers, and the tokens that the broker knows.

use serde_json::{Value, json};
use tunnel_protos::{
    TokenId, UnixMillis,
    operators::{Token, TokenState},
    text::spoken,
};
use tunnel_runtime::layout;

use crate::{
    app::App,
    cli::{Enroll, Which},
    console::{Format, safe, table::table, when},
    ending::Ending,
    failure::Failure,
    office::Office,
};

mod confirm;
mod create;

pub(super) async fn run(app: &mut App, command: Enroll) -> Result<Ending, Failure> {
    match command {
        Enroll::Create(args) => create::run(app, *args).await,
        Enroll::Confirm(args) => confirm::run(app, *args).await,
        Enroll::List => list(app).await,
        Enroll::Show { which } => show(app, &which).await,
        Enroll::Revoke { which } => revoke(app, &which).await,
    }
}

async fn list(app: &mut App) -> Result<Ending, Failure> {
    let office = Office::open(app)?;
    let now = app.clock.now();
    let tokens = office.api().tokens().await?;
    match app.console.format() {
        Format::Json => {
            for token in &tokens {
                let value = value(token, is_kept(&office, token)?);
                app.console.json(&value);
            }
        }
        Format::Text if tokens.is_empty() => app.console.print("broker says: no tokens"),
        Format::Text => {
            let rows = tokens.iter().map(|token| Ok(cells(token, is_kept(&office, token)?, now)));
            let rows: Vec<_> = rows.collect::<Result<_, Failure>>()?;
            let headings = ["TOKEN", "KIND", "CLUSTER", "BROKER SAYS", "EXPIRES", "MADE BY", "SECRET HERE"];
            app.console.print(table(headings, &rows));
        }
    }
    Ok(Ending::OK)
}

async fn show(app: &mut App, which: &Which) -> Result<Ending, Failure> {
    let office = Office::open(app)?;
    let now = app.clock.now();
    let token = find(&office, which).await?;
    let kept = is_kept(&office, &token)?;
    match app.console.format() {
        Format::Json => app.console.json(&value(&token, kept)),
        Format::Text => app.console.print(full(&token, kept, now)),
    }
    Ok(Ending::OK)
}

async fn revoke(app: &mut App, which: &Which) -> Result<Ending, Failure> {
    let office = Office::open(app)?;
    let id = match which {
        Which::Token(id) => *id,
        Which::Cluster(_) => id(&find(&office, which).await?)?,
    };
    let revoked = office.api().revoke_token(id).await?;
    office.kept.remove(id)?;
    let value = json!({ "event": "revoked", "token": id.to_string(), "brokerSays": state(&revoked) });
    app.console.result(&value, format_args!("revoked {id}"));
    app.console.note("what was issued for it stays; to shut a replica out: tunnelctl ban --help");
    Ok(Ending::OK)
}

/// The token by its id, or the newest of a cluster.
async fn find(office: &Office, which: &Which) -> Result<Token, Failure> {
    let wanted = |token: &Token| match which {
        Which::Token(id) => token.id == id.as_str(),
        Which::Cluster(cluster) => token.cluster == cluster.as_str(),
    };
    let tokens = office.api().tokens().await?;
    let newest = tokens.into_iter().filter(wanted).max_by_key(|token| token.created_ms);
    newest.ok_or_else(|| match which {
        Which::Token(id) => {
            Failure::Usage(format!("the broker knows no token {id}: see `tunnelctl enroll list`"))
        }
        Which::Cluster(cluster) => Failure::Usage(format!(
            "the broker knows no token of {cluster}: tunnelctl enroll create {cluster}"
        )),
    })
}

fn id(token: &Token) -> Result<TokenId, Failure> {
    token
        .id
        .parse()
        .map_err(|_| Failure::Usage(format!("the broker's token {:?} has no id", safe(&token.id))))
}

fn is_kept(office: &Office, token: &Token) -> Result<bool, Failure> {
    match token.id.parse() {
        Ok(id) => Ok(office.kept.find(id)?.is_some()),
        Err(_) => Ok(false),
    }
}

fn state(token: &Token) -> String {
    let known = TokenState::try_from(token.state).unwrap_or_default();
    spoken(known.as_str_name(), "TOKEN_STATE_")
}

fn kind(token: &Token) -> String {
    spoken(token.kind().as_str_name(), "TOKEN_KIND_")
}

fn value(token: &Token, kept: bool) -> Value {
    json!({
        "token": safe(&token.id), "kind": kind(token), "cluster": safe(&token.cluster), "label": safe(&token.label),
        "expiresMs": token.expires_ms, "createdBy": safe(&token.created_by), "createdMs": token.created_ms,
        "secretHere": kept, "brokerSays": { "state": state(token), "redeemedMs": token.redeemed_ms },
    })
}

fn cells(token: &Token, kept: bool, now: UnixMillis) -> [String; 7] {
    let expires = when::until(UnixMillis(token.expires_ms), now);
    let kept = if kept { "yes" } else { "no" };
    let (id, cluster, by) = (safe(&token.id), safe(&token.cluster), safe(&token.created_by));
    [id, kind(token), cluster, state(token), expires, by, kept.into()]
}

fn full(token: &Token, kept: bool, now: UnixMillis) -> String {
    let [id, kind, cluster, state, expires, by, kept] = cells(token, kept, now);
    let redeemed = when::ago(UnixMillis(token.redeemed_ms), now);
    let next = match token.state() {
        TokenState::Redeemed if kind == "cluster" => {
            format!("tunnelctl enroll confirm {cluster} THE 8 WORDS --vendor-key vendor.key")
        }
        TokenState::Open => format!("the customer starts tunnel-client with the bundle of {cluster}"),
        _ => String::new(),
    };
    let fields = [
        ("Token", id),
        ("Kind", kind),
        ("Cluster", cluster),
        ("Label", safe(&token.label)),
        ("Broker says", state),
        ("Expires", expires),
        ("Redeemed", redeemed),
        ("Made by", by),
        ("Secret on this machine", kept),
        ("Next", next),
    ];
    layout::fields(&fields).trim_end().to_owned()
}
