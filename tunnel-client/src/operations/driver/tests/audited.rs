//! What a real audit log says of a step, once for each way it can end. In real time, because a disk is waited for.

use tempfile::TempDir;

use super::*;
use crate::{
    audit::{Log, Settings, line::Line, read::Lines},
    operations::testing::Death,
};

struct Audited {
    world: World,
    dir: TempDir,
    log: Log,
}

impl Audited {
    fn new(faults: Faults) -> Self {
        let (mut world, dir) = (World::new(Plant::with(faults)), tempfile::tempdir().unwrap());
        let (audit, log) = Audit::open(settings(&dir)).unwrap();
        world.means.audit = audit;
        Self { world, dir, log }
    }

    fn start(&self, plan: &Plan) -> Task<()> {
        Task::spawn(Span::none(), self.world.begin(plan).drive())
    }

    /// Each step of the log with its end, both in words.
    async fn steps(self) -> Vec<(bool, String)> {
        let Self { world, dir, log } = self;
        drop(world);
        log.close().await;
        let lines = Lines::open(&settings(&dir).folder).unwrap();
        let lines: Vec<_> = lines.map(|line| Line::parse(&line.unwrap().bytes).unwrap()).collect();
        let end = |step: &Line| {
            let ends = lines.iter().filter(|line| line.number("of") == Some(step.seq));
            let said = ends.map(|line| match line.fields.get("done") {
                Some(done) => format!("{} {done}", line.kind),
                None => line.kind.clone(),
            });
            said.collect::<Vec<_>>().join(", ")
        };
        let steps = lines.iter().filter(|line| line.kind == "step");
        steps.map(|step| (step.fields["back"] == true, end(step))).collect()
    }
}

fn settings(dir: &TempDir) -> Settings {
    Settings {
        folder: dir.path().join("audit"),
        cluster: "acme/prod".into(),
        label: "aaaaaaaaaa".into(),
        retention: Duration::from_secs(400 * 24 * 3600),
        segment_bytes: 1 << 24,
        reserve_bytes: 0,
        sync_delay: Duration::ZERO,
    }
}

/// Without gates: what is waited for here is the disk.
fn quick(mut plan: Plan) -> Plan {
    plan.steps.iter_mut().for_each(|step| step.gate = None);
    plan
}

async fn until(is_there: impl Fn() -> bool) {
    timeout(Duration::from_secs(60), async {
        while !is_there() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

fn one(end: &str) -> Vec<(bool, String)> {
    vec![(false, end.to_owned())]
}

#[tokio::test]
async fn a_step_that_went_well_is_done() {
    let audited = Audited::new(Faults::default());
    audited.start(&task()).await.unwrap();
    assert_eq!(audited.steps().await, one("stepEnded true"));
}

#[tokio::test]
async fn a_refused_step_is_not_done_and_the_one_before_taken_back() {
    let refuses = Some(r#""n2","release":"2""#.to_owned());
    let audited = Audited::new(Faults { refuses, ..Faults::default() });
    audited.start(&quick(upgrade())).await.unwrap();
    let steps = [(false, "stepEnded true"), (false, "stepEnded false"), (true, "stepEnded true")];
    assert_eq!(audited.steps().await, steps.map(|(back, end)| (back, end.to_owned())));
}

#[tokio::test]
async fn a_step_that_is_stopped_before_its_call_is_not_done() {
    let audited = Audited::new(Faults::default());
    audited.world.store.dies(Some(Death { at: 1, kept: true }));
    let run = audited.start(&task());
    audited.world.store.died().await;
    audited.world.store.dies(None);
    audited.world.board.stop(&id(), "Cancelled by its operator");
    run.await.unwrap();
    assert!(audited.world.plant.calls().is_empty());
    assert_eq!(audited.steps().await, one("stepEnded false"));
}

#[tokio::test]
async fn a_step_whose_answer_is_lost_is_indeterminate() {
    let audited = Audited::new(Faults { loses: Some("compact".to_owned()), ..Faults::default() });
    audited.start(&task()).await.unwrap();
    assert_eq!(audited.steps().await, one("indeterminate"));
}

#[tokio::test]
async fn a_step_that_is_dropped_within_its_call_is_indeterminate() {
    let audited = Audited::new(Faults { hangs: Some("compact".to_owned()), ..Faults::default() });
    let run = audited.start(&task());
    until(|| !audited.world.plant.calls().is_empty()).await;
    drop(run);
    // The task ends at its next turn.
    until(|| std::sync::Arc::strong_count(&audited.world.store) <= 2).await;
    assert_eq!(audited.steps().await, one("indeterminate"));
}
