//! `call`: one call through a session, getting access first if there is none.

use std::ops::ControlFlow;

use tokio::time::Instant;
use tonic::transport::Channel;
use tunnel_protos::{
    ClusterName, MethodName, MethodPattern, RequestId, TargetName, UnixMillis,
    dynamic::{Descriptors, Method},
};

use crate::{
    access::{self, Gaining, Step},
    app::App,
    call::{self, Error, Input, parse_headers, reflect},
    cli,
    console::Format,
    desk::Desk,
    ending::Ending,
    failure::Failure,
    requester::record::Record,
    session::Session,
};

mod describe;

pub(super) async fn run(app: &mut App, args: cli::Call) -> Result<Ending, Failure> {
    match &args.method[..] {
        [list] if list == "list" => describe::services(app, &args).await,
        [list, service] if list == "list" => describe::methods(app, &args, service).await,
        [describe, symbol] if describe == "describe" => describe::symbol(app, &args, symbol).await,
        [method] => {
            let method = method.parse().map_err(|error| Failure::Usage(format!("{method}: {error}")))?;
            invoke(app, args, method).await
        }
        _ => Err(Failure::Usage("expected METHOD, `list [SERVICE]` or `describe SYMBOL`".into())),
    }
}

async fn invoke(app: &mut App, args: cli::Call, name: MethodName) -> Result<Ending, Failure> {
    let headers = parse_headers(&args.headers)?;
    let described = protosets(&args)?;
    let desk = Desk::open(app)?;
    let target = target(&args)?;
    let session = match find_or_gain(app, &desk, &args, &name, &target).await? {
        ControlFlow::Continue(session) => session,
        ControlFlow::Break(ending) => return Ok(ending),
    };
    let channel = channel(&session, &target)?;
    let method = method(described, &channel, &name).await?;
    let until = Instant::now() + session.until.since(app.clock.now());
    let call = call::Call { channel, method, headers, max_time: args.max_time, until };
    let done = exchange(app, call, args.data.as_deref()).await;
    if done.as_ref().is_err_and(Error::is_unauthenticated) {
        // The grant ended before its time: its files would only lead to the same answer.
        desk.sessions.remove(session.grant)?;
        desk.requester.folder.remove(session.grant.into())?;
    }
    done?;
    Ok(Ending::OK)
}

async fn exchange(app: &mut App, call: call::Call, data: Option<&str>) -> Result<(), Error> {
    let input = match data {
        Some("@") => Input::stream(std::mem::replace(&mut app.stdin, Box::new(tokio::io::empty()))),
        data => Input::text(data.unwrap_or_default()),
    };
    let (console, interrupt) = (&mut app.console, app.interrupt.clone());
    let mut show = |json: &str| match (console.format(), serde_json::from_str::<serde_json::Value>(json)) {
        (Format::Json, Ok(value)) => console.json(&value),
        _ => console.json_text(json),
    };
    tokio::select! {
        done = call.run(input, &mut show) => done,
        () = interrupt => Err(tonic::Status::cancelled("interrupted").into()),
    }
}

/// A live session, else a certificate under a live grant, else a new request.
async fn find_or_gain(
    app: &mut App,
    desk: &Desk,
    args: &cli::Call,
    method: &MethodName,
    target: &TargetName,
) -> Result<Step<Session>, Failure> {
    let now = app.clock.now();
    if let Some(session) = desk.sessions.find(&args.cluster, method, target, now)? {
        return Ok(Step::Continue(session));
    }
    let own = own_request(desk.requester.folder.open(now)?, &args.cluster, method, target, now);
    let to = desk.entry(&args.cluster).await?;
    let mut gaining = Gaining { app, desk, to };
    let record = match own {
        Some(id) => gaining.resume(id, args.ask.wait).await?,
        None => gaining.request(vec![MethodPattern::Exact(method.clone())], &args.ask).await?,
    };
    match record {
        ControlFlow::Continue(record) => gaining.session(record, None).await,
        ControlFlow::Break(ending) => Ok(ControlFlow::Break(ending)),
    }
}

/// A grant that covers the call, else the same ask that is still undecided: nobody needs to be asked twice.
fn own_request(
    open: Vec<Record>,
    cluster: &ClusterName,
    method: &MethodName,
    target: &TargetName,
    now: UnixMillis,
) -> Option<RequestId> {
    let own: Vec<_> = open.into_iter().filter(|record| record.cluster == *cluster).collect();
    let live = own.iter().find(|record| record.is_live(now) && record.allows(method, target));
    let same = |record: &&Record| record.methods == [method.as_str()] && record.targets == [target.as_str()];
    let undecided = || own.iter().find(|record| !record.is_granted(now) && same(record));
    live.or_else(undecided).map(|record| record.id)
}

async fn method(
    described: Option<Descriptors>,
    channel: &Channel,
    name: &MethodName,
) -> Result<Method, Error> {
    let descriptors = match described {
        Some(descriptors) => descriptors,
        None => reflect(channel.clone(), name.service()).await?,
    };
    descriptors.method(name).ok_or_else(|| Error::NoMethod(name.clone()))
}

/// The descriptors that were given; none for reflection.
fn protosets(args: &cli::Call) -> Result<Option<Descriptors>, Failure> {
    if args.protoset.is_empty() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    for path in &args.protoset {
        let failed = |source| Failure::Input {
            what: "the descriptor set",
            path: path.display().to_string(),
            source: Box::new(source),
        };
        // Descriptor sets are messages of one repeated field: one after the other they are their union.
        bytes.extend(std::fs::read(path).map_err(failed)?);
    }
    Ok(Some(Descriptors::decode(&bytes).map_err(Error::Descriptors)?))
}

fn channel(session: &Session, target: &TargetName) -> Result<Channel, Failure> {
    let line = session.line(target)?.ok_or_else(|| Failure::NoDoor(target.clone()))?;
    Ok(line.channel()?)
}

/// A call goes to one target.
fn target(args: &cli::Call) -> Result<TargetName, Failure> {
    match &access::targets(&args.ask)[..] {
        [one] => Ok(one.clone()),
        _ => Err(Failure::Usage("a call goes to one --target".into())),
    }
}
