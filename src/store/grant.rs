//! Claims whose turn came while no call waited for it, and of which nobody has told their session yet.
use rusqlite::params;

use super::Tx;
use crate::ground::id::{ClaimId, SessionId};

/// A claim that a session holds without knowing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Its id.
    pub id: ClaimId,
    /// What is claimed.
    pub resource: String,
    /// `exclusive` or `shared`.
    pub mode: String,
    /// Its fence.
    pub fence: Option<i64>,
    /// When its lease is over, in wall milliseconds; `None` when that cannot be told any more.
    pub until_ms: Option<i64>,
}

impl Tx<'_> {
    /// Returns the claims of a session it has not been told of, in the order of the line.
    pub(crate) fn granted_untold(&self, session: SessionId) -> rusqlite::Result<Vec<Granted>> {
        self.sql
            .prepare_cached(
                "SELECT id, resource, mode, fence, CASE WHEN boot = ?2 THEN lease_until_monotonic_ms - ?3 + ?4 END
                 FROM claim WHERE session_id = ?1 AND told = 0 AND state = 'held' ORDER BY id LIMIT 100",
            )?
            .query_map(
                params![session, &*self.now.boot, self.now.monotonic_ms, self.now.wall_ms],
                |row| {
                    Ok(Granted {
                        id: row.get(0)?,
                        resource: row.get(1)?,
                        mode: row.get(2)?,
                        fence: row.get(3)?,
                        until_ms: row.get(4)?,
                    })
                },
            )?
            .collect()
    }

    /// Notes that the session of a claim was told of it.
    pub(crate) fn set_told(&self, id: ClaimId) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("UPDATE claim SET told = 1 WHERE id = ?1 AND told = 0")?
            .execute([id])
            .map(drop)
    }
}
