//! Prints prior answers: beside a question without an answer, alone with `ask --known`, and counted with `log --known`.
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::format::{bold_name, excerpt};
use super::peer::with_peer_suggestions;
use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::duration::Since;
use crate::cli::error::Failure;
use crate::mesh::{Member, PriorAnswer, PriorAnswerQuery};
use crate::model::elapsed::format_ago;
use crate::model::peer::Address;
use crate::platform::clock::rfc3339;
use crate::tools::output;

/// Prints the prior answers of a peer to a question, and asks nobody.
pub(super) fn show_prior_answers(
    context: &CliContext,
    to: &Address,
    question: &str,
) -> CommandResult {
    let mut member = context.join()?;
    let me = member.handle().clone();
    let (peer, name) = match member.mesh().addressee(&me, to, question) {
        Err(error) => return Err(with_peer_suggestions(member.mesh(), error)?),
        found => found?,
    };
    let query = PriorAnswerQuery {
        peer,
        question,
        id: None,
    };
    let prior_answers = find_prior_answers(&mut member, query)?;
    if context.json {
        print::json(&output::prior_answers_only(&name, &prior_answers))?;
    } else if prior_answers.is_empty() {
        print::notice(
            &format!("{name} has answered no similar question"),
            "without --known the question is asked",
        )?;
    } else {
        print_list(context, &prior_answers, member.mesh().now().wall_ms)?;
    }
    Ok(if prior_answers.is_empty() {
        CommandStatus::NoAnswer
    } else {
        CommandStatus::Done
    })
}

/// Adds prior answers to the JSON result of a stored question.
pub(super) fn add_prior_answers(
    member: &mut Member,
    query: PriorAnswerQuery<'_>,
    result: &mut Value,
) -> Result<(), Failure> {
    let prior_answers = find_prior_answers(member, query)?;
    result["known"] = json!(output::prior_answers(&prior_answers));
    Ok(())
}

/// Prints the prior answers to a stored question, if there are any.
pub(super) fn print_prior_answers(
    context: &CliContext,
    member: &mut Member,
    query: PriorAnswerQuery<'_>,
) -> Result<(), Failure> {
    let prior_answers = find_prior_answers(member, query)?;
    if !prior_answers.is_empty() {
        print::line("earlier answers to similar questions:")?;
        print_list(context, &prior_answers, member.mesh().now().wall_ms)?;
    }
    Ok(())
}

fn find_prior_answers(
    member: &mut Member,
    query: PriorAnswerQuery<'_>,
) -> Result<Vec<PriorAnswer>, Failure> {
    let me = member.handle().clone();
    Ok(member.mesh().prior_answers(&me, query)?)
}

fn print_list(
    context: &CliContext,
    prior_answers: &[PriorAnswer],
    now_ms: i64,
) -> Result<(), Failure> {
    for one in prior_answers {
        let answered = &one.answered;
        let commits = match (&answered.head, &one.head_now) {
            (Some(then), Some(now)) if then == now => ", at the same commit as now".to_owned(),
            (Some(then), Some(now)) => {
                format!(", at {}, now {}", short_commit(then), short_commit(now))
            }
            (Some(then), None) => format!(", at {}", short_commit(then)),
            (None, _) => String::new(),
        };
        print::line(&format!(
            "{} {}",
            bold_name(&context.sanitize_foreign(&excerpt(&answered.question))),
            format!(
                "({}{commits})",
                format_ago(now_ms - answered.answered_at_ms)
            )
            .dimmed()
        ))?;
        for line in context.sanitize_foreign(&answered.answer).lines() {
            print::line(&format!("  {line}"))?;
        }
    }
    Ok(())
}

fn short_commit(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// Prints how often askers got prior answers, and which askers.
pub(super) fn print_prior_answer_counts(context: &CliContext, since: Since) -> CommandResult {
    let Some(mut mesh) = context.open_existing()? else {
        return context.report_no_mesh(&json!({ "results": 0, "by": [] }));
    };
    let since_ms = since.wall_ms(mesh.now().wall_ms);
    let counts = mesh.prior_answer_counts(since_ms)?;
    let results: usize = counts.iter().map(|count| count.results).sum();
    if context.json {
        let by: Vec<Value> = counts
            .iter()
            .map(|count| {
                json!({
                    "asker": count.asker,
                    "peer": count.peer,
                    "results": count.results,
                    "answers": count.answers,
                    "last_at": rfc3339(count.last_at_ms),
                })
            })
            .collect();
        print::json(&json!({ "since": rfc3339(since_ms), "results": results, "by": by }))?;
        return Ok(CommandStatus::Done);
    }
    let now_ms = mesh.now().wall_ms;
    for count in &counts {
        print::line(&format!(
            "{} asked {}: {} results with earlier answers ({} in all), the last {}",
            bold_name(&context.sanitize_foreign(&count.asker)),
            bold_name(&context.sanitize_foreign(&count.peer)),
            count.results,
            count.answers,
            format_ago(now_ms - count.last_at_ms)
        ))?;
    }
    print::line(&format!(
        "earlier answers came with {results} results since {}",
        rfc3339(since_ms)
    ))?;
    Ok(CommandStatus::Done)
}
