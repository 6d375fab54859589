//! Forgetting: what is removed is gone from tables, free pages and log when the verb returns; where somebody's long look
//! keeps the log from that, the verb says so, and the next sweeps go on.
use std::path::PathBuf;
use std::time::Duration;

use super::{Mesh, Rings};
use crate::mesh::peer::liveness::Around;
use crate::model::Result;
use crate::store::Tx;

/// What became of something that was to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// There is no such thing.
    Nothing,
    /// It is gone, with every trace.
    Entirely,
    /// It is gone, but traces stay in the files until no other program looks at them as they were.
    ButTraces,
}

/// How long to wait for others that look at the file; looks of sessions are over in a moment.
pub(in crate::mesh) const PATIENCE: Duration = Duration::from_secs(1);

/// So many pages of words are written in one transaction.
const PAGES: i64 = 250;
/// So often what others write meanwhile may undo a renewal; then it is done in one go.
const RENEWALS_MAX: usize = 3;

/// The versions of the schema that brought questions and memories.
const QUESTIONS: u32 = 1;
const MEMORIES: u32 = 3;

impl Mesh {
    /// Runs a verb that removes something for good, if it is there, and takes the traces out.
    pub(in crate::mesh) fn remove_for_good(
        &mut self,
        verb: impl FnOnce(&Tx, &Around, &mut Rings) -> Result<bool>,
    ) -> Result<Forgotten> {
        if !self.write(verb)? {
            return Ok(Forgotten::Nothing);
        }
        // It is removed, whatever becomes of the rest; what is left is told.
        Ok(match self.drop_traces(PATIENCE) {
            Ok(true) => Forgotten::Entirely,
            Ok(false) | Err(_) => Forgotten::ButTraces,
        })
    }

    /// Takes out what is left of whatever was forgotten, by anybody. Returns whether nothing is left.
    pub(in crate::mesh) fn drop_traces(&mut self, at_most: Duration) -> Result<bool> {
        let Some(of) = self.read(|tx, _| Ok(tx.traces()?))? else {
            return Ok(true);
        };
        self.renew_signposts()?;
        let gone = self.store.compact(at_most)?;
        if gone {
            self.write(|tx, _, _| Ok(tx.end_traces(&of)?))?;
        }
        Ok(gone)
    }

    /// Writes the words of the full text anew where beginnings of forgotten ones still lead to its pages: piece by piece, so
    /// that nobody waits long for the lock.
    fn renew_signposts(&mut self) -> Result<()> {
        for _ in 0..RENEWALS_MAX {
            if !self.read(|tx, _| Ok(tx.has_stale_signpost()?))? {
                return Ok(());
            }
            let mut more = self.write(|tx, _, _| Ok(tx.begin_new_signposts(PAGES)?))?;
            while more {
                more = self.write(|tx, _, _| Ok(tx.go_on_with_signposts(PAGES)?))?;
            }
        }
        self.write(|tx, _, _| Ok(tx.renew_signposts_at_once()?))
    }

    /// Returns the copies from before an update in which a forgotten question may still stand.
    pub fn copies_with_questions(&self) -> Vec<PathBuf> {
        self.store.copies(QUESTIONS)
    }

    /// Returns the copies from before an update in which a forgotten memory may still stand.
    pub fn copies_with_memories(&self) -> Vec<PathBuf> {
        self.store.copies(MEMORIES)
    }
}
