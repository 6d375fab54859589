//! Prints what is pending in an inbox: questions, late answers and granted claims.
use owo_colors::OwoColorize;

use super::format::{bold_name, excerpt, indent};
use super::print;
use crate::cli::context::CliContext;
use crate::cli::error::Failure;
use crate::mesh::{Granted, LateAnswer, PendingQuestion};
use crate::model::elapsed::format_ago;
use crate::model::{AnsweredBy, QuestionState};
use crate::store::Question;

/// Prints questions, each with the command that answers it.
pub(super) fn print_pending_questions(
    context: &CliContext,
    waiting: &[PendingQuestion],
    now_ms: i64,
) -> Result<(), Failure> {
    for one in waiting {
        let question = &one.delivery.question;
        let redirect_note = match &one.on_behalf_of {
            Some(session) => format!(" (for {session}, which has ended)"),
            None => String::new(),
        };
        let waiting_note = if one.asker_waiting {
            ", waits for the answer"
        } else {
            ""
        };
        print::line(&format!(
            "{}  {} asks, {}{waiting_note}{redirect_note}",
            question.id,
            bold_name(one.from.as_str()),
            format_ago(now_ms - question.asked_at_ms),
        ))?;
        print_question_text(context, question)?;
        print::line(&format!(
            "  {}",
            format!("claude-mesh reply {} TEXT", question.id).dimmed()
        ))?;
    }
    Ok(())
}

/// Prints an answer that came while nobody waited for it.
pub(super) fn print_late_answer(
    context: &CliContext,
    late: &LateAnswer,
    now_ms: i64,
) -> Result<(), Failure> {
    let LateAnswer { question, from } = late;
    let verb = match (question.state, question.answered_by) {
        (QuestionState::Declined, _) => "declined",
        (QuestionState::Expired, _) => "did not answer within 7 days",
        (_, Some(AnsweredBy::Person)) => "answered (by a person)",
        (_, Some(AnsweredBy::Fork)) => "answered (by a fork)",
        _ => "answered",
    };
    let when = question
        .answered_at_ms
        .map_or(String::new(), |at| format!(", {}", format_ago(now_ms - at)));
    print::line(&format!(
        "{}  {} {verb}{when} (to: {})",
        question.id,
        bold_name(from.as_str()),
        context.sanitize_foreign(&excerpt(&question.question)),
    ))?;
    print::line(&indent(
        &context.sanitize_foreign(question.answer.as_deref().unwrap_or_default()),
    ))?;
    Ok(())
}

/// Prints a claim that was granted.
pub(super) fn print_granted(context: &CliContext, granted: &Granted) -> Result<(), Failure> {
    print::line(&format!(
        "{}  {} is yours now",
        granted.claim.id,
        context.sanitize_foreign(&excerpt(&granted.claim.resource))
    ))?;
    Ok(())
}

/// Prints the text of a question and its context.
pub(super) fn print_question_text(
    context: &CliContext,
    question: &Question,
) -> Result<(), Failure> {
    print::line(&indent(&context.sanitize_foreign(&question.question)))?;
    if let Some(text) = question.context.as_deref().filter(|text| !text.is_empty()) {
        print::line("  context:")?;
        print::line(&indent(&indent(&context.sanitize_foreign(text))))?;
    }
    Ok(())
}
