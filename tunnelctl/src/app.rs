//! One run: the surroundings in the form that commands use them.

use tokio::io::AsyncRead;

use crate::{
    console::{Console, Format},
    context::ContextName,
    requester::{Interrupt, interrupt},
    surroundings::{Clock, Folders, Prompt, Surroundings},
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
    pub(crate) prompt: Prompt,
    pub(crate) proxies: Vec<(String, String)>,
}

impl App {
    /// For a command line with these global words.
    pub(crate) fn new(output: Format, context: Option<ContextName>, surroundings: Surroundings) -> Self {
        let Surroundings { folders, stdin, stdout, stderr, terminal, clock, prompt, proxies, .. } =
            surroundings;
        Self {
            console: Console::new(stdout, stderr, terminal, output),
            folders,
            context: context.or(surroundings.context),
            clock,
            interrupt: interrupt(surroundings.interrupt),
            stdin,
            prompt,
            proxies,
        }
    }
}
