//! What the broker, through which all of it went, knows afterwards.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::{
    demo::stage::Stage,
    harness::{PATIENCE, admin, program::Program, wait::until},
};

/// The broker's log, metrics and store: sizes and times, never contents.
pub async fn view(stage: &mut Stage) -> Result<()> {
    stage.told.step("The broker's view of it all", "vendor's network");
    // A session is told of when it ends, which may be a moment after its caller has.
    let log = until("its log tells of what it carried", PATIENCE, || async {
        let log = stage.broker.as_ref().map(Program::output).context("the broker runs")?;
        ensure!(log.lines().any(|line| telling(line).is_some()), "nothing yet");
        Ok(log)
    })
    .await?;
    stage.told.command("grep -oE '(Request|Outcome|Session carried) .*' broker/broker.log");
    let lines: Vec<&str> = log.lines().filter_map(telling).collect();
    stage.told.output(&lines.join("\n"));
    let metrics = admin::get(stage.broker_settings.listen.admin, "/metrics").await?;
    stage.told.command(&format!(
        "curl -s http://{}/metrics | grep bytes_total",
        stage.broker_settings.listen.admin
    ));
    let bytes: Vec<&str> =
        metrics.lines().filter(|line| line.contains("bytes_total") && !line.starts_with('#')).collect();
    ensure!(!bytes.is_empty(), "its metrics count nothing");
    stage.told.output(&bytes.join("\n"));
    let kept = kept(&stage.broker_settings.state)?;
    for secret in stage.play.secrets {
        let found = kept.iter().any(|bytes| contains(bytes, secret.as_bytes()));
        ensure!(!found && !log.contains(secret), "the broker knows `{secret}`");
    }
    stage
        .told
        .good("no method, no reason, no ticket, no answer in its log or its store: ciphertext sizes only");
    Ok(())
}

/// The part of a log line that tells what was carried, if it does.
fn telling(line: &str) -> Option<&str> {
    let starts = ["Request ", "Outcome ", "Session carried "].into_iter().filter_map(|word| line.find(word));
    line.get(starts.min()?..)
}

/// Contents of all files below the broker's state folder.
fn kept(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(kept(&path)?);
        } else {
            all.push(fs::read(path)?);
        }
    }
    Ok(all)
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
