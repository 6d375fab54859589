//! Searches the memories of the caller's repository and of the mesh, best match first; for `recall` and the greeting of
//! a session.
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::memory::remember::scope_key;
use crate::model::Result;
use crate::model::memory::{self as rules, MemoryScope, Query};
use crate::store::{Memory, MemoryMatch, MemorySearch};

/// The count in the greeting of a session ends here.
const COUNTED_MAX: u32 = 1_000;

/// What to search for. Without query and key, the newest memories.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recall<'a> {
    /// Words, "phrases", prefixes*, −exclusions.
    pub query: Option<&'a str>,
    /// Only the memory of this key.
    pub key: Option<&'a str>,
    /// Only memories with all of these tags.
    pub tags: &'a [String],
    /// Only one of the scopes.
    pub scope: Option<MemoryScope>,
    /// How many at most.
    pub limit: usize,
}

impl Mesh {
    /// Returns the memories that match, best first: those with every word, then those with a word as part of another;
    /// of the own repository before the mesh. If none has all words, those with some of them.
    pub fn recall(&mut self, project_scope: &str, recall: Recall) -> Result<Vec<MemoryMatch>> {
        let scopes = [MemoryScope::Project, MemoryScope::Mesh]
            .into_iter()
            .filter(|scope| recall.scope.is_none_or(|only| only == *scope))
            .map(|scope| scope_key(scope, project_scope).to_owned())
            .collect::<Vec<_>>();
        self.recall_in(&scopes, recall)
    }

    /// Returns the memories of these scopes that match, those of earlier scopes before those of later ones.
    pub(in crate::mesh) fn recall_in(
        &mut self,
        scopes: &[String],
        recall: Recall,
    ) -> Result<Vec<MemoryMatch>> {
        let query = recall.query.map(Query::parse).transpose()?;
        let key = recall.key.map(rules::key).transpose()?;
        let tags = rules::tags(recall.tags)?;
        self.read(|read| {
            let mut searched_scopes = Vec::new();
            for scope in scopes {
                if let Some(range) = read.tx.memory_range(scope)? {
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
                    (_, Some(key)) => {
                        let newest = read.tx.memory_versions(scope, key)?.into_iter().next();
                        match_by_key(read, newest, query.as_ref(), &tags)?
                    }
                    (Some(query), None) => {
                        let tags = &tags;
                        read.tx
                            .search_memories(*range, MemorySearch { query, tags, limit })?
                    }
                    (None, None) if tags.is_empty() => list_newest(read, *range, limit)?,
                    (None, None) => read.tx.memories_with_tags(*range, &tags, limit)?,
                };
                found.extend(more);
            }
            if let (Some(query), None, true) = (&query, key, found.is_empty()) {
                for (_, range) in &searched_scopes {
                    let limit = remaining(&found);
                    let tags = &tags;
                    found.extend(read.tx.search_memories_by_any_word(
                        *range,
                        MemorySearch { query, tags, limit },
                    )?);
                }
            }
            found.truncate(recall.limit);
            Ok(found)
        })
    }

    /// Returns all kept versions of a key, the newest first: of the repository, else of the mesh.
    pub fn memory_history(
        &mut self,
        project_scope: &str,
        key: &str,
        scope: Option<MemoryScope>,
    ) -> Result<Vec<Memory>> {
        let key = rules::key(key)?;
        self.read(|read| {
            for one in [MemoryScope::Project, MemoryScope::Mesh] {
                if scope.is_none_or(|only| only == one) {
                    let versions = read
                        .tx
                        .memory_versions(scope_key(one, project_scope), key)?;
                    if !versions.is_empty() {
                        return Ok(versions);
                    }
                }
            }
            Ok(Vec::new())
        })
    }

    /// Returns how many memories there are for the repository whose scope key is `project_scope`, counted up to a
    /// thousand.
    pub fn count_memories(&mut self, project_scope: &str) -> Result<u32> {
        self.read(|read| {
            if read.tx.schema_at_least(3) {
                Ok(read.tx.count_memories(project_scope, COUNTED_MAX)?)
            } else {
                Ok(0)
            }
        })
    }
}

fn list_newest(
    read: ReadContext,
    range: crate::store::MemoryRange,
    limit: usize,
) -> Result<Vec<MemoryMatch>> {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let newest = read.tx.newest_memories(range, limit)?;
    let found = |memory| MemoryMatch { memory, score: 0.0 };
    Ok(newest.into_iter().map(found).collect())
}

/// Returns the newest version of a key if it matches the query and has the tags.
fn match_by_key(
    read: ReadContext,
    newest: Option<Memory>,
    query: Option<&Query>,
    tags: &[String],
) -> Result<Vec<MemoryMatch>> {
    let fits = |memory: &Memory| {
        let has = |tag: &String| memory.tags.iter().any(|own| rules::same_tag(own, tag));
        memory.is_current(read.tx.now.wall_ms) && tags.iter().all(has)
    };
    let Some(memory) = newest.filter(fits) else {
        return Ok(Vec::new());
    };
    let fitness = match query {
        None => Some(0.0),
        Some(query) => read.tx.match_score(&memory, query, tags)?,
    };
    Ok(fitness
        .map(|score| MemoryMatch { memory, score })
        .into_iter()
        .collect())
}
