//! The schema of a mesh on the server: created, migrated, or refused.
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::super::error::{EngineError, Result};
use super::failure::{failure, read_only, unusable};
use super::location::PostgresLocation;
use crate::platform::FaultKind;

/// The first key of the advisory locks of claude-mesh: the letters `CMsh`.
pub(super) const LOCK_CLASS: i32 = 0x434d_7368;
/// The second key while a schema is created; otherwise it is that of the schema.
const CREATION_LOCK: i32 = 0;
pub(super) const SERVER_VERSION_MIN: i32 = 150_000;
/// The value of `application` in `meta`.
pub(super) const APPLICATION: &str = "claude-mesh";
/// What the statements of the schema name the schema of `pg_trgm`.
const PG_TRGM: &str = "PG_TRGM";

/// A change of the schema, with the version that it leads to.
pub(super) struct SchemaStep {
    version: u32,
    sql: &'static str,
}

/// The first creates everything; later ones only add.
pub(super) const STEPS: &[SchemaStep] = &[
    SchemaStep {
        version: 5,
        sql: include_str!("../../schema/postgres_0005.sql"),
    },
    SchemaStep {
        version: 6,
        sql: include_str!("../../schema/postgres_0006.sql"),
    },
    SchemaStep {
        version: 7,
        sql: include_str!("../../schema/postgres_0007.sql"),
    },
    SchemaStep {
        version: 8,
        sql: include_str!("../../schema/postgres_0008.sql"),
    },
];

/// The lowest version that a program must know to use a mesh of this schema.
const MIN_READER: u32 = 5;

/// A mesh on the server.
#[derive(Debug, Clone)]
pub(super) struct MeshSchema {
    /// The second key of its advisory lock.
    pub(super) lock_key: i32,
    /// The channel of its notifications.
    pub(super) channel: String,
    pub(super) version: u32,
}

/// What is found on the server.
struct Found {
    oid: Option<i64>,
    has_meta: bool,
    has_relations: bool,
}

/// Makes a new connection one of the mesh: creates the schema if there is none, and migrates an older one.
pub(super) async fn enter(client: &Client, location: &PostgresLocation) -> Result<MeshSchema> {
    let schema = location.schema();
    // Plans do not depend on the values, so that no statement is planned twice. They may be made while a table is empty and used
    // when it has a thousand rows, so they go by the indexes.
    let set = format!(
        "SET search_path TO \"{schema}\", pg_temp; SET client_min_messages TO warning;
         SET default_transaction_isolation TO 'read committed'; SET plan_cache_mode TO force_generic_plan; SET jit TO off; SET enable_seqscan TO off"
    );
    let failed = |error| failure(location, error);
    client.batch_execute(&set).await.map_err(failed)?;
    let mut found = find(client, location).await?;
    if !found.has_meta {
        client.batch_execute("BEGIN").await.map_err(failed)?;
        let created = create(client, location).await;
        let end = if created.is_ok() {
            "COMMIT"
        } else {
            "ROLLBACK"
        };
        let ended = client.batch_execute(end).await.map_err(failed);
        created.and(ended)?;
        found = find(client, location).await?;
    }
    let oid = found.oid.unwrap_or_default();
    let mut mesh = MeshSchema {
        lock_key: lock_key(oid),
        channel: channel_of(oid),
        version: checked_version(client, location).await?,
    };
    let newest = STEPS.last().map_or(0, |step| step.version);
    if mesh.version < newest {
        migrate(client, location, &mesh).await?;
        mesh.version = newest;
    }
    Ok(mesh)
}

/// Returns the channel of the notifications of a mesh that exists.
pub(super) async fn channel(
    client: &Client,
    location: &PostgresLocation,
) -> std::result::Result<String, tokio_postgres::Error> {
    let sql = "SELECT oid::bigint FROM pg_namespace WHERE nspname = $1";
    let row = client.query_one(sql, &[&location.schema()]).await?;
    Ok(channel_of(row.try_get(0)?))
}

/// Returns the channel of the notifications of the mesh in the schema with this oid.
pub(super) fn channel_of(oid: i64) -> String {
    format!("claude_mesh_{oid}")
}

/// An oid has 32 bits without a sign.
fn lock_key(oid: i64) -> i32 {
    u32::try_from(oid).unwrap_or(0).cast_signed()
}

async fn find(client: &Client, location: &PostgresLocation) -> Result<Found> {
    let sql = "SELECT current_setting('server_version_num')::int AS server_version,
            pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only,
            n.oid::bigint AS oid,
            EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = n.oid AND relname = 'meta' AND relkind = 'r') AS has_meta,
            EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = n.oid) AS has_relations
        FROM (SELECT 1) AS one LEFT JOIN pg_namespace n ON n.nspname = $1";
    let row = client.query_one(sql, &[&location.schema()]).await;
    let row = row.map_err(|error| failure(location, error))?;
    if column::<i32>(&row, "server_version", location)? < SERVER_VERSION_MIN {
        let problem = (
            "the server is older than PostgreSQL 15",
            "update the server",
        );
        return Err(unusable(location, FaultKind::Other, problem));
    }
    if column(&row, "read_only", location)? {
        let (kind, problem, hint) = read_only();
        return Err(unusable(location, kind, (&problem, hint)));
    }
    Ok(Found {
        oid: column(&row, "oid", location)?,
        has_meta: column(&row, "has_meta", location)?,
        has_relations: column(&row, "has_relations", location)?,
    })
}

fn column<'a, T>(row: &'a Row, name: &str, location: &PostgresLocation) -> Result<T>
where
    T: tokio_postgres::types::FromSql<'a>,
{
    row.try_get(name).map_err(|error| failure(location, error))
}

/// Creates the schema in the transaction that has begun, unless another program has done so.
async fn create(client: &Client, location: &PostgresLocation) -> Result<()> {
    let failed = |error| failure(location, error);
    let lock = format!("SELECT pg_advisory_xact_lock({LOCK_CLASS}, {CREATION_LOCK})");
    client.batch_execute(&lock).await.map_err(failed)?;
    let found = find(client, location).await?;
    if found.has_meta {
        return Ok(());
    }
    if found.has_relations {
        return Err(foreign(location));
    }
    let trigrams = schema_of_trigrams(client, location).await?;
    if found.oid.is_none() {
        let sql = format!("CREATE SCHEMA \"{}\"", location.schema());
        client.batch_execute(&sql).await.map_err(failed)?;
    }
    for step in STEPS {
        let sql = step.sql.replace(PG_TRGM, &trigrams);
        client.batch_execute(&sql).await.map_err(failed)?;
    }
    let version = STEPS.last().map_or(0, |step| step.version);
    let versions = format!(
        "INSERT INTO meta (key, value) VALUES ('application', '{APPLICATION}'), ('min_reader', '{MIN_READER}'), ('schema', '{version}')"
    );
    client.batch_execute(&versions).await.map_err(failed)
}

/// Returns the quoted name of the schema that has `pg_trgm`; installs it if it is missing.
async fn schema_of_trigrams(client: &Client, location: &PostgresLocation) -> Result<String> {
    let sql = "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm'";
    let find = async || {
        let row = client.query_opt(sql, &[]).await;
        let name = row.and_then(|row| row.map(|row| row.try_get(0)).transpose());
        name.map_err(|error| failure(location, error))
    };
    if let Some(found) = find().await? {
        return Ok(found);
    }
    let created = client
        .batch_execute("CREATE EXTENSION pg_trgm SCHEMA public")
        .await;
    match created {
        Ok(()) => find().await?.ok_or_else(|| missing_trigrams(location)),
        Err(error) => {
            let code = error.code();
            let is_missing = code == Some(&SqlState::UNDEFINED_FILE)
                || code == Some(&SqlState::FEATURE_NOT_SUPPORTED)
                || code == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
            Err(if is_missing {
                missing_trigrams(location)
            } else {
                failure(location, error)
            })
        }
    }
}

fn missing_trigrams(location: &PostgresLocation) -> EngineError {
    let problem = (
        "the database has no extension pg_trgm, and this role cannot create it",
        "an owner of the database runs CREATE EXTENSION pg_trgm; Debian has it in postgresql-contrib",
    );
    unusable(location, FaultKind::Permission, problem)
}

fn foreign(location: &PostgresLocation) -> EngineError {
    let problem = (
        "the schema belongs to another program: it has tables that are not of claude-mesh",
        "name another schema in the URL, as in ?schema=team; nothing was changed",
    );
    unusable(location, FaultKind::ForeignFile, problem)
}

/// Returns the version of a mesh that this program may use.
async fn checked_version(client: &Client, location: &PostgresLocation) -> Result<u32> {
    let sql = "SELECT key, value FROM meta WHERE key IN ('application', 'min_reader', 'schema')";
    let rows = match client.query(sql, &[]).await {
        Ok(rows) => rows,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => {
            return Err(foreign(location));
        }
        Err(error) => return Err(failure(location, error)),
    };
    let (mut version, mut min_reader, mut is_own) = (0, u32::MAX, false);
    for row in &rows {
        let value: String = column(row, "value", location)?;
        match column::<&str>(row, "key", location)? {
            "application" => is_own = value == APPLICATION,
            "schema" => version = value.parse().unwrap_or(u32::MAX),
            _ => min_reader = value.parse().unwrap_or(u32::MAX),
        }
    }
    if !is_own {
        return Err(foreign(location));
    }
    let newest = STEPS.last().map_or(0, |step| step.version);
    if min_reader > newest {
        let problem = format!("it has schema {version}, this program knows up to {newest}");
        let hint = "a newer claude-mesh has opened it; update this one. Nothing was changed";
        return Err(unusable(location, FaultKind::NewerSchema, (&problem, hint)));
    }
    Ok(version)
}

/// Runs the steps that an older mesh lacks, under its lock.
async fn migrate(client: &Client, location: &PostgresLocation, mesh: &MeshSchema) -> Result<()> {
    let failed = |error| failure(location, error);
    let begin = format!(
        "BEGIN; SELECT pg_advisory_xact_lock({LOCK_CLASS}, {})",
        mesh.lock_key
    );
    client.batch_execute(&begin).await.map_err(failed)?;
    // Another program may have migrated it before the lock was granted.
    let version = checked_version(client, location).await?;
    for step in STEPS.iter().filter(|step| step.version > version) {
        let sql = format!(
            "{}; UPDATE meta SET value = '{}' WHERE key = 'schema'",
            step.sql, step.version
        );
        client.batch_execute(&sql).await.map_err(failed)?;
    }
    client.batch_execute("COMMIT").await.map_err(failed)
}
