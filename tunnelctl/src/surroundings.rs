//! Everything that a run takes from outside: folders, streams, clock, interruption.
//!
//! `main` fills it from the process, a harness with what it likes; nothing else reads the environment.

use std::{
    fmt,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use futures_util::future::BoxFuture;
use tokio::io::AsyncRead;
use tunnel_protos::UnixMillis;
use zeroize::Zeroizing;

use crate::context::ContextName;

/// What a run of the program is surrounded by.
pub struct Surroundings {
    /// Where contexts, open requests and sessions are kept.
    pub folders: Folders,
    /// The context to use when the command line names none.
    pub context: Option<ContextName>,
    /// Where `-d @` reads.
    pub stdin: Box<dyn AsyncRead + Send + Unpin>,
    /// Where results go.
    pub stdout: Box<dyn Write + Send>,
    /// Where progress, warnings and errors go.
    pub stderr: Box<dyn Write + Send>,
    /// What the two outputs are connected to.
    pub terminal: Terminal,
    /// The wall clock.
    pub clock: Clock,
    /// Ends when the person wants the command to stop; open requests stay open.
    pub interrupt: BoxFuture<'static, ()>,
    /// Asks the person for a passphrase.
    pub prompt: Prompt,
    /// The proxy variables that are set; nothing here follows them, and `doctor` says so.
    pub proxies: Vec<(String, String)>,
}

/// Asks for a passphrase without showing it.
pub type Prompt = Box<dyn Fn(&str) -> io::Result<Zeroizing<String>> + Send + Sync>;

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("folders", &self.folders).finish_non_exhaustive()
    }
}

/// What the outputs are connected to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminal {
    /// Standard output is a terminal.
    pub stdout: bool,
    /// Standard error is a terminal: progress is shown.
    pub stderr: bool,
    /// The person does not mind color (`NO_COLOR` is not set).
    pub color: bool,
    /// How wide it is; 0 where nobody knows.
    pub columns: usize,
}

/// The wall clock, injected so that tests own time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixMillis + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Arc::new(|| UnixMillis::from_system(std::time::SystemTime::now())))
    }

    /// A clock that says what `now` says.
    pub fn new(now: impl Fn() -> UnixMillis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> UnixMillis {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}

/// Where the program keeps its files; each folder is made with mode 0700 when first written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Contexts.
    pub config: PathBuf,
    /// Open requests with their outcome keys, and the newest entry seen of each cluster.
    pub state: PathBuf,
    /// Session keys and certificates.
    pub runtime: PathBuf,
}

/// Neither the XDG variables nor `HOME` say where files belong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no place for files: set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME")]
pub struct NoHome;

impl Folders {
    /// The XDG base directories, by a look-up of environment variables.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, NoHome> {
        // The XDG specification ignores relative paths.
        let absolute = |name: &str| lookup(name).filter(|path| path.is_absolute());
        let home = |rest: &str| absolute("HOME").map(|home| home.join(rest));
        let config = absolute("XDG_CONFIG_HOME").or_else(|| home(".config")).ok_or(NoHome)?.join(FOLDER);
        let state = absolute("XDG_STATE_HOME").or_else(|| home(".local/state")).ok_or(NoHome)?.join(FOLDER);
        // Not a name under /tmp: someone else could have made it first.
        let runtime = absolute("XDG_RUNTIME_DIR").map_or_else(|| state.join("run"), |path| path.join(FOLDER));
        Ok(Self { config, state, runtime })
    }
}

const FOLDER: &str = "postern";

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(vars: &[(&str, &str)]) -> Result<Folders, NoHome> {
        let find = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        Folders::from_lookup(find)
    }

    #[test]
    fn xdg_variables_win_over_home() {
        let all =
            [("HOME", "/h"), ("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "/s"), ("XDG_RUNTIME_DIR", "/r")];
        let found = folders(&all).unwrap();
        let expected = ["/c/postern", "/s/postern", "/r/postern"].map(PathBuf::from);
        assert_eq!([found.config, found.state, found.runtime], expected);
    }

    #[test]
    fn home_alone_is_enough() {
        let found = folders(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "relative")]).unwrap();
        assert_eq!(found.config, PathBuf::from("/h/.config/postern"));
        assert_eq!(found.runtime, PathBuf::from("/h/.local/state/postern/run"));
    }

    #[test]
    fn nothing_set_is_an_error() {
        assert_eq!(folders(&[]), Err(NoHome));
    }
}
