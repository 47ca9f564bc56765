//! `call CLUSTER list` and `describe`: from descriptor sets, or by reflection through a live session.

use serde_json::json;
use tonic::transport::Channel;
use tunnel_protos::dynamic::Descriptors;

use super::{channel, protosets, target};
use crate::{
    app::App,
    call::{list_services, proto, reflect},
    cli,
    console::safe,
    desk::Desk,
    ending::Ending,
    failure::Failure,
};

pub(super) async fn services(app: &mut App, args: &cli::Call) -> Result<Ending, Failure> {
    let services = match protosets(args)? {
        Some(set) => set.services().collect(),
        None => list_services(any_channel(app, args)?).await?,
    };
    app.console.result(&services, lines(services.iter().cloned()));
    Ok(Ending::OK)
}

pub(super) async fn methods(app: &mut App, args: &cli::Call, service: &str) -> Result<Ending, Failure> {
    let set = descriptors(app, args, service).await?;
    let found: Vec<_> = set.methods().filter(|method| method.name().service() == service).collect();
    let names: Vec<_> = found.iter().map(|method| method.name().to_string()).collect();
    app.console.result(&names, lines(names.iter().cloned()));
    Ok(Ending::OK)
}

/// `describe` alone: every service.
pub(super) async fn everything(app: &mut App, args: &cli::Call) -> Result<Ending, Failure> {
    let (mut shown, mut names) = (Vec::new(), Vec::new());
    match protosets(args)? {
        Some(set) => {
            names.extend(set.services());
            shown.extend(names.iter().filter_map(|name| proto::symbol(&set, name)));
        }
        None => {
            let channel = any_channel(app, args)?;
            names.extend(list_services(channel.clone()).await?);
            for name in &names {
                shown.extend(proto::symbol(&reflect(channel.clone(), name).await?, name));
            }
        }
    }
    app.console.result(&json!({ "symbols": names, "text": shown }), lines(shown.iter().cloned()));
    Ok(Ending::OK)
}

pub(super) async fn symbol(app: &mut App, args: &cli::Call, symbol: &str) -> Result<Ending, Failure> {
    let set = descriptors(app, args, symbol.split('/').next().unwrap_or(symbol)).await?;
    let unknown =
        || Failure::Usage(format!("no service, method, message or enum {symbol:?}; see `call CLUSTER list`"));
    let shown = proto::symbol(&set, symbol).ok_or_else(unknown)?;
    app.console.result(&json!({ "symbol": symbol, "text": shown }), lines(std::iter::once(shown.clone())));
    Ok(Ending::OK)
}

async fn descriptors(app: &App, args: &cli::Call, symbol: &str) -> Result<Descriptors, Failure> {
    match protosets(args)? {
        Some(set) => Ok(set),
        None => Ok(reflect(any_channel(app, args)?, symbol).await?),
    }
}

/// Looking around asks nobody for access.
fn any_channel(app: &App, args: &cli::Call) -> Result<Channel, Failure> {
    let (desk, target, now) = (Desk::open(app)?, target(args)?, app.clock.now());
    let mut sessions = desk.sessions.live(now)?.into_iter();
    let live = sessions
        .find(|s| s.cluster == args.cluster && s.certificate_until > now && s.doors.contains_key(&target));
    channel(&live.ok_or_else(|| Failure::NoSession(args.cluster.clone()))?, &target)
}

/// Names in descriptors are the customer's to choose.
fn lines(items: impl Iterator<Item = String>) -> String {
    let safe_lines = items.map(|item| item.lines().map(safe).collect::<Vec<_>>().join("\n"));
    safe_lines.collect::<Vec<_>>().join("\n")
}
