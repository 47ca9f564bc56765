//! The database, opened for reading only.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use tunnel_runtime::{chain, doctor::Finding};

use crate::{broker::DATABASE, store::Store};

/// What was found, and what can be read of it; none before the first start, or if it cannot be read.
pub(super) async fn look(state_dir: &Path) -> (Finding, Option<Store>) {
    let path = state_dir.join(DATABASE);
    let tried = path.display().to_string();
    let Ok(metadata) = path.metadata() else {
        return (Finding::skipped(CHECK, tried, "none yet: the first start makes it"), None);
    };
    let finding = |seen: String| Finding::good(CHECK, tried.clone(), seen);
    let opened = Store::open_to_look(&path, DEADLINE).await;
    let whole = match &opened {
        Ok(store) => store.is_whole().await.map_err(|error| chain(&error).to_string()),
        Err(error) => Err(chain(error).to_string()),
    };
    let mode = metadata.permissions().mode() & 0o777;
    let found = match whole {
        Err(error) => finding(error).bad(RESTORE),
        Ok(false) => finding("it is damaged".to_owned()).bad(RESTORE),
        Ok(true) if mode & 0o077 != 0 => finding(format!("whole, mode {mode:o}")).doubtful(PRIVATE),
        Ok(true) => finding("whole".to_owned()),
    };
    (found, opened.ok())
}

const CHECK: &str = "database";
const DEADLINE: Duration = Duration::from_secs(10);
const RESTORE: &str = "run the doctor as the user that the broker runs as; if that is so, stop the broker and put the database back \
                       from a backup (README, backup)";
const PRIVATE: &str = "others can read it; the next start makes it private";
