//! Statements on questions: asked, delivered, answered, withdrawn, expired, erased.
use crate::store::columns::column;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::engine::{self, OptionalExtension, Params, Row};
use super::schema::FORK_SCHEMA;
use super::sql_types::json_list;
use super::transaction::{NewPending, Tx};
use crate::model::fork::FORK_RUNS_MS_MAX;
use crate::model::question::{EXPIRES_MS, UNDELIVERED_RETRY_MS};
use crate::model::{AnsweredBy, QuestionState, WakeState};
use crate::platform::id::{PeerId, QuestionId, SessionId};

/// A question, with its answer once there is one.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Question {
    pub id: QuestionId,
    pub asker: PeerId,
    pub asker_session: SessionId,
    pub target: PeerId,
    pub question: String,
    /// What the asker added to the question.
    pub context: Option<String>,
    /// How many questions it follows from.
    pub depth: i64,
    pub state: QuestionState,
    pub asked_at_ms: i64,
    pub expires_at_ms: i64,
    /// How it last reached its peer, or that it has not or could not.
    pub wake: WakeState,
    pub woken_at_ms: Option<i64>,
    /// Why the last wake attempt did not start a turn.
    pub wake_problem: Option<String>,
    /// Why its peer is not woken for it: `quiet`, `paused`, `wake_budget` or `person_budget`.
    pub held: Option<String>,
    /// When it was first delivered.
    pub shown_at_ms: Option<i64>,
    /// How often it was delivered.
    pub shown_times: u32,
    /// The answer, or the reason of a decline.
    pub answer: Option<String>,
    pub answered_by: Option<AnsweredBy>,
    pub answered_at_ms: Option<i64>,
    /// Whether no call waited for the answer any more.
    pub answer_late: bool,
    /// When the answer was first delivered to the asker outside of a call.
    pub answer_shown_at_ms: Option<i64>,
}

/// The values of a new question.
#[expect(missing_docs, reason = "the fields are those of Question")]
#[derive(Debug)]
pub struct NewQuestion<'a> {
    pub asker: PeerId,
    pub asker_session: SessionId,
    pub target: PeerId,
    pub question: &'a str,
    pub context: Option<&'a str>,
    pub depth: i64,
}

/// The values of an answer or a decline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewAnswer<'a> {
    /// Answered or declined.
    pub(crate) state: QuestionState,
    pub(crate) text: &'a str,
    pub(crate) by: AnsweredBy,
    pub(crate) session: SessionId,
    /// Whether no call waits for it any more.
    pub(crate) late: bool,
    /// The commit that is checked out in the project of the peer.
    pub(crate) head: Option<&'a str>,
}

/// A pending question, with its deliveries to one session.
#[expect(missing_docs, reason = "the field name says it")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuestionDelivery {
    pub question: Question,
    /// How often the model of this session got it.
    pub delivery_count: u32,
    /// The turn of the last delivery.
    pub turn: Option<String>,
    /// How often the Stop hook continued a turn of this session for it.
    pub stop_blocks: u32,
    /// The same in that turn.
    pub stop_blocks_in_turn: u32,
    /// How often it interrupted a wait of this session.
    pub interrupts: u32,
    /// When it last did, by the monotonic clock.
    pub interrupted_at_monotonic_ms: Option<i64>,
}

const QUESTION_COLUMNS: &str = "q.id, q.asker_peer, q.asker_session, q.target_peer, q.question, q.context, q.depth, q.state, q.asked_at_ms, q.expires_at_ms, q.wake, q.woken_at_ms, q.shown_at_ms, q.shown_times, q.answer, q.answered_by, q.answered_at_ms, q.answer_late, q.answer_shown_at_ms, q.wake_problem, q.held";

/// The delivery to one session, selected after the columns of the question.
const DELIVERY_COLUMNS: &str =
    "s.times, s.turn, s.stops, s.stops_in_turn, s.interrupts, s.interrupted_at_ms";

impl Question {
    fn from_row(row: &Row) -> engine::Result<Self> {
        Ok(Self {
            id: row.get(column!(QUESTION_COLUMNS, "id"))?,
            asker: row.get(column!(QUESTION_COLUMNS, "asker_peer"))?,
            asker_session: row.get(column!(QUESTION_COLUMNS, "asker_session"))?,
            target: row.get(column!(QUESTION_COLUMNS, "target_peer"))?,
            question: row.get(column!(QUESTION_COLUMNS, "question"))?,
            context: row.get(column!(QUESTION_COLUMNS, "context"))?,
            depth: row.get(column!(QUESTION_COLUMNS, "depth"))?,
            state: QuestionState::of(row.get_ref(column!(QUESTION_COLUMNS, "state"))?.as_str()?),
            asked_at_ms: row.get(column!(QUESTION_COLUMNS, "asked_at_ms"))?,
            expires_at_ms: row.get(column!(QUESTION_COLUMNS, "expires_at_ms"))?,
            wake: WakeState::of(row.get_ref(column!(QUESTION_COLUMNS, "wake"))?.as_str()?),
            woken_at_ms: row.get(column!(QUESTION_COLUMNS, "woken_at_ms"))?,
            wake_problem: row.get(column!(QUESTION_COLUMNS, "wake_problem"))?,
            held: row.get(column!(QUESTION_COLUMNS, "held"))?,
            shown_at_ms: row.get(column!(QUESTION_COLUMNS, "shown_at_ms"))?,
            shown_times: row.get(column!(QUESTION_COLUMNS, "shown_times"))?,
            answer: row.get(column!(QUESTION_COLUMNS, "answer"))?,
            answered_by: row
                .get_ref(column!(QUESTION_COLUMNS, "answered_by"))?
                .as_str_or_null()?
                .map(AnsweredBy::of),
            answered_at_ms: row.get(column!(QUESTION_COLUMNS, "answered_at_ms"))?,
            answer_late: row.get(column!(QUESTION_COLUMNS, "answer_late"))?,
            answer_shown_at_ms: row.get(column!(QUESTION_COLUMNS, "answer_shown_at_ms"))?,
        })
    }
}

impl QuestionDelivery {
    /// The columns of `showing` are NULL before the first delivery to the session.
    fn from_row(row: &Row) -> engine::Result<Self> {
        macro_rules! delivery_column {
            ($name:literal) => {
                column!(after QUESTION_COLUMNS, DELIVERY_COLUMNS, $name)
            };
        }
        let count = |position: usize| row.get(position).map(Option::<u32>::unwrap_or_default);
        Ok(Self {
            question: Question::from_row(row)?,
            delivery_count: count(delivery_column!("times"))?,
            turn: row.get(delivery_column!("turn"))?,
            stop_blocks: count(delivery_column!("stops"))?,
            stop_blocks_in_turn: count(delivery_column!("stops_in_turn"))?,
            interrupts: count(delivery_column!("interrupts"))?,
            interrupted_at_monotonic_ms: row.get(delivery_column!("interrupted_at_ms"))?,
        })
    }
}

impl Tx<'_> {
    pub(super) fn questions_where(
        &self,
        condition: &str,
        values: impl Params,
    ) -> engine::Result<Vec<Question>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT {QUESTION_COLUMNS} FROM question q WHERE {condition}"
            ))?
            .query_map(values, Question::from_row)?
            .collect()
    }

    pub(crate) fn question(&self, id: QuestionId) -> engine::Result<Option<Question>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT {QUESTION_COLUMNS} FROM question q WHERE q.id = ?1"
            ))?
            .query_row([id], Question::from_row)
            .optional()
    }

    pub(crate) fn insert_question(&self, new: &NewQuestion) -> engine::Result<QuestionId> {
        self.note_new_pending(NewPending::Asked(new.target));
        let id = QuestionId::from(self.next_id()?);
        self.sql
            .prepare_cached(
                "INSERT INTO question (id, asker_peer, asker_session, target_peer, question, context, depth, state, asked_at_ms, expires_at_ms, ring_again_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'open', ?8, ?9, ?10)",
            )?
            .run(params![
                id, new.asker, new.asker_session, new.target, new.question, new.context, new.depth, self.now.wall_ms,
                self.now.wall_ms + EXPIRES_MS, self.now.wall_ms + UNDELIVERED_RETRY_MS
            ])?;
        Ok(id)
    }

    /// Returns an open question of the same asker to the same peer with the same text and context.
    pub(crate) fn find_identical_open_question(
        &self,
        new: &NewQuestion,
    ) -> engine::Result<Option<QuestionId>> {
        self.sql
            .prepare_cached(
                // The time is not in the condition, so that a server can be asked before its time is known.
                "SELECT id, expires_at_ms FROM question WHERE asker_peer = ?1 AND target_peer = ?2 AND state = 'open'
                 AND question = ?3 AND context IS NOT DISTINCT FROM ?4 ORDER BY expires_at_ms DESC LIMIT 1",
            )?
            .query_row(params![new.asker, new.target, new.question, new.context], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map(|found| found.filter(|(_, expires_at_ms): &(_, i64)| *expires_at_ms > self.now.wall_ms))
            .map(|found| found.map(|(id, _)| id))
    }

    /// Returns whether a peer has an open question.
    pub(crate) fn has_pending_questions(&self, target: PeerId) -> engine::Result<bool> {
        self.sql
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM question WHERE target_peer = ?1 AND state = 'open' AND expires_at_ms > ?2)")?
            .query_row(params![target, self.now.wall_ms], |row| row.get(0))
    }

    /// Returns the condition that no fork is about to answer the question `q`. The parameter `?3` is the time.
    fn no_fork_runs_sql(&self) -> String {
        if !self.schema_at_least(FORK_SCHEMA) {
            return "true".to_owned();
        }
        format!(
            "NOT EXISTS (SELECT 1 FROM fork f WHERE f.question_id = q.id AND f.state = 'running' AND f.taken_at_ms > ?3 - {FORK_RUNS_MS_MAX})"
        )
    }

    /// Returns the open questions of a peer, oldest first, at most 200, with their deliveries to `session`. Those that a fork
    /// is about to answer are left out.
    pub(crate) fn pending_questions(
        &self,
        target: PeerId,
        session: SessionId,
    ) -> engine::Result<Vec<QuestionDelivery>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT {QUESTION_COLUMNS}, {DELIVERY_COLUMNS}
                 FROM question q LEFT JOIN showing s ON s.question_id = q.id AND s.session_id = ?2
                 WHERE q.target_peer = ?1 AND q.state = 'open' AND q.expires_at_ms > ?3 AND {} ORDER BY q.id LIMIT 200",
                self.no_fork_runs_sql()
            ))?
            .query_map(
                params![target, session, self.now.wall_ms],
                QuestionDelivery::from_row,
            )?
            .collect()
    }

    /// Returns a question in any state, with its deliveries to `session`.
    #[cfg(feature = "hub")]
    pub(crate) fn delivery(
        &self,
        id: QuestionId,
        session: SessionId,
    ) -> engine::Result<Option<QuestionDelivery>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT {QUESTION_COLUMNS}, {DELIVERY_COLUMNS}
                 FROM question q LEFT JOIN showing s ON s.question_id = q.id AND s.session_id = ?2 WHERE q.id = ?1"
            ))?
            .query_row(params![id, session], QuestionDelivery::from_row)
            .optional()
    }

    /// Returns the open questions of a peer that were never delivered to `session` and that no fork is about to answer, oldest
    /// first, at most a hundred. `include_failed` adds those whose wake attempts have failed.
    pub(crate) fn undelivered_questions(
        &self,
        target: PeerId,
        session: SessionId,
        include_failed: bool,
    ) -> engine::Result<Vec<QuestionId>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT q.id FROM question q LEFT JOIN showing s ON s.question_id = q.id AND s.session_id = ?2
                 WHERE q.target_peer = ?1 AND q.state = 'open' AND q.expires_at_ms > ?3 AND (?4 OR q.wake <> 'failed')
                 AND coalesce(s.times, 0) = 0 AND {} ORDER BY q.id LIMIT 100",
                self.no_fork_runs_sql()
            ))?
            .query_map(
                params![target, session, self.now.wall_ms, include_failed],
                |row| row.get(0),
            )?
            .collect()
    }

    /// Returns the number of open questions of each of these peers that has some.
    pub(crate) fn count_pending_questions(
        &self,
        targets: &[PeerId],
    ) -> engine::Result<Vec<(PeerId, u32)>> {
        self.sql
            .prepare_cached(
                "SELECT target_peer, count(*) AS questions FROM question
                 WHERE target_peer IN (SELECT value FROM json_each(?1)) AND state = 'open' AND expires_at_ms > ?2
                 GROUP BY target_peer",
            )?
            .query_map(params![json_list(targets), self.now.wall_ms], |row| {
                Ok((row.get("target_peer")?, row.get("questions")?))
            })?
            .collect()
    }

    /// Returns the closed questions of an asker whose end it has not got by a call, oldest first, at most 200. Those that a
    /// hook delivered before `shown_before_ms` are left out.
    pub(crate) fn uncollected_replies(
        &self,
        asker: PeerId,
        shown_before_ms: i64,
    ) -> engine::Result<Vec<Question>> {
        self.questions_where(
            "q.asker_peer = ?1 AND q.answer_open = 1 AND (q.answer_shown_at_ms IS NULL OR q.answer_shown_at_ms >= ?2) ORDER BY q.id LIMIT 200",
            params![asker, shown_before_ms],
        )
    }

    /// Notes a delivery: the question was given to the client of a session for the next request of its model.
    pub(crate) fn mark_delivered(
        &self,
        id: QuestionId,
        session: SessionId,
        turn: Option<&str>,
        channel: WakeState,
    ) -> engine::Result<()> {
        self.note_new_pending(NewPending::Session(session));
        self.sql
            .prepare_cached(
                "UPDATE question SET shown_at_ms = coalesce(shown_at_ms, ?2), shown_times = shown_times + 1, wake = ?3, woken_at_ms = ?2, wake_problem = NULL, held = NULL WHERE id = ?1",
            )?
            .run(params![id, self.now.wall_ms, channel.as_str()])?;
        self.sql
            .prepare_cached(
                "INSERT INTO showing (question_id, session_id, times, turn) VALUES (?1, ?2, 1, ?3)
                 ON CONFLICT (question_id, session_id) DO UPDATE SET
                     times = showing.times + 1,
                     stops_in_turn = CASE WHEN showing.turn IS NOT DISTINCT FROM excluded.turn THEN showing.stops_in_turn ELSE 0 END,
                     turn = coalesce(excluded.turn, showing.turn)",
            )?
            .run(params![id, session, turn])
    }

    /// Stores how a question last reached its peer, or why it did not.
    pub(crate) fn set_wake(
        &self,
        id: QuestionId,
        wake: WakeState,
        problem: Option<&str>,
    ) -> engine::Result<()> {
        self.no_wake_due.set(false);
        self.sql
            .prepare_cached("UPDATE question SET wake = ?2, wake_problem = ?3, woken_at_ms = ?4, held = NULL WHERE id = ?1")?
            .run(params![id, wake.as_str(), problem, self.now.wall_ms])
    }

    /// Returns whether a question is due for a wake attempt by any session.
    pub(crate) fn has_questions_due_for_wake(&self) -> engine::Result<bool> {
        if !self.schema_at_least(2) {
            return Ok(false);
        }
        self.sql
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM question WHERE state = 'open' AND wake = 'none' AND ring_again_at_ms <= ?1)")?
            .query_row([self.now.wall_ms], |row| row.get(0))
    }

    /// Returns the peers of questions that are due for a wake attempt by any session, at most eight. Each is due again when it
    /// is twice as old: a question that waits for days causes a few attempts and not one at every operation.
    pub(crate) fn take_peers_due_for_wake(&self) -> engine::Result<Vec<PeerId>> {
        if self.no_wake_due.get() || !self.schema_at_least(2) {
            return Ok(Vec::new());
        }
        let due: Vec<(QuestionId, PeerId)> = self
            .sql
            .prepare_cached(
                "SELECT id, target_peer FROM question WHERE state = 'open' AND wake = 'none' AND ring_again_at_ms <= ?1
                 ORDER BY ring_again_at_ms LIMIT 8",
            )?
            .query_map([self.now.wall_ms], |row| Ok((row.get("id")?, row.get("target_peer")?)))?
            .collect::<engine::Result<_>>()?;
        for (id, _) in &due {
            self.sql
                .prepare_cached("UPDATE question SET ring_again_at_ms = ?2 + max(?2 - asked_at_ms, ?3) WHERE id = ?1")?
                .run(params![id, self.now.wall_ms, UNDELIVERED_RETRY_MS])?;
        }
        Ok(due.into_iter().map(|(_, target)| target).collect())
    }

    /// Allows another wake attempt for the open questions of a peer.
    pub(crate) fn reset_failed_wakes(&self, target: PeerId) -> engine::Result<()> {
        // In two statements, so that the first uses the index of open questions.
        let open: Vec<QuestionId> = self
            .sql
            .prepare_cached("SELECT id FROM question WHERE target_peer = ?1 AND state = 'open' AND expires_at_ms > ?2")?
            .query_map(params![target, self.now.wall_ms], |row| row.get(0))?
            .collect::<engine::Result<_>>()?;
        self.no_wake_due.set(false);
        for id in open {
            self.sql
                .prepare_cached(
                    "UPDATE question SET wake = 'none', wake_problem = NULL WHERE id = ?1 AND wake = 'failed'",
                )?
                .run([id])?;
        }
        Ok(())
    }

    /// Closes a question with an answer or a decline.
    pub(crate) fn store_answer(&self, id: QuestionId, answer: &NewAnswer) -> engine::Result<()> {
        self.note_new_pending(NewPending::Asker(id));
        self.sql
            .prepare_cached(
                "UPDATE question SET state = ?2, answer = ?3, answered_by = ?4, answered_session = ?5, answered_at_ms = ?6, answer_late = ?7,
                        answer_open = 1, answer_shown_at_ms = NULL, closed_at_ms = ?6, answered_head = ?8 WHERE id = ?1",
            )?
            .run(params![
                id, answer.state.as_str(), answer.text, answer.by.as_str(), answer.session, self.now.wall_ms, answer.late, answer.head
            ])
    }

    /// Notes that the asker got the answer as the result of a call.
    pub(crate) fn mark_answer_collected(&self, id: QuestionId) -> engine::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE question SET answer_open = 0 WHERE id = ?1 AND answer_open = 1",
            )?
            .run([id])
    }

    /// Notes that a late answer was delivered to the asker by a hook.
    pub(crate) fn mark_answer_delivered(&self, id: QuestionId) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE question SET answer_shown_at_ms = coalesce(answer_shown_at_ms, ?2) WHERE id = ?1")?
            .run(params![id, self.now.wall_ms])
    }

    /// Withdraws a question if it is open.
    pub(crate) fn withdraw_question(&self, id: QuestionId) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE question SET state = 'withdrawn', closed_at_ms = ?2 WHERE id = ?1 AND state = 'open'")?
            .run(params![id, self.now.wall_ms])
    }

    /// Expires questions whose time has passed, at most a hundred. Returns their ids and peers.
    pub(crate) fn expire_questions(&self) -> engine::Result<Vec<(QuestionId, PeerId)>> {
        let due: Vec<(QuestionId, PeerId)> = self
            .sql
            .prepare_cached("SELECT id, target_peer FROM question WHERE state = 'open' AND expires_at_ms <= ?1 ORDER BY expires_at_ms LIMIT 100")?
            .query_map([self.now.wall_ms], |row| Ok((row.get("id")?, row.get("target_peer")?)))?
            .collect::<engine::Result<_>>()?;
        for (id, _) in &due {
            self.note_new_pending(NewPending::Asker(*id));
            self.sql
                .prepare_cached(
                    "UPDATE question SET state = 'expired', answer_open = 1, closed_at_ms = ?2 WHERE id = ?1",
                )?
                .run(params![id, self.now.wall_ms])?;
        }
        Ok(due)
    }

    /// Erases a question with its answer and the data of its events.
    pub(crate) fn erase_question(&self, question: &Question) -> engine::Result<()> {
        self.begin_secure_erase(&question.id.to_string())?;
        self.redact_events_of(&question.id.to_string(), question.asked_at_ms)?;
        self.sql
            .run("DELETE FROM question WHERE id = ?1", [question.id])
    }
}
