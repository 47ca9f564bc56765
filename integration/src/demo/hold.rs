//! Lines to paste while the demo is held.

use anyhow::Result;
use tunnel_runtime::layout::quoted;

use super::{stage::Stage, steps::operator};
use crate::harness::binaries;

/// Gets a fresh grant and prints what can be done with it.
pub async fn lines(stage: &mut Stage) -> Result<()> {
    stage.told.step("Held: paste these into another terminal", "Ctrl-C ends it all");
    let access = operator::ask(stage, "looking around").await?;
    stage.told.command(&format!("export PATH={}:$PATH", folders()?));
    stage.told.command(&format!("cd {}", stage.shell.folder().display()));
    let described = format!(" -protoset {}", stage.play.protoset);
    for (what, flags, call) in [
        ("a call that changes nothing", "", stage.play.read.0),
        ("a stream", "", stage.play.stream),
        ("the same call by the engine's own descriptors, without reflection", &described, stage.play.read.0),
    ] {
        stage.told.explain(&format!("# {what}"));
        stage.told.command(&access.line(flags, call.data, call.method));
    }
    let socket = stage.client_settings.socket();
    stage.told.explain("# the customer ends it");
    stage.told.command(&format!("tunnel-client revoke {} --socket {}", access.grant, socket.display()));
    Ok(())
}

/// Where the pasted programs are: this one's neighbors, and grpcurl.
fn folders() -> Result<String> {
    let programs = [std::env::current_exe()?, binaries::tool("grpcurl")?.canonicalize()?];
    let folders = programs.iter().filter_map(|program| program.parent());
    Ok(quoted(&folders.map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(":")))
}
