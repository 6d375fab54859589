//! Erases a memory with all its versions, found by key or id; for `forget` and `claude-mesh memory forget`.
use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::erase::EraseOutcome;
use crate::mesh::session::SessionHandle;
use crate::model::memory as rules;
use crate::model::{EventKind, Result};
use crate::platform::id::MemoryId;
use crate::store::MESH_SCOPE;

/// Which memory to erase.
#[derive(Debug, Clone, Copy)]
pub enum MemorySelector<'a> {
    /// The memory of this key: of the repository, else of the mesh.
    Key(&'a str),
    /// The memory of this id, which may be of any version.
    Id(MemoryId),
}

impl Mesh {
    /// Erases a memory with its earlier versions, from every table and from the free pages of the file.
    pub fn forget(
        &mut self,
        me: &SessionHandle,
        project_scope: &str,
        which: MemorySelector,
    ) -> Result<EraseOutcome> {
        let key = match which {
            MemorySelector::Key(key) => Some(rules::key(key)?),
            MemorySelector::Id(_) => None,
        };
        self.erase_with(|write| {
            let found = match (which, key) {
                (MemorySelector::Id(id), _) => write.tx.memory(id)?,
                (_, Some(key)) => match write
                    .tx
                    .memory_versions(project_scope, key)?
                    .into_iter()
                    .next()
                {
                    Some(own) => Some(own),
                    None => write
                        .tx
                        .memory_versions(MESH_SCOPE, key)?
                        .into_iter()
                        .next(),
                },
                (_, None) => None,
            };
            let Some(memory) = found else {
                return Ok(None);
            };
            write.tx.begin_secure_erase(&memory.id.to_string())?;
            let erased = write.tx.erase_memory(&memory)?;
            let data = json!({
                "key": memory.key,
                "version": memory.version,
                "scope": memory.scope_kind().as_str(),
                "forgotten": true,
            });
            let subject = memory.id.to_string();
            write
                .tx
                .append_event(EventKind::MemoryChanged, Some(me.peer), &subject, &data)?;
            Ok(Some(erased))
        })
    }
}
