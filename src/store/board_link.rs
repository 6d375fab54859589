//! Statements on the sign-in links of the board. A token is not stored, only its hash.
use rusqlite::params;

use super::engine::{self, OptionalExtension};
use super::transaction::Tx;
use crate::model::access_key::LinkProblem;

impl Tx<'_> {
    pub(crate) fn insert_board_link(&self, hash: &[u8], expires_at_ms: i64) -> engine::Result<()> {
        self.sql
            .prepare_cached("INSERT INTO board_link (hash, expires_at_ms) VALUES (?1, ?2)")?
            .run(params![hash, expires_at_ms])
    }

    /// Marks a link as used. Returns why it cannot be used, or `None`.
    pub(crate) fn use_board_link(&self, hash: &[u8]) -> engine::Result<Option<LinkProblem>> {
        let found: Option<(i64, Option<i64>)> = self
            .sql
            .prepare_cached("SELECT expires_at_ms, used_at_ms FROM board_link WHERE hash = ?1")?
            .query_row([hash], |row| {
                Ok((row.get("expires_at_ms")?, row.get("used_at_ms")?))
            })
            .optional()?;
        match found {
            None => return Ok(Some(LinkProblem::Unknown)),
            Some((_, Some(_))) => return Ok(Some(LinkProblem::Used)),
            Some((expires_at_ms, None)) if expires_at_ms <= self.now.wall_ms => {
                return Ok(Some(LinkProblem::Expired));
            }
            Some(_) => {}
        }
        self.sql
            .prepare_cached("UPDATE board_link SET used_at_ms = ?2 WHERE hash = ?1")?
            .run(params![hash, self.now.wall_ms])?;
        Ok(None)
    }
}
