//! The statements. Integers are stored as SQLite has them: signed, 64 bits.

use sqlx::{Row, Sqlite, SqliteConnection, SqlitePool, Transaction, sqlite::SqliteRow};
use tunnel_protos::UnixMillis;

use crate::store::{History, Object, Start};

/// Counts the commits.
pub(super) const MARK: &str = "mark";
const EPOCH: &str = "epoch";
const AUDITED: &str = "audited";
const TIME: &str = "time";
const REFUSE_BEFORE: &str = "refuse-before";
/// Not 0 from a restore on until what follows from it is stored.
const RESTORED: &str = "restored";

pub(super) async fn create_tables(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS object (
             id TEXT NOT NULL PRIMARY KEY,
             version INTEGER NOT NULL,
             body BLOB NOT NULL
         ) STRICT, WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS replica (
             name TEXT NOT NULL PRIMARY KEY,
             value INTEGER NOT NULL
         ) STRICT, WITHOUT ROWID;",
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    id: &str,
    body: &[u8],
) -> Result<u64, sqlx::Error> {
    let query =
        sqlx::query("INSERT INTO object (id, version, body) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING");
    Ok(query.bind(id).bind(body).execute(connection).await?.rows_affected())
}

pub(super) async fn update(
    connection: &mut SqliteConnection,
    id: &str,
    body: &[u8],
    expected: u64,
) -> Result<u64, sqlx::Error> {
    let query =
        sqlx::query("UPDATE object SET version = version + 1, body = $1 WHERE id = $2 AND version = $3");
    Ok(query.bind(body).bind(id).bind(signed(expected)).execute(connection).await?.rows_affected())
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    id: &str,
    expected: u64,
) -> Result<u64, sqlx::Error> {
    let query = sqlx::query("DELETE FROM object WHERE id = $1 AND version = $2");
    Ok(query.bind(id).bind(signed(expected)).execute(connection).await?.rows_affected())
}

pub(super) async fn get(pool: &SqlitePool, id: &str) -> Result<Option<Object>, sqlx::Error> {
    let query = sqlx::query("SELECT id, version, body FROM object WHERE id = $1").bind(id);
    query.fetch_optional(pool).await?.as_ref().map(object).transpose()
}

pub(super) async fn list(pool: &SqlitePool) -> Result<Vec<Object>, sqlx::Error> {
    let rows = sqlx::query("SELECT id, version, body FROM object").fetch_all(pool).await?;
    rows.iter().map(object).collect()
}

fn object(row: &SqliteRow) -> Result<Object, sqlx::Error> {
    let version: i64 = row.try_get("version")?;
    Ok(Object { id: row.try_get("id")?, version: version.unsigned_abs(), body: row.try_get("body")? })
}

/// Raises the epoch.
pub(super) async fn start(transaction: &mut Transaction<'static, Sqlite>) -> Result<Start, sqlx::Error> {
    let epoch = number(transaction, EPOCH).await? + 1;
    raise(transaction, EPOCH, epoch).await?;
    let history = match number(transaction, RESTORED).await? {
        0 => History::Whole,
        _ => History::Restored,
    };
    Ok(Start {
        epoch,
        time_seen: UnixMillis(signed(number(transaction, TIME).await?)),
        history,
        audited: number(transaction, AUDITED).await?,
        refuse_before: UnixMillis(signed(number(transaction, REFUSE_BEFORE).await?)),
    })
}

/// Counts one more commit and keeps the highest time; gives the count.
pub(super) async fn advance(
    transaction: &mut Transaction<'static, Sqlite>,
    now: UnixMillis,
    audited: u64,
) -> Result<u64, sqlx::Error> {
    let mark = number(transaction, MARK).await? + 1;
    raise(transaction, MARK, mark).await?;
    raise(transaction, TIME, now.0.unsigned_abs()).await?;
    set(transaction, AUDITED, audited).await?;
    Ok(mark)
}

/// After a restore: counts on from where the lost history ended.
pub(super) async fn skip_to(
    transaction: &mut Transaction<'static, Sqlite>,
    mark: u64,
) -> Result<(), sqlx::Error> {
    raise(transaction, MARK, mark).await
}

/// Distrusts what is stored until it is settled, and for ever whatever was issued before now; gives that moment.
pub(super) async fn distrust(
    transaction: &mut Transaction<'static, Sqlite>,
    now: UnixMillis,
) -> Result<UnixMillis, sqlx::Error> {
    let now = now.0.unsigned_abs().max(number(transaction, TIME).await?);
    raise(transaction, REFUSE_BEFORE, now).await?;
    raise(transaction, RESTORED, 1).await?;
    Ok(UnixMillis(signed(number(transaction, REFUSE_BEFORE).await?)))
}

/// Trusts what is stored again.
pub(super) async fn settle(transaction: &mut Transaction<'static, Sqlite>) -> Result<(), sqlx::Error> {
    set(transaction, RESTORED, 0).await
}

/// Sets the highest time back, and distrusts whatever was issued before `refuse_before`.
pub(super) async fn reset_time(
    transaction: &mut Transaction<'static, Sqlite>,
    to: UnixMillis,
    refuse_before: UnixMillis,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query("UPDATE replica SET value = $1 WHERE name = $2").bind(to.0).bind(TIME);
    query.execute(&mut **transaction).await?;
    raise(transaction, REFUSE_BEFORE, refuse_before.0.unsigned_abs()).await
}

pub(super) async fn number(
    transaction: &mut Transaction<'static, Sqlite>,
    name: &'static str,
) -> Result<u64, sqlx::Error> {
    let query = sqlx::query_scalar::<_, i64>("SELECT value FROM replica WHERE name = $1").bind(name);
    Ok(query.fetch_optional(&mut **transaction).await?.unwrap_or(0).unsigned_abs())
}

async fn raise(
    transaction: &mut Transaction<'static, Sqlite>,
    name: &'static str,
    value: u64,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "INSERT INTO replica (name, value) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
    );
    query.bind(name).bind(signed(value)).execute(&mut **transaction).await?;
    Ok(())
}

/// Not raised: a log that was lost begins anew, once its loss has been dealt with.
async fn set(
    transaction: &mut Transaction<'static, Sqlite>,
    name: &'static str,
    value: u64,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "INSERT INTO replica (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    );
    query.bind(name).bind(signed(value)).execute(&mut **transaction).await?;
    Ok(())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
