//! `claude-mesh ask --all` and `--repo`: prints each reply as it comes, and a summary.
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::duration::format_elapsed_ms;
use crate::cli::error::Failure;
use crate::cli::multi_ask_output::ReplyTable;
use crate::cli::peer::describe_throttle;
use crate::cli::pending_ask::{AskWaitOutcome, PendingAsk};
use crate::cli::progress::ProgressLine;
use crate::cli::{print, question_json};
use crate::mesh::{AskedQuestion, IfOffline, QuestionStatus};
use crate::model::QuestionState;

impl PendingAsk<'_> {
    /// Waits for many and prints each as it comes.
    pub(super) fn all(&mut self, timeout: Duration) -> CommandResult {
        let width = self
            .asked
            .iter()
            .map(|asked| asked.to.as_str().len())
            .max()
            .unwrap_or(0);
        let mut rows = ReplyTable::new(width, self.context.json);
        let stored = |asked: &&AskedQuestion| !asked.is_awaited(IfOffline::Queue);
        for asked in self.asked.clone().iter().filter(stored) {
            let why = match asked.held {
                Some(held) => format!("{}; the question is stored", describe_throttle(held)),
                None => "no session there can be asked now; the question is stored".into(),
            };
            rows.print_row(asked.to.as_str(), &why);
        }
        let mut question_statuses = Vec::new();
        if let Some(wait) = self.wait.clone() {
            let context = self.context;
            let mut line = ProgressLine::new(print::stderr_is_terminal() && !context.json);
            let wait_outcome = self.wait(wait, timeout, |question_statuses, now_ms| {
                line.clear();
                rows.print_new(context, question_statuses);
                let open = question_statuses.iter().filter(|question_status| {
                    question_status.question.state == QuestionState::Open
                });
                let open: Vec<String> = open
                    .map(|question_status| {
                        question_status
                            .delivery
                            .line(question_status.peer.as_str(), now_ms)
                    })
                    .collect();
                line.show(&format!("{} open · {}", open.len(), open.join(" · ")));
            });
            line.clear();
            question_statuses = match wait_outcome? {
                AskWaitOutcome::Interrupted(interruption) => {
                    return self.interrupted(&interruption);
                }
                AskWaitOutcome::QuestionStatus(question_statuses) => question_statuses,
            };
        }
        rows.print_new(self.context, &question_statuses);
        self.report_all(&question_statuses, &mut rows)
    }

    fn report_all(
        &mut self,
        question_statuses: &[QuestionStatus],
        rows: &mut ReplyTable,
    ) -> CommandResult {
        let now_ms = self.member.mesh().now().wall_ms;
        let waited_ms = self.waited_ms();
        let replied = question_statuses
            .iter()
            .filter(|question_status| question_status.question.state.is_replied())
            .count();
        let complete = replied == self.asked.len();
        if self.context.json {
            print::json(&self.result(question_statuses, waited_ms, complete, replied)?)?;
        } else {
            for question_status in question_statuses {
                if question_status.question.state == QuestionState::Open {
                    let line = question_status
                        .delivery
                        .line(question_status.peer.as_str(), now_ms);
                    let way = line.split_once(": ").map_or(line.as_str(), |(_, way)| way);
                    rows.print_row(
                        question_status.peer.as_str(),
                        &format!("no answer yet: {way}"),
                    );
                }
            }
            let rest = self.asked.len() - replied;
            let later = if complete {
                String::new()
            } else {
                format!("; {rest} open, `claude-mesh inbox` shows what comes")
            };
            print::line(&format!(
                "{replied} of {} replied after {}{later}",
                self.asked.len(),
                format_elapsed_ms(waited_ms)
            ))?;
        }
        Ok(if complete {
            CommandStatus::Done
        } else {
            CommandStatus::NoAnswer
        })
    }

    fn result(
        &mut self,
        question_statuses: &[QuestionStatus],
        waited_ms: i64,
        complete: bool,
        replied: usize,
    ) -> Result<Value, Failure> {
        let mut answers = Vec::new();
        for asked in self.asked.clone() {
            let waited = question_statuses
                .iter()
                .find(|question_status| question_status.question.id == asked.question);
            answers.push(match waited {
                Some(question_status) => {
                    question_json::awaited_question(question_status, waited_ms, self.stop.is_set())
                }
                None => self.stored(&asked)?,
            });
        }
        let ids: Vec<_> = self.asked.iter().map(|asked| asked.question).collect();
        let status = match (complete, replied) {
            (true, _) => "answered",
            (false, 0) if self.stop.is_set() => "cancelled",
            (false, 0) => "timed_out",
            (false, _) => "partial",
        };
        Ok(json!({ "status": status, "answers": answers, "question_ids": ids }))
    }
}
