//! The wake by a line in the inbox of a session: when one is posted, and what became of it.
//!
//! One wake attempt at a time: later items are coalesced with it. If an idle session does not show the questions within
//! three seconds, one more line is posted; then the wake has failed. A busy session, or one at a dialog, keeps the line, and
//! the attempt waits.
//!
//! Where a waiting hook runs, the wake is left to it (`hook_wake.rs`): its person has installed it because lines do not
//! arrive. The line follows if the hook does not wake the session in its time, or dies.
use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, Verb};
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::attempts::WakeAttempts;
use crate::mesh::wake::hook_wake::defer_to_wait_hook;
use crate::mesh::wake::pending::PendingItems;
use crate::mesh::wake::policy::{
    DEFERRED_TO_WAIT_HOOK, IDLE_RESPONSE_MS, RECHECK_MS, WakeAction, WakeDecision, decide_wake,
};
use crate::mesh::wake::throttle::{throttled, throttled_now};
use crate::model::throttle::PersonAlert;
use crate::model::{Activity, Result};
use crate::platform::id::QuestionId;
use crate::store::WakeAttempt;

/// How often an idle session is rung for the same questions.
const WAKE_ATTEMPTS_MAX: u32 = 2;
/// A ring that a busy session has not read after this time is left to the Stop hook.
const WAKE_TIMEOUT_MS: i64 = 600_000;

/// What the inbox of a session does with a line, as its server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxState {
    /// It takes one.
    Open,
    /// It would drop one without a word; after so many milliseconds it takes one.
    Full {
        /// How many.
        for_ms: i64,
    },
    /// There is none, and why.
    Missing(String),
}

/// What became of a doorbell line that a hook has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorbellStatus {
    /// The session may read it.
    Read,
    /// A brake was put on after it was posted.
    Throttled,
    /// It is none of ours, or of an earlier session.
    Unknown,
}

impl WakeAttempts<'_, '_> {
    /// A ring is out: has it been long enough?
    fn wait_for_response(
        mut self,
        ring: &WakeAttempt,
        activity: Activity,
        inbox_state: &dyn Fn() -> InboxState,
    ) -> Result<WakeAction> {
        let age_ms = self.verb.tx.now.elapsed_since_ms(ring.at_monotonic_ms);
        // A waiting hook gives the line its time first, and then needs its own.
        let within_ms = if self
            .verb
            .host
            .doorbells
            .is_hook_waiter_running(self.me.session)
        {
            2 * IDLE_RESPONSE_MS
        } else {
            IDLE_RESPONSE_MS
        };
        self.record_coalesced(ring.count, activity)?;
        match activity {
            Activity::Idle if age_ms < within_ms => {
                Ok(WakeAction::recheck_after(within_ms - age_ms, activity))
            }
            Activity::Idle if ring.count < WAKE_ATTEMPTS_MAX => {
                self.ring(ring.count + 1, activity, inbox_state)
            }
            Activity::Idle => {
                self.record_failure("the session was rung twice and did not start a turn")?;
                Ok(WakeAction::NONE)
            }
            _ if age_ms > WAKE_TIMEOUT_MS => {
                self.verb.tx.set_wake_attempt(self.me.session, None)?;
                Ok(WakeAction::NONE)
            }
            _ => Ok(WakeAction::recheck_after(RECHECK_MS, activity)),
        }
    }

    /// Rings, if a line would come through. What is at work may get it without one.
    fn ring(
        mut self,
        count: u32,
        activity: Activity,
        inbox_state: &dyn Fn() -> InboxState,
    ) -> Result<WakeAction> {
        match inbox_state() {
            InboxState::Open => {}
            InboxState::Full { for_ms } => return Ok(WakeAction::recheck_after(for_ms, activity)),
            InboxState::Missing(_) if matches!(activity, Activity::Busy | Activity::Waiting) => {
                return Ok(WakeAction::recheck_after(RECHECK_MS, activity));
            }
            InboxState::Missing(problem) => {
                // Nobody waits for the rest, and nothing has changed since it was last looked at.
                if !self.pending_items.undelivered_questions.is_empty() {
                    self.record_failure(&problem)?;
                }
                return Ok(WakeAction::NONE);
            }
        }
        self.record_attempt(count, activity)?;
        let nonce = self.verb.tx.nonce()?;
        self.verb.tx.set_wake_attempt(
            self.me.session,
            Some(&WakeAttempt {
                nonce: nonce.clone(),
                count,
                at_monotonic_ms: self.verb.tx.now.monotonic_ms,
            }),
        )?;
        Ok(WakeAction::Post {
            nonce,
            from: asker_names(self.verb.read(), &self.pending_items.undelivered_questions)?,
            answers: self.pending_items.answers,
            mail: self.pending_items.mail,
            granted: self.pending_items.granted,
        })
    }
}

impl Mesh {
    /// Decides whether to ring for what waits for a session. `letterbox` is looked at when a line is due.
    pub fn attend(
        &mut self,
        me: &SessionHandle,
        inbox_state: impl Fn() -> InboxState,
    ) -> Result<WakeAction> {
        if !me.is_addressable() {
            return Ok(WakeAction::NONE);
        }
        let nothing_pending = self.read(|read| {
            let has_attempt = read
                .tx
                .session(me.session)?
                .is_some_and(|session| session.wake_attempt.is_some());
            Ok(!has_attempt && PendingItems::of(read, me, false)?.is_empty())
        })?;
        if nothing_pending {
            return Ok(WakeAction::NONE);
        }
        self.write(|verb| attend(verb, me, &inbox_state))
    }

    /// Returns whether what its person was told about a session is still so.
    pub fn still_needs_person(&mut self, me: &SessionHandle, needs: PersonAlert) -> Result<bool> {
        self.read(|read| {
            let (Some(session), Some(peer)) =
                (read.tx.session(me.session)?, read.tx.peer(me.peer)?)
            else {
                return Ok(false);
            };
            if needs == PersonAlert::Dialog {
                return Ok(read.activity(&session) == Activity::Waiting);
            }
            let held = throttled_now(read, &peer, &session)?;
            Ok(held.and_then(PersonAlert::from_throttle) == Some(needs))
        })
    }

    /// Notes that the line could not be posted. The askers are told why.
    pub fn record_wake_failure(&mut self, me: &SessionHandle, problem: &str) -> Result<()> {
        self.write(|verb| {
            let pending_items = PendingItems::of(verb.read(), me, false)?;
            WakeAttempts::of(verb, me, pending_items).record_failure(problem)
        })
    }

    /// Returns what a doorbell line is worth that a prompt consists of.
    pub fn doorbell_status(&mut self, me: &SessionHandle, nonce: &str) -> Result<DoorbellStatus> {
        self.read(|read| {
            let (Some(session), Some(peer)) =
                (read.tx.session(me.session)?, read.tx.peer(me.peer)?)
            else {
                return Ok(DoorbellStatus::Unknown);
            };
            let known = session
                .wake_attempt
                .as_ref()
                .is_some_and(|ring| ring.nonce == nonce);
            Ok(match throttled(read, &peer, &session)? {
                Some(_) => DoorbellStatus::Throttled,
                None if known => DoorbellStatus::Read,
                None => DoorbellStatus::Unknown,
            })
        })
    }

    /// Notes that a doorbell was read which rang for nothing any more. One that brings something is read when that is
    /// marked as shown: a server that looks in between must not ring once more.
    pub fn clear_wake_attempt(&mut self, me: &SessionHandle) -> Result<()> {
        self.write(|verb| Ok(verb.tx.set_wake_attempt(me.session, None)?))
    }
}

fn attend(
    verb: &mut Verb,
    me: &SessionHandle,
    inbox_state: &dyn Fn() -> InboxState,
) -> Result<WakeAction> {
    let (ring, pending_items, activity) = match decide_wake(verb, me, false)? {
        WakeDecision::Now {
            ring,
            pending_items,
            activity,
        } => (ring, pending_items, activity),
        WakeDecision::NotNow { after_ms, held } => {
            let needs_person = held.and_then(PersonAlert::from_throttle);
            return Ok(WakeAction::Wait {
                after_ms,
                needs_person,
            });
        }
    };
    if let Some(ring) = ring
        .as_ref()
        .filter(|ring| ring.count != DEFERRED_TO_WAIT_HOOK)
    {
        return WakeAttempts::of(verb, me, pending_items).wait_for_response(
            ring,
            activity,
            inbox_state,
        );
    }
    if verb.host.doorbells.is_hook_waiter_running(me.session)
        && let Some(action) = defer_to_wait_hook(verb, me, ring.as_ref(), activity)?
    {
        return Ok(action);
    }
    WakeAttempts::of(verb, me, pending_items).ring(1, activity, inbox_state)
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
