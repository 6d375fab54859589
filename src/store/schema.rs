//! The schema: its migrations, its version, and which programs may use a file.
use rusqlite::Connection;

/// What a program knows of the schema.
#[derive(Debug)]
pub struct Schema {
    /// One migration a version; the first creates version 1.
    pub migrations: &'static [Migration],
    /// The lowest version that a program must know to use a file of this schema.
    pub min_reader: u32,
}

/// The change from one version to the next. Within a major version of claude-mesh it only adds.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The statements, run as one script.
    pub sql: &'static str,
}

/// The version that brought the table of forks.
pub(super) const FORK_SCHEMA: u32 = 6;
/// The version that says which sessions remove calm markers.
pub(super) const CALM_SCHEMA: u32 = 7;
/// The version that brought the counters of peers, memories and tasks.
pub(super) const COUNTER_SCHEMA: u32 = 8;

/// The schema of this program.
pub(super) const CURRENT: Schema = Schema {
    migrations: &[
        Migration {
            sql: include_str!("schema/0001_questions.sql"),
        },
        Migration {
            sql: include_str!("schema/0002_messages_claims_state.sql"),
        },
        Migration {
            sql: include_str!("schema/0003_memory_tasks.sql"),
        },
        Migration {
            sql: include_str!("schema/0004_access_keys.sql"),
        },
        Migration {
            sql: include_str!("schema/0005_other_hosts.sql"),
        },
        Migration {
            sql: include_str!("schema/0006_forks.sql"),
        },
        Migration {
            sql: include_str!("schema/0007_calm_markers.sql"),
        },
        Migration {
            sql: include_str!("schema/0008_counters.sql"),
        },
    ],
    min_reader: 1,
};

impl Schema {
    pub(super) fn version(&self) -> u32 {
        u32::try_from(self.migrations.len()).expect("a handful of migrations")
    }
}

/// Returns the version of the schema of this program.
pub fn version() -> u32 {
    CURRENT.version()
}

/// What a file says about its schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredVersions {
    pub(super) min_reader: u32,
    pub(super) version: u32,
}

/// Returns the versions that [`write_versions`] wrote. They are read from a table, because that costs a hook less than a
/// pragma. Files of schema 1 have no version in it.
pub(super) fn read_versions(connection: &Connection) -> rusqlite::Result<StoredVersions> {
    let mut statement =
        connection.prepare("SELECT key, value FROM meta WHERE key IN ('min_reader', 'schema')")?;
    let mut rows = statement.query([])?;
    let mut found = StoredVersions {
        min_reader: u32::MAX,
        version: 1,
    };
    while let Some(row) = rows.next()? {
        let value: String = row.get("value")?;
        let value = value.parse().unwrap_or(u32::MAX);
        match row.get_ref("key")?.as_str()? {
            "schema" => found.version = value,
            _ => found.min_reader = value,
        }
    }
    Ok(found)
}

/// Returns the version that SQLite keeps in the header of the file.
pub(super) fn read_user_version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

pub(super) fn write_versions(connection: &Connection, schema: &Schema) -> rusqlite::Result<()> {
    connection.pragma_update(None, "user_version", schema.version())?;
    // A mesh may ask for newer readers than its schema does, as `Tx::require_reader` records.
    connection.execute(
        "INSERT INTO meta (key, value) VALUES ('min_reader', ?1), ('schema', ?2) ON CONFLICT (key) DO UPDATE
            SET value = CAST(max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER)) AS TEXT)",
        [schema.min_reader.to_string(), schema.version().to_string()],
    )?;
    Ok(())
}
