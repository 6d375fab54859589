//! The results of `ask_peer` and `await_reply`, and what they need after the wait has ended.
use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use crate::mesh::{AskedQuestion, IfOffline, QuestionStatus, ReplyWait, ReplyWaitEnd, WaitOutcome};
use crate::model::throttle::{ThrottleReason, Throttled};
use crate::model::{QuestionState, Result};
use crate::platform::id::{QuestionId, WaitId};
use crate::tools::call::{CallContext, StoppableWait};
use crate::tools::output::{QuestionEnd, QuestionResult};
use crate::tools::prior_answers::PriorAnswersByQuestion;
use crate::tools::{prior_answers, results};

/// The hints of results without an answer.
const STILL_OPEN_HINT: &str = "The question stays open; do not ask again. Go on, and call await_reply with this question_id later, or poll_inbox.";
const OFFLINE_HINT: &str = "No session can answer now. The question is stored; the next session of that peer gets it, and the answer comes to your inbox (poll_inbox, await_reply).";

const PERSON_OFFLINE_HINT: &str = "The person is not reachable: no board and no `claude-mesh inbox --follow` of theirs is open, and no notification (CLAUDE_MESH_NOTIFY_CMD or CLAUDE_MESH_NOTIFY=desktop) is set. The question is stored; they find it in their inbox, and the answer comes to yours (poll_inbox, await_reply).";

const WITHDRAWN_HINT: &str =
    "It was withdrawn before anyone saw it; ask again if you still need it.";
const EXPIRED_HINT: &str = "It expired after 7 days; a late answer still comes to your inbox.";
const OVER_BUDGET_HINT: &str = "Peers have used up the wake budget of that session until its person types again. The question is stored and shown then; do not ask again.";
const OVER_PERSON_BUDGET_HINT: &str = "Sessions have asked the person as often as they may for now. The question is stored, and the person finds it in their inbox; do not ask again. Go on without the answer, or ask a new question after `until`.";
const QUIET_HINT: &str = "That session is quiet, or the mesh is paused. The question is stored and wakes the peer when that ends; do not ask again.";

/// The part of a call's request on which its result depends.
pub(super) struct Awaited {
    pub(super) if_offline: IfOffline,
    /// The first reply ends the wait.
    pub(super) any: bool,
    /// The caller named several questions or peers, and gets a list.
    pub(super) many: bool,
    /// All questions, in the order asked.
    pub(super) questions: Vec<QuestionId>,
    /// The same as `ask_peer` asked them; empty for `await_reply`.
    pub(super) asked: Vec<AskedQuestion>,
}

/// A wait that has ended, and what its result still needs.
pub(super) struct EndedWait {
    outcome: WaitOutcome<ReplyWaitEnd>,
    /// The row of the wait, until it has been deleted.
    pub(super) row: Option<WaitId>,
    waited_ms: Option<i64>,
    question_statuses: Vec<QuestionStatus>,
    /// The questions whose prior answers are still to be looked up; `None` until the statuses are complete.
    lookups: Option<VecDeque<QuestionId>>,
    prior_answers: PriorAnswersByQuestion,
}

impl Awaited {
    /// Returns the result of the call.
    pub(super) fn result(&self, ended: &EndedWait) -> Value {
        let one = |status: &QuestionStatus| {
            let mut result = self.question_result(status, ended);
            if let Some(prior_answers) = ended.prior_answers.get(&status.question.id) {
                result.insert("known".into(), json!(prior_answers));
            }
            result
        };
        if self.many {
            let results = ended.question_statuses.iter().map(one).collect();
            self.multi_question_result(ended, results)
        } else {
            one(&ended.question_statuses[0]).into()
        }
    }

    /// Returns the result for one question.
    fn question_result(&self, status: &QuestionStatus, ended: &EndedWait) -> Map<String, Value> {
        let result = |end, hint| {
            let result = QuestionResult {
                question: status,
                waited_ms: ended
                    .waited_ms
                    .filter(|_| matches!(end, QuestionEnd::Replied)),
                end,
                hint,
            };
            result.to_json()
        };
        match (status.question.state, &ended.outcome, status.held) {
            (QuestionState::Answered | QuestionState::Declined, ..) => {
                result(QuestionEnd::Replied, None)
            }
            (QuestionState::Withdrawn, ..) => result(
                QuestionEnd::Cancelled { withdrawn: true },
                Some(WITHDRAWN_HINT),
            ),
            (QuestionState::Expired, ..) => {
                result(QuestionEnd::Unanswered("timed_out"), Some(EXPIRED_HINT))
            }
            (QuestionState::Open, WaitOutcome::Cancelled, _) => result(
                QuestionEnd::Cancelled { withdrawn: false },
                Some(STILL_OPEN_HINT),
            ),
            (QuestionState::Open, WaitOutcome::Interrupted(interruption), _) => {
                let mut result = result(QuestionEnd::Unanswered("interrupted"), None);
                result.extend(results::interruption(
                    interruption,
                    results::ANSWER_FIRST_HINT,
                ));
                result
            }
            (QuestionState::Open, WaitOutcome::Done(ReplyWaitEnd::NoneReachable), Some(held)) => {
                result(QuestionEnd::Held(held), Some(held_hint(held)))
            }
            (QuestionState::Open, ..) if self.if_offline == IfOffline::Queue && !status.askable => {
                let hint = if status.peer.is_person() {
                    PERSON_OFFLINE_HINT
                } else {
                    OFFLINE_HINT
                };
                result(self.offline(status), Some(hint))
            }
            (QuestionState::Open, ..) => {
                result(QuestionEnd::Unanswered("timed_out"), Some(STILL_OPEN_HINT))
            }
        }
    }

    fn offline(&self, status: &QuestionStatus) -> QuestionEnd<'_> {
        let mut asked = self.asked.iter();
        let asked = asked.find(|asked| asked.question == status.question.id);
        QuestionEnd::Offline {
            last_seen_at_ms: asked.map_or(status.last_seen_at_ms, |asked| {
                asked.last_seen_at_ms.max(status.last_seen_at_ms)
            }),
            same_project: asked.map(|asked| asked.same_project.as_slice()),
        }
    }

    /// Returns the result for several questions.
    fn multi_question_result(
        &self,
        ended: &EndedWait,
        mut answers: Vec<Map<String, Value>>,
    ) -> Value {
        let statuses = &ended.question_statuses;
        let replied = statuses
            .iter()
            .filter(|status| status.question.state.is_replied())
            .count();
        let status = match ended.outcome {
            _ if replied == statuses.len() || (self.any && replied > 0) => "answered",
            WaitOutcome::Interrupted(_) => "interrupted",
            WaitOutcome::Cancelled => "cancelled",
            WaitOutcome::Done(_) | WaitOutcome::Expired if replied > 0 => "partial",
            WaitOutcome::Done(_) | WaitOutcome::Expired => "timed_out",
        };
        let mut result = json!({ "status": status, "question_ids": self.questions });
        if let WaitOutcome::Interrupted(interruption) = &ended.outcome {
            let more = results::interruption(interruption, results::ANSWER_FIRST_HINT);
            results::add(&mut result, more);
            for answer in &mut answers {
                for key in ["questions", "truncated", "hint"] {
                    answer.shift_remove(key);
                }
            }
        }
        results::add_answers(&mut result, answers);
        result
    }
}

impl EndedWait {
    /// Returns the end of a call that did not wait, because no addressed peer can answer now.
    pub(super) fn without_wait() -> Self {
        Self {
            outcome: WaitOutcome::Done(ReplyWaitEnd::NoneReachable),
            row: None,
            waited_ms: None,
            question_statuses: Vec::new(),
            lookups: None,
            prior_answers: PriorAnswersByQuestion::new(),
        }
    }

    /// Returns the end of this wait, with the statuses that it read last.
    pub(super) fn of(wait: &StoppableWait<ReplyWait>, outcome: WaitOutcome<ReplyWaitEnd>) -> Self {
        Self {
            outcome,
            row: wait.row(),
            question_statuses: wait.condition().question_statuses().to_vec(),
            ..Self::without_wait()
        }
    }

    /// Records how long the call has waited, at the first call of this function.
    pub(super) fn set_waited_ms(&mut self, waited_ms: i64) {
        self.waited_ms.get_or_insert(waited_ms);
    }

    /// Skips the lookup of prior answers that failed; `None` if no lookup was due.
    pub(super) fn skip_lookup(&mut self) -> Option<()> {
        self.lookups.as_mut()?.pop_front().map(|_| ())
    }

    /// Reads the next part of what the result needs. Returns false if it needs nothing more.
    pub(super) fn read_next(
        &mut self,
        call: &mut CallContext<'_>,
        awaited: &Awaited,
    ) -> Result<bool> {
        let Some(lookups) = &mut self.lookups else {
            // With `any` the others may have been withdrawn, and the wait did not include offline peers.
            if awaited.any || self.question_statuses.len() != awaited.questions.len() {
                self.question_statuses = call.mesh.question_statuses(&awaited.questions)?;
            }
            self.lookups = Some(self.unanswered());
            return Ok(true);
        };
        let Some(id) = lookups.front() else {
            return Ok(false);
        };
        let mut statuses = self.question_statuses.iter();
        if let Some(status) = statuses.find(|status| status.question.id == *id) {
            let prior_answers = prior_answers::find(call, &status.question)?;
            self.prior_answers.insert(*id, prior_answers);
        }
        lookups.pop_front();
        Ok(true)
    }

    /// Returns the questions for which prior answers help: an asker that must answer first, or has gone on, needs none.
    fn unanswered(&self) -> VecDeque<QuestionId> {
        if matches!(
            self.outcome,
            WaitOutcome::Interrupted(_) | WaitOutcome::Cancelled
        ) {
            return VecDeque::new();
        }
        let questions = self.question_statuses.iter().map(|status| &status.question);
        questions
            .filter(|question| {
                matches!(question.state, QuestionState::Open | QuestionState::Expired)
            })
            .map(|question| question.id)
            .collect()
    }
}

fn held_hint(held: Throttled) -> &'static str {
    match held.reason {
        ThrottleReason::WakeBudget => OVER_BUDGET_HINT,
        ThrottleReason::PersonBudget => OVER_PERSON_BUDGET_HINT,
        ThrottleReason::Quiet | ThrottleReason::Paused => QUIET_HINT,
    }
}
