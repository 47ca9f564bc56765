//! Power cuts under load: operators ask, a customer answers, calls are made, and broker and client are killed (-9) at
//! random moments. What was acknowledged to anybody must hold after every one of them.
//!
//! The seed decides who is killed when, and what is asked; how the programs' threads interleave it does not.

mod books;
mod calls;
mod check;
mod customer;
mod ledger;
mod load;
mod site;

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep, timeout};

use self::{books::Books, check::Checker, ledger::Ledger, load::Operators, site::Site};
pub use self::{
    ledger::Tally,
    load::Jobs,
    site::{Kills, Role},
};
use crate::dice::Dice;

/// How hard.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Power cuts.
    pub rounds: u32,
    /// Of all dice.
    pub seed: u64,
    /// What is asked for.
    pub jobs: Jobs,
}

/// What was seen.
#[derive(Debug)]
pub struct Report {
    /// Power cuts, by program.
    pub kills: Kills,
    /// What was acknowledged.
    pub tally: Tally,
    /// Looks at one request after a power cut.
    pub looks: u64,
    /// Records of the audit log, each of them read.
    pub records: u64,
    /// From the first power cut to the last look.
    pub took: Duration,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kills, tally, looks, records, took } = self;
        write!(
            f,
            "{} kills of the broker, {} of the client in {took:.1?}; {} acknowledged events ({tally}), all of them \
             held; {looks} looks; {records} audit records",
            kills.broker,
            kills.client,
            tally.total()
        )
    }
}

/// A seed that was not used before.
pub fn seed() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Kills programs in `folder` as told; an error is a broken promise.
pub async fn run(options: Options, folder: &Path, says: impl Fn(String)) -> Result<Report> {
    let mut dice = Dice::new(options.seed);
    let mut site = Site::start(folder).await.context("start the programs")?;
    let ledger = Ledger::default();
    let operators = Operators::new(&site, &ledger, options.jobs)?;
    let load: Vec<_> = (0..OPERATORS).map(|n| operators.work(n, dice.fork())).collect();
    let (start, mut books) = (Instant::now(), site.books());
    let looks = {
        let cuts = async {
            let looks = cut_power(&mut site, &mut books, &ledger, options.rounds, &mut dice, says).await;
            ledger.stop();
            looks
        };
        let (looks, _) = tokio::try_join!(cuts, try_join_all(load))?;
        looks
    };
    let mut last = Checker::new(&site, looks);
    last.everything(&ledger, &operators).await.context("after the last power cut")?;
    let reached = ledger.calls().reached(&site.engine()).await.context("the engine")?;
    books.everything(&ledger, &reached).await.context("the books after the last power cut")?;
    let (looks, kills, took) = (last.looks(), site.kills(), start.elapsed());
    site.stop().await.context("after the last look")?;
    Ok(Report { kills, tally: ledger.tally(), looks, records: books.records(), took })
}

async fn cut_power(
    site: &mut Site,
    books: &mut Books,
    ledger: &Ledger,
    rounds: u32,
    dice: &mut Dice,
    says: impl Fn(String),
) -> Result<u64> {
    let mut looks = 0;
    for round in 1..=rounds {
        let role = *dice.pick(&[Role::Broker, Role::Client, Role::Client, Role::Both]);
        moment(ledger, dice).await.with_context(|| format!("before power cut {round}"))?;
        let told = ledger.tally();
        site.kill(role).await?;
        let left = books.newest(ledger).await;
        left.with_context(|| format!("the books as power cut {round} of {role:?} left them"))?;
        site.restart(role, dice).await.with_context(|| format!("power cut {round} of {role:?}"))?;
        books
            .newest(ledger)
            .await
            .with_context(|| format!("the books after power cut {round} of {role:?}"))?;
        let mut checker = Checker::new(site, looks);
        checker.newest(ledger).await.with_context(|| format!("after power cut {round} of {role:?}"))?;
        looks = checker.looks();
        says(format!("{round:>4} {role:?} after {told}"));
    }
    Ok(looks)
}

/// A random moment: some acknowledged events from now, and a little later.
async fn moment(ledger: &Ledger, dice: &mut Dice) -> Result<()> {
    let events = 1 + dice.below(MOST_EVENTS);
    timeout(STANDSTILL, ledger.events(events)).await.context("the load stands still")?;
    sleep(Duration::from_micros(dice.below(LONGEST_PAUSE_MICROS))).await;
    Ok(())
}

/// Enough that stores, mailbox and gate are always busy, few enough for two cores.
const OPERATORS: usize = 4;
/// Between two power cuts.
const MOST_EVENTS: u64 = 10;
/// As long as any of a request's steps takes: every one is cut somewhere.
const LONGEST_PAUSE_MICROS: u64 = 20_000;
/// Far beyond the 10 s in which everything works again.
const STANDSTILL: Duration = Duration::from_secs(60);
