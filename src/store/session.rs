//! Rows of sessions: processes of clients that are or were registered at a peer.
use crate::store::columns::column;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::engine::{self, OptionalExtension, Params, Row};
use super::sql_types::json_list;
use super::transaction::{NewPending, Tx};
use crate::platform::id::{PeerId, QuestionId, SessionId};
use crate::platform::process::ProcessKey;

/// Identifies a process on a machine: enough to look it up, or to know that this is not possible from here.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessLocation {
    pub host: String,
    pub boot: String,
    pub pid_namespace: String,
    pub process: ProcessKey,
    /// Distinguishes several members of one process; 0 for hooks and servers.
    pub instance: u32,
}

/// A process of a client that is or was registered at a peer.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub peer: PeerId,
    pub location: ProcessLocation,
    /// The client, for example `claude-code 2.1.329`.
    pub agent: Option<String>,
    /// The session id of Claude Code, which changes at `/clear`.
    pub client_session: Option<String>,
    /// Whether it is a `claude -p` run.
    pub headless: bool,
    /// Whether its MCP server has registered.
    pub has_server: bool,
    /// `idle` or `busy`, as a hook saw it last.
    pub activity: Option<String>,
    /// The turn in which `stop_streak` counts.
    pub turn: Option<String>,
    /// How often the Stop hook continued that turn.
    pub stop_streak: u32,
    /// Whether its person was told to restart it.
    pub restart_notified: bool,
    /// The turns that peers have started since its person last typed.
    pub posted_turns: u32,
    /// The wake attempt that has not been read yet.
    pub wake_attempt: Option<WakeAttempt>,
    pub started_at_ms: i64,
    pub last_seen_at_ms: i64,
    pub ended_at_ms: Option<i64>,
    /// Until when a hub serves it, if it is on another host; `None` if its process can be looked up.
    pub lease_until_ms: Option<i64>,
}

/// A line in the inbox of a session that should start a turn and has not been read yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeAttempt {
    /// What the line carries, so that the prompt hook recognizes it.
    pub nonce: String,
    /// How often it was posted.
    pub count: u32,
    /// When it was last posted, by the monotonic clock: a session lives within one boot, and the wall clock may be set back.
    pub at_monotonic_ms: i64,
}

/// The values of a new session.
#[expect(missing_docs, reason = "the other fields are those of Session")]
#[derive(Debug)]
pub struct NewSession<'a> {
    pub peer: PeerId,
    pub location: &'a ProcessLocation,
    pub agent: Option<&'a str>,
    pub client_session: Option<&'a str>,
    /// The name that its person gave it.
    pub given_name: Option<&'a str>,
    pub headless: bool,
    pub has_server: bool,
}

const SESSION_COLUMNS: &str = "id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, headless, has_server, activity, turn, stop_streak, told_restart, started_at_ms, last_seen_at_ms, ended_at_ms, posted_turns, ring_nonce, ring_count, rung_at_ms, lease_until_ms";
/// The same columns of a database before schema 5.
const SESSION_COLUMNS_BEFORE_5: &str = "id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, headless, has_server, activity, turn, stop_streak, told_restart, started_at_ms, last_seen_at_ms, ended_at_ms, posted_turns, ring_nonce, ring_count, rung_at_ms, NULL AS lease_until_ms";

impl Session {
    fn from_row(row: &Row) -> engine::Result<Self> {
        Ok(Self {
            id: row.get(column!(SESSION_COLUMNS, "id"))?,
            peer: row.get(column!(SESSION_COLUMNS, "peer_id"))?,
            location: ProcessLocation {
                host: row.get(column!(SESSION_COLUMNS, "host"))?,
                boot: row.get(column!(SESSION_COLUMNS, "boot"))?,
                pid_namespace: row.get(column!(SESSION_COLUMNS, "pid_namespace"))?,
                process: ProcessKey {
                    pid: row.get(column!(SESSION_COLUMNS, "pid"))?,
                    started: row.get(column!(SESSION_COLUMNS, "started"))?,
                },
                instance: row.get(column!(SESSION_COLUMNS, "instance"))?,
            },
            agent: row.get(column!(SESSION_COLUMNS, "agent"))?,
            client_session: row.get(column!(SESSION_COLUMNS, "client_session"))?,
            headless: row.get(column!(SESSION_COLUMNS, "headless"))?,
            has_server: row.get(column!(SESSION_COLUMNS, "has_server"))?,
            activity: row.get(column!(SESSION_COLUMNS, "activity"))?,
            turn: row.get(column!(SESSION_COLUMNS, "turn"))?,
            stop_streak: row.get(column!(SESSION_COLUMNS, "stop_streak"))?,
            restart_notified: row.get(column!(SESSION_COLUMNS, "told_restart"))?,
            posted_turns: row.get(column!(SESSION_COLUMNS, "posted_turns"))?,
            wake_attempt: WakeAttempt::from_row(row)?,
            started_at_ms: row.get(column!(SESSION_COLUMNS, "started_at_ms"))?,
            last_seen_at_ms: row.get(column!(SESSION_COLUMNS, "last_seen_at_ms"))?,
            ended_at_ms: row.get(column!(SESSION_COLUMNS, "ended_at_ms"))?,
            lease_until_ms: row.get(column!(SESSION_COLUMNS, "lease_until_ms"))?,
        })
    }
}

impl WakeAttempt {
    fn from_row(row: &Row) -> engine::Result<Option<Self>> {
        let nonce_and_time = (
            row.get(column!(SESSION_COLUMNS, "ring_nonce"))?,
            row.get(column!(SESSION_COLUMNS, "rung_at_ms"))?,
        );
        let (Some(nonce), Some(at_monotonic_ms)) = nonce_and_time else {
            return Ok(None);
        };
        Ok(Some(Self {
            nonce,
            count: row.get(column!(SESSION_COLUMNS, "ring_count"))?,
            at_monotonic_ms,
        }))
    }
}

impl Tx<'_> {
    fn session_columns(&self) -> &'static str {
        if self.schema_at_least(5) {
            SESSION_COLUMNS
        } else {
            SESSION_COLUMNS_BEFORE_5
        }
    }

    fn find_session_where(
        &self,
        condition: &str,
        values: impl Params,
    ) -> engine::Result<Option<Session>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT {} FROM session WHERE {condition}",
                self.session_columns()
            ))?
            .query_row(values, Session::from_row)
            .optional()
    }

    fn sessions_where(&self, condition: &str, values: impl Params) -> engine::Result<Vec<Session>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT {} FROM session WHERE {condition}",
                self.session_columns()
            ))?
            .query_map(values, Session::from_row)?
            .collect()
    }

    pub(crate) fn session(&self, id: SessionId) -> engine::Result<Option<Session>> {
        self.find_session_where("id = ?1", [id])
    }

    /// Returns the live session of a process.
    pub(crate) fn find_live_session_of_process(
        &self,
        location: &ProcessLocation,
    ) -> engine::Result<Option<Session>> {
        let ProcessKey { pid, started } = location.process;
        self.find_session_where(
            "pid = ?1 AND started = ?2 AND boot = ?3 AND host = ?4 AND instance = ?5 AND ended_at_ms IS NULL",
            params![pid, started, location.boot, location.host, location.instance],
        )
    }

    /// Returns the sessions of these peers that have not ended, newest first.
    pub(crate) fn live_sessions_of(&self, peers: &[PeerId]) -> engine::Result<Vec<Session>> {
        self.sessions_where(
            "peer_id IN (SELECT value FROM json_each(?1)) AND ended_at_ms IS NULL ORDER BY id DESC",
            [json_list(peers)],
        )
    }

    /// Returns whether a process ever had a session.
    pub(crate) fn has_session_of_process(&self, process: ProcessKey) -> engine::Result<bool> {
        self.sql
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM session WHERE pid = ?1 AND started = ?2)",
            )?
            .query_row(params![process.pid, process.started], |row| row.get(0))
    }

    /// Returns the sessions of a peer that have not ended: more than one only while the death of one is not noticed.
    pub(crate) fn live_sessions_at(&self, peer: PeerId) -> engine::Result<Vec<Session>> {
        self.sessions_where(
            "peer_id = ?1 AND ended_at_ms IS NULL ORDER BY id DESC",
            [peer],
        )
    }

    /// Returns the sessions of the peer that has asked a question that have not ended.
    pub(crate) fn live_sessions_of_asker(
        &self,
        question: QuestionId,
    ) -> engine::Result<Vec<Session>> {
        self.sessions_where(
            "peer_id = (SELECT asker_peer FROM question WHERE id = ?1) AND ended_at_ms IS NULL ORDER BY id DESC",
            [question],
        )
    }

    /// Returns the sessions on another host that have not ended.
    pub(crate) fn leased_sessions_of_host(&self, host: &str) -> engine::Result<Vec<SessionId>> {
        self.sql
            .prepare_cached(
                "SELECT id FROM session WHERE host = ?1 AND ended_at_ms IS NULL AND lease_until_ms IS NOT NULL",
            )?
            .query_map([host], |row| row.get(0))?
            .collect()
    }

    /// Returns all sessions that have not ended.
    pub(crate) fn live_sessions(&self) -> engine::Result<Vec<Session>> {
        self.sessions_where("ended_at_ms IS NULL ORDER BY id", [])
    }

    /// Returns the peer at which a session of Claude Code was registered last.
    pub(crate) fn last_peer_of_client_session(
        &self,
        client_session: &str,
    ) -> engine::Result<Option<PeerId>> {
        self.sql
            .prepare_cached("SELECT peer_id FROM session WHERE client_session = ?1 ORDER BY last_seen_at_ms DESC, id DESC LIMIT 1")?
            .query_row([client_session], |row| row.get(0))
            .optional()
    }

    pub(crate) fn insert_session(&self, new: &NewSession) -> engine::Result<SessionId> {
        self.note_new_pending(NewPending::Peer(new.peer));
        let id = SessionId::from(self.next_id()?);
        let ProcessLocation {
            host,
            boot,
            pid_namespace,
            process,
            instance,
        } = new.location;
        self.sql
            .prepare_cached(
                "INSERT INTO session (id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, given_name,
                                      headless, has_server, started_at_ms, last_seen_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14)",
            )?
            .run(params![
                id, new.peer, host, boot, pid_namespace, process.pid, process.started, instance, new.agent, new.client_session,
                new.given_name, new.headless, new.has_server, self.now.wall_ms
            ])?;
        Ok(id)
    }

    /// Adds what another program of the same client knows about the session; `None` keeps a value.
    pub(crate) fn merge_session_details(
        &self,
        id: SessionId,
        new: &NewSession,
    ) -> engine::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE session SET client_session = coalesce(?2, client_session), agent = coalesce(?3, agent), given_name = coalesce(?4, given_name),
                        has_server = max(has_server, ?5), last_seen_at_ms = ?6 WHERE id = ?1",
            )?
            .run(params![id, new.client_session, new.agent, new.given_name, new.has_server, self.now.wall_ms])
    }

    /// Removes the session id of Claude Code from a session that continues, as after `/clear`.
    pub(crate) fn clear_client_session(&self, id: SessionId) -> engine::Result<()> {
        self.note_new_pending(NewPending::Session(id));
        self.sql.run(
            "UPDATE session SET client_session = NULL, turn = NULL, stop_streak = 0 WHERE id = ?1",
            [id],
        )
    }

    /// Sets the session id of Claude Code, and the name that its person gave the session if it has one.
    pub(crate) fn set_client_session(
        &self,
        id: SessionId,
        client_session: &str,
        given_name: Option<&str>,
    ) -> engine::Result<()> {
        self.sql
            .execute(
                "UPDATE session SET client_session = ?2, given_name = coalesce(?3, given_name), last_seen_at_ms = ?4 WHERE id = ?1",
                params![id, client_session, given_name, self.now.wall_ms],
            )
            .map(drop)
    }

    /// Ends a session and its waits. Returns false if it had ended before.
    pub(crate) fn end_session(&self, id: SessionId) -> engine::Result<bool> {
        self.note_new_pending(NewPending::Session(id));
        let ended = self.sql.execute(
            "UPDATE session SET ended_at_ms = ?2 WHERE id = ?1 AND ended_at_ms IS NULL",
            params![id, self.now.wall_ms],
        )?;
        self.note_identity_change(ended > 0);
        self.sql
            .run("DELETE FROM wait WHERE session_id = ?1", [id])?;
        self.sql.run("UPDATE peer SET last_seen_at_ms = ?2 WHERE id = (SELECT peer_id FROM session WHERE id = ?1)", params![id, self.now.wall_ms])?;
        self.fail_forks_of_session(id)?;
        Ok(ended > 0)
    }

    /// Notes a sign of life of a session.
    pub(crate) fn mark_session_seen(&self, id: SessionId) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE session SET last_seen_at_ms = ?2 WHERE id = ?1")?
            .run(params![id, self.now.wall_ms])
    }

    /// Stores the activity of a session as a hook saw it.
    pub(crate) fn set_activity(&self, id: SessionId, activity: &str) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE session SET activity = ?2, last_seen_at_ms = ?3 WHERE id = ?1")?
            .run(params![id, activity, self.now.wall_ms])
    }

    /// Notes that the person of a session was told to restart it.
    pub(crate) fn mark_restart_notified(&self, id: SessionId) -> engine::Result<()> {
        self.sql
            .run("UPDATE session SET told_restart = 1 WHERE id = ?1", [id])
    }

    /// Stores the pending wake attempt; `None` if there is none or it was read.
    pub(crate) fn set_wake_attempt(
        &self,
        id: SessionId,
        attempt: Option<&WakeAttempt>,
    ) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE session SET ring_nonce = ?2, ring_count = ?3, rung_at_ms = ?4 WHERE id = ?1")?
            .run(params![
                id,
                attempt.map(|attempt| &attempt.nonce),
                attempt.map_or(0, |attempt| attempt.count),
                attempt.map(|attempt| attempt.at_monotonic_ms)
            ])
    }

    /// Sets how many turns peers have started since the person last typed.
    pub(crate) fn set_posted_turns(&self, id: SessionId, turns: u32) -> engine::Result<()> {
        self.note_new_pending(NewPending::Session(id));
        self.sql
            .prepare_cached("UPDATE session SET posted_turns = ?2 WHERE id = ?1")?
            .run(params![id, turns])
    }

    /// Stores how often the Stop hook continued a turn.
    pub(crate) fn set_stop_streak(
        &self,
        id: SessionId,
        turn: &str,
        streak: u32,
    ) -> engine::Result<()> {
        self.note_new_pending(NewPending::Session(id));
        self.sql
            .prepare_cached("UPDATE session SET turn = ?2, stop_streak = ?3, last_seen_at_ms = ?4 WHERE id = ?1")?
            .run(params![id, turn, streak, self.now.wall_ms])
    }

    /// Returns until when a session of another host is served, in wall milliseconds; `None` for one that has no lease.
    pub(crate) fn session_lease(&self, session: SessionId) -> engine::Result<Option<i64>> {
        self.sql
            .prepare_cached(
                "SELECT lease_until_ms FROM session WHERE id = ?1 AND ended_at_ms IS NULL",
            )?
            .query_row([session], |row| row.get("lease_until_ms"))
            .optional()
            .map(Option::flatten)
    }

    /// Returns the activity summary of a session of another host, as JSON.
    pub(crate) fn activity_summary(&self, session: SessionId) -> engine::Result<Option<String>> {
        self.sql
            .prepare_cached("SELECT activity_summary FROM session WHERE id = ?1")?
            .query_row([session], |row| row.get("activity_summary"))
            .optional()
            .map(Option::flatten)
    }
}
