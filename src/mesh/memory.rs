//! Memory: what sessions want to know later, for their repository or for the whole mesh. Anyone in the mesh may add, read,
//! replace and forget; who did and when stays beside it.
use serde_json::json;

use crate::mesh::question::ask::check_text;
use crate::mesh::{EraseOutcome, Mesh, SessionHandle, retention};
use crate::model::memory::{self as rules, MemoryScope, Query};
use crate::model::{EventKind, PeerKind, Refusal, Result};
use crate::platform::id::MemoryId;
use crate::platform::project::Project;
use crate::store::{MESH_SCOPE, Memory, MemoryMatch, MemorySearch, NewMemory, Tx};

/// What is to be remembered.
#[derive(Debug, Clone, Copy)]
pub struct Remember<'a> {
    /// The text.
    pub text: &'a str,
    /// Its key; the same key again replaces.
    pub key: Option<&'a str>,
    /// Words to find it by.
    pub tags: &'a [String],
    /// When it goes by itself.
    pub ttl_seconds: Option<u32>,
    /// For the repository or for the mesh.
    pub scope: MemoryScope,
    /// A text that looks like a secret is passed all the same; a person's right only.
    pub force: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberOutcome {
    /// Its id.
    pub id: MemoryId,
    /// Its key.
    pub key: Option<String>,
    /// Which version of the key it is; 1 is the first.
    pub version: u32,
}

/// What to recall. Without query and key the newest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recall<'a> {
    /// Words, "phrases", beginnings*, −exclusions.
    pub query: Option<&'a str>,
    /// The very key.
    pub key: Option<&'a str>,
    /// All of these tags.
    pub tags: &'a [String],
    /// Only one of the scopes.
    pub scope: Option<MemoryScope>,
    /// How many at most.
    pub limit: usize,
}

/// Which memory is to be forgotten.
#[derive(Debug, Clone, Copy)]
pub enum MemorySelector<'a> {
    /// This repository's of that key, else the mesh's.
    Key(&'a str),
    /// The one of that id, whichever version it names.
    Id(MemoryId),
}

/// A time to live has these limits, in seconds.
const TTL_SECONDS_RANGE: std::ops::RangeInclusive<u32> = 1..=10 * 365 * 86_400;
/// Counting for a greeting ends here.
const COUNTED_MAX: u32 = 1_000;

impl Mesh {
    /// Returns the place where the memories of a project are. They follow when its folder becomes a repository, and when it is
    /// none any more.
    pub fn memory_home(&mut self, project: &Project) -> Result<String> {
        let home = project.memory_scope_key();
        if let Some(earlier) = project.earlier_memory_scope_key() {
            let remaining = self
                .read(|tx, _| Ok(tx.schema_at_least(3) && tx.memory_range(&earlier)?.is_some()))?;
            if remaining {
                self.write(|tx, _, _| Ok(tx.move_memories(&earlier, &home)?))?;
            }
        }
        Ok(home)
    }

    /// Remembers a text for the repository at `home`, or for the mesh.
    pub fn remember(
        &mut self,
        me: &SessionHandle,
        home: &str,
        new: Remember,
    ) -> Result<RememberOutcome> {
        let force = new.force && me.kind == PeerKind::Person;
        check_text("text", new.text, 1, force)?;
        let key = new.key.map(rules::key).transpose()?;
        let tags = rules::tags(new.tags)?;
        check_text("key", key.unwrap_or_default(), 0, force)?;
        check_text("tags", &tags.join(" "), 0, force)?;
        if let Some(seconds) = new
            .ttl_seconds
            .filter(|seconds| !TTL_SECONDS_RANGE.contains(seconds))
        {
            let (least, most) = (TTL_SECONDS_RANGE.start(), TTL_SECONDS_RANGE.end());
            let problem = format!("\"ttl_seconds\" must be from {least} to {most}, got {seconds}");
            return Err(Refusal::argument(problem).into());
        }
        let scope = scope_key(new.scope, home);
        let (remembered, is_sweep_due) = self.write(|tx, _, _| {
            let old = match key {
                Some(key) => tx.memory_versions(scope, key)?.into_iter().next(),
                None => None,
            };
            if let Some(old) = &old {
                tx.supersede_memory(old, me.name.as_str())?;
            }
            let version = old.map_or(1, |old| old.version + 1);
            let expires_at_ms = new
                .ttl_seconds
                .map(|seconds| tx.now.wall_ms + i64::from(seconds) * 1000);
            let id = tx.insert_memory(&NewMemory {
                scope,
                key,
                version,
                by: me.name.as_str(),
                expires_at_ms,
                tags: &tags,
                text: new.text,
            })?;
            if let Some(key) = key {
                tx.trim_memory_versions(scope, key)?;
            }
            let data = json!({ "key": key, "version": version, "scope": new.scope.as_str() });
            tx.append_event(
                EventKind::MemoryChanged,
                Some(me.peer),
                &id.to_string(),
                &data,
            )?;
            let remembered = RememberOutcome {
                id,
                key: key.map(str::to_owned),
                version,
            };
            Ok((remembered, retention::is_sweep_due(tx)?))
        })?;
        self.sweep_if_due(is_sweep_due);
        Ok(remembered)
    }

    /// Returns what fits, best first: what has every word, then what has a word as part of another, of the own repository
    /// before the mesh's. Only if nothing has them all, what has some of them.
    pub fn recall(&mut self, home: &str, recall: Recall) -> Result<Vec<MemoryMatch>> {
        let query = recall.query.map(Query::parse).transpose()?;
        let key = recall.key.map(rules::key).transpose()?;
        let tags = rules::tags(recall.tags)?;
        let scopes = [MemoryScope::Project, MemoryScope::Mesh]
            .into_iter()
            .filter(|scope| recall.scope.is_none_or(|only| only == *scope))
            .map(|scope| scope_key(scope, home));
        self.read(|tx, _| {
            let mut searched_scopes = Vec::new();
            for scope in scopes {
                if let Some(range) = tx.memory_range(scope)? {
                    searched_scopes.push((scope, range));
                }
            }
            let mut found = Vec::new();
            let remaining = |found: &Vec<MemoryMatch>| recall.limit.saturating_sub(found.len());
            for (scope, range) in &searched_scopes {
                let limit = remaining(&found);
                if limit == 0 {
                    break;
                }
                let more = match (&query, key) {
                    (_, Some(key)) => find_by_key(tx, scope, key, query.as_ref(), &tags)?,
                    (Some(query), None) => {
                        let tags = &tags;
                        tx.recall(*range, MemorySearch { query, tags, limit })?
                    }
                    (None, None) if tags.is_empty() => list_newest(tx, *range, limit)?,
                    (None, None) => tx.memories_with_tags(*range, &tags, limit)?,
                };
                found.extend(more);
            }
            if let (Some(query), None, true) = (&query, key, found.is_empty()) {
                for (_, range) in &searched_scopes {
                    let limit = remaining(&found);
                    let tags = &tags;
                    found.extend(tx.recall_any_word(*range, MemorySearch { query, tags, limit })?);
                }
            }
            found.truncate(recall.limit);
            Ok(found)
        })
    }

    /// Returns all versions of a key that are kept, the newest first: the repository's, else the mesh's.
    pub fn memory_history(
        &mut self,
        home: &str,
        key: &str,
        scope: Option<MemoryScope>,
    ) -> Result<Vec<Memory>> {
        let key = rules::key(key)?;
        self.read(|tx, _| {
            for one in [MemoryScope::Project, MemoryScope::Mesh] {
                if scope.is_none_or(|only| only == one) {
                    let versions = tx.memory_versions(scope_key(one, home), key)?;
                    if !versions.is_empty() {
                        return Ok(versions);
                    }
                }
            }
            Ok(Vec::new())
        })
    }

    /// Forgets a memory with its replaced versions, in every table and in the free pages of the file.
    pub fn forget(
        &mut self,
        me: &SessionHandle,
        home: &str,
        which: MemorySelector,
    ) -> Result<EraseOutcome> {
        let key = match which {
            MemorySelector::Key(key) => Some(rules::key(key)?),
            MemorySelector::Id(_) => None,
        };
        self.erase_with(|tx, _, _| {
            let found = match (which, key) {
                (MemorySelector::Id(id), _) => tx.memory(id)?,
                (_, Some(key)) => match tx.memory_versions(home, key)?.into_iter().next() {
                    Some(own) => Some(own),
                    None => tx.memory_versions(MESH_SCOPE, key)?.into_iter().next(),
                },
                (_, None) => None,
            };
            let Some(memory) = found else {
                return Ok(false);
            };
            tx.begin_secure_erase(&memory.id.to_string())?;
            tx.erase_memory(&memory)?;
            let data = json!({
                "key": memory.key,
                "version": memory.version,
                "scope": memory.scope_kind().as_str(),
                "forgotten": true,
            });
            let subject = memory.id.to_string();
            tx.append_event(EventKind::MemoryChanged, Some(me.peer), &subject, &data)?;
            Ok(true)
        })
    }

    /// Returns how many memories there are for the repository at `home`, counted up to a thousand.
    pub fn count_memories(&mut self, home: &str) -> Result<u32> {
        self.read(|tx, _| {
            if tx.schema_at_least(3) {
                Ok(tx.count_memories(home, COUNTED_MAX)?)
            } else {
                Ok(0)
            }
        })
    }
}

fn scope_key(scope: MemoryScope, home: &str) -> &str {
    match scope {
        MemoryScope::Project => home,
        MemoryScope::Mesh => MESH_SCOPE,
    }
}

fn list_newest(
    tx: &Tx,
    range: crate::store::MemoryRange,
    limit: usize,
) -> Result<Vec<MemoryMatch>> {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let newest = tx.newest_memories(range, limit)?;
    let found = |memory| MemoryMatch { memory, score: 0.0 };
    Ok(newest.into_iter().map(found).collect())
}

/// The newest version of a key, if what else was asked for fits it.
fn find_by_key(
    tx: &Tx,
    scope: &str,
    key: &str,
    query: Option<&Query>,
    tags: &[String],
) -> Result<Vec<MemoryMatch>> {
    let newest = tx.memory_versions(scope, key)?.into_iter().next();
    let fits = |memory: &Memory| {
        let has = |tag: &String| memory.tags.iter().any(|own| rules::same_tag(own, tag));
        memory.is_current(tx.now.wall_ms) && tags.iter().all(has)
    };
    let Some(memory) = newest.filter(fits) else {
        return Ok(Vec::new());
    };
    let fitness = match query {
        None => Some(0.0),
        Some(query) => tx.match_score(&memory, query, tags)?,
    };
    Ok(fitness
        .map(|score| MemoryMatch { memory, score })
        .into_iter()
        .collect())
}
