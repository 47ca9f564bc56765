//! The load: operators who ask for access, use it and go; each step is repeated until it is acknowledged.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tunnel_certs::{
    key::{Algorithm, SigningKey},
    statement::{
        approval::Answer,
        outcome::Outcome,
        request::{Certificate, Kind},
    },
};
use tunnel_protos::{ClusterName, GrantId, v1::RequestState};

use super::{
    calls::{Engine, Method},
    customer::{Customer, RECOVERY},
    ledger::{Ledger, Promise},
    site::Site,
};
use crate::{
    dice::Dice,
    harness::{
        operator::{Operator, Pass, Submitted, access_to},
        wait::until,
    },
};

/// Everybody who works, by number.
pub(super) struct Operators<'l> {
    all: Vec<Operator>,
    cluster: ClusterName,
    customer: Customer,
    engine: Engine,
    ledger: &'l Ledger,
    jobs: &'static [Job],
}

/// Which requests there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jobs {
    /// Those that the policy decides alone.
    Automatic,
    /// Also those that a person answers, by a signed approval.
    All,
}

/// What an operator came for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    /// Granted by the policy.
    Write,
    /// Granted by a person.
    Delete,
    /// Denied by a person.
    Denied,
    /// Granted by the policy, revoked by a person.
    Revoked,
}

impl<'l> Operators<'l> {
    pub(super) fn new(site: &Site, ledger: &'l Ledger, jobs: Jobs) -> Result<Self> {
        let jobs = match jobs {
            Jobs::Automatic => AUTOMATIC,
            Jobs::All => ALL,
        };
        let all = (0..super::OPERATORS).map(|n| site.operator(&format!("op-{n}"))).collect::<Result<_>>()?;
        let (customer, engine) = (site.customer().clone(), site.engine());
        Ok(Self { all, cluster: site.cluster(), customer, engine, ledger, jobs })
    }

    /// One operator's days, until the ledger says stop.
    pub(super) async fn work(&self, number: usize, mut dice: Dice) -> Result<()> {
        while !self.ledger.is_stopped() {
            let job = *dice.pick(self.jobs);
            self.job(number, job, &mut dice).await.with_context(|| format!("op-{number}: {job:?}"))?;
        }
        Ok(())
    }

    async fn job(&self, number: usize, job: Job, dice: &mut Dice) -> Result<()> {
        let method = if matches!(job, Job::Write | Job::Revoked) { Method::Put } else { Method::Delete };
        let access = self.ask(number, access_to(&[method.name()])?).await?;
        if matches!(job, Job::Delete | Job::Denied) {
            self.person(number, &access, job).await?;
        }
        if job == Job::Denied {
            return Ok(());
        }
        let id = access.request.id;
        self.decided(number, &access, RequestState::Approved).await?;
        self.ledger.promised(id, Promise::Yes, |tally| tally.decisions += 1);
        let pass = self.certificate(number, id.into()).await?;
        for _ in 0..=dice.below(MOST_CALLS) {
            self.call(&pass, method).await?;
        }
        if job == Job::Revoked {
            self.customer.revoke(id).await?;
            self.ledger.promised(id, Promise::Revoked, |tally| tally.revocations += 1);
            self.ledger.calls().attempt_too_late(&pass).await?;
        }
        Ok(())
    }

    /// Asks until the broker has the request, always in the same sealed bytes.
    async fn ask(&self, number: usize, kind: Kind) -> Result<Arc<Submitted>> {
        let operator = &self.all[number];
        let prepare = || operator.prepare(&self.cluster, kind.clone());
        let (submitted, sealed) = until("the entry is fetched", RECOVERY, prepare).await?;
        let submit = || operator.submit_sealed(sealed.clone());
        until("the broker takes a request", RECOVERY, submit).await?;
        let submitted = Arc::new(submitted);
        self.ledger.submitted(number, &submitted);
        Ok(submitted)
    }

    /// Waits for the person's part, and plays it.
    async fn person(&self, number: usize, access: &Submitted, job: Job) -> Result<()> {
        let id = access.request.id;
        self.decided(number, access, RequestState::Pending).await?;
        self.ledger.promised(id, Promise::Pending, |tally| tally.decisions += 1);
        let answer = if job == Job::Denied { Answer::No } else { Answer::Yes };
        self.customer.answer(id, access.digest, answer).await?;
        self.ledger.answered(id, answer);
        Ok(())
    }

    /// Watches until the client's outcome says `state`; any other decision breaks a promise.
    async fn decided(&self, number: usize, submitted: &Submitted, state: RequestState) -> Result<Outcome> {
        let operator = &self.all[number];
        let seen = |outcome: &Outcome| outcome.state == state || is_final(outcome.state);
        let outcome = until("an outcome is read", RECOVERY, || operator.outcome(submitted, seen)).await?;
        ensure!(outcome.state == state, "{:?} instead of {state:?}: {}", outcome.state, outcome.reason);
        Ok(outcome)
    }

    async fn certificate(&self, number: usize, grant: GrantId) -> Result<Pass> {
        let key = Arc::new(SigningKey::generate(Algorithm::P256)?);
        let kind = Kind::Certificate(Certificate { grant, csr: key.csr()? });
        let submitted = self.ask(number, kind).await?;
        let outcome = self.decided(number, &submitted, RequestState::Done).await?;
        let issued = outcome.issued.context("no certificate")?;
        self.ledger.certified(submitted.request.id, issued.certificate.to_vec());
        self.all[number].pass_of(&submitted, issued, key)
    }

    /// A mutating call, repeated until the engine has answered it.
    async fn call(&self, pass: &Pass, method: Method) -> Result<()> {
        let attempt = || self.ledger.calls().attempt(&self.engine, pass, method);
        until("a call passes", RECOVERY, attempt).await?;
        self.ledger.called();
        Ok(())
    }

    /// Reads what the client last said of a request, once more.
    pub(super) async fn read_again(&self, number: usize, submitted: &Submitted) -> Result<Outcome> {
        let operator = &self.all[number];
        until("an outcome is read again", RECOVERY, || operator.outcome(submitted, |_| true)).await
    }
}

const AUTOMATIC: &[Job] = &[Job::Write, Job::Write, Job::Revoked];
const ALL: &[Job] = &[Job::Write, Job::Write, Job::Delete, Job::Denied, Job::Revoked];

fn is_final(state: RequestState) -> bool {
    use RequestState as State;
    !matches!(state, State::Pending | State::Approved | State::Active)
}

/// Under one grant.
const MOST_CALLS: u64 = 4;
