//! `approve` and `deny`: what is answered is what was shown.
//!
//! A yes needs somebody who saw the request: a person at this terminal, or a script that names its words or digest. A
//! no needs neither, because a mistaken no costs a new request only.

use clap::Args;
use prost::Message;
use tunnel_certs::{
    crypto,
    statement::approval::{self, Subject},
    words::Words,
};
use tunnel_protos::{
    Digest, approvers as api,
    operations::{Paint, v1::Operation},
};
use tunnel_runtime::exit::Exit;

use super::{
    super::{console::Person, output},
    Client, Console, Daemon, Failed, answered,
    signing::Signing,
};
use crate::clock;

/// Arguments of `approve`.
#[derive(Debug, Args)]
#[command(after_help = APPROVE)]
pub(in crate::cli) struct Approve {
    /// The request's id, or its first characters.
    id: String,
    /// The 8 words that were shown; anything else is refused.
    #[arg(long, group = "shown")]
    words: Option<Words>,
    /// The digest that was shown (`show --output json`), in hex; anything else is refused.
    #[arg(long, group = "shown", value_name = "HEX", value_parser = digest)]
    digest: Option<Digest>,
    /// The digest of the plan that was shown (`show --output json`), in hex, or its first 16 digits; for an operation
    /// anything else is refused.
    #[arg(long, value_name = "HEX", value_parser = plan_digest)]
    plan: Option<String>,
    /// Do not ask; for scripts, which must say what they were shown.
    #[arg(long, requires = "shown")]
    yes: bool,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    daemon: Daemon,
}

/// Arguments of `deny`.
#[derive(Debug, Args)]
#[command(after_help = DENY)]
pub(in crate::cli) struct Deny {
    /// The request's id, or its first characters.
    id: String,
    /// Do not ask. A mistaken no costs a new request only, so it needs no words.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    daemon: Daemon,
}

impl Approve {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let mut client = self.daemon.connect(console).await?;
        let (view, digest) = self.look(&mut client, console).await?;
        let plan = self.plan(&view, console)?;
        if !self.yes {
            confirm("Approve this request?", &self.signing, &view, &self.daemon, console)?;
        }
        let subject = Subject::Request { request: digest, plan, answer: approval::Answer::Yes };
        let asked = answer_request(&mut client, &view, subject, &self.signing, console).await?;
        let view = answered(client.approve(asked)).await?;
        let waits = view.state() == tunnel_protos::v1::RequestState::Pending;
        let more = if waits { "; it waits for another person's yes" } else { "" };
        console.result(&format!("Approved {}{more}.\n", view.id), &output::json::request(&view))?;
        Ok(if waits { Exit::Waiting } else { Exit::Ok })
    }

    /// The request as it is now, which must be the one that words or digest name.
    async fn look(
        &self,
        client: &mut Client,
        console: &mut Console,
    ) -> Result<(api::RequestView, Digest), Failed> {
        let (view, digest) = look(client, &self.id).await?;
        let other = self.words.is_some_and(|words| words != Words::of(&digest))
            || self.digest.is_some_and(|shown| shown != digest);
        if other {
            console.hint(&output::request(&view, clock::wall(), self.daemon.pasted(), Paint::Plain));
            let message = "these are not its words: the request is another one than you were shown; compare the words above \
                           with the operator, and deny it if they differ";
            return Err(Failed::Usage(message.into()));
        }
        Ok((view, digest))
    }

    /// The digest of the plan that is approved: of the very plan that this program shows.
    fn plan(&self, view: &api::RequestView, console: &mut Console) -> Result<Option<Digest>, Failed> {
        if view.operation.is_none() {
            return Ok(None);
        }
        let running = view.running.as_ref().filter(|running| running.plan.is_some());
        let unplanned = || Failed::Usage("the operation is being planned; look again in a moment".into());
        let (digest, is_whole) = shown_plan(running.ok_or_else(unplanned)?)?;
        if !is_whole {
            return Err(Failed::Damaged);
        }
        let is_shown = |hex: &String| digest.to_string().starts_with(hex.as_str());
        match &self.plan {
            Some(hex) if is_shown(hex) => Ok(Some(digest)),
            None if !self.yes => Ok(Some(digest)),
            Some(_) => {
                console.hint(&output::request(view, clock::wall(), self.daemon.pasted(), Paint::Plain));
                Err(Failed::Usage("this is not its plan any more: look at it again".into()))
            }
            None => Err(Failed::Usage(
                "an operation is approved with its plan: add the `--plan` that `tunnel-client show` prints"
                    .into(),
            )),
        }
    }
}

/// The digest that goes with a plan, and whether it covers all that this program can show of it: a field that only a
/// newer client knows would be approved unseen.
fn shown_plan(running: &Operation) -> Result<(Digest, bool), Failed> {
    let digest = Digest::try_from(&running.plan_digest[..]);
    let digest = digest.map_err(|_| Failed::Usage("this plan cannot be approved".into()))?;
    let bytes = running.plan.as_ref().map(Message::encode_to_vec).unwrap_or_default();
    Ok((digest, crypto::sha256(&bytes) == *digest.as_bytes()))
}

impl Deny {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let mut client = self.daemon.connect(console).await?;
        let (view, digest) = look(&mut client, &self.id).await?;
        if !self.yes {
            confirm("Deny this request for ever?", &self.signing, &view, &self.daemon, console)?;
        }
        let subject = Subject::Request { request: digest, plan: None, answer: approval::Answer::No };
        let asked = answer_request(&mut client, &view, subject, &self.signing, console).await?;
        let view = answered(client.deny(asked)).await?;
        let text = format!("Denied {}.\n", view.id);
        console.result(&text, &output::json::request(&view))?;
        Ok(Exit::Ok)
    }
}

/// A pending request and its digest.
async fn look(client: &mut Client, id: &str) -> Result<(api::RequestView, Digest), Failed> {
    let view = answered(client.get_request(api::GetRequestRequest { id: id.to_owned() })).await?;
    if let Some(over) = Failed::over(&view) {
        return Err(over);
    }
    let digest = Digest::try_from(&view.digest[..]);
    let digest = digest.map_err(|_| Failed::Usage("this request cannot be answered".into()))?;
    Ok((view, digest))
}

/// Shows the request and asks the person at the terminal.
fn confirm(
    question: &str,
    signing: &Signing,
    view: &api::RequestView,
    daemon: &Daemon,
    console: &mut Console,
) -> Result<(), Failed> {
    if console.person == Person::Absent || signing.takes_input() {
        let message = "nobody can be asked here (standard input is no terminal, or the key): add `--yes`, and \
                       to approve the `--words` that `tunnel-client show` prints";
        return Err(Failed::Usage(message.into()));
    }
    console.hint(&output::request(view, clock::wall(), daemon.pasted(), console.paint()));
    if console.confirms(question)? { Ok(()) } else { Err(Failed::Declined) }
}

async fn answer_request(
    client: &mut Client,
    view: &api::RequestView,
    subject: Subject,
    signing: &Signing,
    console: &mut Console,
) -> Result<api::AnswerRequest, Failed> {
    let plan = match &subject {
        Subject::Request { plan: Some(plan), .. } => plan.as_bytes().to_vec(),
        _ => Vec::new(),
    };
    Ok(api::AnswerRequest {
        id: view.id.clone(),
        digest: view.digest.clone(),
        note: signing.note(),
        approval: signing.sign(client, subject, console).await?,
        plan_digest: plan,
    })
}

/// The whole digest, or as much of it as nobody finds a second plan for.
fn plan_digest(text: &str) -> Result<String, &'static str> {
    let is_hex = text.bytes().all(|c| c.is_ascii_hexdigit());
    match is_hex && (16..=64).contains(&text.len()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("a plan's digest has 16 to 64 hexadecimal digits"),
    }
}

fn digest(text: &str) -> Result<Digest, &'static str> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| "not hexadecimal")?;
    Digest::try_from(&bytes[..]).map_err(|_| "a digest has 64 hexadecimal digits")
}

const APPROVE: &str = "\
Examples:
  tunnel-client approve 3fa8                                   # shows the request, then asks
  tunnel-client approve 3fa8 --key alice.key --note 'OPS-12'   # by an approver key, whatever your user id
  tunnel-client approve 3fa8 --yes --words \"one two three four five six seven eight\"
  tunnel-client approve 3fa8 --yes --words \"one two … eight\" --plan 5b2c90aa17e3d4f1    # an operation
  kubectl exec -i deploy/tunnel-client -- tunnel-client approve 3fa8 --key - --as alice --yes \\
      --words \"one two three four five six seven eight\" < alice.key

Exit codes: 0 approved · 1 failed · 2 not understood, or other words · 3 you may not, or it is denied ·
4 more approvals are needed · 5 it has expired";

const DENY: &str = "\
Examples:
  tunnel-client deny 3fa8 --note 'not during the freeze'
  tunnel-client deny 3fa8 --yes

Exit codes: 0 denied · 1 failed · 2 not understood · 3 it is denied already · 5 it has expired";
