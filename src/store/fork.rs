//! Statements on forks (table `fork`, schema 6): which question a fork of its session was tried for, what became of it, and
//! what it cost. A file of an older schema has none.
use rusqlite::params;

use super::engine::{self, OptionalExtension, Row};
use super::question::Question;
use super::schema::FORK_SCHEMA;
use super::sql_types::json_list;
use super::transaction::{NewPending, Tx};
use crate::model::fork::{FORK_RUNS_MS_MAX, ForkAnswer, ForkState, ForkTotals, ForkUsage};
use crate::platform::id::{QuestionId, SessionId};

const TOTALS: &str =
    "count(*) AS answers, CAST(coalesce(sum(input_tokens), 0) AS INTEGER) AS input,
    CAST(coalesce(sum(output_tokens), 0) AS INTEGER) AS output,
    CAST(coalesce(sum(cache_creation_tokens), 0) AS INTEGER) AS cache_creation,
    CAST(coalesce(sum(cache_read_tokens), 0) AS INTEGER) AS cache_read";

fn totals(row: &Row) -> engine::Result<ForkTotals> {
    Ok(ForkTotals {
        answers: row.get("answers")?,
        usage: ForkUsage {
            input_tokens: row.get("input")?,
            output_tokens: row.get("output")?,
            cache_creation_input_tokens: row.get("cache_creation")?,
            cache_read_input_tokens: row.get("cache_read")?,
        },
    })
}

impl Tx<'_> {
    /// Returns what became of the fork for a question; `None` if none was tried and the asker allows one.
    pub(crate) fn fork_state(&self, question: QuestionId) -> engine::Result<Option<ForkState>> {
        if !self.schema_at_least(FORK_SCHEMA) {
            return Ok(None);
        }
        self.sql
            .prepare_cached("SELECT state FROM fork WHERE question_id = ?1")?
            .query_row([question], |row| {
                Ok(ForkState::of(row.get_ref("state")?.as_str()?))
            })
            .optional()
    }

    /// Notes that the asker wants the session itself, unless a fork was tried already.
    pub(crate) fn refuse_fork(&self, question: QuestionId, asker: SessionId) -> engine::Result<()> {
        if !self.schema_at_least(FORK_SCHEMA) {
            return Ok(());
        }
        self.sql
            .prepare_cached(
                "INSERT INTO fork (question_id, session_id, state, taken_at_ms) VALUES (?1, ?2, 'unwanted', ?3)
                 ON CONFLICT (question_id) DO NOTHING",
            )?
            .run(params![question, asker, self.now.wall_ms])
    }

    /// Notes that a fork of this session begins to answer a question for which none was tried.
    pub(crate) fn start_fork(
        &self,
        question: QuestionId,
        session: SessionId,
    ) -> engine::Result<()> {
        self.sql
            .prepare_cached(
                "INSERT INTO fork (question_id, session_id, state, taken_at_ms) VALUES (?1, ?2, 'running', ?3)",
            )?
            .run(params![question, session, self.now.wall_ms])
    }

    /// Returns whether a fork of this session has begun to answer a question, and has neither answered nor given up.
    pub(crate) fn is_fork_running(
        &self,
        question: QuestionId,
        session: SessionId,
    ) -> engine::Result<bool> {
        if !self.schema_at_least(FORK_SCHEMA) {
            return Ok(false);
        }
        self.sql
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM fork WHERE question_id = ?1 AND session_id = ?2 AND state = 'running')",
            )?
            .query_row(params![question, session], |row| row.get(0))
    }

    /// Notes that a fork does not answer a question after all.
    pub(crate) fn fail_fork(&self, question: QuestionId) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE fork SET state = 'failed' WHERE question_id = ?1")?
            .run([question])
    }

    /// Notes the same for all forks of a session that has ended.
    pub(crate) fn fail_forks_of_session(&self, session: SessionId) -> engine::Result<()> {
        if !self.schema_at_least(FORK_SCHEMA) {
            return Ok(());
        }
        self.sql
            .prepare_cached(
                "UPDATE fork SET state = 'failed' WHERE session_id = ?1 AND state = 'running'",
            )?
            .run([session])
    }

    /// Notes that a fork has answered; its session is still to be notified.
    pub(crate) fn store_fork_answer(
        &self,
        question: QuestionId,
        answer: &ForkAnswer,
    ) -> engine::Result<()> {
        self.note_new_pending(NewPending::Forked(question));
        let ForkUsage {
            input_tokens,
            output_tokens,
            cache_creation_input_tokens,
            cache_read_input_tokens,
        } = answer.usage;
        self.sql
            .prepare_cached(
                "UPDATE fork SET state = 'answered', as_of_ms = ?2, reported = 0, input_tokens = ?3, output_tokens = ?4,
                        cache_creation_tokens = ?5, cache_read_tokens = ?6 WHERE question_id = ?1",
            )?
            .run(params![
                question,
                answer.as_of_ms,
                input_tokens,
                output_tokens,
                cache_creation_input_tokens,
                cache_read_input_tokens
            ])
    }

    /// Returns the time of the last message that the fork knew which has answered a question, and the commit that was checked
    /// out then.
    pub(crate) fn fork_answer(
        &self,
        question: QuestionId,
    ) -> engine::Result<Option<(i64, Option<String>)>> {
        if !self.schema_at_least(FORK_SCHEMA) {
            return Ok(None);
        }
        self.sql
            .prepare_cached(
                "SELECT f.as_of_ms, q.answered_head FROM fork f JOIN question q ON q.id = f.question_id
                 WHERE f.question_id = ?1 AND f.state = 'answered'",
            )?
            .query_row([question], |row| {
                let as_of_ms: Option<i64> = row.get("as_of_ms")?;
                Ok((as_of_ms.unwrap_or_default(), row.get("answered_head")?))
            })
            .optional()
    }

    /// Returns how many questions forks have answered, and what they cost.
    pub(crate) fn fork_totals(&self) -> engine::Result<ForkTotals> {
        if !self.schema_at_least(FORK_SCHEMA) {
            return Ok(ForkTotals::default());
        }
        self.sql
            .prepare_cached(&format!(
                "SELECT {TOTALS} FROM fork WHERE state = 'answered'"
            ))?
            .query_row([], totals)
    }

    /// Returns the same for each of these sessions that has forks with answers.
    pub(crate) fn fork_totals_of(
        &self,
        sessions: &[SessionId],
    ) -> engine::Result<Vec<(SessionId, ForkTotals)>> {
        if !self.schema_at_least(FORK_SCHEMA) {
            return Ok(Vec::new());
        }
        self.sql
            .prepare_cached(&format!(
                "SELECT session_id, {TOTALS} FROM fork
                 WHERE state = 'answered' AND session_id IN (SELECT value FROM json_each(?1)) GROUP BY session_id"
            ))?
            .query_map([json_list(sessions)], |row| {
                Ok((row.get("session_id")?, totals(row)?))
            })?
            .collect()
    }

    /// Returns how many forks of a session have begun since a time.
    pub(crate) fn count_forks_since(
        &self,
        session: SessionId,
        since_ms: i64,
    ) -> engine::Result<u32> {
        self.sql
            .prepare_cached(
                "SELECT count(*) FROM fork WHERE session_id = ?1 AND taken_at_ms > ?2 AND state <> 'unwanted'",
            )?
            .query_row(params![session, since_ms], |row| row.get(0))
    }

    /// Returns when the first fork of a session that runs now has begun.
    pub(crate) fn first_running_fork_at_ms(
        &self,
        session: SessionId,
    ) -> engine::Result<Option<i64>> {
        if !self.schema_at_least(FORK_SCHEMA) {
            return Ok(None);
        }
        self.sql
            .prepare_cached(
                "SELECT min(taken_at_ms) FROM fork WHERE session_id = ?1 AND state = 'running' AND taken_at_ms > ?2",
            )?
            .query_row(params![session, self.now.wall_ms - FORK_RUNS_MS_MAX], |row| row.get(0))
    }

    /// Returns the questions that forks of a session have answered and of which it was not notified, oldest first, at most twenty.
    pub(crate) fn unreported_fork_answers(
        &self,
        session: SessionId,
    ) -> engine::Result<Vec<Question>> {
        if !self.schema_at_least(FORK_SCHEMA) {
            return Ok(Vec::new());
        }
        self.questions_where(
            "q.id IN (SELECT question_id FROM fork WHERE session_id = ?1 AND reported = 0) AND q.answered_by = 'fork'
             ORDER BY q.id LIMIT 20",
            [session],
        )
    }

    /// Notes that the session was notified of what its fork has answered, or needs no notice.
    pub(crate) fn mark_fork_reported(&self, question: QuestionId) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE fork SET reported = 1 WHERE question_id = ?1 AND reported = 0")?
            .run([question])
    }
}
