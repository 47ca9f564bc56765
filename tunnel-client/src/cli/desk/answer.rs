//! `approve` and `deny`: what is answered is what was shown.
//!
//! A yes needs somebody who saw the request: a person at this terminal, or a script that names its words or digest. A
//! no needs neither, because a mistaken no costs a new request only.

use clap::Args;
use tunnel_certs::{
    statement::approval::{self, Subject},
    words::Words,
};
use tunnel_protos::{Digest, approvers as api};
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
        if !self.yes {
            confirm("Approve this request?", &self.signing, &view, &self.daemon, console)?;
        }
        let answer = approval::Answer::Yes;
        let asked = answer_request(&mut client, &view, digest, answer, &self.signing, console).await?;
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
            console.hint(&output::request(&view, clock::wall(), self.daemon.elsewhere()));
            let message = "these are not its words: the request is another one than you were shown; compare the words above \
                           with the operator, and deny it if they differ";
            return Err(Failed::Usage(message.into()));
        }
        Ok((view, digest))
    }
}

impl Deny {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let mut client = self.daemon.connect(console).await?;
        let (view, digest) = look(&mut client, &self.id).await?;
        if !self.yes {
            confirm("Deny this request for ever?", &self.signing, &view, &self.daemon, console)?;
        }
        let answer = approval::Answer::No;
        let asked = answer_request(&mut client, &view, digest, answer, &self.signing, console).await?;
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
    console.hint(&output::request(view, clock::wall(), daemon.elsewhere()));
    if console.confirms(question)? { Ok(()) } else { Err(Failed::Declined) }
}

async fn answer_request(
    client: &mut Client,
    view: &api::RequestView,
    request: Digest,
    answer: approval::Answer,
    signing: &Signing,
    console: &mut Console,
) -> Result<api::AnswerRequest, Failed> {
    let subject = Subject::Request { request, plan: None, answer };
    Ok(api::AnswerRequest {
        id: view.id.clone(),
        digest: request.as_bytes().to_vec(),
        note: signing.note(),
        approval: signing.sign(client, subject, console).await?,
        plan_digest: Vec::new(),
    })
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
  kubectl exec -i deploy/tunnel-client -- tunnel-client approve 3fa8 --key - --as alice --yes \\
      --words \"one two three four five six seven eight\" < alice.key

Exit codes: 0 approved · 1 failed · 2 not understood, or other words · 3 you may not, or it is denied ·
4 more approvals are needed · 5 it has expired";

const DENY: &str = "\
Examples:
  tunnel-client deny 3fa8 --note 'not during the freeze'
  tunnel-client deny 3fa8 --yes

Exit codes: 0 denied · 1 failed · 2 not understood · 3 it is denied already · 5 it has expired";
