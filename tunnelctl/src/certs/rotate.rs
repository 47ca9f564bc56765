//! `tunnel-certs rotate`: the mesh CA as a job, operator CA, vendor key and release keys as steps of the trust bundle.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use tunnel_certs::rotation::Goal;

use super::trust_steps;
use crate::{
    app::App,
    cli::{VendorKey, duration},
    ending::Ending,
    failure::Failure,
    office::Office,
    rotation::{
        bundle::Source,
        job::{Job, status, text},
        observed::{Observed, Passes},
    },
};

/// Every command can be killed and run again: it goes on from what the certificates say.
#[derive(Debug, Subcommand)]
pub(super) enum Rotate {
    /// Replace the mesh CA: standby, init, update-replicas, update-brokers, standby
    #[command(after_help = MESH)]
    Mesh(Mesh),
    /// Go on with a rotation of the mesh CA that is under way, forward or back; begin none
    Finish(Mesh),
    /// Go back to the old mesh CA, as long as the trust bundle still names it
    Rollback(Mesh),
    /// Where the rotation is, and who has acknowledged what
    Status(Passed),
    /// Put a new operator CA beside the old one, or take an old one away
    #[command(after_help = OPERATOR_CA)]
    OperatorCa(trust_steps::OperatorCa),
    /// Put a new vendor key beside the old one, or take an old one away
    #[command(after_help = VENDOR_KEY)]
    VendorKey(trust_steps::VendorKeys),
    /// Change the release keys and how many of them sign a release
    ReleaseKeys(trust_steps::ReleaseKeys),
    /// Publish the trust bundle anew, good for another 90 days
    Renew(Signature),
}

/// Where the signature of a trust bundle comes from.
#[derive(Debug, Args)]
pub(super) struct Signature {
    #[command(flatten)]
    key: VendorKey,
    /// Where a trust bundle has to be signed, write it here and stop (exit code 4)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["vendor_key", "signed"])]
    write_unsigned: Option<PathBuf>,
    /// Publish this trust bundle, which was signed elsewhere
    #[arg(long, value_name = "FILE", conflicts_with = "vendor_key")]
    signed: Option<PathBuf>,
}

impl Signature {
    pub(super) fn source(self) -> Source {
        Source::new(self.key, self.write_unsigned, self.signed)
    }
}

/// Who is not waited for.
#[derive(Debug, Args)]
pub(super) struct Passed {
    /// Do not wait for this replica, `customer/cluster/replica` or `label/replica`. May be repeated
    #[arg(long, value_name = "REPLICA")]
    pass_absent: Vec<String>,
    /// Do not wait for replicas that have been away for longer than this
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pass_absent_older_than: Option<Duration>,
}

impl From<Passed> for Passes {
    fn from(passed: Passed) -> Self {
        Self { named: passed.pass_absent, older_than: passed.pass_absent_older_than }
    }
}

/// `rotate mesh`, `rotate finish` and `rotate rollback`.
#[derive(Debug, Args)]
pub(super) struct Mesh {
    #[command(flatten)]
    signature: Signature,
    #[command(flatten)]
    passed: Passed,
    /// Look and say what would be done next; do nothing
    #[arg(long)]
    dry_run: bool,
    /// Stop when nothing went on for this long (exit code 4)
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration)]
    wait: Duration,
    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    poll: Duration,
}

impl Rotate {
    pub(super) async fn run(self, app: &mut App) -> Result<Ending, Failure> {
        match self {
            Self::Mesh(args) => args.run(app, Goal::Start).await,
            Self::Finish(args) => args.run(app, Goal::Finish).await,
            Self::Rollback(args) => args.run(app, Goal::RollBack).await,
            Self::Status(passed) => show(app, &passed.into()).await,
            Self::OperatorCa(args) => args.run(app).await,
            Self::VendorKey(args) => args.run(app).await,
            Self::ReleaseKeys(args) => args.run(app).await,
            Self::Renew(signature) => trust_steps::renew(app, signature.source()).await,
        }
    }
}

impl Mesh {
    async fn run(self, app: &mut App, goal: Goal) -> Result<Ending, Failure> {
        let office = Office::open(app)?;
        let mut job = Job {
            app,
            office,
            goal,
            source: self.signature.source(),
            passes: self.passed.into(),
            patience: self.wait,
            poll: self.poll,
            prepared: None,
            said: String::new(),
        };
        if self.dry_run { job.dry_run().await } else { job.run().await }
    }
}

async fn show(app: &mut App, passes: &Passes) -> Result<Ending, Failure> {
    let office = Office::open(app)?;
    let seen = Observed::look(&office, None, passes, app.clock.now()).await?;
    let count = seen.count();
    app.console.result(&status(&seen, &count), text(&seen, &count));
    Ok(Ending::OK)
}

const MESH: &str = "\
Examples:
  tunnel-certs rotate mesh --vendor-key vendor.key
  tunnel-certs rotate mesh --vendor-key vendor.key --pass-absent-older-than 3d
With the vendor key on another machine; twice, once at the beginning and once at the end:
  tunnel-certs rotate mesh --write-unsigned bundle.unsigned
  tunnel-certs sign bundle.unsigned --vendor-key vendor.key --out bundle.pb      (there)
  tunnel-certs rotate mesh --signed bundle.pb";

const OPERATOR_CA: &str = "\
Examples:
  tunnel-certs rotate operator-ca --add new-ca.pem --vendor-key vendor.key
Then the identity team certifies by the new CA. 12 hours after the last certificate by the old one:
  tunnel-certs rotate operator-ca --remove old-ca.pem --last-issued 2026-11-20T13:00:00Z --vendor-key vendor.key";

const VENDOR_KEY: &str = "\
Examples:
  tunnel-certs rotate vendor-key --add new.pub --vendor-key old.key
Then every operator logs in with both keys (tunnelctl login … --vendor-key old.pub --vendor-key new.pub), and all entries
are signed by the new one (tunnelctl inventory renew --all --vendor-key new.key). At last:
  tunnel-certs rotate vendor-key --remove old.pub --vendor-key new.key";
