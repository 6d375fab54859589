//! Forgetting: what is removed is gone from tables, free pages and log when the verb returns; where somebody's long look
//! keeps the log from that, the verb says so, and the next sweeps go on.
use std::path::PathBuf;
use std::time::Duration;

use crate::mesh::connection::Mesh;
use crate::mesh::context::Verb;
use crate::model::Result;

/// What became of something that was to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EraseOutcome {
    /// There is no such thing.
    NotFound,
    /// It is gone, with every trace.
    Erased,
    /// It is gone, but traces stay in the files until no other program looks at them as they were.
    PartiallyErased,
}

/// How long to wait for others that look at the file; looks of sessions are over in a moment.
pub(in crate::mesh) const READER_WAIT: Duration = Duration::from_secs(1);

/// So many pages of words are written in one transaction.
const PAGES_PER_STEP: i64 = 250;
/// So often what others write meanwhile may undo a renewal; then it is done in one go.
const FTS_REBUILDS_MAX: usize = 3;

/// The versions of the schema that brought questions and memories.
const QUESTIONS_SCHEMA: u32 = 1;
const MEMORIES_SCHEMA: u32 = 3;

impl Mesh {
    /// Runs a verb that removes something for good, if it is there, and takes the traces out.
    pub(in crate::mesh) fn erase_with(
        &mut self,
        verb: impl FnOnce(&mut Verb) -> Result<bool>,
    ) -> Result<EraseOutcome> {
        if !self.write(verb)? {
            return Ok(EraseOutcome::NotFound);
        }
        // It is removed, whatever becomes of the rest; what is left is told.
        Ok(match self.erase_residue(READER_WAIT) {
            Ok(true) => EraseOutcome::Erased,
            Ok(false) | Err(_) => EraseOutcome::PartiallyErased,
        })
    }

    /// Takes out what is left of whatever was forgotten, by anybody. Returns whether nothing is left.
    pub(in crate::mesh) fn erase_residue(&mut self, timeout: Duration) -> Result<bool> {
        let Some(of) = self.read(|read| Ok(read.tx.pending_residue()?))? else {
            return Ok(true);
        };
        self.rebuild_fts_terms()?;
        let is_clean = self.store.compact(timeout)?;
        if is_clean {
            self.write(|verb| Ok(verb.tx.clear_residue(&of)?))?;
        }
        Ok(is_clean)
    }

    /// Writes the words of the full text anew where beginnings of forgotten ones still lead to its pages: piece by piece, so
    /// that nobody waits long for the lock.
    fn rebuild_fts_terms(&mut self) -> Result<()> {
        for _ in 0..FTS_REBUILDS_MAX {
            if !self.read(|read| Ok(read.tx.has_stale_fts_prefix()?))? {
                return Ok(());
            }
            let mut more = self.write(|verb| Ok(verb.tx.begin_fts_rebuild(PAGES_PER_STEP)?))?;
            while more {
                more = self.write(|verb| Ok(verb.tx.continue_fts_rebuild(PAGES_PER_STEP)?))?;
            }
        }
        self.write(|verb| Ok(verb.tx.rebuild_fts_at_once()?))
    }

    /// Returns the copies from before an update in which a forgotten question may still stand.
    pub fn backups_with_questions(&self) -> Vec<PathBuf> {
        self.store.schema_backups(QUESTIONS_SCHEMA)
    }

    /// Returns the copies from before an update in which a forgotten memory may still stand.
    pub fn backups_with_memories(&self) -> Vec<PathBuf> {
        self.store.schema_backups(MEMORIES_SCHEMA)
    }
}
