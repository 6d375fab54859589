//! The wake by a line in the inbox of a session: decides when one is posted, and records what became of it.
//!
//! One wake attempt at a time: later items are coalesced with it. If an idle session does not show the questions within
//! three seconds, one more line is posted; then the wake has failed. A busy session, or one at a dialog, keeps the line, and
//! the attempt waits.
//!
//! Where a waiting hook runs, the wake is left to it (`waiting_hook.rs`): its person has installed it because lines do
//! not arrive. The line follows if the hook does not wake the session in its time, or dies.
use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::attempt_log::WakeAttempts;
use crate::mesh::wake::pending::PendingItems;
use crate::mesh::wake::policy::{
    DEFERRED_TO_WAITING_HOOK, IDLE_RESPONSE_MS, RECHECK_MS, WakeAction, WakeDecision, decide_wake,
};
use crate::mesh::wake::throttle::{throttled, throttled_even_if_waiting};
use crate::mesh::wake::waiting_hook::defer_to_waiting_hook;
use crate::model::throttle::PersonAlert;
use crate::model::{Activity, Result};
use crate::platform::id::QuestionId;
use crate::store::WakeAttempt;
use serde::{Deserialize, Serialize};

/// How many lines are posted to an idle session for the same questions.
const WAKE_ATTEMPTS_MAX: u32 = 2;
/// After this time a line that a busy session has not read is left to the Stop hook.
const WAKE_TIMEOUT_MS: i64 = 600_000;

/// The state of the inbox of a session, as its server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxSocketState {
    /// It accepts a line.
    Open,
    /// It would drop a line silently, because of its rate limit.
    Full {
        /// After how many milliseconds it accepts one.
        for_ms: i64,
    },
    /// It accepts no line, and why.
    Missing(String),
}

/// What to do with a wake line that a hook has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeLineStatus {
    /// The session may read it.
    Read,
    /// The session was throttled after the line was posted.
    Throttled,
    /// claude-mesh did not post it, or posted it for an earlier session.
    Unknown,
}

impl Mesh {
    /// Decides whether to post a line for what is pending for a session. `inbox_socket_state` is called if a line is due.
    pub fn next_wake_action(
        &mut self,
        me: &SessionHandle,
        inbox_socket_state: impl Fn() -> InboxSocketState,
    ) -> Result<WakeAction> {
        if !me.is_addressable() {
            return Ok(WakeAction::NONE);
        }
        let nothing_pending = self.read(|read| {
            let has_attempt = read
                .tx
                .session(me.session)?
                .is_some_and(|session| session.wake_attempt.is_some());
            // A question whose fork crashes is pending again later.
            let fork_runs = read.tx.first_running_fork_at_ms(me.session)?.is_some();
            Ok(!has_attempt && !fork_runs && PendingItems::of(read, me, false)?.is_empty())
        })?;
        if nothing_pending {
            return Ok(WakeAction::NONE);
        }
        self.write(|write| next_wake_action(write, me, &inbox_socket_state))
    }

    /// Returns whether the reason still exists for which the person of a session was notified.
    pub fn still_needs_person(&mut self, me: &SessionHandle, alert: PersonAlert) -> Result<bool> {
        self.read(|read| {
            let (Some(session), Some(peer)) =
                (read.tx.session(me.session)?, read.tx.peer(me.peer)?)
            else {
                return Ok(false);
            };
            if alert == PersonAlert::Dialog {
                return Ok(read.activity(&session) == Activity::Waiting);
            }
            let held = throttled_even_if_waiting(read, &peer, &session)?;
            Ok(held.and_then(PersonAlert::from_throttle) == Some(alert))
        })
    }

    /// Records that the line could not be posted, which the askers see.
    pub fn record_wake_failure(&mut self, me: &SessionHandle, problem: &str) -> Result<()> {
        self.write(|write| {
            let pending_items = PendingItems::of(write.read(), me, false)?;
            WakeAttempts::of(write, me, pending_items).record_failure(problem)
        })
    }

    /// Returns what to do with a prompt that is a wake line.
    pub fn wake_line_status(&mut self, me: &SessionHandle, nonce: &str) -> Result<WakeLineStatus> {
        self.read(|read| {
            let (Some(session), Some(peer)) =
                (read.tx.session(me.session)?, read.tx.peer(me.peer)?)
            else {
                return Ok(WakeLineStatus::Unknown);
            };
            let known = session
                .wake_attempt
                .as_ref()
                .is_some_and(|attempt| attempt.nonce == nonce);
            Ok(match throttled(read, &peer, &session)? {
                Some(_) => WakeLineStatus::Throttled,
                None if known => WakeLineStatus::Read,
                None => WakeLineStatus::Unknown,
            })
        })
    }

    /// Records that a wake line was read after its items were settled. Otherwise delivering the items ends the
    /// attempt: a server that polls in between must not post another line.
    pub fn clear_wake_attempt(&mut self, me: &SessionHandle) -> Result<()> {
        self.write(|write| Ok(write.tx.set_wake_attempt(me.session, None)?))
    }
}

fn next_wake_action(
    write: &mut WriteContext,
    me: &SessionHandle,
    inbox_socket_state: &dyn Fn() -> InboxSocketState,
) -> Result<WakeAction> {
    let (attempt, pending_items, activity) = match decide_wake(write, me, false)? {
        WakeDecision::Now {
            attempt,
            pending_items,
            activity,
        } => (attempt, pending_items, activity),
        WakeDecision::NotNow { after_ms, held } => {
            let alert = held.and_then(PersonAlert::from_throttle);
            return Ok(WakeAction::Wait { after_ms, alert });
        }
    };
    if let Some(attempt) = attempt
        .as_ref()
        .filter(|attempt| attempt.count != DEFERRED_TO_WAITING_HOOK)
    {
        return WakeAttempts::of(write, me, pending_items).wait_for_response(
            attempt,
            activity,
            inbox_socket_state,
        );
    }
    if write.host.doorbells.is_waiting_hook_running(me.session)
        && let Some(action) = defer_to_waiting_hook(write, me, attempt.as_ref(), activity)?
    {
        return Ok(action);
    }
    WakeAttempts::of(write, me, pending_items).post_line(1, activity, inbox_socket_state)
}

impl WakeAttempts<'_, '_> {
    /// Decides what follows from a line that was posted before.
    fn wait_for_response(
        mut self,
        attempt: &WakeAttempt,
        activity: Activity,
        inbox_socket_state: &dyn Fn() -> InboxSocketState,
    ) -> Result<WakeAction> {
        let age_ms = self.write.tx.now.elapsed_since_ms(attempt.at_monotonic_ms);
        // A waiting hook waits for the line first, and then needs time of its own.
        let within_ms = if self
            .write
            .host
            .doorbells
            .is_waiting_hook_running(self.me.session)
        {
            2 * IDLE_RESPONSE_MS
        } else {
            IDLE_RESPONSE_MS
        };
        self.record_coalesced(attempt.count, activity)?;
        match activity {
            Activity::Idle if age_ms < within_ms => {
                Ok(WakeAction::recheck_after(within_ms - age_ms, activity))
            }
            Activity::Idle if attempt.count < WAKE_ATTEMPTS_MAX => {
                self.post_line(attempt.count + 1, activity, inbox_socket_state)
            }
            Activity::Idle => {
                self.record_failure("the session was rung twice and did not start a turn")?;
                Ok(WakeAction::NONE)
            }
            _ if age_ms > WAKE_TIMEOUT_MS => {
                self.write.tx.set_wake_attempt(self.me.session, None)?;
                Ok(WakeAction::NONE)
            }
            _ => Ok(WakeAction::recheck_after(RECHECK_MS, activity)),
        }
    }

    /// Posts a line, if the inbox accepts one. A busy session may get the questions without it.
    fn post_line(
        mut self,
        count: u32,
        activity: Activity,
        inbox_socket_state: &dyn Fn() -> InboxSocketState,
    ) -> Result<WakeAction> {
        match inbox_socket_state() {
            InboxSocketState::Open => {}
            InboxSocketState::Full { for_ms } => {
                return Ok(WakeAction::recheck_after(for_ms, activity));
            }
            InboxSocketState::Missing(_)
                if matches!(activity, Activity::Busy | Activity::Waiting) =>
            {
                return Ok(WakeAction::recheck_after(RECHECK_MS, activity));
            }
            InboxSocketState::Missing(problem) => {
                // No call waits for the other items, and they have not changed since the last poll.
                if !self.pending_items.undelivered_questions.is_empty() {
                    self.record_failure(&problem)?;
                }
                return Ok(WakeAction::NONE);
            }
        }
        self.record_attempt(count, activity)?;
        let nonce = self.write.tx.nonce()?;
        self.write.tx.set_wake_attempt(
            self.me.session,
            Some(&WakeAttempt {
                nonce: nonce.clone(),
                count,
                at_monotonic_ms: self.write.tx.now.monotonic_ms,
            }),
        )?;
        Ok(WakeAction::Post {
            nonce,
            from: asker_names(self.write.read(), &self.pending_items.undelivered_questions)?,
            answers: self.pending_items.answers,
            mail: self.pending_items.mail,
            granted: self.pending_items.granted,
        })
    }
}

fn asker_names(read: ReadContext, questions: &[QuestionId]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for id in questions {
        let asker = read
            .tx
            .question(*id)?
            .map(|question| read.tx.peer(question.asker))
            .transpose()?
            .flatten();
        names.extend(asker.map(|peer| peer.name.to_string()));
    }
    Ok(names)
}
