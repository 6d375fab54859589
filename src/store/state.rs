//! Statements on the shared state. A deleted entry keeps its row, and with it its version.
use rusqlite::params;
use serde_json::Value;

use super::engine::{self, OptionalExtension, Row};
use super::transaction::Tx;
use crate::model::state::{EntryKey, EntryRange, Namespace, StateEntry};

/// Entries that one sweep expires at most.
const EXPIRED_PER_SWEEP_MAX: i64 = 1_000;

impl Tx<'_> {
    /// Returns the entry of a key, which may be absent.
    pub(crate) fn entry(&self, namespace: &Namespace, key: &str) -> engine::Result<StateEntry> {
        let found = self
            .sql
            .prepare_cached(
                "SELECT key, value, version, updated_by, updated_at_ms, expires_at_ms FROM state
                 WHERE namespace = ?1 AND key = ?2 AND value IS NOT NULL AND (expires_at_ms IS NULL OR expires_at_ms > ?3)",
            )?
            .query_row(
                params![namespace.encoded(), key, self.now.wall_ms],
                |row| entry_from_row(row, namespace),
            )
            .optional()?;
        Ok(found.unwrap_or_else(|| StateEntry::absent(&namespace.name, key)))
    }

    /// Sets the value of a key, or deletes it with `None`. Returns the version, one more than the last.
    pub(crate) fn put_entry(
        &self,
        at: EntryKey,
        value: Option<&str>,
        by: &str,
        expires_at_ms: Option<i64>,
    ) -> engine::Result<i64> {
        self.sql
            .prepare_cached(
                "INSERT INTO state (namespace, key, value, version, updated_by, updated_at_ms, expires_at_ms) VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6)
                 ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, version = state.version + 1, updated_by = excluded.updated_by,
                    updated_at_ms = excluded.updated_at_ms, expires_at_ms = excluded.expires_at_ms
                 RETURNING version",
            )?
            .query_row(
                params![at.namespace.encoded(), at.key, value, by, self.now.wall_ms, expires_at_ms],
                |row| row.get(0),
            )
    }

    /// Returns the entries of a range by key, at most `limit`, but at least one. The flag says whether there are more.
    pub(crate) fn entries(
        &self,
        namespace: &Namespace,
        range: &EntryRange,
        limit: usize,
    ) -> engine::Result<(Vec<StateEntry>, bool)> {
        let mut statement = self.sql.prepare_cached(
            "SELECT key, value, version, updated_by, updated_at_ms, expires_at_ms FROM state
             WHERE namespace = ?1 AND key >= ?2 AND value IS NOT NULL AND (expires_at_ms IS NULL OR expires_at_ms > ?3) ORDER BY key",
        )?;
        let mut rows = statement.query(params![
            namespace.encoded(),
            range.prefix.max(range.after),
            self.now.wall_ms
        ])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let key = row.get_ref("key")?.as_str()?;
            if !key.starts_with(range.prefix) {
                break;
            }
            if !range.after.is_empty() && key == range.after {
                continue;
            }
            bytes += key.len() + row.get_ref("value")?.as_str()?.len();
            if found.len() == limit || (bytes > range.bytes_max && !found.is_empty()) {
                return Ok((found, true));
            }
            found.push(entry_from_row(&row, namespace)?);
        }
        Ok((found, false))
    }

    /// Moves the entries of a project to the folder that it was moved to. Entries that exist there are kept.
    pub(crate) fn move_entries(&self, from: &str, to: &str) -> engine::Result<()> {
        let (from, to) = (
            Namespace::encoded_prefix(from),
            Namespace::encoded_prefix(to),
        );
        self.sql
            .prepare_cached(
                "UPDATE state SET namespace = ?2 || substr(namespace, length(?1) + 1)
                 WHERE namespace >= ?1 AND substr(namespace, 1, length(?1)) = ?1 AND NOT EXISTS (SELECT 1 FROM state AS kept
                    WHERE kept.namespace = ?2 || substr(state.namespace, length(?1) + 1) AND kept.key = state.key)",
            )?
            .run([from, to])
    }

    /// Deletes the values of expired entries; their rows stay. Returns namespaces, keys and new versions.
    pub(crate) fn expire_entries(&self) -> engine::Result<Vec<(Namespace, String, i64)>> {
        let due: Vec<(String, String)> = self
            .sql
            .prepare_cached(
                "SELECT namespace, key FROM state WHERE expires_at_ms IS NOT NULL AND expires_at_ms <= ?1 ORDER BY expires_at_ms LIMIT ?2",
            )?
            .query_map(params![self.now.wall_ms, EXPIRED_PER_SWEEP_MAX], |row| {
                Ok((row.get("namespace")?, row.get("key")?))
            })?
            .collect::<engine::Result<_>>()?;
        due.into_iter()
            .map(|(namespace, key)| {
                let version = self
                    .sql
                    .prepare_cached(
                        "UPDATE state SET value = NULL, version = version + 1, updated_at_ms = ?3, expires_at_ms = NULL
                         WHERE namespace = ?1 AND key = ?2 RETURNING version",
                    )?
                    .query_row(params![namespace, key, self.now.wall_ms], |row| row.get(0))?;
                Ok((Namespace::from_encoded(&namespace), key, version))
            })
            .collect()
    }
}

fn entry_from_row(row: &Row, namespace: &Namespace) -> engine::Result<StateEntry> {
    Ok(StateEntry {
        namespace: namespace.name.clone(),
        key: row.get("key")?,
        value: serde_json::from_str(row.get_ref("value")?.as_str()?).unwrap_or(Value::Null),
        version: row.get("version")?,
        updated: Some((row.get("updated_by")?, row.get("updated_at_ms")?)),
        expires_at_ms: row.get("expires_at_ms")?,
    })
}
