//! The job: look, decide, do one thing, look again; until the goal is reached, or waiting ran out.

use std::{ops::ControlFlow, time::Duration};

use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tunnel_certs::{
    roots::Roots,
    rotation::{CaId, Goal, Missing, Step, next},
    statement::trust_bundle::TrustBundle,
    verify::Summary,
};
use tunnel_protos::{UnixMillis, v1::RotationPhase};
use tunnel_runtime::{chain, exit::Exit};

use super::{
    Error,
    bundle::{self, Made, Source},
    marker::Marker,
    observed::{Count, Observed, Passes},
    phase_name,
};
use crate::{
    app::App,
    commands::{shortened, trust::root},
    console::Format,
    ending::Ending,
    failure::Failure,
    office::Office,
};

/// One run of the job.
pub(crate) struct Job<'a> {
    pub(crate) app: &'a mut App,
    pub(crate) office: Office,
    pub(crate) goal: Goal,
    pub(crate) source: Source,
    pub(crate) passes: Passes,
    pub(crate) patience: Duration,
    pub(crate) poll: Duration,
    /// The CA that this job had made.
    pub(crate) prepared: Option<CertificateDer<'static>>,
    /// What was last said of the waiting.
    pub(crate) said: String,
}

/// What one step led to.
enum Went {
    On,
    Waits,
    Over(Ending),
}

impl Job<'_> {
    /// Goes on until the end.
    pub(crate) async fn run(&mut self) -> Result<Ending, Failure> {
        let marker = Marker::new(&self.office.desk.state);
        let mut until = Instant::now() + self.patience;
        let mut acted = false;
        loop {
            let Some(seen) = self.look_until(until).await? else { return Ok(self.lost()) };
            if seen.is_resting() && marker.is_over(self.goal, seen.facts.issuing)? {
                marker.remove()?;
                return Ok(if acted || self.goal != Goal::Start {
                    self.finished(&seen)
                } else {
                    self.ended_before()
                });
            }
            let step = next(&seen.facts, self.goal);
            if step != Step::Done {
                marker.begin(seen.facts.issuing)?;
            }
            match self.take(&seen, &step).await? {
                Went::Over(ending) => return Ok(ending),
                Went::On => {
                    acted = true;
                    until = Instant::now() + self.patience;
                }
                Went::Waits if Instant::now() >= until => return Ok(self.ran_out(&seen, &step)),
                Went::Waits => {
                    if self.rest().await.is_break() {
                        return Ok(self.ran_out(&seen, &step));
                    }
                }
            }
        }
    }

    /// What there is to see, as soon as the broker can be asked: one that restarts is waited for. None when the time, or
    /// the person's patience, is over.
    async fn look_until(&mut self, until: Instant) -> Result<Option<Observed>, Failure> {
        loop {
            match self.look().await {
                Err(Failure::Broker(error)) if error.is_retryable() && Instant::now() < until => {
                    let line = format!("the broker cannot be asked: {}; trying again", chain(&error));
                    if line != self.said {
                        self.app.console.note(&line);
                        self.said = line;
                    }
                }
                looked => return looked.map(Some),
            }
            if self.rest().await.is_break() {
                return Ok(None);
            }
        }
    }

    /// Until the next look; breaks when the person stops it.
    async fn rest(&self) -> ControlFlow<()> {
        tokio::select! {
            () = self.app.interrupt.clone() => ControlFlow::Break(()),
            () = sleep(self.poll) => ControlFlow::Continue(()),
        }
    }

    /// What would be done next; does nothing.
    pub(crate) async fn dry_run(&mut self) -> Result<Ending, Failure> {
        let seen = self.look().await?;
        let (step, count) = (describe(&next(&seen.facts, self.goal)), seen.count());
        let mut value = status(&seen, &count);
        value["next"] = json!(step);
        self.app.console.result(&value, format_args!("{}\nnext: {step}", text(&seen, &count)));
        Ok(Ending::OK)
    }

    async fn look(&self) -> Result<Observed, Failure> {
        let now = self.app.clock.now();
        Observed::look(&self.office, self.prepared.as_ref(), &self.passes, now).await
    }

    async fn take(&mut self, seen: &Observed, step: &Step) -> Result<Went, Failure> {
        match step {
            Step::PrepareCa => self.prepare(seen).await,
            Step::Publish { roots } => self.publish(seen, roots).await,
            Step::Enter(phase) => self.enter(*phase).await,
            Step::Wait(_) => {
                self.wait(seen, step);
                Ok(Went::Waits)
            }
            Step::Done => {
                self.app.console.result(&json!({ "event": "nothing" }), "no rotation is under way");
                Ok(Went::Over(Ending::OK))
            }
            Step::Stuck(why) => Err(Error::Stuck(why.clone()).into()),
        }
    }

    async fn prepare(&mut self, seen: &Observed) -> Result<Went, Failure> {
        let made = CertificateDer::from(self.office.api().prepare_mesh_ca().await?);
        check_authority(&made, &seen.trust.bundle, seen.at)?;
        self.app.console.note(format_args!("the broker's next mesh CA: {}", root(&made)));
        self.prepared = Some(made);
        Ok(Went::On)
    }

    async fn publish(&mut self, seen: &Observed, roots: &[CaId]) -> Result<Went, Failure> {
        let known = roots.iter().filter_map(|id| seen.authority(*id));
        let ders: Vec<_> = known.cloned().collect();
        for der in &ders {
            // Whatever is new in everybody's trust must be what it says; the broker alone says so.
            if !seen.trust.bundle.mesh_roots.certificates().contains(der) {
                check_authority(der, &seen.trust.bundle, seen.at)?;
            }
        }
        let mesh_roots = Roots::new(ders).map_err(Error::Bundle)?;
        let is_removing = mesh_roots.certificates().len() < seen.trust.bundle.mesh_roots.certificates().len();
        let wanted = TrustBundle { mesh_roots, ..bundle::next(&seen.trust.bundle, seen.at) };
        let passed = seen.count().passed;
        let made = self.source.publish(self.app, &self.office, &seen.trust, &wanted).await?;
        if is_removing && !passed.is_empty() {
            self.warn(&passed);
        }
        Ok(match made {
            Made::Published => Went::On,
            Made::Written(ending) => Went::Over(ending),
        })
    }

    fn warn(&mut self, passed: &[String]) {
        let names: Vec<_> = passed.iter().map(String::as_str).collect();
        self.app.console.warn(format_args!(
            "{} replicas were passed and may be left with a certificate of the other CA; back within 30 days they get \
             another by themselves, later by a new bundle: {}",
            names.len(),
            shortened(&names)
        ));
    }

    async fn enter(&mut self, phase: RotationPhase) -> Result<Went, Failure> {
        self.office.api().set_phase(phase).await?;
        let name = phase_name(phase);
        self.app.console.result(&json!({ "event": "phase", "phase": name }), format_args!("phase {name}"));
        Ok(Went::On)
    }

    /// Shows how far it is, when that changed.
    fn wait(&mut self, seen: &Observed, step: &Step) {
        let line = waiting(seen, step);
        if self.app.console.is_watched() {
            self.app.console.live(&line);
        } else if line != self.said {
            self.app.console.note(&line);
        }
        if line != self.said && self.app.console.format() == Format::Json {
            let mut value = status(seen, &seen.count());
            value["event"] = json!("waiting");
            self.app.console.json(&value);
        }
        self.said = line;
    }

    fn ran_out(&mut self, seen: &Observed, step: &Step) -> Ending {
        if self.app.console.format() == Format::Json {
            let mut value = status(seen, &seen.count());
            value["event"] = json!("still-waiting");
            value["exit"] = json!(Exit::Waiting as u8);
            self.app.console.json(&value);
        }
        self.app.console.error(format_args!("still waiting: {}", waiting(seen, step)));
        self.app.console.note(ADVICE);
        Exit::Waiting.into()
    }

    /// Stopped while the broker was away.
    fn lost(&mut self) -> Ending {
        self.app.console.error("stopped while the broker could not be asked");
        self.app.console.note(ADVICE);
        Exit::Waiting.into()
    }

    /// What was begun here has ended without this run: whoever asked for a rotation now must not take it for theirs.
    fn ended_before(&mut self) -> Ending {
        let text = "the rotation that was begun at this machine has ended since; run the same command again to start another";
        let value = json!({ "event": "ended-before", "message": text, "exit": Exit::Failed as u8 });
        if self.app.console.format() == Format::Json {
            self.app.console.json(&value);
        }
        self.app.console.error(text);
        Exit::Failed.into()
    }

    fn finished(&mut self, seen: &Observed) -> Ending {
        let ca = seen.authority(seen.facts.issuing).map(|der| root(der)).unwrap_or_default();
        let value = json!({
            "event": "done", "meshCa": ca, "sequence": seen.trust.bundle.sequence, "phase": phase_name(seen.phase),
        });
        self.app.console.result(&value, format_args!("done: the mesh CA is {ca}"));
        Ending::OK
    }
}

/// The broker's word is signed into everybody's trust here, so it must at least be a mesh CA and nothing else.
fn check_authority(made: &CertificateDer<'_>, bundle: &TrustBundle, now: UnixMillis) -> Result<(), Error> {
    let summary = Summary::read(made).map_err(|_| Error::Refused("it is not a certificate"))?;
    let known = |roots: &Roots| {
        let same_key = |der| Summary::read(der).is_ok_and(|other| other.key == summary.key);
        roots.certificates().iter().any(|der| same_key(der))
    };
    if !summary.is_ca || !summary.subject.starts_with("CN=Postern mesh CA ") {
        return Err(Error::Refused("it is not a mesh CA"));
    }
    if summary.key.is_none() || known(&bundle.operator_roots) || known(&bundle.mesh_roots) {
        return Err(Error::Refused("its key is not a new one"));
    }
    if summary.not_after <= now || summary.not_after.since(now) > LONGEST_CA {
        return Err(Error::Refused("it is not valid for as long as a mesh CA is"));
    }
    Ok(())
}

fn waiting(seen: &Observed, step: &Step) -> String {
    match step {
        Step::Wait(Missing::Broker) => {
            format!("{}: the broker has not renewed its own certificate yet", phase_name(seen.phase))
        }
        _ => seen.count().text(seen.phase),
    }
}

/// What was seen, for scripts.
pub(crate) fn status(seen: &Observed, count: &Count) -> Value {
    let roots = seen.trust.bundle.mesh_roots.certificates();
    json!({
        "event": "status", "phase": phase_name(seen.phase), "sequence": seen.trust.bundle.sequence,
        "meshCas": roots.iter().map(|der| root(der)).collect::<Vec<_>>(),
        "issuing": seen.facts.issuing.to_string(),
        "brokerIssuer": seen.facts.broker_issuer.map(|id| id.to_string()), "replicas": count.of,
        "acknowledged": count.acknowledged, "acknowledgedByMesh": count.by_mesh, "passed": count.passed, "absent": count.absent,
    })
}

/// What was seen, for people.
pub(crate) fn text(seen: &Observed, count: &Count) -> String {
    let named = |id: CaId| seen.authority(id).map_or_else(|| id.to_string(), |der| root(der));
    let trust = &seen.trust.bundle;
    let mut fields = vec![("Phase", phase_name(seen.phase))];
    fields.extend(trust.mesh_roots.certificates().iter().map(|der| ("Mesh CA", root(der))));
    fields.push(("Issuing", named(seen.facts.issuing)));
    fields.push(("Broker's own", seen.facts.broker_issuer.map_or_else(|| "by none of these".into(), named)));
    fields.push(("Trust bundle", format!("{} until {}", trust.sequence, trust.expires)));
    let by_mesh = match count.by_mesh {
        0 => String::new(),
        some => format!(", {some} of them by a mesh certificate only"),
    };
    fields.push(("Replicas", format!("{} of {} acknowledged{by_mesh}", count.acknowledged, count.of)));
    fields.extend(count.passed.iter().take(MOST_NAMES).map(|name| ("Passed", name.clone())));
    fields.extend(count.absent.iter().take(MOST_NAMES).map(|name| ("Absent", name.clone())));
    if let Some(more) = count.absent.len().checked_sub(MOST_NAMES).filter(|more| *more > 0) {
        fields.push(("Absent", format!("and {more} more")));
    }
    tunnel_runtime::layout::fields(&fields).trim_end().to_owned()
}

fn describe(step: &Step) -> String {
    match step {
        Step::PrepareCa => {
            "have the broker make the next mesh CA, and publish it beside the old one (vendor key)".into()
        }
        Step::Publish { roots } => {
            format!("publish a trust bundle with {} mesh CAs (vendor key)", roots.len())
        }
        Step::Enter(phase) => format!("enter phase {}", phase_name(*phase)),
        Step::Wait(Missing::Replicas(absent)) => format!("wait for {} replicas", absent.len()),
        Step::Wait(Missing::Broker) => "wait for the broker's own certificate".into(),
        Step::Done => "nothing: no rotation is under way".into(),
        Step::Stuck(why) => format!("nothing: {why}"),
    }
}

const ADVICE: &str = "\
Nothing is lost: run the same command again, it goes on from here. Who stays away can be passed:
  --pass-absent acme/prod/REPLICA, or --pass-absent-older-than 3d
To go back to the old CA: tunnel-certs rotate rollback --vendor-key vendor.key";
/// A mesh CA lives 5 years; clocks differ.
const LONGEST_CA: Duration = Duration::from_secs(5 * 366 * 24 * 3600);
/// As many as fit on a screen.
const MOST_NAMES: usize = 20;
