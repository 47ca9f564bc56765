//! Calls through the tunnel: one that is granted, one that is not, and one that is cut.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Lines},
    time::{Instant, timeout},
};

use crate::demo::{play::Call, stage::Stage};

/// A granted call.
pub async fn call(stage: &mut Stage) -> Result<()> {
    stage.told.step("An admin call through the tunnel", "operator → broker → client → engine");
    stage.told.explain("Reflection shows what was granted, and nothing else:");
    let access = stage.access()?;
    let list = format!("{} {} list", access.flags, access.address);
    stage.shell.run(&mut stage.told, &list).await?;
    for (call, answer) in [stage.play.read, stage.play.write] {
        let line = line(stage, call)?;
        let printed = stage.shell.run(&mut stage.told, &line).await?;
        ensure!(printed.contains(answer), "not the answer of {}: {printed}", call.method);
    }
    stage.told.good("the engine answered");
    Ok(())
}

/// A call that nobody granted.
pub async fn out_of_scope(stage: &mut Stage) -> Result<()> {
    stage.told.step("Out of scope: refused, with the reason", "operator → client's gate");
    stage.told.explain("With the engine's whole descriptor set at hand, so that grpcurl does send it:");
    let line = line(stage, stage.play.foreign)?
        .replace(" -max-time", &format!(" -protoset {} -max-time", stage.play.protoset));
    stage.told.command(&line);
    let ran = stage.shell.quietly(&line).await?;
    let printed = ran.text;
    stage.told.output(for_people(&printed));
    ensure!(!ran.status.success(), "the call succeeded and must not");
    let said = ["PermissionDenied", "PERMISSION_DENIED", "denied"];
    ensure!(said.iter().any(|word| printed.contains(word)), "not the reason: {printed}");
    stage.told.good("the engine never saw it");
    Ok(())
}

/// The customer ends the grant while a stream runs.
pub async fn revoke(stage: &mut Stage) -> Result<()> {
    stage.told.step("The customer revokes: a live stream is cut", "customer's engineer");
    let line = line(stage, stage.play.stream)?;
    let mut stream = stage.shell.start(&mut stage.told, &line)?;
    let mut lines = BufReader::new(stream.stdout.take().context("its output")?).lines();
    let first = timeout(LIMIT, first_message(&mut lines)).await.context("no message of the stream")??;
    stage.told.output(&first);
    let grant = stage.access()?.grant.clone();
    let revoke =
        format!("tunnel-client revoke {grant} --note 'work is done' --socket customer/run/approvers.sock");
    let start = Instant::now();
    stage.shell.run(&mut stage.told, &revoke).await?;
    let output = timeout(LIMIT, stream.wait_with_output()).await.context("the stream was not cut")??;
    let took = start.elapsed();
    ensure!(!output.status.success(), "the stream ended as if nothing had happened");
    let error = String::from_utf8_lossy(&output.stderr);
    stage.told.output(for_people(&error));
    ensure!(error.contains("the customer revoked the grant"), "it does not say why: {error}");
    stage.told.good(&format!("cut within {} ms of the command", took.as_millis()));
    Ok(())
}

/// What follows are the same facts for programs, in base64.
fn for_people(error: &str) -> &str {
    error.split("  Details:").next().unwrap_or_default()
}

/// The first message of a server stream as grpcurl prints it: from `{` to `}`.
async fn first_message(lines: &mut Lines<impl AsyncRead + AsyncBufReadExt + Unpin>) -> Result<String> {
    let mut message = String::new();
    while let Some(line) = lines.next_line().await? {
        message.push_str(&line);
        message.push('\n');
        if line.starts_with('}') {
            return Ok(message);
        }
    }
    anyhow::bail!("the stream ended at once: {message}")
}

fn line(stage: &Stage, call: Call) -> Result<String> {
    Ok(stage.access()?.line(" -max-time 60", call.data, call.method))
}

const LIMIT: Duration = Duration::from_secs(10);
