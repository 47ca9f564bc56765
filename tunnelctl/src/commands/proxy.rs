//! `proxy`: access to a cluster as a local end that any client of the engine can use without certificates.

use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use serde_json::json;
use tokio::sync::{mpsc, watch};
use tracing::info_span;
use tunnel_protos::TargetName;
use tunnel_runtime::{layout::quoted, tasks::Task};

use crate::{
    access::{
        Gaining, Step, go_on,
        keep::{Beside, Keeping, Withdraw},
        report,
    },
    app::App,
    cli,
    console::Format,
    desk::Desk,
    ending::Ending,
    failure::Failure,
    proxy::{Listener, Place, Proxy, Reach},
    requester::record::Record,
    session::{Line, Session},
};

pub(super) async fn run(app: &mut App, args: cli::Proxy) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    // Bound before anyone is asked: an approval should not be spent on a port that is taken.
    let to = desk.entry(&args.access.cluster).await?;
    let wanted = wanted(&args)?;
    let listener = listen(app, &desk, &args, wanted.as_ref()).await?;
    let (record, session) = match gain(Gaining::new(app, &desk, to, args.access.ask.wait), &args).await? {
        ControlFlow::Break(ending) => return Ok(ending),
        ControlFlow::Continue(gained) => gained,
    };
    let target = target(wanted, &session)?;
    let (sender, notes) = mpsc::channel(NOTES);
    let proxy = Arc::new(Proxy::start(listener, line(&session, &target)?, sender));
    present(app, &session, &target, proxy.place());
    serve(app, Served { record, session, target, proxy, notes }, &args).await
}

/// A proxy under way.
struct Served {
    record: Record,
    session: Session,
    target: TargetName,
    proxy: Arc<Proxy>,
    notes: mpsc::Receiver<String>,
}

async fn serve(app: &mut App, served: Served, args: &cli::Proxy) -> Result<Ending, Failure> {
    let Served { record, session, target, proxy, notes } = served;
    let current = watch::Sender::new(session.clone());
    let renewing = renewing(Arc::clone(&proxy), current.subscribe(), target);
    let renewing = Task::spawn(info_span!("renewals"), renewing);
    let open = proxy.counter();
    let title = Box::new(move || format!("{} connections", open.load(Ordering::Relaxed)));
    let mut keeping = Keeping::new(record, session, app.clock.now());
    let kept = keeping.run(app, &mut Beside { session: current, notes, title }).await;
    drop(renewing);
    app.console.live("finishing what runs");
    proxy.drain().await;
    app.console.settle();
    keeping.end(app, kept?, Withdraw::when(args.access.withdraw_on_exit)).await
}

/// Hands every renewed certificate to the proxy.
async fn renewing(proxy: Arc<Proxy>, mut sessions: watch::Receiver<Session>, target: TargetName) {
    while sessions.changed().await.is_ok() {
        let session = sessions.borrow_and_update().clone();
        // Files that cannot be read now are read again with the next renewal.
        if let Ok(line) = line(&session, &target) {
            proxy.renew(line);
        }
    }
}

async fn gain(mut gaining: Gaining<'_>, args: &cli::Proxy) -> Result<Step<(Record, Session)>, Failure> {
    let record = go_on!(gaining.access(&args.access).await?);
    let session = go_on!(gaining.session(&record, None).await?);
    Ok(ControlFlow::Continue((record, session)))
}

async fn listen(
    app: &mut App,
    desk: &Desk,
    args: &cli::Proxy,
    target: Option<&TargetName>,
) -> Result<Listener, Failure> {
    let Some(address) = args.listen else {
        let path = args.socket.clone().unwrap_or_else(|| socket(desk, args, target));
        return Ok(Listener::unix(&path)?);
    };
    let reach = if args.expose_to_network { Reach::Network } else { Reach::Machine };
    let listener = Listener::tcp(address, reach).await?;
    let who = if reach == Reach::Network {
        "Everyone who reaches"
    } else {
        "Every user of this machine can connect to"
    };
    app.console.warn(format_args!(
        "{who} {}, and acts as you there; the Unix socket is yours alone",
        listener.place()
    ));
    Ok(listener)
}

/// A name that stays the same from run to run: `acme.prod.sock`, `acme.prod.pod-3.sock`.
fn socket(desk: &Desk, args: &cli::Proxy, target: Option<&TargetName>) -> PathBuf {
    let cluster = args.access.cluster.to_string().replace('/', ".");
    let name = match target {
        Some(target) if *target != TargetName::default_target() => format!("{cluster}.{target}.sock"),
        _ => format!("{cluster}.sock"),
    };
    desk.sessions.beside(&name)
}

fn wanted(args: &cli::Proxy) -> Result<Option<TargetName>, Failure> {
    match &args.access.ask.targets[..] {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        _ => Err(Failure::Usage("a proxy goes to one --target; run one for each".into())),
    }
}

/// The target asked for, else the only one there is.
fn target(wanted: Option<TargetName>, session: &Session) -> Result<TargetName, Failure> {
    let mut doors = session.doors.keys();
    match (wanted, doors.next(), doors.next()) {
        (Some(wanted), ..) => Ok(wanted),
        (None, Some(only), None) => Ok(only.clone()),
        _ => Err(Failure::NoDoor(TargetName::default_target())),
    }
}

fn line(session: &Session, target: &TargetName) -> Result<Line, Failure> {
    session.line(target)?.ok_or_else(|| Failure::NoDoor(target.clone()))
}

fn present(app: &mut App, session: &Session, target: &TargetName, place: &Place) {
    let lines = usage(session, place);
    if app.console.format() == Format::Json {
        let value = json!({
            "event": "listening", "place": place.to_string(), "grant": session.grant.to_string(),
            "cluster": session.cluster.to_string(), "target": target.as_str(), "untilMs": session.until.0,
            "methods": session.methods.iter().map(ToString::to_string).collect::<Vec<_>>(), "usage": lines,
        });
        app.console.json(&value);
        return;
    }
    let until = report::until(app, session.until);
    app.console.print(format_args!("proxy to {} ({target}) until {until}:", session.cluster));
    session.methods.iter().for_each(|method| app.console.print(format_args!("  {method}")));
    lines.iter().for_each(|line| app.console.print(line));
    app.console.note("certificates are renewed while this runs; Ctrl-C ends it");
}

/// How to use it, ready to paste.
fn usage(session: &Session, place: &Place) -> Vec<String> {
    let (grpcurl, etcd) = match place {
        Place::Socket(path) => {
            let path = quoted(&path.display().to_string());
            // Not -unix: grpcurl 1.9.3 dials TCP all the same.
            (format!("grpcurl -plaintext unix://{path} list"), format!("unix://{path}"))
        }
        Place::Address(address) => {
            (format!("grpcurl -plaintext {address} list"), format!("http://{address}"))
        }
    };
    let is_etcd = session.methods.iter().any(|method| method.to_string().starts_with("etcdserverpb."));
    let etcdctl = is_etcd.then(|| format!("etcdctl --endpoints={etcd} get --prefix / --limit 5"));
    std::iter::once(grpcurl).chain(etcdctl).collect()
}

/// More than a person reads.
const NOTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::sample;

    #[test]
    fn says_how_to_use_it() {
        let mut session = sample("/run/p", None);
        let socket = Place::Socket("/run/p/acme.prod.sock".into());
        assert_eq!(usage(&session, &socket), ["grpcurl -plaintext unix:///run/p/acme.prod.sock list"]);
        session.methods = vec!["etcdserverpb.KV/Range".parse().unwrap()];
        assert!(usage(&session, &socket)[1].starts_with("etcdctl --endpoints=unix:///run/p/acme.prod.sock "));
        let port = Place::Address("127.0.0.1:2379".parse().unwrap());
        assert!(usage(&session, &port)[1].starts_with("etcdctl --endpoints=http://127.0.0.1:2379 "));
    }

    #[test]
    fn the_only_door_needs_no_name() {
        let session = sample("/run/p", None);
        assert_eq!(target(None, &session).unwrap(), TargetName::default_target());
        let other: TargetName = "pod-3".parse().unwrap();
        assert_eq!(target(Some(other.clone()), &session).unwrap(), other);
    }
}
