//! The rowids of the memories of one scope. They are one range, so that a search in a scope reads one part of the full-text
//! indexes.

/// The rowids of a scope.
const ROWIDS_PER_SCOPE: i64 = 1 << 32;

/// A range of rowids: the memories of one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryRange {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl MemoryRange {
    /// Returns the range that a rowid belongs to.
    pub(super) fn containing(rowid: i64) -> Self {
        Self::of_scope(rowid / ROWIDS_PER_SCOPE)
    }

    /// Returns the first range if there is no memory, else the one after that of the last rowid.
    pub(super) fn after(last_rowid: Option<i64>) -> Self {
        Self::of_scope(last_rowid.unwrap_or(0) / ROWIDS_PER_SCOPE + 1)
    }

    /// Returns the range of the mesh itself.
    pub(super) fn of_mesh() -> Self {
        Self::of_scope(0)
    }

    fn of_scope(scope: i64) -> Self {
        Self {
            first: scope * ROWIDS_PER_SCOPE + 1,
            last: scope * ROWIDS_PER_SCOPE + ROWIDS_PER_SCOPE - 1,
        }
    }
}
