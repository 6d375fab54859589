//! Statements on access keys. The text of a key is not stored, only its hash.
use rusqlite::params;

use super::engine::{self, OptionalExtension, Params, Row};
use super::transaction::Tx;
use crate::model::access_key::{AccessKey, KeyHolder, KeyScope};
use crate::platform::id::KeyId;

/// The values of a new key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewKey<'a> {
    pub(crate) holder: &'a KeyHolder,
    pub(crate) scope: KeyScope,
    pub(crate) project: Option<&'a str>,
    pub(crate) expires_at_ms: Option<i64>,
}

const KEY_COLUMNS: &str =
    "id, kind, name, scope, project, created_at_ms, expires_at_ms, revoked_at_ms, last_used_at_ms";

/// Returns `None` for a key of a kind that this program does not know.
fn key_from_row(row: &Row) -> engine::Result<Option<AccessKey>> {
    let Some(holder) = KeyHolder::from_stored(row.get_ref("kind")?.as_str()?, row.get("name")?)
    else {
        return Ok(None);
    };
    Ok(Some(AccessKey {
        id: row.get("id")?,
        holder,
        scope: KeyScope::of(row.get_ref("scope")?.as_str()?),
        project: row.get("project")?,
        created_at_ms: row.get("created_at_ms")?,
        expires_at_ms: row.get("expires_at_ms")?,
        revoked_at_ms: row.get("revoked_at_ms")?,
        last_used_at_ms: row.get("last_used_at_ms")?,
    }))
}

impl Tx<'_> {
    fn keys_where(&self, condition: &str, values: impl Params) -> engine::Result<Vec<AccessKey>> {
        if !self.schema_at_least(4) {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT {KEY_COLUMNS} FROM access_key WHERE {condition}");
        self.sql
            .prepare_cached(&sql)?
            .query_map(values, key_from_row)?
            .filter_map(Result::transpose)
            .collect()
    }

    /// Returns all keys, oldest first.
    pub(crate) fn keys(&self) -> engine::Result<Vec<AccessKey>> {
        self.keys_where("TRUE ORDER BY id", [])
    }

    pub(crate) fn key(&self, id: KeyId) -> engine::Result<Option<AccessKey>> {
        Ok(self.keys_where("id = ?1", [id])?.pop())
    }

    /// Returns the keys whose holder has that name, oldest first.
    pub(crate) fn keys_of_name(&self, name: &str) -> engine::Result<Vec<AccessKey>> {
        self.keys_where("name = ?1 ORDER BY id", [name])
    }

    /// Returns the hash of a key.
    pub(crate) fn key_hash(&self, id: KeyId) -> engine::Result<Option<Vec<u8>>> {
        if !self.schema_at_least(4) {
            return Ok(None);
        }
        self.sql
            .prepare_cached("SELECT hash FROM access_key WHERE id = ?1")?
            .query_row([id], |row| row.get("hash"))
            .optional()
    }

    /// Returns the id of a key that is inserted next in this transaction; its text contains the id.
    pub(crate) fn next_key_id(&self) -> engine::Result<KeyId> {
        self.next_id().map(KeyId::from)
    }

    pub(crate) fn insert_key(&self, id: KeyId, hash: &[u8], new: &NewKey) -> engine::Result<()> {
        self.note_identity_change(true);
        self.sql
            .prepare_cached(
                "INSERT INTO access_key (id, kind, name, scope, hash, project, created_at_ms, expires_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .run(params![
                id, new.holder.kind(), new.holder.name(), new.scope.as_str(), hash, new.project, self.now.wall_ms, new.expires_at_ms
            ])
    }

    /// Revokes a key. Returns false if it was revoked before.
    pub(crate) fn revoke_key(&self, id: KeyId) -> engine::Result<bool> {
        let revoked = self
            .sql
            .prepare_cached(
                "UPDATE access_key SET revoked_at_ms = ?2 WHERE id = ?1 AND revoked_at_ms IS NULL",
            )?
            .execute(params![id, self.now.wall_ms])?;
        self.note_identity_change(revoked > 0);
        Ok(revoked > 0)
    }

    /// Records that a key is used now.
    pub(crate) fn touch_key(&self, id: KeyId) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE access_key SET last_used_at_ms = ?2 WHERE id = ?1")?
            .run(params![id, self.now.wall_ms])
    }
}
