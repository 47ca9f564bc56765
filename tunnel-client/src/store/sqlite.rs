//! The embedded store: SQLite in the state folder, for exactly one replica.
//!
//! Invariant: a call that returned is on disk (write-ahead log, full sync), so a kill at any moment loses nothing.

mod sql;

use std::{
    fs::{File, OpenOptions},
    future::Future,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tunnel_protos::UnixMillis;

use crate::audit::Audit;

use super::{DEADLINE, Object, Start, Store, StoreError, mark::Mark};

/// The store of one replica; the folder is locked while it lives.
#[derive(Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    mark: Mark,
    audit: Audit,
    /// How far the log was when the store was opened; less is not written until it is accepted.
    audited: AtomicU64,
    // Held, never read: closing it gives the folder free.
    _lock: File,
}

impl SqliteStore {
    /// Opens or makes the store in `folder`, and locks it.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        let lock = lock(folder)?;
        let database = folder.join("requests.sqlite");
        private(&database).map_err(|source| StoreError::File { path: database.clone(), source })?;
        let mark = folder.join("requests.mark");
        let mark = Mark::open(&mark).map_err(|source| StoreError::File { path: mark, source })?;
        let pool = within("open", connect(&database)).await?;
        let store = Self { pool, mark, audit: Audit::default(), audited: AtomicU64::new(0), _lock: lock };
        within("make its tables", sql::create_tables(&store.pool)).await?;
        Ok(store)
    }

    /// Keeps with each commit how far this log was: one that is behind was put back to an earlier state, or lost.
    #[must_use]
    pub fn beside(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// A transaction with the write lock from its beginning: one that reads first and writes later fails at once if
    /// somebody wrote in between, as the end of a store that was just dropped may, and no busy timeout helps it.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        match self.pool.begin_with("BEGIN IMMEDIATE").await {
            // What found no room on the disk SQLite has rolled back by itself; sqlx still counts it, and nests from then on.
            Err(sqlx::Error::InvalidSavePointStatement) => self.pool.begin().await,
            begun => begun,
        }
    }

    async fn commit(
        &self,
        mut transaction: Transaction<'static, Sqlite>,
        now: UnixMillis,
    ) -> Result<(), sqlx::Error> {
        let audited = self.audit.status().last_record.max(self.audited.load(Ordering::Relaxed));
        let mark = sql::advance(&mut transaction, now, audited).await?;
        transaction.commit().await?;
        // A mark that stays behind only makes a restore go unnoticed; failing a stored change would be worse.
        let _ = self.mark.write(mark);
        Ok(())
    }
}

impl Store for SqliteStore {
    async fn start(&self, now: UnixMillis) -> Result<Start, StoreError> {
        let started = async {
            let mut transaction = self.begin().await?;
            if sql::number(&mut transaction, sql::MARK).await? < self.mark.read() {
                sql::skip_to(&mut transaction, self.mark.read()).await?;
                sql::distrust(&mut transaction, now).await?;
            }
            let start = sql::start(&mut transaction).await?;
            self.audited.store(start.audited, Ordering::Relaxed);
            self.commit(transaction, now).await?;
            Ok(start)
        };
        within("start", started).await
    }

    async fn create(&self, id: &str, body: &[u8], now: UnixMillis) -> Result<u64, StoreError> {
        let created = async {
            let mut transaction = self.begin().await?;
            let rows = sql::insert(&mut transaction, id, body).await?;
            if rows == 1 {
                self.commit(transaction, now).await?;
            }
            Ok(rows)
        };
        match within("create", created).await? {
            1 => Ok(1),
            _ => Err(StoreError::Exists),
        }
    }

    async fn update(&self, id: &str, body: &[u8], expected: u64, now: UnixMillis) -> Result<u64, StoreError> {
        let updated = async {
            let mut transaction = self.begin().await?;
            let rows = sql::update(&mut transaction, id, body, expected).await?;
            if rows == 1 {
                self.commit(transaction, now).await?;
            }
            Ok(rows)
        };
        match within("update", updated).await? {
            1 => Ok(expected + 1),
            _ => Err(StoreError::Conflict),
        }
    }

    async fn remove(&self, id: &str, expected: u64, now: UnixMillis) -> Result<(), StoreError> {
        let removed = async {
            let mut transaction = self.begin().await?;
            let rows = sql::delete(&mut transaction, id, expected).await?;
            if rows == 1 {
                self.commit(transaction, now).await?;
            }
            Ok(rows)
        };
        match within("remove", removed).await? {
            1 => Ok(()),
            _ => Err(StoreError::Conflict),
        }
    }

    async fn reset_time(&self, to: UnixMillis, refuse_before: UnixMillis) -> Result<(), StoreError> {
        let reset = async {
            let mut transaction = self.begin().await?;
            sql::reset_time(&mut transaction, to, refuse_before).await?;
            self.commit(transaction, to).await
        };
        within("reset its time", reset).await
    }

    async fn get(&self, id: &str) -> Result<Option<Object>, StoreError> {
        within("read", sql::get(&self.pool, id)).await
    }

    async fn list(&self) -> Result<Vec<Object>, StoreError> {
        within("list", sql::list(&self.pool)).await
    }

    async fn distrust(&self, now: UnixMillis) -> Result<UnixMillis, StoreError> {
        let distrusted = async {
            let mut transaction = self.begin().await?;
            let refuse_before = sql::distrust(&mut transaction, now).await?;
            self.commit(transaction, now).await?;
            Ok(refuse_before)
        };
        within("note its distrust", distrusted).await
    }

    async fn settle(&self, now: UnixMillis) -> Result<(), StoreError> {
        let before = self.audited.swap(0, Ordering::Relaxed);
        let settled = async {
            let mut transaction = self.begin().await?;
            sql::settle(&mut transaction).await?;
            self.commit(transaction, now).await
        };
        let settled = within("settle", settled).await;
        if settled.is_err() {
            self.audited.store(before, Ordering::Relaxed);
        }
        settled
    }

    async fn close(&self) {
        // A database that does not close in time is as good as killed, which it survives.
        let _ = tokio::time::timeout(DEADLINE, self.pool.close()).await;
    }
}

async fn within<T>(
    action: &'static str,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(result) => result.map_err(|source| StoreError::Database { action, source }),
        Err(_) => Err(StoreError::Timeout { action }),
    }
}

async fn connect(database: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(DEADLINE);
    // One connection: there is one writer, and reads happen at start only.
    SqlitePoolOptions::new().max_connections(1).connect_with(options).await
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("requests.lock");
    let file = private(&path).map_err(|source| StoreError::File { path: path.clone(), source })?;
    file.try_lock().map_err(|_| StoreError::Locked(folder.to_owned()))?;
    Ok(file)
}

fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests;
