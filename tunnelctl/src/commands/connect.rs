//! `connect`: access to a cluster as files that grpcurl, or any gRPC client, can use; kept fresh with `--keep`.

use std::{ops::ControlFlow, path::Path};

use serde_json::json;
use tunnel_protos::UnixMillis;
use tunnel_runtime::layout::quoted;

use super::grpcurl;
use crate::{
    access::{
        Gaining, Step, go_on,
        keep::{Beside, Keeping, Withdraw},
    },
    app::App,
    cli::Connect,
    console::{Format, when},
    desk::Desk,
    ending::Ending,
    failure::Failure,
    requester::record::Record,
    session::{CA, CERTIFICATE, KEY, Session},
};

pub(super) async fn run(app: &mut App, args: Connect) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let to = desk.entry(&args.access.cluster).await?;
    let (record, session) = match gain(Gaining::new(app, &desk, to, args.access.ask.wait), &args).await? {
        ControlFlow::Break(ending) => return Ok(ending),
        ControlFlow::Continue(gained) => gained,
    };
    let protosets: Vec<&Path> = args.protoset.iter().map(AsRef::as_ref).collect();
    report(app, &session, &protosets, &args);
    if args.keep { keep(app, record, session, &args).await } else { Ok(Ending::OK) }
}

async fn gain(mut gaining: Gaining<'_>, args: &Connect) -> Result<Step<(Record, Session)>, Failure> {
    let record = go_on!(gaining.access(&args.access).await?);
    let session = go_on!(gaining.session(&record, args.out.clone()).await?);
    Ok(ControlFlow::Continue((record, session)))
}

async fn keep(app: &mut App, record: Record, session: Session, args: &Connect) -> Result<Ending, Failure> {
    let mut beside = Beside::nothing(&session);
    let mut keeping = Keeping::new(record, session, app.clock.now());
    let kept = keeping.run(app, &mut beside).await?;
    keeping.end(app, kept, Withdraw::when(args.access.withdraw_on_exit)).await
}

fn report(app: &mut App, session: &Session, protosets: &[&Path], args: &Connect) {
    match app.console.format() {
        Format::Json => app.console.json(&value(session, protosets)),
        Format::Text => app.console.print(text(session, protosets, &renewal(session, args), app.clock.now())),
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

fn text(session: &Session, protosets: &[&Path], renewal: &str, now: UnixMillis) -> String {
    let mut lines = vec![format!("{} until {}:", session.cluster, when::until(session.until, now))];
    lines.extend(session.methods.iter().map(|method| format!("  {method}")));
    let certificate = when::until(session.certificate_until, now);
    lines.push(format!("certificate until {certificate}; {renewal}"));
    for (target, host) in &session.doors {
        lines.push(format!("target {target}:"));
        lines.push(grpcurl::line(session, host, protosets, &what(session)));
    }
    lines.join("\n")
}

/// How the certificate in these very files is renewed.
fn renewal(session: &Session, args: &Connect) -> String {
    if args.keep {
        return "renewed until you press Ctrl-C".into();
    }
    let (cluster, grant) = (&session.cluster, session.grant);
    let out = args.out.as_ref().map(|out| format!(" --out {}", quoted(&out.display().to_string())));
    format!("renew: tunnelctl connect {cluster} --resume {grant} --keep{}", out.unwrap_or_default())
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
    use clap::Parser;

    use super::*;
    use crate::{
        cli::{Cli, Command},
        session::sample,
    };

    #[test]
    fn says_what_is_allowed_until_when_and_how() {
        let text = text(&sample("/run/p", None), &[], "renewed", UnixMillis(0));
        assert!(text.starts_with("acme/prod until 1970-01-01T00:30:00Z (in 30m):\n  a.B/C\n"), "{text}");
        assert!(text.lines().last().unwrap().starts_with("grpcurl -cacert "), "{text}");
    }

    #[test]
    fn the_line_that_renews_names_the_folder_of_the_files() {
        let parsed = Cli::try_parse_from(["tunnelctl", "connect", "acme/prod", "--out", "my session"]);
        let Command::Connect(args) = parsed.unwrap().command else { panic!("not connect") };
        let line = renewal(&sample("/run/p", None), &args);
        assert!(line.ends_with(" --keep --out 'my session'"), "{line}");
    }
}
