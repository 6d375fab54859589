//! Statements on sessions that live by a lease, which a hub renews: those of other hosts, and on a server those of a hub, too.
use rusqlite::params;

use super::engine;
use super::sql_types::json_list;
use super::transaction::Tx;
use crate::platform::id::{PeerId, SessionId};
use crate::platform::process::ProcessKey;

impl Tx<'_> {
    /// Sets until when these sessions of other hosts are served, in wall milliseconds. It is never shortened.
    pub(crate) fn renew_session_leases(
        &self,
        sessions: &[SessionId],
        lease_until_ms: i64,
    ) -> engine::Result<()> {
        let sessions = json_list(sessions);
        self.sql
            .prepare_cached(
                "UPDATE session SET lease_until_ms = max(coalesce(lease_until_ms, 0), ?2), last_seen_at_ms = ?3
                 WHERE id IN (SELECT value FROM json_each(?1)) AND ended_at_ms IS NULL",
            )?
            .run(params![sessions, lease_until_ms, self.now.wall_ms])
    }

    /// Returns until when the last lease of a session goes on that has not ended, in wall milliseconds; `None` if there is none.
    pub(crate) fn latest_session_lease(&self) -> engine::Result<Option<i64>> {
        self.sql.query_row(
            "SELECT max(lease_until_ms) AS latest FROM session WHERE ended_at_ms IS NULL",
            [],
            |row| row.get("latest"),
        )
    }

    /// Extends the leases of all sessions that have not ended: while no hub ran, none of them could be renewed.
    pub(crate) fn extend_session_leases(&self, lease_until_ms: i64) -> engine::Result<()> {
        self.sql
            .run(
                "UPDATE session SET lease_until_ms = ?1 WHERE lease_until_ms < ?1 AND ended_at_ms IS NULL",
                [lease_until_ms],
            )
    }

    /// Returns the number of the last verb of a session that was carried out; 0 if none was.
    pub(crate) fn applied_verb(&self, session: SessionId) -> engine::Result<i64> {
        self.sql
            .prepare_cached("SELECT applied_verb FROM session WHERE id = ?1")?
            .query_row([session], |row| row.get(0))
    }

    /// Records that a verb of a session was carried out.
    pub(crate) fn set_applied_verb(&self, session: SessionId, number: i64) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE session SET applied_verb = ?2 WHERE id = ?1")?
            .run(params![session, number])
    }

    /// Stores branch and commit of a project on another host, if they have changed.
    pub(crate) fn set_git_state(
        &self,
        peer: PeerId,
        branch: Option<&str>,
        head: Option<&str>,
    ) -> engine::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE peer SET git_branch = ?2, git_head = ?3 WHERE id = ?1 AND (git_branch IS DISTINCT FROM ?2 OR git_head IS DISTINCT FROM ?3)",
            )?
            .run(params![peer, branch, head])
    }

    /// Deletes the waits of a session that other processes than this one have recorded: a hub that has ended, or another one.
    pub(crate) fn delete_waits_of_other_processes(
        &self,
        session: SessionId,
        process: ProcessKey,
    ) -> engine::Result<()> {
        self.sql
            .prepare_cached(
                "DELETE FROM wait WHERE session_id = ?1 AND (pid IS DISTINCT FROM ?2 OR started IS DISTINCT FROM ?3)",
            )?
            .run(params![session, process.pid, process.started])
    }

    /// Stores the activity summary of a session of another host, as JSON; `None` removes it.
    pub(crate) fn set_activity_summary(
        &self,
        session: SessionId,
        summary: Option<&str>,
    ) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE session SET activity_summary = ?2 WHERE id = ?1")?
            .execute(params![session, summary])
            .map(drop)
    }
}
