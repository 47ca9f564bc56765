//! `login`: pins the vendor keys, checks the identity at the broker and keeps both as a context.

use std::path::{Path, PathBuf};

use serde_json::json;
use tunnel_certs::{file, key::PublicKey};

use crate::{
    api::Api,
    app::App,
    cli::Login,
    console::{safe, when},
    context::{ApiAddress, Context, ContextName, Contexts, IdentityFiles},
    ending::Ending,
    failure::Failure,
    operator::Operator,
};

pub(super) async fn run(app: &mut App, args: Login) -> Result<Ending, Failure> {
    let identity = IdentityFiles { certificate: absolute(&args.certificate)?, key: absolute(&args.key)? };
    let operator = Operator::load(&identity, app.clock.now())?;
    let context = Context {
        identity,
        vendor: operator.vendor.clone(),
        operator: operator.name.clone(),
        vendor_keys: args.vendor_keys.iter().map(|path| vendor_key(path)).collect::<Result<_, _>>()?,
        api: api(&args)?,
        suffix: args.suffix,
        connect_address: args.connect_address,
    };
    check(&context, &operator).await?;
    let name = app.context.clone().unwrap_or_else(ContextName::initial);
    Contexts::new(&app.folders.config).save(&name, &context)?;
    report(app, &name, &operator);
    Ok(Ending::OK)
}

/// The broker's word gives no trust; it only shows that both mean the same.
async fn check(context: &Context, operator: &Operator) -> Result<(), Failure> {
    let who = Api::new(&context.api, &operator.credential)?.who_am_i().await?;
    agree("the operator", &who.operator, operator.name.as_str())?;
    agree("the suffix", &who.suffix, context.suffix.as_str())
}

fn agree(what: &'static str, said: &str, wanted: &str) -> Result<(), Failure> {
    if said == wanted {
        Ok(())
    } else {
        Err(Failure::Disagrees { what, said: safe(said), wanted: wanted.into() })
    }
}

fn api(args: &Login) -> Result<ApiAddress, Failure> {
    Ok(ApiAddress {
        address: args.api.clone(),
        name: args.api_name.clone().unwrap_or_else(|| args.suffix.api()),
        ca: args.api_ca.as_deref().map(absolute).transpose()?,
    })
}

fn vendor_key(path: &Path) -> Result<PublicKey, Failure> {
    let pem = file::read(path).map_err(|source| input("the vendor key", path, source))?;
    PublicKey::from_pem(&String::from_utf8_lossy(&pem))
        .map_err(|source| input("the vendor key", path, source))
}

/// Contexts are used from other folders than the one of the login.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|source| input("the path", path, source))
}

fn input(what: &'static str, path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::Input { what, path: path.display().to_string(), source: Box::new(source) }
}

fn report(app: &mut App, name: &ContextName, operator: &Operator) {
    let until = operator.not_after;
    let value = json!({
        "context": name.to_string(), "operator": operator.name.as_str(), "vendor": operator.vendor.as_str(),
        "certificateUntilMs": until.0,
    });
    let until = when::until(until, app.clock.now());
    let text = format!(
        "logged in as {} of {}, context {name}, certificate until {until}",
        operator.name, operator.vendor
    );
    app.console.result(&value, text);
}
