//! Statements on blocking waits: which call waits for which answers, claim or events.
use rusqlite::params;

use super::engine::{self, OptionalExtension};
use super::session::ProcessLocation;
use super::transaction::Tx;
use crate::model::event::EventPatterns;
use crate::platform::id::{ClaimId, PeerId, QuestionId, SessionId, WaitId};
use crate::platform::process::ProcessKey;

impl Tx<'_> {
    /// Notes that a call, made by the process at `location`, starts to wait for answers to these questions. Its start is a
    /// reading of the monotonic clock.
    pub(crate) fn insert_wait(
        &self,
        session: SessionId,
        location: &ProcessLocation,
        questions: &[QuestionId],
    ) -> engine::Result<WaitId> {
        let id = WaitId::from(self.next_id()?);
        // A pid is comparable only within the pid namespace and the boot of the session. The calls of a session on another
        // host run in a hub on this one.
        let is_served = self.is_served_here();
        self.sql
            .prepare_cached(&format!(
                "INSERT INTO wait (id, session_id, started_at_ms, pid, started)
                 SELECT ?1, id, ?3, CASE WHEN boot = ?4 AND pid_namespace = ?5 OR {is_served} THEN CAST(?6 AS INTEGER) END, ?7 FROM session WHERE id = ?2",
            ))?
            .run(params![
                id,
                session,
                self.now.monotonic_ms,
                location.boot,
                location.pid_namespace,
                location.process.pid,
                location.process.started
            ])?;
        for question in questions {
            self.sql
                .prepare_cached(
                    "INSERT INTO wait_question (wait_id, question_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                )?
                .run(params![id, question])?;
        }
        Ok(id)
    }

    /// Returns the condition that a session is one of another host whose calls a hub on this machine runs.
    fn is_served_here(&self) -> &'static str {
        if self.schema_at_least(5) {
            "lease_until_ms IS NOT NULL"
        } else {
            "false"
        }
    }

    /// Notes that a call starts to wait in a claim queue.
    pub(crate) fn insert_claim_wait(
        &self,
        session: SessionId,
        location: &ProcessLocation,
        claim: ClaimId,
    ) -> engine::Result<WaitId> {
        let id = self.insert_wait(session, location, &[])?;
        self.sql
            .prepare_cached("UPDATE wait SET claim_id = ?2 WHERE id = ?1")?
            .run(params![id, claim])?;
        Ok(id)
    }

    /// Notes that a call starts to wait for events.
    pub(crate) fn insert_event_wait(
        &self,
        session: SessionId,
        location: &ProcessLocation,
        types: &EventPatterns,
    ) -> engine::Result<WaitId> {
        let id = self.insert_wait(session, location, &[])?;
        self.sql
            .prepare_cached("UPDATE wait SET event_types = ?2 WHERE id = ?1")?
            .run(params![id, types.to_json()])?;
        self.no_event_wait.set(false);
        Ok(id)
    }

    /// Notes that a call has returned.
    pub(crate) fn delete_wait(&self, id: WaitId) -> engine::Result<()> {
        self.sql
            .prepare_cached("DELETE FROM wait WHERE id = ?1")?
            .run([id])
    }

    /// Returns the waits, of one session or of all, whose processes can be looked up from `location`.
    pub(crate) fn waits_checkable_from(
        &self,
        location: &ProcessLocation,
        session: Option<SessionId>,
    ) -> engine::Result<Vec<(WaitId, ProcessKey)>> {
        let session_filter = if session.is_some() {
            "w.session_id = ?1"
        } else {
            "CAST(?1 AS TEXT) IS NULL"
        };
        // On a server the processes of other machines have recorded waits, too.
        let is_served = match self.sql.file() {
            Some(_) => self.is_served_here(),
            None => "false",
        };
        self.sql
            .prepare_cached(&format!(
                "SELECT w.id, w.pid, w.started FROM wait w JOIN session s ON s.id = w.session_id
                 WHERE {session_filter} AND w.pid IS NOT NULL AND (s.boot = ?2 AND s.pid_namespace = ?3 OR {is_served})"
            ))?
            .query_map(params![session, location.boot, location.pid_namespace], |row| {
                let process = ProcessKey {
                    pid: row.get("pid")?,
                    started: row.get("started")?,
                };
                Ok((row.get("id")?, process))
            })?
            .collect()
    }

    /// Returns the newest wait of a session and when it started, by the monotonic clock.
    pub(crate) fn newest_wait(&self, session: SessionId) -> engine::Result<Option<(WaitId, i64)>> {
        self.sql
            .prepare_cached(
                "SELECT id, started_at_ms FROM wait WHERE session_id = ?1 ORDER BY id DESC LIMIT 1",
            )?
            .query_row([session], |row| {
                Ok((row.get("id")?, row.get("started_at_ms")?))
            })
            .optional()
    }

    /// Returns the live sessions in which a call waits for a question, apart from the wait `except`.
    pub(crate) fn sessions_waiting_for_question(
        &self,
        question: QuestionId,
        except: Option<WaitId>,
    ) -> engine::Result<Vec<SessionId>> {
        let found = self.leases_waiting_for_question(question, except)?;
        Ok(found.into_iter().map(|(session, _)| session).collect())
    }

    /// Returns the same sessions, each with the time until which a hub serves it, in wall milliseconds.
    pub(crate) fn leases_waiting_for_question(
        &self,
        question: QuestionId,
        except: Option<WaitId>,
    ) -> engine::Result<Vec<(SessionId, Option<i64>)>> {
        let lease = if self.schema_at_least(5) {
            "s.lease_until_ms"
        } else {
            "NULL"
        };
        self.sql
            .prepare_cached(&format!(
                "SELECT DISTINCT w.session_id, {lease} AS lease_until_ms FROM wait_question x JOIN wait w ON w.id = x.wait_id
                 JOIN session s ON s.id = w.session_id
                 WHERE x.question_id = ?1 AND s.ended_at_ms IS NULL AND w.id IS DISTINCT FROM ?2"
            ))?
            .query_map(params![question, except], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    /// Returns the live sessions that wait for an open question to a peer.
    pub(crate) fn sessions_waiting_for_peer(
        &self,
        target: PeerId,
    ) -> engine::Result<Vec<SessionId>> {
        self.sql
            .prepare_cached(
                "SELECT DISTINCT w.session_id FROM question q JOIN wait_question x ON x.question_id = q.id JOIN wait w ON w.id = x.wait_id
                 JOIN session s ON s.id = w.session_id
                 WHERE q.target_peer = ?1 AND q.state = 'open' AND s.ended_at_ms IS NULL",
            )?
            .query_map([target], |row| row.get(0))?
            .collect()
    }

    /// Returns the edges of the wait-for graph that start at a peer: delivered, open questions that it waits for, the peers
    /// they went to, and the waiting sessions.
    pub(crate) fn wait_graph_edges_of(
        &self,
        asker: PeerId,
    ) -> engine::Result<Vec<(QuestionId, PeerId, SessionId)>> {
        self.sql
            .prepare_cached(
                "SELECT q.id, q.target_peer, w.session_id FROM session s JOIN wait w ON w.session_id = s.id
                 JOIN wait_question x ON x.wait_id = w.id JOIN question q ON q.id = x.question_id
                 WHERE s.peer_id = ?1 AND s.ended_at_ms IS NULL AND q.state = 'open' AND q.shown_times > 0",
            )?
            .query_map([asker], |row| {
                Ok((row.get("id")?, row.get("target_peer")?, row.get("session_id")?))
            })?
            .collect()
    }
}
