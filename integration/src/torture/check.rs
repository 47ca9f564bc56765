//! What must hold after every power cut, looked up where it is kept.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use tunnel_protos::{RequestId, approvers::RequestView};

use super::{
    customer::Customer,
    ledger::{Asked, Ledger, Promise},
    load::Operators,
    site::Site,
};
use crate::harness::wait::until;

/// Looks, and counts its looks.
pub(super) struct Checker {
    customer: Customer,
    looks: u64,
}

impl Checker {
    pub(super) fn new(site: &Site, looks: u64) -> Self {
        Self { customer: site.customer().clone(), looks }
    }

    /// How often it has looked at one request.
    pub(super) fn looks(&self) -> u64 {
        self.looks
    }

    /// What was promised of a share of the requests; ids are random, so the share is another one each time.
    pub(super) async fn newest(&mut self, ledger: &Ledger) -> Result<()> {
        let promised: Vec<Asked> =
            ledger.all().into_iter().filter(|asked| asked.promise() > Promise::Submitted).collect();
        let step = promised.len() / MOST_LOOKS + 1;
        let first = usize::try_from(self.looks).unwrap_or_default() % step;
        for asked in promised.iter().skip(first).step_by(step) {
            self.look(asked).await?;
        }
        Ok(())
    }

    /// Every promise, and that nothing was granted that nobody asked for or twice.
    pub(super) async fn everything(&mut self, ledger: &Ledger, operators: &Operators<'_>) -> Result<()> {
        let all = ledger.all();
        let mut shown = self.listed().await?;
        let known: BTreeSet<RequestId> = all.iter().map(Asked::id).collect();
        let foreign = shown.keys().find(|id| !known.contains(id));
        ensure!(foreign.is_none(), "{foreign:?} is known, but nobody asked for it");
        self.arrived(&all, &mut shown).await?;
        for asked in &all {
            self.keeps(asked, shown.get(&asked.id()))?;
        }
        let step = all.len() / MOST_CERTIFICATES + 1;
        for asked in all.iter().step_by(step) {
            self.certificate_again(asked, operators).await?;
        }
        Ok(())
    }

    async fn listed(&self) -> Result<BTreeMap<RequestId, RequestView>> {
        let mut shown = BTreeMap::new();
        for view in self.customer.requests().await? {
            let id: RequestId = view.id.parse().context("an id")?;
            ensure!(shown.insert(id, view).is_none(), "{id} is listed twice");
        }
        Ok(shown)
    }

    /// Adds what is not listed, because it is on its way from the broker or because the list holds the newest only.
    async fn arrived(&self, all: &[Asked], shown: &mut BTreeMap<RequestId, RequestView>) -> Result<()> {
        for id in all.iter().map(Asked::id).filter(|id| !shown.contains_key(id)).collect::<Vec<_>>() {
            let look =
                || async { self.customer.look(id).await?.with_context(|| format!("{id} is not there")) };
            shown.insert(id, until("every request reaches the client", super::STANDSTILL, look).await?);
        }
        Ok(())
    }

    async fn look(&mut self, asked: &Asked) -> Result<()> {
        let view = self.customer.look(asked.id()).await?;
        self.keeps(asked, view.as_ref())
    }

    fn keeps(&mut self, asked: &Asked, view: Option<&RequestView>) -> Result<()> {
        self.looks += 1;
        let view = view.with_context(|| format!("{} is lost after {:?}", asked.id(), asked.promise()))?;
        let told = || format!("{:?}, but now {:?}: {}", asked.promise(), view.state(), view.state_reason);
        ensure!(asked.holds(view), "{} was {}", asked.id(), told());
        Ok(())
    }

    /// A certificate request has one certificate, however often it is delivered and read.
    async fn certificate_again(&self, asked: &Asked, operators: &Operators<'_>) -> Result<()> {
        if asked.promise() != Promise::Done {
            return Ok(());
        }
        let outcome = operators.read_again(asked.operator, &asked.submitted).await?;
        let issued = outcome.issued.context("the certificate is gone")?;
        ensure!(asked.is_certificate(&issued.certificate), "{} has two certificates", asked.id());
        Ok(())
    }
}

/// After one power cut; the last check looks at all.
const MOST_LOOKS: usize = 40;
/// Read again at the end, each over a watch of its own.
const MOST_CERTIFICATES: usize = 400;
