//! Lines to paste while the demo is held.

use anyhow::{Context, Result};

use super::{stage::Stage, steps::operator};
use crate::harness::grpcurl::Grpcurl;

/// Gets a fresh grant and prints what can be done with it.
pub async fn lines(stage: &mut Stage) -> Result<()> {
    stage.told.step("Held: paste these into another terminal", "Ctrl-C ends it all");
    let access = operator::ask(stage, "looking around").await?;
    let grpcurl = Grpcurl::find().context("grpcurl is not installed under .tools/bin; run `make tools`")?;
    let program = grpcurl.path().canonicalize()?;
    let paste = |line: String| line.replacen("grpcurl", &program.display().to_string(), 1);
    stage.told.command(&format!("cd {}", stage.shell.folder().display()));
    let status = "engine.admin.v1.Admin/GetStatus";
    let task = "{\"task\": \"TASK_CHECK\", \"pauseMillis\": 1000}";
    for (what, line) in [
        ("a unary call", access.line("", "{}", status)),
        ("a server stream", access.line("", task, "engine.admin.v1.Admin/RunTask")),
    ] {
        stage.told.explain(&format!("# {what}"));
        stage.told.command(&paste(line));
    }
    let socket = stage.client_settings.socket();
    stage.told.explain("# the customer ends it");
    stage.told.command(&format!("tunnel-client revoke {} --socket {}", access.grant, socket.display()));
    Ok(())
}
