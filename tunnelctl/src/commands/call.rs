//! `call`: one call through a session, getting access first if there is none.

use std::ops::ControlFlow;

use tokio::time::Instant;
use tonic::{metadata::MetadataMap, transport::Channel};
use tunnel_protos::{
    MethodName, MethodPattern, TargetName,
    dynamic::{Defaults, Descriptors, Method},
};

use crate::{
    access::{self, Gaining, Step, go_on, keep::verdict, own},
    app::App,
    call::{self, Error, Input, parse_headers, reflect},
    cli,
    console::Format,
    desk::Desk,
    ending::Ending,
    failure::Failure,
    session::Session,
};

mod describe;

pub(super) async fn run(app: &mut App, args: cli::Call) -> Result<Ending, Failure> {
    match &args.method[..] {
        [list] if list == "list" => describe::services(app, &args).await,
        [list, service] if list == "list" => describe::methods(app, &args, service).await,
        [describe] if describe == "describe" => describe::everything(app, &args).await,
        [describe, symbol] if describe == "describe" => describe::symbol(app, &args, symbol).await,
        [method] => {
            let name = slashed(method);
            let method = name.parse().map_err(|error| Failure::Usage(format!("{method}: {error}")))?;
            invoke(app, args, method).await
        }
        _ => Err(Failure::Usage("expected METHOD, `list [SERVICE]` or `describe [SYMBOL]`".into())),
    }
}

/// grpcurl also takes `package.Service.Method`.
fn slashed(method: &str) -> String {
    match method.rsplit_once('.') {
        Some((service, name)) if !method.contains('/') => format!("{service}/{name}"),
        _ => method.trim_start_matches('/').to_owned(),
    }
}

async fn invoke(app: &mut App, args: cli::Call, name: MethodName) -> Result<Ending, Failure> {
    let headers = parse_headers(&args.headers)?;
    let described = protosets(&args)?;
    let input = input(app, args.data.as_deref()).await?;
    let desk = Desk::open(app)?;
    let target = target(&args)?;
    let session = match find_or_gain(app, &desk, &args, &name, &target).await? {
        ControlFlow::Continue(session) => session,
        ControlFlow::Break(ending) => return Ok(ending),
    };
    let done = exchange(app, &args, &session, Asked { target, name, described, headers, input }).await;
    match done {
        Ok(()) => Ok(Ending::OK),
        Err(error) => Err(blame(&desk, &session, error).await),
    }
}

/// A call, before it has a session.
struct Asked {
    target: TargetName,
    name: MethodName,
    described: Option<Descriptors>,
    headers: MetadataMap,
    input: Input,
}

async fn exchange(app: &mut App, args: &cli::Call, session: &Session, asked: Asked) -> Result<(), Failure> {
    let channel = channel(session, &asked.target)?;
    let method = method(asked.described, &channel, &asked.name).await?;
    let until = Instant::now() + session.until.since(app.clock.now());
    let defaults = if args.emit_defaults { Defaults::Emit } else { Defaults::Omit };
    let call =
        call::Call { channel, method, headers: asked.headers, max_time: args.max_time, until, defaults };
    let (console, interrupt) = (&mut app.console, app.interrupt.clone());
    let mut show = |json: &str| match (console.format(), serde_json::from_str::<serde_json::Value>(json)) {
        (Format::Json, Ok(value)) => console.json(&value),
        _ => console.json_text(json),
    };
    tokio::select! {
        done = call.run(asked.input, &mut show) => Ok(done?),
        () = interrupt => Err(Error::from(tonic::Status::cancelled("interrupted")).into()),
    }
}

/// A stream that was cut, or a certificate that is refused, says little; the cluster's own last word says why.
async fn blame(desk: &Desk, session: &Session, failure: Failure) -> Failure {
    let Failure::Call(error) = &failure else { return failure };
    let Some(code) = error.may_be_the_grants_end() else { return failure };
    let Ok(record) = desk.requester.folder.record(session.grant.into()) else { return failure };
    match verdict(desk, &record).await {
        Some(told) => {
            // Its files would only lead to the same answer.
            let _ = session.erase();
            Failure::Over { record: Box::new(record), told: Box::new(told), call: Some(code) }
        }
        None => failure,
    }
}

async fn input(app: &mut App, data: Option<&str>) -> Result<Input, Failure> {
    match data.map(|data| data.strip_prefix('@').ok_or(data)) {
        None => Ok(Input::text("")),
        Some(Err(text)) => Ok(Input::checked(text).map_err(Error::Input)?),
        Some(Ok("")) => Ok(Input::stream(std::mem::replace(&mut app.stdin, Box::new(tokio::io::empty())))),
        Some(Ok(path)) => {
            let failed =
                |source| Failure::Input { what: "the data", path: path.into(), source: Box::new(source) };
            Ok(Input::stream(Box::new(tokio::fs::File::open(path).await.map_err(failed)?)))
        }
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
    let open = desk.requester.folder.open(now)?;
    let own = own::covering(&open, &args.cluster, method, target, now);
    let to = desk.entry(&args.cluster).await?;
    let mut gaining = Gaining::new(app, desk, to, args.ask.wait);
    let record = go_on!(match own {
        Some(id) => gaining.resume(id).await?,
        None => gaining.request(vec![MethodPattern::Exact(method.clone())], &args.ask).await?,
    });
    gaining.session(&record, None).await
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
