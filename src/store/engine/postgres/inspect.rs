//! Looks at a server for `claude-mesh doctor`: changes nothing, and creates no mesh.
use tokio_postgres::Client;

use super::super::error::{EngineError, Result};
use super::failure::{connect_failure, failure};
use super::location::PostgresLocation;
use super::runtime::ConnectionRuntime;
use super::schema::{self, APPLICATION};
use super::{link, listen, tls};
use crate::platform::{Fault, FaultKind};

/// What a server says of itself and of the mesh in a schema.
#[derive(Debug, Clone)]
pub struct ServerReport {
    /// For example `15.14`.
    pub server_version: String,
    /// Whether this program works with the version.
    pub is_supported: bool,
    /// The role of this connection.
    pub role: String,
    /// Whether the server accepts no writes.
    pub is_read_only: bool,
    /// Whether the role may create a schema in the database.
    pub may_create_schema: bool,
    /// The extension `pg_trgm`.
    pub trigrams: ExtensionState,
    /// The setting `synchronous_commit`.
    pub synchronous_commit: String,
    /// The standbys that are connected: `async`, `sync`, `quorum` or `potential`; empty if this role may not know.
    pub standbys: Vec<String>,
    /// What the schema has.
    pub schema: SchemaReport,
}

/// Whether the database has an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtensionState {
    /// It is in use.
    Installed,
    /// The server has its files.
    Available,
    /// The server does not have it.
    Missing,
}

/// What a schema has.
#[derive(Debug, Clone)]
pub enum SchemaReport {
    /// There is no such schema, or nothing is in it.
    Missing,
    /// It has tables of another program.
    Foreign,
    /// It has a mesh that this role may not read.
    Unreadable,
    /// It has a mesh.
    Mesh(ServedMeshReport),
}

/// What is known of a mesh on a server.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the other field names say it")]
pub struct ServedMeshReport {
    pub version: u32,
    /// The lowest version that a program must know.
    pub min_reader: u32,
    /// Whether the role may read and write all tables.
    pub is_writable: bool,
    pub registered_sessions: i64,
    /// The hubs that listen: host and process.
    pub hubs: Vec<String>,
}

impl ServerReport {
    /// Connects and looks.
    pub fn of(location: &PostgresLocation) -> std::result::Result<Self, Fault> {
        let tls = tls::connector(location)?;
        let runtime = ConnectionRuntime::new().map_err(|error| {
            Fault::new(FaultKind::Other, format!("no runtime: {error}"), "").with_source(error)
        })?;
        let report = runtime.wait(async {
            let client = link::open_in_background(location, tls.as_ref())
                .await
                .map_err(|error| connect_failure(location, error))?;
            inspect(&client, location).await
        });
        report.map_err(EngineError::into_fault)
    }
}

async fn inspect(client: &Client, location: &PostgresLocation) -> Result<ServerReport> {
    let failed = |error| failure(location, error);
    let set = format!(
        "SET search_path TO \"{}\", pg_temp; SET default_transaction_read_only TO on",
        location.schema()
    );
    let sql = "SELECT current_setting('server_version') AS server_version,
            current_setting('server_version_num')::int AS server_number, current_user::text AS role,
            pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only,
            has_database_privilege(current_database(), 'CREATE') AS may_create_schema,
            EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm') AS has_trigrams,
            EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm') AS offers_trigrams,
            current_setting('synchronous_commit') AS synchronous_commit,
            ARRAY(SELECT coalesce(sync_state, '') FROM pg_stat_replication) AS standbys";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    client.batch_execute(&set).await.map_err(failed)?;
    let column = |error| failure(location, error);
    let is = |name| row.try_get::<_, bool>(name).map_err(column);
    let trigrams = match (is("has_trigrams")?, is("offers_trigrams")?) {
        (true, _) => ExtensionState::Installed,
        (false, true) => ExtensionState::Available,
        (false, false) => ExtensionState::Missing,
    };
    Ok(ServerReport {
        server_version: row.try_get("server_version").map_err(column)?,
        is_supported: row.try_get::<_, i32>("server_number").map_err(column)?
            >= schema::SERVER_VERSION_MIN,
        role: row.try_get("role").map_err(column)?,
        is_read_only: is("read_only")?,
        may_create_schema: is("may_create_schema")?,
        trigrams,
        synchronous_commit: row.try_get("synchronous_commit").map_err(column)?,
        standbys: row.try_get("standbys").map_err(column)?,
        schema: inspect_schema(client, location).await?,
    })
}

async fn inspect_schema(client: &Client, location: &PostgresLocation) -> Result<SchemaReport> {
    let column = |error| failure(location, error);
    let sql = "SELECT n.oid::bigint AS oid, has_schema_privilege(n.oid, 'USAGE') AS is_usable,
            count(c.oid) AS relations, coalesce(bool_or(c.relname = 'meta' AND c.relkind = 'r'), false) AS has_meta,
            coalesce(bool_and(has_table_privilege(c.oid, 'SELECT')) FILTER (WHERE c.relkind = 'r'), true) AS is_readable,
            coalesce(bool_and(has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE')
                AND has_table_privilege(c.oid, 'DELETE')) FILTER (WHERE c.relkind = 'r'), true) AS is_writable
        FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid WHERE n.nspname = $1 GROUP BY n.oid";
    let found = client.query_opt(sql, &[&location.schema()]).await;
    let Some(row) = found.map_err(column)? else {
        return Ok(SchemaReport::Missing);
    };
    let is = |name| row.try_get::<_, bool>(name).map_err(column);
    if row.try_get::<_, i64>("relations").map_err(column)? == 0 {
        return Ok(SchemaReport::Missing);
    }
    if !is("has_meta")? {
        return Ok(SchemaReport::Foreign);
    }
    if !is("is_usable")? || !is("is_readable")? {
        return Ok(SchemaReport::Unreadable);
    }
    let sql = "SELECT (SELECT value FROM meta WHERE key = 'application') IS NOT DISTINCT FROM $1 AS is_own,
            (SELECT value FROM meta WHERE key = 'schema') AS version,
            (SELECT value FROM meta WHERE key = 'min_reader') AS min_reader,
            (SELECT count(*) FROM session WHERE ended_at_ms IS NULL) AS sessions,
            ARRAY(SELECT application_name FROM pg_stat_activity
                WHERE datname = current_database() AND starts_with(application_name, $2) ORDER BY backend_start) AS hubs";
    let oid: i64 = row.try_get("oid").map_err(column)?;
    let prefix = listen::application_name(&schema::channel_of(oid), "");
    let mesh = client.query_one(sql, &[&APPLICATION, &prefix]).await;
    let mesh = match mesh {
        Ok(mesh) if mesh.try_get("is_own").map_err(column)? => mesh,
        // Other columns, or another application.
        Ok(_) => return Ok(SchemaReport::Foreign),
        Err(error) if error.as_db_error().is_some() => return Ok(SchemaReport::Foreign),
        Err(error) => return Err(failure(location, error)),
    };
    let number = |name| -> Result<u32> {
        let text: Option<String> = mesh.try_get(name).map_err(column)?;
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(u32::MAX))
    };
    let hubs: Vec<String> = mesh.try_get("hubs").map_err(column)?;
    Ok(SchemaReport::Mesh(ServedMeshReport {
        version: number("version")?,
        min_reader: number("min_reader")?,
        is_writable: is("is_writable")?,
        registered_sessions: mesh.try_get("sessions").map_err(column)?,
        hubs: hubs
            .iter()
            .map(|name| name.replacen(&prefix, "", 1))
            .collect(),
    }))
}
