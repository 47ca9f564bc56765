//! The broker's SQL. Queries are written once for SQLite and PostgreSQL: `$1` parameters, BIGINT milliseconds; only
//! this file knows which one is behind. Invariant: every call ends within the deadline given at open.

use std::{
    fs::{OpenOptions, Permissions},
    future::Future,
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::timeout;

pub(crate) mod bans;
pub(crate) mod entries;
pub(crate) mod outcomes;
pub(crate) mod registrations;
pub(crate) mod replicas;
pub(crate) mod requests;
pub(crate) mod rotation;
pub(crate) mod tokens;
pub(crate) mod trust;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database file cannot be opened.
    #[error("cannot open the database {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The database file cannot be made, or kept from others.
    #[error("cannot keep the database {0} private")]
    Private(PathBuf, #[source] io::Error),
    /// The schema cannot be brought up to date.
    #[error("cannot migrate the database {path}")]
    Migrate {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: MigrateError,
    },
}

/// Why a database call failed; the caller may try again later.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No answer in time.
    #[error("the database did not answer in time")]
    Deadline,
    /// The database refused.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
}

/// A handle to the database; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pool: SqlitePool,
    deadline: Duration,
}

impl Store {
    /// Opens or creates the database at `path` and brings its schema up to date.
    pub(crate) async fn open(path: &Path, deadline: Duration) -> Result<Self, OpenError> {
        keep_private(path).map_err(|error| OpenError::Private(path.to_owned(), error))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // A request that was acknowledged must survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(deadline);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(deadline)
            .connect_with(options)
            .await
            .map_err(|source| OpenError::Open { path: path.to_owned(), source })?;
        let migrated = sqlx::migrate!("./migrations/sqlite").run(&pool).await;
        migrated.map_err(|source| OpenError::Migrate { path: path.to_owned(), source })?;
        Ok(Self { pool, deadline })
    }

    /// Opens the database at `path` for looking only: nothing is made, and no schema is changed.
    pub(crate) async fn open_to_look(path: &Path, deadline: Duration) -> Result<Self, OpenError> {
        let mut journal = path.as_os_str().to_owned();
        journal.push("-wal");
        // Without a journal nobody has it open, and reading must not make files that the broker's user cannot open later.
        let alone = !Path::new(&journal).exists();
        let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(alone);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(deadline)
            .connect_with(options.busy_timeout(deadline))
            .await
            .map_err(|source| OpenError::Open { path: path.to_owned(), source })?;
        Ok(Self { pool, deadline })
    }

    /// Whether the pages of the database fit together.
    pub(crate) async fn is_whole(&self) -> Result<bool, StoreError> {
        let check = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)");
        Ok(self.bounded(check.fetch_one(&self.pool)).await? == "ok")
    }

    /// Waits for calls under way and closes the database.
    pub(crate) async fn close(&self) {
        // Past the deadline the process ends anyway; what was acknowledged is on disk.
        let _ = timeout(self.deadline, self.pool.close()).await;
    }

    /// A transaction that may write; SQLite takes its write lock at once, since a later upgrade could fail as busy.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        match self.pool.begin_with("BEGIN IMMEDIATE").await {
            // What found no room on the disk SQLite has rolled back by itself; sqlx still counts it, and nests from then on.
            Err(sqlx::Error::InvalidSavePointStatement) => self.pool.begin().await,
            begun => begun,
        }
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
        match timeout(self.deadline, call).await {
            Ok(result) => result.map_err(StoreError::Database),
            Err(_) => Err(StoreError::Deadline),
        }
    }
}

/// Who enrolled, and what waits for whom, is nobody else's business. Its journals get the mode of the database.
fn keep_private(path: &Path) -> io::Result<()> {
    let private = Permissions::from_mode(0o600);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(private.clone())?;
    for end in ["-wal", "-shm"] {
        let mut journal = path.as_os_str().to_owned();
        journal.push(end);
        match std::fs::set_permissions(journal, private.clone()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// SQLite has one writer; the rest are for readers beside it.
const CONNECTIONS: u32 = 4;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A store in a folder that lives as long as the guard.
    pub(crate) async fn temporary() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("broker.sqlite"), Duration::from_secs(5)).await.unwrap();
        (store, folder)
    }

    #[tokio::test]
    async fn syncs_fully_and_writes_ahead() {
        let (store, _folder) = temporary().await;
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&store.pool).await.unwrap();
        let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.pool).await.unwrap();
        assert_eq!((synchronous, journal.as_str()), (2, "wal"));
    }

    #[tokio::test]
    async fn opening_again_keeps_what_was_written() {
        let (store, folder) = temporary().await;
        store.close().await;
        Store::open(&folder.path().join("broker.sqlite"), Duration::from_secs(5)).await.unwrap();
    }

    #[tokio::test]
    async fn the_database_and_its_journals_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broker.sqlite");
        for name in ["broker.sqlite", "broker.sqlite-wal"] {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            file.set_permissions(Permissions::from_mode(0o644)).unwrap();
        }
        let _store = Store::open(&path, Duration::from_secs(5)).await.unwrap();
        let modes = std::fs::read_dir(folder.path()).unwrap().map(|file| {
            let file = file.unwrap();
            (file.file_name(), file.metadata().unwrap().permissions().mode() & 0o777)
        });
        let modes: Vec<_> = modes.collect();
        assert!(modes.len() == 3 && modes.iter().all(|(_, mode)| *mode == 0o600), "{modes:?}");
    }

    #[tokio::test]
    async fn names_the_file_it_cannot_open() {
        let error =
            Store::open(Path::new("/nowhere/at/all.sqlite"), Duration::from_secs(1)).await.unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all.sqlite"));
    }

    #[tokio::test]
    async fn a_call_past_its_deadline_fails() {
        let (mut store, _folder) = temporary().await;
        store.deadline = Duration::ZERO;
        let error = store.bounded(std::future::pending::<Result<(), _>>()).await.unwrap_err();
        assert!(matches!(error, StoreError::Deadline));
    }
}
