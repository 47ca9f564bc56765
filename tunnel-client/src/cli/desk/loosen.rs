//! What needs an approver and is no request: end a pause, allow an operator again, set the clock back.

use std::time::SystemTime;

use clap::Args;
use serde_json::json;
use tunnel_certs::statement::approval::Subject;
use tunnel_protos::{Challenge, OperatorName, UnixMillis, approvers as api};
use tunnel_runtime::exit::Exit;

use super::{
    super::{console::Person, output},
    Client, Console, Daemon, Failed, answered,
    signing::Signing,
};
use crate::clock;

/// Arguments of `resume`.
#[derive(Debug, Args)]
#[command(after_help = RESUME)]
pub(in crate::cli) struct Resume {
    /// The id of the pause that you were shown; without it, the one that is shown now is asked about.
    pause: Option<String>,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    daemon: Daemon,
}

/// Arguments of `operators allow`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tunnel-client operators allow mallory --key alice.key")]
pub(in crate::cli) struct AllowOperator {
    /// The operator's name.
    operator: OperatorName,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    daemon: Daemon,
}

/// Arguments of `clock reset`.
#[derive(Debug, Args)]
#[command(after_help = RESET)]
pub(in crate::cli) struct ResetClock {
    /// The new highest time (RFC 3339); without it, this machine's time now.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339_weak)]
    to: Option<SystemTime>,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    daemon: Daemon,
}

impl Resume {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let mut client = self.daemon.connect(console).await?;
        let pause_id = self.pause_id(&mut client, console).await?;
        let malformed = |_| Failed::Usage("not a pause's id; `tunnel-client status` shows it".into());
        let pause = pause_id.parse().map_err(malformed)?;
        let approval = self.signing.sign(&mut client, Subject::Resume { pause }, console).await?;
        let asked = api::ResumeRequest { pause_id, note: self.signing.note(), approval };
        let who = answered(client.resume(asked)).await?.who;
        let text = format!("Resumed by {}.\n", output::safe(&who));
        console.result(&text, &json!({ "pause": pause.to_string(), "who": who }))?;
        Ok(Exit::Ok)
    }

    /// The pause that was named, or the one in force if the person at the terminal says so.
    async fn pause_id(&self, client: &mut Client, console: &mut Console) -> Result<String, Failed> {
        if let Some(id) = &self.pause {
            return Ok(id.clone());
        }
        let status = answered(client.get_status(api::GetStatusRequest {})).await?;
        let nothing = || Failed::Usage("nothing is paused".into());
        let pause = status.pause.ok_or_else(nothing)?;
        if console.person == Person::Absent || self.signing.takes_input() {
            return Err(Failed::Usage("say which pause: `tunnel-client status` shows its id".into()));
        }
        console.hint(&output::paused(&pause, self.daemon.pasted()));
        if console.confirms("End this pause?")? { Ok(pause.id) } else { Err(Failed::Declined) }
    }
}

impl AllowOperator {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let mut client = self.daemon.connect(console).await?;
        let list = answered(client.list_operators(api::ListOperatorsRequest {})).await?;
        let found = list.operators.iter().find(|view| view.operator == self.operator.as_str());
        let denied_since = UnixMillis(found.map_or(0, |view| view.denied_since_ms));
        let subject = Subject::AllowOperator { operator: self.operator.clone(), denied_since };
        let approval = self.signing.sign(&mut client, subject, console).await?;
        let operator = self.operator.to_string();
        let asked = api::AllowOperatorRequest { operator, note: self.signing.note(), approval };
        let who = answered(client.allow_operator(asked)).await?.who;
        let text = format!("Operator {} is allowed again, by {}.\n", self.operator, output::safe(&who));
        console.result(&text, &json!({ "operator": self.operator.as_str(), "who": who }))?;
        Ok(Exit::Ok)
    }
}

impl ResetClock {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let mut client = self.daemon.connect(console).await?;
        let to = self.to.map_or_else(clock::wall, UnixMillis::from_system);
        let drawn = answered(client.get_challenge(api::GetChallengeRequest {})).await?;
        let malformed = |_| Failed::Usage("the client's challenge is malformed".into());
        let challenge = Challenge::try_from(&drawn.challenge[..]).map_err(malformed)?;
        let approval = self.signing.sign(&mut client, Subject::ClockReset { challenge, to }, console).await?;
        let asked = api::ResetClockRequest { to_ms: to.0, note: self.signing.note(), approval };
        let reply = answered(client.reset_clock(asked)).await?;
        let (from, to) = (output::stamp(reply.from_ms), output::stamp(reply.to_ms));
        let text = format!("The highest time seen was {from}; it is {to} now.\n");
        console.result(&text, &json!({ "from": reply.from_ms, "to": reply.to_ms }))?;
        Ok(Exit::Ok)
    }
}

const RESUME: &str = "\
Examples:
  tunnel-client resume                                  # shows the pause, then asks
  tunnel-client resume 6fbb0d3e-… --key alice.key --note 'looked into it'";

const RESET: &str = "\
Examples:
  tunnel-client clock reset --key alice.key
  tunnel-client clock reset --to 2026-11-20T13:00:00Z";
