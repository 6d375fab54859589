//! The replies to a question that went to many, as they come.
use super::peer::strong;
use super::print;
use crate::cli::context::Desk;
use crate::mesh::Standing;
use crate::model::QuestionState;
use crate::platform::id::QuestionId;

/// The table of a question to many, row by row.
pub(super) struct Rows {
    width: usize,
    json: bool,
    told: Vec<QuestionId>,
}

impl Rows {
    /// Returns an empty table for names of this width; with `json` nothing is printed.
    pub(super) fn new(width: usize, json: bool) -> Self {
        Self {
            width,
            json,
            told: Vec::new(),
        }
    }

    /// Prints the replies that have come since the last time.
    pub(super) fn tell(&mut self, desk: &Desk, standings: &[Standing]) {
        for standing in standings {
            let question = &standing.question;
            if question.state == QuestionState::Open || self.told.contains(&question.id) {
                continue;
            }
            self.told.push(question.id);
            let answer = desk.foreign(question.answer.as_deref().unwrap_or_default());
            let words = match question.state {
                QuestionState::Answered => answer,
                QuestionState::Declined => format!("declined: {answer}"),
                state => state.as_str().to_owned(),
            };
            self.row(standing.peer.as_str(), &words);
        }
    }

    pub(super) fn row(&self, name: &str, words: &str) {
        if self.json {
            return;
        }
        let width = self.width;
        let indent = format!("\n{:width$}  ", "");
        let words = words.trim_end().replace('\n', &indent);
        let padding = " ".repeat(width - name.len().min(width));
        let _ = print::line(&format!("{}{padding}  {words}", strong(name)));
    }
}
