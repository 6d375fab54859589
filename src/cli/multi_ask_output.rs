//! Prints the replies to a question that went to many, as they come.
use super::format::bold_name;
use super::print;
use crate::cli::context::CliContext;
use crate::mesh::QuestionStatus;
use crate::model::QuestionState;
use crate::platform::id::QuestionId;

/// The table of replies, printed row by row.
pub(super) struct ReplyTable {
    width: usize,
    json: bool,
    printed_ids: Vec<QuestionId>,
}

impl ReplyTable {
    /// Returns an empty table for names of this width; with `json` nothing is printed.
    pub(super) fn new(width: usize, json: bool) -> Self {
        Self {
            width,
            json,
            printed_ids: Vec::new(),
        }
    }

    /// Prints the replies that have come since the last time.
    pub(super) fn print_new(&mut self, context: &CliContext, question_statuses: &[QuestionStatus]) {
        for question_status in question_statuses {
            let question = &question_status.question;
            if question.state == QuestionState::Open || self.printed_ids.contains(&question.id) {
                continue;
            }
            self.printed_ids.push(question.id);
            let answer = context.sanitize_foreign(question.answer.as_deref().unwrap_or_default());
            let text = match question.state {
                QuestionState::Answered => answer,
                QuestionState::Declined => format!("declined: {answer}"),
                state => state.as_str().to_owned(),
            };
            self.print_row(question_status.peer.as_str(), &text);
        }
    }

    pub(super) fn print_row(&self, name: &str, text: &str) {
        if self.json {
            return;
        }
        let width = self.width;
        let indent = format!("\n{:width$}  ", "");
        let text = text.trim_end().replace('\n', &indent);
        let padding = " ".repeat(width - name.len().min(width));
        let _ = print::line(&format!("{}{padding}  {text}", bold_name(name)));
    }
}
