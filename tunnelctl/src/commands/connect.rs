//! `connect`: access to a cluster as files that grpcurl, or any gRPC client, can use.

use std::{ops::ControlFlow, path::Path};

use serde_json::json;
use tunnel_protos::UnixMillis;

use super::grpcurl;
use crate::{
    access::{Gaining, Step},
    app::App,
    cli::Connect,
    console::{Format, when},
    desk::Desk,
    ending::Ending,
    failure::Failure,
    session::{CA, CERTIFICATE, KEY, Session},
};

pub(super) async fn run(app: &mut App, args: Connect) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let to = desk.entry(&args.cluster).await?;
    let protosets: Vec<&Path> = args.protoset.iter().map(AsRef::as_ref).collect();
    match gain(Gaining { app, desk: &desk, to }, &args).await? {
        ControlFlow::Break(ending) => Ok(ending),
        ControlFlow::Continue(session) => {
            report(app, &session, &protosets);
            Ok(Ending::OK)
        }
    }
}

async fn gain(mut gaining: Gaining<'_>, args: &Connect) -> Result<Step<Session>, Failure> {
    let record = match args.resume {
        Some(id) => gaining.resume(id, args.ask.wait).await?,
        None => gaining.request(args.methods.clone(), &args.ask).await?,
    };
    match record {
        ControlFlow::Continue(record) => gaining.session(record, args.out.clone()).await,
        ControlFlow::Break(ending) => Ok(ControlFlow::Break(ending)),
    }
}

fn report(app: &mut App, session: &Session, protosets: &[&Path]) {
    match app.console.format() {
        Format::Json => app.console.json(&value(session, protosets)),
        Format::Text => app.console.print(text(session, protosets, app.clock.now())),
    }
}

fn value(session: &Session, protosets: &[&Path]) -> serde_json::Value {
    let doors = session.doors.iter().map(|(target, host)| {
        json!({
            "target": target.as_str(), "host": host, "address": session.address(host),
            "grpcurl": grpcurl::line(session, host, protosets, &what(session)),
        })
    });
    json!({
        "event": "granted", "grant": session.grant.to_string(), "cluster": session.cluster.to_string(),
        "untilMs": session.until.0, "certificateUntilMs": session.certificate_until.0,
        "methods": session.methods.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "files": { "ca": session.file(CA), "cert": session.file(CERTIFICATE), "key": session.file(KEY) },
        "doors": doors.collect::<Vec<_>>(),
    })
}

fn text(session: &Session, protosets: &[&Path], now: UnixMillis) -> String {
    let mut lines = vec![format!("{} until {}:", session.cluster, when::until(session.until, now))];
    lines.extend(session.methods.iter().map(|method| format!("  {method}")));
    let certificate = when::until(session.certificate_until, now);
    let (cluster, grant) = (&session.cluster, session.grant);
    lines.push(format!(
        "certificate until {certificate}; renew: tunnelctl connect {cluster} --resume {grant}"
    ));
    for (target, host) in &session.doors {
        lines.push(format!("target {target}:"));
        lines.push(grpcurl::line(session, host, protosets, &what(session)));
    }
    lines.join("\n")
}

/// One method granted is the one that is wanted.
fn what(session: &Session) -> String {
    match &session.methods[..] {
        [only] => only.to_string(),
        _ => "list".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::sample;

    #[test]
    fn says_what_is_allowed_until_when_and_how() {
        let text = text(&sample("/run/p", None), &[], UnixMillis(0));
        assert!(text.starts_with("acme/prod until 1970-01-01T00:30:00Z (in 30m):\n  a.B/C\n"), "{text}");
        assert!(text.lines().last().unwrap().starts_with("grpcurl -cacert "), "{text}");
    }
}
