//! Keeps the engine in step with its profile's files. A broken new profile keeps the one before it; sessions that are
//! open keep theirs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};
use tunnel_protos::TargetName;

use super::{Engine, Profile, ProfileError, ProfileErrors, check};
use crate::{
    mark::{Mark, mark},
    metrics,
};

/// What is in force, and what is wrong with the files if something is.
#[derive(Debug, Clone)]
pub struct EngineState {
    /// The engine in force.
    pub engine: watch::Receiver<Engine>,
    /// Its targets.
    pub targets: watch::Receiver<Arc<Targets>>,
    /// Why newer files were not taken; empty if none.
    pub error: watch::Receiver<String>,
}

/// The targets of a profile.
pub type Targets = std::collections::BTreeSet<TargetName>;

/// A profile's files and what was last read of them.
#[derive(Debug)]
pub struct ProfileFile {
    path: PathBuf,
    marks: Vec<(PathBuf, Mark)>,
    engine: watch::Sender<Engine>,
    targets: watch::Sender<Arc<Targets>>,
    error: watch::Sender<String>,
}

impl ProfileFile {
    /// Reads the profile for the first time, which must succeed.
    pub fn open(path: PathBuf) -> Result<(Self, EngineState), ProfileErrors> {
        let (profile, marks) = read(&path, load_file);
        let engine = Engine::new(profile?);
        let targets = watch::Sender::new(Arc::new(targets(&engine)));
        let (engine, error) = (watch::Sender::new(engine), watch::Sender::new(String::new()));
        let state = EngineState {
            engine: engine.subscribe(),
            targets: targets.subscribe(),
            error: error.subscribe(),
        };
        Ok((Self { path, marks, engine, targets, error }, state))
    }

    /// Looks at the files every second, for ever; dropping the future stops it.
    pub async fn watch(mut self) {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.refresh();
        }
    }

    /// Reads the files again if they changed, and publishes what differs.
    pub fn refresh(&mut self) {
        if self.marks.iter().all(|(path, seen)| mark(path) == *seen) {
            return;
        }
        let (profile, marks) = read(&self.path, load_file);
        self.marks = marks;
        match profile.map_err(|errors| errors.to_string()).and_then(usable) {
            Ok(profile) => self.publish(profile),
            Err(error) => self.keep(error.replace('\n', "; ")),
        }
    }

    fn publish(&self, profile: Profile) {
        self.error.send_replace(String::new());
        metrics::profile_stale(false);
        if profile.digest() == self.engine.borrow().profile().digest() {
            return;
        }
        let engine = Engine::new(profile);
        info!(profile = engine.profile().name(), "Engine profile in force");
        self.targets.send_replace(Arc::new(targets(&engine)));
        self.engine.send_replace(engine);
    }

    fn keep(&self, error: String) {
        warn!(error, "Engine profile not taken, the one before it stays in force");
        self.error.send_replace(error);
        metrics::profile_stale(true);
    }
}

/// Asks the engine in force for its health, for ever.
pub async fn watch_health(mut engine: watch::Receiver<Engine>) {
    loop {
        let now = engine.borrow_and_update().clone();
        tokio::select! {
            () = now.watch_health() => {}
            changed = engine.changed() => if changed.is_err() {
                // Nobody can change it any more.
                now.watch_health().await;
            },
        }
    }
}

/// A profile whose credentials can be read; one that was in force must not make way for one that cannot connect.
fn usable(profile: Profile) -> Result<Profile, String> {
    let problems = check::files(&profile);
    if problems.is_empty() { Ok(profile) } else { Err(problems.join("; ")) }
}

fn targets(engine: &Engine) -> Targets {
    engine.targets().cloned().collect()
}

/// The profile, and every file that it was read from or names, as it was before it was read: what changes meanwhile
/// is seen at the next look.
fn read(
    path: &Path,
    load: impl Fn(&Path) -> Result<Vec<u8>, ProfileError>,
) -> (Result<Profile, ProfileErrors>, Vec<(PathBuf, Mark)>) {
    let marks = Mutex::new(Vec::new());
    note(&marks, path);
    let profile = Profile::load_by(path, |path: &Path| {
        note(&marks, path);
        load(path)
    });
    for file in profile.iter().flat_map(|profile| profile.credentials().files()) {
        note(&marks, file);
    }
    (profile, marks.into_inner())
}

/// The first look counts.
fn note(marks: &Mutex<Vec<(PathBuf, Mark)>>, path: &Path) {
    let mut marks = marks.lock();
    if marks.iter().all(|(known, _)| known != path) {
        marks.push((path.to_owned(), mark(path)));
    }
}

fn load_file(path: &Path) -> Result<Vec<u8>, ProfileError> {
    std::fs::read(path).map_err(|source| ProfileError::Read { path: path.to_owned(), source })
}

/// Soon enough for people who have just written a file.
const POLL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FIRST: &str = "name: one\nendpoints: { default: \"http://127.0.0.1:9\" }\n";
    const SECOND: &str =
        "name: two\nendpoints: { default: \"http://127.0.0.1:9\", pod-1: \"http://127.0.0.1:8\" }\n";

    fn open(text: &str) -> (tempfile::TempDir, ProfileFile, EngineState) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.yaml");
        fs::write(&path, text).unwrap();
        let (file, state) = ProfileFile::open(path).unwrap();
        (folder, file, state)
    }

    fn name(state: &EngineState) -> String {
        state.engine.borrow().profile().name().to_owned()
    }

    #[test]
    fn a_new_profile_counts_and_a_broken_one_keeps_it() {
        let (folder, mut file, state) = open(FIRST);
        let path = folder.path().join("profile.yaml");
        fs::write(&path, SECOND).unwrap();
        file.refresh();
        assert_eq!((name(&state).as_str(), state.targets.borrow().len()), ("two", 2));
        fs::write(&path, "name: [").unwrap();
        file.refresh();
        assert_eq!(name(&state), "two");
        assert!(state.error.borrow().contains("malformed"));
        fs::write(&path, FIRST).unwrap();
        file.refresh();
        assert_eq!((name(&state).as_str(), state.error.borrow().as_str()), ("one", ""));
    }

    #[test]
    fn what_is_written_while_it_is_read_is_seen_at_the_next_look() {
        let (folder, mut file, state) = open(FIRST);
        let path = folder.path().join("profile.yaml");
        let (_, marks) = read(&path, |path| {
            let bytes = load_file(path);
            fs::write(path, SECOND).unwrap();
            bytes
        });
        file.marks = marks;
        file.refresh();
        assert_eq!(name(&state), "two");
    }

    #[test]
    fn one_whose_credentials_cannot_be_read_does_not_count_until_they_can() {
        let (folder, mut file, state) = open(FIRST);
        let bearer =
            "name: token\nendpoints: { default: \"http://127.0.0.1:9\" }\ncredentials: { bearerFile: t }\n";
        fs::write(folder.path().join("profile.yaml"), bearer).unwrap();
        file.refresh();
        assert_eq!(name(&state), "one");
        assert!(!state.error.borrow().is_empty());
        fs::write(folder.path().join("t"), "secret").unwrap();
        file.refresh();
        assert_eq!((name(&state).as_str(), state.error.borrow().as_str()), ("token", ""));
    }

    #[test]
    fn a_session_keeps_the_engine_it_began_with() {
        let (folder, mut file, state) = open(FIRST);
        let before = state.engine.borrow().clone();
        fs::write(folder.path().join("profile.yaml"), SECOND).unwrap();
        file.refresh();
        assert_eq!(before.profile().name(), "one");
    }
}
