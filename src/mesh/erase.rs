//! Erases texts permanently. When an operation returns, the text is removed from the tables, the free pages of the file
//! and the WAL. If a long read of another program keeps the WAL, the operation reports residue, and the next sweeps
//! remove it.
use std::path::PathBuf;
use std::time::Duration;

use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::model::Result;
use crate::store::ErasedWords;

/// The result of erasing something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EraseOutcome {
    /// It does not exist.
    NotFound,
    /// It is erased, without residue.
    Erased,
    /// It is erased from the tables, but residue stays in the files until no other program reads an older snapshot.
    PartiallyErased,
}

/// How long to wait for other readers of the file. Reads of sessions are short.
pub(in crate::mesh) const READER_WAIT: Duration = Duration::from_secs(1);

/// How many pages of the full-text index are written in one transaction.
const PAGES_PER_STEP: i64 = 250;
/// How often writes of others may undo a rebuild; after that it is done in one transaction.
const FTS_REBUILDS_MAX: usize = 3;

/// The versions of the schema that added questions and memories.
const QUESTIONS_SCHEMA: u32 = 1;
const MEMORIES_SCHEMA: u32 = 3;

impl Mesh {
    /// Runs an operation that erases something, then removes the residue. The operation returns what it has erased from the
    /// full-text index; `None` if there was nothing to erase.
    pub(in crate::mesh) fn erase_with(
        &mut self,
        operation: impl FnOnce(&mut WriteContext) -> Result<Option<ErasedWords>>,
    ) -> Result<EraseOutcome> {
        let erased = self.write(|write| {
            // Of what was erased before, no words are known.
            let is_alone = write.tx.pending_residue()?.is_none();
            let erased = operation(write)?;
            Ok(erased.map(|words| {
                if is_alone {
                    words
                } else {
                    ErasedWords::Unknown
                }
            }))
        })?;
        let Some(erased) = erased else {
            return Ok(EraseOutcome::NotFound);
        };
        // It is erased from the tables in any case; the outcome reports the residue.
        Ok(match self.erase_residue(&erased, READER_WAIT) {
            Ok(true) => EraseOutcome::Erased,
            Ok(false) | Err(_) => EraseOutcome::PartiallyErased,
        })
    }

    /// Removes the residue of everything that was erased, by any program; `erased` is all of that. Returns whether none is left.
    pub(in crate::mesh) fn erase_residue(
        &mut self,
        erased: &ErasedWords,
        timeout: Duration,
    ) -> Result<bool> {
        let Some(of) = self.read(|read| Ok(read.tx.pending_residue()?))? else {
            return Ok(true);
        };
        self.rebuild_fts_terms(erased)?;
        let is_clean = self.store.compact(timeout)?;
        if is_clean {
            self.write(|write| Ok(write.tx.clear_residue(&of)?))?;
        }
        Ok(is_clean)
    }

    /// Rebuilds the terms of the full-text index if prefixes of erased words still lead to its pages: in steps, so that
    /// nobody waits long for the lock.
    fn rebuild_fts_terms(&mut self, erased: &ErasedWords) -> Result<()> {
        for _ in 0..FTS_REBUILDS_MAX {
            if !self.read(|read| Ok(read.tx.has_stale_fts_prefix(erased)?))? {
                return Ok(());
            }
            let mut more = self.write(|write| Ok(write.tx.begin_fts_rebuild(PAGES_PER_STEP)?))?;
            while more {
                more = self.write(|write| Ok(write.tx.continue_fts_rebuild(PAGES_PER_STEP)?))?;
            }
        }
        self.write(|write| Ok(write.tx.rebuild_fts_at_once()?))
    }

    /// Returns the copies made before migrations that may still contain an erased question.
    pub fn backups_with_questions(&self) -> Vec<PathBuf> {
        self.store.schema_backups(QUESTIONS_SCHEMA)
    }

    /// Returns the copies made before migrations that may still contain an erased memory.
    pub fn backups_with_memories(&self) -> Vec<PathBuf> {
        self.store.schema_backups(MEMORIES_SCHEMA)
    }
}
