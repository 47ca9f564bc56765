//! `call CLUSTER list` and `describe`: from descriptor sets, or by reflection through a live session.

use serde_json::json;
use tonic::transport::Channel;
use tunnel_protos::dynamic::{CallKind, Descriptors, MessageDescriptor, Method};

use super::{channel, protosets, target};
use crate::{
    app::App,
    call::{list_services, reflect},
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

pub(super) async fn symbol(app: &mut App, args: &cli::Call, symbol: &str) -> Result<Ending, Failure> {
    let set = descriptors(app, args, symbol.split('/').next().unwrap_or(symbol)).await?;
    let found =
        set.methods().filter(|method| method.name().service() == symbol || method.name().as_str() == symbol);
    let mut shown: Vec<_> = found.map(|method| rpc(&method)).collect();
    shown.extend(set.message(symbol).map(|message| fields(&message)));
    if shown.is_empty() {
        return Err(Failure::Usage(format!("no service, method or message {symbol:?}")));
    }
    app.console.result(&json!({ "symbol": symbol, "text": shown }), lines(shown.iter().cloned()));
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
    let none =
        || Failure::Usage(format!("no session with {}: connect first, or give --protoset", args.cluster));
    channel(&live.ok_or_else(none)?, &target)
}

fn rpc(method: &Method) -> String {
    let (input, output) = match method.kind() {
        CallKind::Unary => ("", ""),
        CallKind::ClientStream => ("stream ", ""),
        CallKind::ServerStream => ("", "stream "),
        CallKind::Bidirectional => ("stream ", "stream "),
    };
    let (takes, gives) = (method.input(), method.output());
    format!("rpc {}({input}{}) returns ({output}{});", method.name(), takes.full_name(), gives.full_name())
}

fn fields(message: &MessageDescriptor) -> String {
    let fields = message.fields().map(|field| {
        let repeated = if field.is_list() { "repeated " } else { "" };
        format!("  {repeated}{:?} {} = {};", field.kind(), field.name(), field.number())
    });
    format!("message {} {{\n{}\n}}", message.full_name(), lines(fields))
}

/// Names in descriptors are the customer's to choose.
fn lines(items: impl Iterator<Item = String>) -> String {
    let safe_lines = items.map(|item| item.lines().map(safe).collect::<Vec<_>>().join("\n"));
    safe_lines.collect::<Vec<_>>().join("\n")
}
