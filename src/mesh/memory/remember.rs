//! Stores memories: text that sessions of a repository, or of the whole mesh, want to know later.
use serde_json::json;

use crate::mesh::check_text::check_text;
use crate::mesh::connection::Mesh;
use crate::mesh::retention;
use crate::mesh::session::SessionHandle;
use crate::model::memory::{self as rules, MemoryScope};
use crate::model::{EventKind, PeerKind, Refusal, Result};
use crate::platform::id::MemoryId;
use crate::platform::project::Project;
use crate::store::{MESH_SCOPE, NewMemory};

/// The limits of a time to live, in seconds.
const TTL_SECONDS_RANGE: std::ops::RangeInclusive<u32> = 1..=10 * 365 * 86_400;

/// A memory to store.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Copy)]
pub struct Remember<'a> {
    pub text: &'a str,
    /// Its key. A memory of the same key is replaced.
    pub key: Option<&'a str>,
    /// Words to find it by.
    pub tags: &'a [String],
    /// After how many seconds it expires.
    pub ttl_seconds: Option<u32>,
    /// For the repository or for the mesh.
    pub scope: MemoryScope,
    /// Accepts a text that looks like a secret; works for a person only.
    pub force: bool,
}

/// The result of storing a memory.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberOutcome {
    pub id: MemoryId,
    pub key: Option<String>,
    /// Its version under this key; 1 is the first.
    pub version: u32,
}

impl Mesh {
    /// Returns the scope key of the memories of a project. Moves the memories if its folder has become a repository, or
    /// is none any more.
    pub fn project_memory_scope(&mut self, project: &Project) -> Result<String> {
        let project_scope = project.memory_scope_key();
        if let Some(earlier) = project.earlier_memory_scope_key() {
            let remaining = self.read(|read| {
                Ok(read.tx.schema_at_least(3) && read.tx.memory_range(&earlier)?.is_some())
            })?;
            if remaining {
                self.write(|write| Ok(write.tx.move_memories(&earlier, &project_scope)?))?;
            }
        }
        Ok(project_scope)
    }

    /// Stores a memory for the repository whose scope key is `project_scope`, or for the mesh.
    pub fn remember(
        &mut self,
        me: &SessionHandle,
        project_scope: &str,
        new: Remember,
    ) -> Result<RememberOutcome> {
        let force = new.force && me.kind == PeerKind::Person;
        check_text("text", new.text, 1, force)?;
        let key = new.key.map(rules::key).transpose()?;
        let tags = rules::tags(new.tags)?;
        check_text("key", key.unwrap_or_default(), 0, force)?;
        check_text("tags", &tags.join(" "), 0, force)?;
        check_ttl(new.ttl_seconds)?;
        let scope = scope_key(new.scope, project_scope);
        let (remembered, is_sweep_due) = self.write(|write| {
            let old = match key {
                Some(key) => write.tx.memory_versions(scope, key)?.into_iter().next(),
                None => None,
            };
            if let Some(old) = &old {
                write.tx.supersede_memory(old, me.name.as_str())?;
            }
            let version = old.map_or(1, |old| old.version + 1);
            let expires_at_ms = new
                .ttl_seconds
                .map(|seconds| write.tx.now.wall_ms + i64::from(seconds) * 1000);
            let id = write.tx.insert_memory(&NewMemory {
                scope,
                key,
                version,
                by: me.name.as_str(),
                expires_at_ms,
                tags: &tags,
                text: new.text,
            })?;
            if let Some(key) = key {
                write.tx.trim_memory_versions(scope, key)?;
            }
            let data = json!({ "key": key, "version": version, "scope": new.scope.as_str() });
            let kind = EventKind::MemoryChanged;
            write
                .tx
                .append_event(kind, Some(me.peer), &id.to_string(), &data)?;
            let remembered = RememberOutcome {
                id,
                key: key.map(str::to_owned),
                version,
            };
            Ok((remembered, retention::is_sweep_due(write.read())?))
        })?;
        self.sweep_if_due(is_sweep_due);
        Ok(remembered)
    }
}

fn check_ttl(ttl_seconds: Option<u32>) -> Result<()> {
    match ttl_seconds {
        Some(seconds) if !TTL_SECONDS_RANGE.contains(&seconds) => {
            let (least, most) = (TTL_SECONDS_RANGE.start(), TTL_SECONDS_RANGE.end());
            let problem = format!("\"ttl_seconds\" must be from {least} to {most}, got {seconds}");
            Err(Refusal::argument(problem).into())
        }
        _ => Ok(()),
    }
}

/// Returns the key under which the store keeps the memories of a scope.
pub(in crate::mesh) fn scope_key(scope: MemoryScope, project_scope: &str) -> &str {
    match scope {
        MemoryScope::Project => project_scope,
        MemoryScope::Mesh => MESH_SCOPE,
    }
}
