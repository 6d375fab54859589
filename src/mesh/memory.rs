//! Memory: what sessions want to know later, for their repository or for the whole mesh. Anyone in the mesh may add, read,
//! replace and forget; who did and when stays beside it.
use serde_json::json;

use crate::mesh::question::ask::check_text;
use crate::mesh::{Forgotten, Mesh, Sitting, retention};
use crate::model::memory::{self as rules, Query, Scope};
use crate::model::{EventKind, PeerKind, Refusal, Result};
use crate::platform::id::MemoryId;
use crate::platform::project::Project;
use crate::store::{Found, MESH_SCOPE, Memory, NewMemory, Search, Tx};

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
    pub scope: Scope,
    /// A text that looks like a secret is passed all the same; a person's right only.
    pub force: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
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
    pub scope: Option<Scope>,
    /// How many at most.
    pub limit: usize,
}

/// Which memory is to be forgotten.
#[derive(Debug, Clone, Copy)]
pub enum WhichMemory<'a> {
    /// This repository's of that key, else the mesh's.
    Key(&'a str),
    /// The one of that id, whichever version it names.
    Id(MemoryId),
}

/// A time to live has these limits, in seconds.
const TTL_SECONDS: std::ops::RangeInclusive<u32> = 1..=10 * 365 * 86_400;
/// Counting for a greeting ends here.
const COUNTED_MAX: u32 = 1_000;

impl Mesh {
    /// Returns the place where the memories of a project are. They follow when its folder becomes a repository, and when it is
    /// none any more.
    pub fn memory_home(&mut self, project: &Project) -> Result<String> {
        let home = project.home();
        if let Some(earlier) = project.earlier_home() {
            let left =
                self.read(|tx, _| Ok(tx.has_tasks() && tx.memory_range(&earlier)?.is_some()))?;
            if left {
                self.write(|tx, _, _| Ok(tx.move_memories(&earlier, &home)?))?;
            }
        }
        Ok(home)
    }

    /// Remembers a text for the repository at `home`, or for the mesh.
    pub fn remember(&mut self, me: &Sitting, home: &str, new: Remember) -> Result<Remembered> {
        let force = new.force && me.kind == PeerKind::Person;
        check_text("text", new.text, 1, force)?;
        let key = new.key.map(rules::key).transpose()?;
        let tags = rules::tags(new.tags)?;
        check_text("key", key.unwrap_or_default(), 0, force)?;
        check_text("tags", &tags.join(" "), 0, force)?;
        if let Some(seconds) = new.ttl_seconds.filter(|it| !TTL_SECONDS.contains(it)) {
            let (least, most) = (TTL_SECONDS.start(), TTL_SECONDS.end());
            let problem = format!("\"ttl_seconds\" must be from {least} to {most}, got {seconds}");
            return Err(Refusal::argument(problem).into());
        }
        let scope = place(new.scope, home);
        let (remembered, sweep_is_due) = self.write(|tx, _, _| {
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
            tx.append(
                EventKind::MemoryChanged,
                Some(me.peer),
                &id.to_string(),
                &data,
            )?;
            let remembered = Remembered {
                id,
                key: key.map(str::to_owned),
                version,
            };
            Ok((remembered, retention::is_due(tx)?))
        })?;
        self.sweep_on_the_way(sweep_is_due);
        Ok(remembered)
    }

    /// Returns what fits, best first: what has every word, then what has a word as part of another, of the own repository
    /// before the mesh's. Only if nothing has them all, what has some of them.
    pub fn recall(&mut self, home: &str, recall: Recall) -> Result<Vec<Found>> {
        let query = recall.query.map(Query::parse).transpose()?;
        let key = recall.key.map(rules::key).transpose()?;
        let tags = rules::tags(recall.tags)?;
        let scopes = [Scope::Project, Scope::Mesh]
            .into_iter()
            .filter(|scope| recall.scope.is_none_or(|only| only == *scope))
            .map(|scope| place(scope, home));
        self.read(|tx, _| {
            let mut places = Vec::new();
            for scope in scopes {
                if let Some(range) = tx.memory_range(scope)? {
                    places.push((scope, range));
                }
            }
            let mut found = Vec::new();
            let left = |found: &Vec<Found>| recall.limit.saturating_sub(found.len());
            for (scope, range) in &places {
                let limit = left(&found);
                if limit == 0 {
                    break;
                }
                let more = match (&query, key) {
                    (_, Some(key)) => keyed(tx, scope, key, query.as_ref(), &tags)?,
                    (Some(query), None) => {
                        let tags = &tags;
                        tx.recall(*range, Search { query, tags, limit })?
                    }
                    (None, None) if tags.is_empty() => listed(tx, *range, limit)?,
                    (None, None) => tx.tagged(*range, &tags, limit)?,
                };
                found.extend(more);
            }
            if let (Some(query), None, true) = (&query, key, found.is_empty()) {
                for (_, range) in &places {
                    let limit = left(&found);
                    let tags = &tags;
                    found.extend(tx.recall_any(*range, Search { query, tags, limit })?);
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
        scope: Option<Scope>,
    ) -> Result<Vec<Memory>> {
        let key = rules::key(key)?;
        self.read(|tx, _| {
            for one in [Scope::Project, Scope::Mesh] {
                if scope.is_none_or(|only| only == one) {
                    let versions = tx.memory_versions(place(one, home), key)?;
                    if !versions.is_empty() {
                        return Ok(versions);
                    }
                }
            }
            Ok(Vec::new())
        })
    }

    /// Forgets a memory with its replaced versions, in every table and in the free pages of the file.
    pub fn forget(&mut self, me: &Sitting, home: &str, which: WhichMemory) -> Result<Forgotten> {
        let key = match which {
            WhichMemory::Key(key) => Some(rules::key(key)?),
            WhichMemory::Id(_) => None,
        };
        self.remove_for_good(|tx, _, _| {
            let found = match (which, key) {
                (WhichMemory::Id(id), _) => tx.memory(id)?,
                (_, Some(key)) => match tx.memory_versions(home, key)?.into_iter().next() {
                    Some(own) => Some(own),
                    None => tx.memory_versions(MESH_SCOPE, key)?.into_iter().next(),
                },
                (_, None) => None,
            };
            let Some(memory) = found else {
                return Ok(false);
            };
            tx.leave_no_traces(&memory.id.to_string())?;
            tx.forget_memory(&memory)?;
            let data = json!({
                "key": memory.key,
                "version": memory.version,
                "scope": memory.kept_for().as_str(),
                "forgotten": true,
            });
            let subject = memory.id.to_string();
            tx.append(EventKind::MemoryChanged, Some(me.peer), &subject, &data)?;
            Ok(true)
        })
    }

    /// Returns how many memories there are for the repository at `home`, counted up to a thousand.
    pub fn count_memories(&mut self, home: &str) -> Result<u32> {
        self.read(|tx, _| {
            if tx.has_tasks() {
                Ok(tx.count_memories(home, COUNTED_MAX)?)
            } else {
                Ok(0)
            }
        })
    }
}

fn place(scope: Scope, home: &str) -> &str {
    match scope {
        Scope::Project => home,
        Scope::Mesh => MESH_SCOPE,
    }
}

fn listed(tx: &Tx, range: crate::store::MemoryRange, limit: usize) -> Result<Vec<Found>> {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let newest = tx.newest_memories(range, limit)?;
    let found = |memory| Found { memory, score: 0.0 };
    Ok(newest.into_iter().map(found).collect())
}

/// The newest version of a key, if what else was asked for fits it.
fn keyed(
    tx: &Tx,
    scope: &str,
    key: &str,
    query: Option<&Query>,
    tags: &[String],
) -> Result<Vec<Found>> {
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
        Some(query) => tx.score_of(&memory, query, tags)?,
    };
    Ok(fitness
        .map(|score| Found { memory, score })
        .into_iter()
        .collect())
}
