//! One run: the surroundings in the form that commands use them.

use tokio::io::AsyncRead;

use crate::{
    cli::{Cli, Command},
    console::Console,
    context::ContextName,
    requester::{Interrupt, interrupt},
    surroundings::{Clock, Folders, Surroundings},
};

/// What every command works with.
pub(crate) struct App {
    pub(crate) console: Console,
    pub(crate) folders: Folders,
    /// The context asked for, the flag wins over the surroundings.
    pub(crate) context: Option<ContextName>,
    pub(crate) clock: Clock,
    pub(crate) interrupt: Interrupt,
    pub(crate) stdin: Box<dyn AsyncRead + Send + Unpin>,
}

impl App {
    pub(crate) fn new(cli: Cli, surroundings: Surroundings) -> (Self, Command) {
        let Surroundings { folders, context, stdin, stdout, stderr, terminal, clock, interrupt: wish } =
            surroundings;
        let app = Self {
            console: Console::new(stdout, stderr, terminal, cli.output),
            folders,
            context: cli.context.or(context),
            clock,
            interrupt: interrupt(wish),
            stdin,
        };
        (app, cli.command)
    }
}
