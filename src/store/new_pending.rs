//! Collects for whom a transaction may have put something before a hook, so that the markers which say that nothing is pending
//! are removed before the commit.
//!
//! Each statement that can do so notes it here: a note too many costs one slower hook, a missing one hides a question.
use super::engine;
use super::schema::CALM_SCHEMA;
use super::transaction::{NewPending, Tx};
use crate::platform::id::{PeerId, SessionId};

/// The peers for which something may be pending now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PeersWithNewPending {
    These(Vec<PeerId>),
    All,
}

impl Tx<'_> {
    /// Returns the peers for which something may be pending since this transaction began.
    pub(crate) fn peers_with_new_pending(&self) -> engine::Result<PeersWithNewPending> {
        let noted = self.new_pending.borrow().clone();
        let mut peers = Vec::with_capacity(noted.len());
        for new in noted {
            match new {
                NewPending::Peer(peer) => peers.push(peer),
                NewPending::Asked(peer) => {
                    peers.push(peer);
                    peers.extend(self.peers(
                        "SELECT first.id FROM peer asked JOIN peer first ON first.project = asked.project AND first.seat = 1
                         WHERE asked.id = ?1 AND asked.seat > 1",
                        [peer],
                    )?);
                }
                NewPending::Session(session) => {
                    peers.extend(self.peers("SELECT peer_id FROM session WHERE id = ?1", [session])?);
                }
                NewPending::Asker(question) => peers.extend(
                    self.peers("SELECT asker_peer FROM question WHERE id = ?1", [question])?,
                ),
                NewPending::Forked(question) => peers.extend(self.peers(
                    "SELECT s.peer_id FROM fork f JOIN session s ON s.id = f.session_id WHERE f.question_id = ?1",
                    [question],
                )?),
                NewPending::Everyone => return Ok(PeersWithNewPending::All),
            }
        }
        peers.sort_unstable();
        peers.dedup();
        Ok(PeersWithNewPending::These(peers))
    }

    fn peers(&self, sql: &str, id: impl engine::Params) -> engine::Result<Vec<PeerId>> {
        self.sql
            .prepare_cached(sql)?
            .query_map(id, |row| row.get(0))?
            .collect()
    }

    /// Returns whether a session has any delivery of a question that is still stored.
    pub(crate) fn has_deliveries(&self, session: SessionId) -> engine::Result<bool> {
        self.sql
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM showing WHERE session_id = ?1)")?
            .query_row([session], |row| row.get(0))
    }

    /// Notes that the programs of a session remove the markers of those for whom they store something.
    pub(crate) fn note_removes_markers(&self, session: SessionId) -> engine::Result<()> {
        if self.sql.file().is_none() || !self.schema_at_least(CALM_SCHEMA) {
            return Ok(());
        }
        self.sql
            .prepare_cached("UPDATE session SET removes_markers = 1 WHERE id = ?1")?
            .run([session])
    }

    /// Returns whether a session that has not ended has a server of an earlier version, which would leave a marker.
    pub(crate) fn has_session_that_keeps_markers(&self) -> engine::Result<bool> {
        if self.sql.file().is_none() || !self.schema_at_least(CALM_SCHEMA) {
            return Ok(true);
        }
        self.sql
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM session WHERE ended_at_ms IS NULL AND has_server = 1 AND removes_markers = 0)",
            )?
            .query_row([], |row| row.get(0))
    }
}
