//! The operator's command line, as a library: [`run`] does what the program does, in whatever [`Surroundings`].
//!
//! Invariant: the broker is never believed. Keys come from entries signed by a pinned vendor key, answers from
//! outcomes signed by the cluster key, and sessions end at gates that chain to those outcomes' anchors.

use std::ffi::OsString;

use serde_json::json;
use tunnel_runtime::{chain::chain, exit::Exit};

pub mod api;
pub mod call;
pub mod certs;
pub mod cli;
pub mod console;
pub mod context;
pub mod entries;
pub mod operator;
pub mod process;
pub mod requester;
pub mod session;
pub mod surroundings;

mod access;
mod app;
mod commands;
mod desk;
mod doctor;
mod ending;
mod enroll;
mod failure;
mod folder;
mod office;
mod operate;
mod proxy;
mod rotation;
mod signing;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trust;

use self::{app::App, cli::Cli, console::Console, failure::Failure};
pub use self::{ending::Ending, surroundings::Surroundings};

/// Runs one command line (program name first) and says how it ended; results and messages go to the surroundings.
pub async fn run(args: impl IntoIterator<Item = OsString>, surroundings: Surroundings) -> Ending {
    match Cli::read(args) {
        Ok(cli) => dispatch(cli, surroundings).await,
        Err(error) => explain(&error, surroundings),
    }
}

async fn dispatch(cli: Cli, surroundings: Surroundings) -> Ending {
    let mut app = App::new(cli.output, cli.context, surroundings);
    let done = commands::run(&mut app, cli.command).await;
    finish(app, done)
}

/// Says how a command ended.
fn finish(mut app: App, done: Result<Ending, Failure>) -> Ending {
    let ending = done.unwrap_or_else(|failure| fail(&mut app, failure));
    match app.console.finish() {
        Ok(()) => ending,
        // Whoever closed our output has what they wanted, but a script must not take half a result for a whole.
        Err(_) => Exit::Failed.into(),
    }
}

/// Says why a command ended without its result: to people, and as the last line of JSON.
fn fail(app: &mut App, failure: Failure) -> Ending {
    let (text, ending) = (chain(&failure).to_string(), failure.ending());
    if let Failure::Over { record, told, .. } = failure {
        access::report::say(app, &record, *told);
        return ending;
    }
    if app.console.format() == console::Format::Json {
        let event = json!({ "event": "failed", "message": text, "exit": ending.code(), "details": failure.details() });
        app.console.json(&event);
    }
    app.console.error(text);
    failure.details().iter().for_each(|line| app.console.note(format_args!("  {line}")));
    ending
}

/// Help and version are results; anything else that clap says is a mistake in the command line.
fn explain(error: &clap::Error, surroundings: Surroundings) -> Ending {
    let Surroundings { stdout, stderr, terminal, .. } = surroundings;
    let colored = terminal.color && if error.use_stderr() { terminal.stderr } else { terminal.stdout };
    let rendered = error.render();
    let text = if colored { rendered.ansi().to_string() } else { rendered.to_string() };
    let mut console = Console::new(stdout, stderr, terminal, console::Format::Text);
    if error.use_stderr() {
        console.note(text.trim_end());
        return Exit::Usage.into();
    }
    console.print(text.trim_end());
    console.finish().map_or(Exit::Failed, |()| Exit::Ok).into()
}
