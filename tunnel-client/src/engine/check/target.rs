//! One target, live: connect, TLS, credential, health, descriptors; and what is wrong with any of them.

use tonic::Code;
use tunnel_protos::{TargetName, v1::Health};
use tunnel_runtime::chain;

use super::{
    Difference, Reached, SchemaReport, compare,
    reflect::{SHOWN, descriptors, reflect},
};
use crate::engine::{CallError, Connection, Endpoint, Engine, Profile, health, tls};

/// What is wrong with the credential files that a profile names.
pub(super) fn files(profile: &Profile) -> Vec<String> {
    let credentials = profile.credentials();
    let authorization = credentials.authorization.as_ref().and_then(|named| named.read().err());
    let authorization = authorization.map(|error| format!("credentials: {}", chain(&error)));
    let tls = credentials.tls.as_ref().and_then(|files| tls::check(files, "localhost").err());
    let tls = tls.map(|error| format!("credentials.tls: {}", chain(&error)));
    authorization.into_iter().chain(tls).collect()
}

/// Asks a target, and tells what is wrong with it.
pub(super) async fn ask(engine: &Engine, target: &TargetName) -> (super::TargetReport, Vec<String>) {
    let endpoint = engine.profile().endpoints().get(target);
    let mut report = super::TargetReport {
        target: target.clone(),
        endpoint: endpoint.map(Endpoint::to_string).unwrap_or_default(),
        reached: reached(engine, target).await,
        health: Health::Unspecified,
        schema: SchemaReport::NotAsked,
    };
    if let Reached::Failed(why) = &report.reached {
        let unfit = vec![why.clone()];
        return (report, unfit);
    }
    let (health, complaint) = health::probe(engine, target).await;
    let (schema, unread) = schema(engine, target).await;
    report.health = health;
    let broken = broken_by(&schema);
    report.schema = schema;
    let unfit = unwell(health, complaint.as_ref()).into_iter().chain(unread).chain(broken);
    let unfit = unfit.collect();
    (report, unfit)
}

async fn reached(engine: &Engine, target: &TargetName) -> Reached {
    match engine.connect(target).await {
        Ok(Connection::Tls(_)) => Reached::Tls,
        Ok(Connection::Tcp(_) | Connection::Unix(_) | Connection::Memory(_)) => Reached::Plain,
        Err(error) => Reached::Failed(chain(&error).to_string()),
    }
}

/// A refused credential is told apart from an engine that is not well.
fn unwell(health: Health, complaint: Option<&CallError>) -> Option<String> {
    match complaint {
        Some(CallError::Status(status)) if REFUSALS.contains(&status.code()) => {
            Some(format!("the engine refuses our credentials: {}", said(status)))
        }
        Some(CallError::Status(status)) => Some(format!("health: {}", said(status))),
        Some(error) => Some(format!("health: {}", chain(error))),
        None if health == Health::Serving => None,
        None => Some("health: the engine says that it is not serving".to_owned()),
    }
}

fn said(status: &tonic::Status) -> String {
    format!("{:?}: {}", status.code(), tunnel_protos::text::escape(status.message(), SHOWN))
}

/// The engine's descriptors beside ours; an engine without reflection is wrong only where the profile wants it.
async fn schema(engine: &Engine, target: &TargetName) -> (SchemaReport, Option<String>) {
    let live = match reflect(engine, target).await.and_then(|files| descriptors(&files)) {
        Ok(live) => live,
        Err(error) => {
            let wanted = engine.profile().wants_reflection() || !error.is_unserved();
            let why = chain(&error).to_string();
            return (SchemaReport::Unserved(why.clone()), wanted.then(|| format!("descriptors: {why}")));
        }
    };
    match engine.profile().descriptors() {
        Some(ours) => (SchemaReport::Compared(compare(ours, &live)), None),
        None => (SchemaReport::OnlyLive(live.methods().count()), not_there(engine.profile(), &live)),
    }
}

/// Without descriptors of our own, what is marked read-only must at least be there.
fn not_there(profile: &Profile, live: &tunnel_protos::dynamic::Descriptors) -> Option<String> {
    let absent = profile.read_only().iter().filter(|method| live.method(method).is_none());
    let absent: Vec<&str> = absent.map(tunnel_protos::MethodName::as_str).collect();
    (!absent.is_empty()).then(|| format!("readOnly: not at the engine: {}", absent.join(", ")))
}

fn broken_by(schema: &SchemaReport) -> Vec<String> {
    let SchemaReport::Compared(differences) = schema else { return Vec::new() };
    differences.iter().filter(|one| one.breaks()).map(Difference::to_string).collect()
}

/// What an engine answers to a credential that it does not like.
const REFUSALS: [Code; 2] = [Code::Unauthenticated, Code::PermissionDenied];
