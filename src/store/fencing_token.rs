//! Statements on fencing tokens: the last one of each resource. It is kept when the resource is free, so that a token is
//! never given twice.

use super::engine::{self, OptionalExtension};
use super::transaction::Tx;

impl Tx<'_> {
    /// Increases the fencing token of a resource and returns it; the first is 1.
    pub(crate) fn next_fencing_token(&self, resource: &str) -> engine::Result<i64> {
        self.sql
            .prepare_cached(
                "INSERT INTO fence (resource, last) VALUES (?1, 1)
                 ON CONFLICT (resource) DO UPDATE SET last = fence.last + 1 RETURNING last",
            )?
            .query_row([resource], |row| row.get(0))
    }

    /// Returns the last fencing token of a resource; 0 before the first grant.
    pub(crate) fn last_fencing_token(&self, resource: &str) -> engine::Result<i64> {
        let last = self
            .sql
            .prepare_cached("SELECT last FROM fence WHERE resource = ?1")?
            .query_row([resource], |row| row.get(0))
            .optional()?;
        Ok(last.unwrap_or(0))
    }
}
