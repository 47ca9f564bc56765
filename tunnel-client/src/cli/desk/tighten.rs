//! What anybody who can open the socket may do, at once: revoke, pause, deny an operator. Nothing is asked first.

use clap::Args;
use tunnel_protos::approvers as api;
use tunnel_runtime::exit::Exit;

use super::{super::output, Client, Console, Daemon, Failed, answered};

/// Arguments of `revoke`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tunnel-client revoke 3fa8 --note 'work is done'")]
pub(in crate::cli) struct Revoke {
    /// The grant's id, or its first characters.
    id: String,
    /// Why; its operator is told, and it stands in the record.
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    daemon: Daemon,
}

/// Arguments of `pause`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tunnel-client pause --note 'something is odd'    # `resume` ends it")]
pub(in crate::cli) struct Pause {
    /// Why; operators who are cut and refused meanwhile are told, and it stands in the record.
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    daemon: Daemon,
}

/// Arguments of `operators deny`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tunnel-client operators deny mallory --note 'left the vendor'")]
pub(in crate::cli) struct DenyOperator {
    /// The operator's name.
    operator: String,
    /// Why; the operator is told, and it stands in the record.
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    daemon: Daemon,
}

impl Revoke {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let mut client = self.daemon.connect(console).await?;
        let asked = api::RevokeRequest { id: self.id, note: self.note };
        let reply = answered(client.revoke(asked)).await?;
        let text = format!("Revoked {}; sessions cut: {}.\n", reply.id, reply.sessions_cut);
        console.result(&text, &output::json::revoked(&reply))?;
        Ok(Exit::Ok)
    }
}

impl Pause {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let mut client = self.daemon.connect(console).await?;
        let view = answered(client.pause(api::PauseRequest { note: self.note })).await?;
        console.result(&output::paused(&view, self.daemon.pasted()), &output::json::pause(&view))?;
        Ok(Exit::Ok)
    }
}

impl DenyOperator {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let mut client = self.daemon.connect(console).await?;
        let asked = api::DenyOperatorRequest { operator: self.operator.clone(), note: self.note };
        let reply = answered(client.deny_operator(asked)).await?;
        let text = format!(
            "Denied operator {}; requests denied: {}, grants revoked: {}, sessions cut: {}.\n",
            self.operator, reply.requests_denied, reply.grants_revoked, reply.sessions_cut
        );
        let asked = has_asked(&mut client, &self.operator).await;
        console.result(&text, &output::json::operator_denied(&self.operator, &reply, asked))?;
        if asked == Some(false) {
            console
                .hint("No operator of this name has asked here lately; `operators` lists those that have.\n");
        }
        Ok(Exit::Ok)
    }
}

/// Whether the client remembers a request of this operator; none if it does not say, which undoes no deny.
async fn has_asked(client: &mut Client, operator: &str) -> Option<bool> {
    let list = answered(client.list_operators(api::ListOperatorsRequest {})).await.ok()?;
    Some(list.operators.iter().any(|view| view.operator == operator && view.last_asked_ms > 0))
}
