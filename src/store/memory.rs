//! Statements on memories: stored, replaced, listed, erased, kept in the full-text indexes. Search is in `memory_search.rs`.
use std::collections::BTreeSet;

use rusqlite::params;

use super::engine::{self, OptionalExtension, Params, Row};
use super::erased_words::ErasedWords;
use super::memory_index::IndexedText;
use super::memory_range::MemoryRange;
use super::transaction::Tx;
use crate::model::memory::{MemoryScope, VERSIONS_MAX};
use crate::platform::id::MemoryId;

/// The scope of the whole mesh. Any other scope is the path of a repository.
pub(crate) const MESH_SCOPE: &str = "*";

/// A version of a memory.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct Memory {
    /// Its rowid in the full-text indexes.
    pub(crate) number: i64,
    pub id: MemoryId,
    /// The path of its repository, or `*`.
    pub scope: String,
    /// The name under which it is replaced.
    pub key: Option<String>,
    /// The version of its key; 1 is the first.
    pub version: u32,
    /// The name of the peer that stored it.
    pub by: String,
    pub at_ms: i64,
    pub expires_at_ms: Option<i64>,
    /// The name of the peer that replaced it, and when.
    pub superseded: Option<(String, i64)>,
    pub tags: Vec<String>,
    pub text: String,
}

/// The values of a new version of a memory.
#[derive(Debug)]
pub(crate) struct NewMemory<'a> {
    pub(crate) scope: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) version: u32,
    pub(crate) by: &'a str,
    pub(crate) expires_at_ms: Option<i64>,
    pub(crate) tags: &'a [String],
    pub(crate) text: &'a str,
}

const MEMORY_COLUMNS: &str = "m.number, m.id, m.scope, m.key, m.version, m.by_name, m.at_ms, m.expires_at_ms, m.superseded_by, m.superseded_at_ms, m.tags, m.text";

fn tags_json(tags: &[String]) -> String {
    serde_json::to_string(tags).expect("texts can be written as JSON")
}

impl Memory {
    fn from_row(row: &Row) -> engine::Result<Self> {
        let superseded_by: Option<String> = row.get("superseded_by")?;
        let superseded_at_ms: Option<i64> = row.get("superseded_at_ms")?;
        Ok(Self {
            number: row.get("number")?,
            id: row.get("id")?,
            scope: row.get("scope")?,
            key: row.get("key")?,
            version: row.get("version")?,
            by: row.get("by_name")?,
            at_ms: row.get("at_ms")?,
            expires_at_ms: row.get("expires_at_ms")?,
            superseded: superseded_by.zip(superseded_at_ms),
            tags: serde_json::from_str(row.get_ref("tags")?.as_str()?).unwrap_or_default(),
            text: row.get("text")?,
        })
    }

    /// Returns whether it belongs to the mesh or to a repository.
    pub fn scope_kind(&self) -> MemoryScope {
        if self.scope == MESH_SCOPE {
            MemoryScope::Mesh
        } else {
            MemoryScope::Project
        }
    }

    fn indexed(&self) -> IndexedText<'_> {
        IndexedText {
            number: self.number,
            key: self.key.as_deref(),
            tags: &self.tags,
            text: &self.text,
        }
    }

    /// Returns whether it is the newest version of its key and has not expired.
    pub(crate) fn is_current(&self, now_ms: i64) -> bool {
        self.superseded.is_none() && self.expires_at_ms.is_none_or(|until_ms| until_ms > now_ms)
    }
}

impl Tx<'_> {
    fn select_memories(&self, selection: &str, values: impl Params) -> engine::Result<Vec<Memory>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT {MEMORY_COLUMNS} FROM memory m {selection}"
            ))?
            .query_map(values, Memory::from_row)?
            .collect()
    }

    /// Stores a version and adds it to the full-text indexes.
    pub(crate) fn insert_memory(&self, new: &NewMemory) -> engine::Result<MemoryId> {
        let id = MemoryId::from(self.next_id()?);
        let range = match self.memory_range(new.scope)? {
            Some(range) => range,
            None => self.next_memory_range(new.scope)?,
        };
        let number = self.next_memory_number(range)?;
        let tags = tags_json(new.tags);
        self.sql
            .prepare_cached(
                "INSERT INTO memory (number, id, scope, key, version, by_name, at_ms, expires_at_ms, tags, text)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .run(params![
                number, id, new.scope, new.key, new.version, new.by, self.now.wall_ms, new.expires_at_ms, tags, new.text
            ])?;
        self.add_to_index(IndexedText {
            number,
            key: new.key,
            tags: new.tags,
            text: new.text,
        })?;
        Ok(id)
    }

    /// Marks a version as replaced and removes it from the full-text indexes.
    pub(crate) fn supersede_memory(&self, old: &Memory, by: &str) -> engine::Result<()> {
        self.remove_from_index(old.indexed())?;
        self.sql
            .prepare_cached(
                "UPDATE memory SET superseded_by = ?2, superseded_at_ms = ?3 WHERE number = ?1",
            )?
            .run(params![old.number, by, self.now.wall_ms])
    }

    /// Deletes a version, and its entry in the full-text index if it is the current one.
    pub(crate) fn delete_memory(&self, old: &Memory) -> engine::Result<()> {
        if old.superseded.is_none() {
            self.remove_from_index(old.indexed())?;
        }
        self.sql
            .prepare_cached("DELETE FROM memory WHERE number = ?1")?
            .run([old.number])
    }

    /// Deletes a memory with all its versions. Returns what the full-text index had of them.
    pub(crate) fn erase_memory(&self, memory: &Memory) -> engine::Result<ErasedWords> {
        let versions = match &memory.key {
            Some(key) => self.memory_versions(&memory.scope, key)?,
            None => vec![memory.clone()],
        };
        // Words of versions that were trimmed earlier are not known any more.
        let is_trimmed = versions.len() < memory.version.max(versions[0].version) as usize;
        let mut erased = if is_trimmed && memory.key.is_some() {
            ErasedWords::Unknown
        } else {
            ErasedWords::none()
        };
        for version in &versions {
            self.delete_memory(version)?;
            let key = version.key.as_deref().unwrap_or_default();
            let tags = version.tags.iter().map(String::as_str);
            for text in [version.text.as_str(), key].into_iter().chain(tags) {
                erased.add(text);
            }
        }
        Ok(erased)
    }

    /// Returns all versions of a key, newest first.
    pub(crate) fn memory_versions(&self, scope: &str, key: &str) -> engine::Result<Vec<Memory>> {
        // Most memories have no key, so the statistics of a big mesh speak against the index.
        self.select_memories(
            "INDEXED BY memory_key WHERE m.scope = ?1 AND m.key = ?2 ORDER BY m.version DESC",
            params![scope, key],
        )
    }

    /// Deletes the oldest versions of a key beyond [`VERSIONS_MAX`].
    pub(crate) fn trim_memory_versions(&self, scope: &str, key: &str) -> engine::Result<()> {
        let versions = self.memory_versions(scope, key)?;
        versions
            .iter()
            .skip(VERSIONS_MAX as usize)
            .try_for_each(|old| self.delete_memory(old))
    }

    /// Returns the version of an id.
    pub(crate) fn memory(&self, id: MemoryId) -> engine::Result<Option<Memory>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT {MEMORY_COLUMNS} FROM memory m WHERE m.id = ?1"
            ))?
            .query_row([id], Memory::from_row)
            .optional()
    }

    /// Returns the version of a rowid.
    pub(crate) fn memory_by_number(&self, number: i64) -> engine::Result<Option<Memory>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT {MEMORY_COLUMNS} FROM memory m WHERE m.number = ?1"
            ))?
            .query_row([number], Memory::from_row)
            .optional()
    }

    /// Returns the current memories of a scope, newest first.
    pub(crate) fn newest_memories(
        &self,
        range: MemoryRange,
        limit: u32,
    ) -> engine::Result<Vec<Memory>> {
        self.select_memories(
            "WHERE m.number BETWEEN ?1 AND ?2 AND m.superseded_at_ms IS NULL AND (m.expires_at_ms IS NULL OR m.expires_at_ms > ?3)
             ORDER BY m.number DESC LIMIT ?4",
            params![range.first, range.last, self.now.wall_ms, limit],
        )
    }

    /// Returns expired memories, at most `limit`.
    pub(crate) fn expired_memories(&self, limit: u32) -> engine::Result<Vec<Memory>> {
        self.select_memories(
            "WHERE m.expires_at_ms IS NOT NULL AND m.expires_at_ms <= ?1 AND m.superseded_at_ms IS NULL LIMIT ?2",
            params![self.now.wall_ms, limit],
        )
    }

    /// Returns the number of current memories of a scope, counted up to `max_count`; no text is read.
    pub(crate) fn count_memories(&self, scope: &str, max_count: u32) -> engine::Result<u32> {
        self.sql
            .prepare_cached(
                "SELECT count(*) FROM (SELECT 1 FROM memory WHERE scope = ?1 AND superseded_at_ms IS NULL
                    AND (expires_at_ms IS NULL OR expires_at_ms > ?2) LIMIT ?3) v",
            )?
            .query_row(params![scope, self.now.wall_ms, max_count], |row| row.get(0))
    }

    /// Moves the memories of a scope to another, when a repository has another path. If the other scope has a memory of the
    /// same key, that one keeps the key.
    pub(crate) fn move_memories(&self, from: &str, to: &str) -> engine::Result<()> {
        let Some(range) = self.memory_range(to)? else {
            return self
                .sql
                .prepare_cached("UPDATE memory SET scope = ?2 WHERE scope = ?1")?
                .run([from, to]);
        };
        let all = self.select_memories("WHERE m.scope = ?1 ORDER BY m.number", [from])?;
        let mut taken_keys = BTreeSet::new();
        for key in all.iter().filter_map(|memory| memory.key.as_deref()) {
            if !self.memory_versions(to, key)?.is_empty() {
                taken_keys.insert(key);
            }
        }
        for memory in &all {
            let key = memory
                .key
                .as_deref()
                .filter(|key| !taken_keys.contains(key));
            if memory.superseded.is_some() && memory.key.as_deref() != key {
                self.delete_memory(memory)?;
            } else {
                self.move_memory(memory, to, range, key)?;
            }
        }
        Ok(())
    }

    /// A scope is one range of rowids, so the memory gets a rowid of the other scope.
    fn move_memory(
        &self,
        old: &Memory,
        to: &str,
        range: MemoryRange,
        key: Option<&str>,
    ) -> engine::Result<()> {
        let number = self.next_memory_number(range)?;
        if old.superseded.is_none() {
            self.remove_from_index(old.indexed())?;
        }
        self.sql
            .prepare_cached(
                "UPDATE memory SET number = ?2, scope = ?3, key = ?4 WHERE number = ?1",
            )?
            .run(params![old.number, number, to, key])?;
        if old.superseded.is_none() {
            self.add_to_index(IndexedText {
                number,
                key,
                ..old.indexed()
            })?;
        }
        Ok(())
    }

    fn next_memory_number(&self, range: MemoryRange) -> engine::Result<i64> {
        let last: Option<i64> = self
            .sql
            .prepare_cached("SELECT max(number) FROM memory WHERE number BETWEEN ?1 AND ?2")?
            .query_row(params![range.first, range.last], |row| row.get(0))?;
        Ok(last.map_or(range.first, |last| last + 1))
    }

    /// Returns the scopes that have memories.
    #[cfg(feature = "hub")]
    pub(crate) fn memory_scopes(&self) -> engine::Result<Vec<String>> {
        if !self.schema_at_least(3) {
            return Ok(Vec::new());
        }
        self.sql
            .prepare_cached("SELECT DISTINCT scope FROM memory ORDER BY scope")?
            .query_map([], |row| row.get(0))?
            .collect()
    }

    /// Returns the rowids of a scope; `None` if it has no memory.
    pub(crate) fn memory_range(&self, scope: &str) -> engine::Result<Option<MemoryRange>> {
        let any: Option<i64> = self
            .sql
            .prepare_cached("SELECT number FROM memory WHERE scope = ?1 LIMIT 1")?
            .query_row([scope], |row| row.get(0))
            .optional()?;
        Ok(any.map(MemoryRange::containing))
    }

    fn next_memory_range(&self, scope: &str) -> engine::Result<MemoryRange> {
        if scope == MESH_SCOPE {
            return Ok(MemoryRange::of_mesh());
        }
        let last: Option<i64> = self
            .sql
            .prepare_cached("SELECT max(number) FROM memory")?
            .query_row([], |row| row.get(0))?;
        Ok(MemoryRange::after(last))
    }
}
