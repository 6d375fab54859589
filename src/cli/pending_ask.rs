//! The open questions of `claude-mesh ask`: asks them, waits for the replies, and reports an interrupted wait.
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::error::Failure;
use crate::cli::progress::StopFlag;
use crate::cli::{inbox, print, question_json};
use crate::mesh::{
    AskedQuestion, IfOffline, Interruption, Member, QuestionDraft, QuestionStatus, Wait,
    WaitOutcome,
};
use crate::model::QuestionState;
use crate::model::peer::Address;
use crate::tools::output;

/// Questions that are stored, and the member that waits for their replies.
pub(super) struct PendingAsk<'a> {
    pub(super) context: &'a CliContext,
    pub(super) member: Member,
    pub(super) asked: Vec<AskedQuestion>,
    pub(super) question: String,
    pub(super) wait: Option<Wait>,
    pub(super) started_monotonic_ms: i64,
    pub(super) stop: StopFlag,
}

impl<'a> PendingAsk<'a> {
    pub(super) fn start(
        context: &'a CliContext,
        to: &[Address],
        draft: &QuestionDraft,
    ) -> Result<Self, Failure> {
        let mut member = context.join()?;
        let stop = StopFlag::on_signals(member.signal())?;
        let me = member.handle().clone();
        let outcome = member.mesh().ask(&me, to, draft)?;
        let awaited = outcome
            .asked
            .iter()
            .filter(|asked| asked.is_awaited(IfOffline::Queue));
        let questions = awaited.map(|asked| asked.question).collect();
        let wait = outcome.wait.map(|id| Wait {
            id,
            questions,
            any: false,
        });
        Ok(Self {
            context,
            started_monotonic_ms: member.mesh().now().monotonic_ms,
            member,
            asked: outcome.asked,
            question: draft.question.to_owned(),
            wait,
            stop,
        })
    }

    /// Waits until all have replied, the time is up or the user stops it. A person is shown questions that come meanwhile
    /// and waits on; a session ends its wait to answer them.
    pub(super) fn wait(
        &mut self,
        mut wait: Wait,
        timeout: Duration,
        mut watch: impl FnMut(&[QuestionStatus], i64),
    ) -> Result<AskWaitOutcome, Failure> {
        let deadline_monotonic_ms =
            self.started_monotonic_ms + i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 2);
        let clock = crate::platform::SystemClock::new();
        loop {
            let now_ms = self.member.mesh().now().monotonic_ms;
            let remaining =
                Duration::from_millis(u64::try_from(deadline_monotonic_ms - now_ms).unwrap_or(0));
            let stop = self.stop.clone();
            let (outcome, found) = self.member.wait(&wait, remaining, |question_statuses| {
                watch(
                    question_statuses,
                    crate::platform::Clock::now(&clock).wall_ms,
                );
                !stop.is_set()
            })?;
            match outcome {
                WaitOutcome::Done(_) | WaitOutcome::Expired | WaitOutcome::Cancelled => {
                    return Ok(AskWaitOutcome::QuestionStatus(found));
                }
                WaitOutcome::Interrupted(interruption) if !self.context.is_person() => {
                    return Ok(AskWaitOutcome::Interrupted(interruption));
                }
                WaitOutcome::Interrupted(interruption) => {
                    for pending in &interruption.questions {
                        print::err(&format!(
                            "\r\x1b[2K{} asks you: {}\n(answer from another terminal: claude-mesh reply {} TEXT)\n",
                            pending.from,
                            self.context
                                .sanitize_foreign(&pending.delivery.question.question),
                            pending.delivery.question.id
                        ))?;
                    }
                    wait = self.member.await_replies(&wait.questions)?;
                }
            }
        }
    }

    /// Reports that a question for this session came, which its model answers first.
    pub(super) fn interrupted(&mut self, interruption: &Interruption) -> CommandResult {
        let open: Vec<_> = self.asked.iter().map(|asked| asked.question).collect();
        if self.context.json {
            let questions: Vec<_> = interruption.questions.iter().map(output::waiting).collect();
            let question_statuses = self.member.mesh().question_statuses(&open)?;
            let waited_ms = self.waited_ms();
            let to_json = |question_status: &QuestionStatus| match question_status.question.state {
                QuestionState::Open => question_json::interrupted_question(question_status),
                _ => question_json::awaited_question(question_status, waited_ms, false),
            };
            print::json(&json!({
                "status": "interrupted",
                "question_ids": open,
                "answers": question_statuses.iter().map(to_json).collect::<Vec<_>>(),
                "questions": questions,
                "hint": "answer with `claude-mesh reply`, then see `claude-mesh inbox`",
            }))?;
            return Ok(CommandStatus::NoAnswer);
        }
        print::line(
            "interrupted: answer first, then see `claude-mesh inbox`; your question stays open",
        )?;
        inbox::print_questions(self.context, &mut self.member, &interruption.questions)?;
        Ok(CommandStatus::NoAnswer)
    }

    /// The result of one question that is not waited for.
    pub(super) fn stored(&mut self, asked: &AskedQuestion) -> Result<Value, Failure> {
        let question_statuses = self.member.mesh().question_statuses(&[asked.question])?;
        Ok(question_json::stored_question(asked, &question_statuses[0]))
    }

    pub(super) fn waited_ms(&mut self) -> i64 {
        self.member.mesh().now().monotonic_ms - self.started_monotonic_ms
    }
}

/// How the wait of a command ended.
pub(super) enum AskWaitOutcome {
    QuestionStatus(Vec<QuestionStatus>),
    Interrupted(Interruption),
}
