//! `claude-mesh inbox`: what waits for whoever speaks here; for a person also what waits elsewhere.
use clap::Args;
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::format::{bold_name, excerpt, indent};
use super::peer::with_peer_suggestions;
use super::{print, view};
use crate::cli::context::{CliContext, SessionGuard};
use crate::cli::error::Failure;
use crate::cli::outcome::{CommandResult, CommandStatus};
use crate::mesh::{LateAnswer, Member, Mesh, PendingQuestion};
use crate::model::elapsed::format_ago;
use crate::model::{AnsweredBy, QuestionState, WakeState};
use crate::store::Question;
use crate::tools::output;

/// Show what waits for you: questions, late answers, mail, your own open questions
#[derive(Debug, Args)]
#[command(
    after_help = "Looking consumes nothing: an answer is listed for a day after it was first shown.

Examples:
  claude-mesh inbox
  claude-mesh inbox --all            every open question of this mesh
  claude-mesh inbox --peer backend   what waits for backend"
)]
pub(super) struct InboxArgs {
    /// What waits for another peer.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    peer: Option<String>,
    /// Every open question of this mesh.
    #[arg(long)]
    all: bool,
}

/// Questions listed at most.
const QUESTIONS_MAX: u32 = 500;

/// Prints what waits.
pub(super) fn inbox(desk: &CliContext, args: &InboxArgs) -> CommandResult {
    let Some(mut mesh) = desk.open_existing()? else {
        return desk.report_no_mesh(&json!({ "questions": [], "answers": [] }));
    };
    if args.all || args.peer.is_some() {
        desk.require_person("what waits for others")?;
        let peer = args.peer.as_ref().map(|name| name.trim().to_lowercase());
        return list_for_others(desk, &mut mesh, peer.as_deref());
    }
    list_own(desk, &mut desk.register(mesh)?)
}

fn list_own(desk: &CliContext, session: &mut SessionGuard) -> CommandResult {
    let SessionGuard { mesh, me, .. } = session;
    let inbox = mesh.inbox(me)?;
    let open: Vec<_> = mesh
        .own_open_questions(me)?
        .iter()
        .map(|question| question.id)
        .collect();
    let question_statuses = mesh.question_statuses(&open)?;
    let unread = mesh.unread(me)?;
    if desk.json {
        let still_open: Vec<Value> = question_statuses
            .iter()
            .map(|question_status| {
                json!({
                    "question_id": question_status.question.id,
                    "to": question_status.peer,
                    "question": question_status.question.question,
                    "delivery": output::delivery(&question_status.delivery),
                })
            })
            .collect();
        print::json(&json!({
            "you": me.name,
            "questions": inbox.questions.iter().map(output::waiting).collect::<Vec<_>>(),
            "answers": inbox.answers.iter().map(output::late_answer).collect::<Vec<_>>(),
            "still_open": still_open,
            "messages_unread": unread,
            "claims_granted": inbox.granted.iter().map(output::granted).collect::<Vec<_>>(),
        }))?;
    } else {
        let now_ms = mesh.now().wall_ms;
        questions(desk, &inbox.questions, now_ms)?;
        for late in &inbox.answers {
            answer(desk, late, now_ms)?;
        }
        for question_status in &question_statuses {
            print::line(&format!(
                "{}  you asked {}: {}\n  {}",
                question_status.question.id,
                bold_name(question_status.peer.as_str()),
                desk.sanitize_foreign(&excerpt(&question_status.question.question)),
                question_status
                    .delivery
                    .line(question_status.peer.as_str(), now_ms),
            ))?;
        }
        for granted in &inbox.granted {
            print::line(&format!(
                "{}  {} is yours now",
                granted.claim.id,
                desk.sanitize_foreign(&excerpt(&granted.claim.resource))
            ))?;
        }
        if unread > 0 {
            let noun = if unread == 1 { "message" } else { "messages" };
            print::line(&format!(
                "{unread} unread {noun}: `claude-mesh messages` shows them"
            ))?;
        }
        if inbox.is_empty() && question_statuses.is_empty() && unread == 0 {
            print::line(&format!("nothing waits for {}", me.name))?;
        }
    }
    mesh.mark_delivered(me, &inbox, None, WakeState::Call)?;
    Ok(CommandStatus::Done)
}

/// Prints questions that interrupted a wait.
pub(super) fn print_questions(
    desk: &CliContext,
    member: &mut Member,
    waiting: &[PendingQuestion],
) -> Result<(), Failure> {
    questions(desk, waiting, member.mesh().now().wall_ms)
}

fn questions(desk: &CliContext, waiting: &[PendingQuestion], now_ms: i64) -> Result<(), Failure> {
    for one in waiting {
        let question = &one.pending.question;
        let redirect_note = match &one.on_behalf_of {
            Some(session) => format!(" (for {session}, where nobody sits)"),
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
        body(desk, question)?;
        print::line(&format!(
            "  {}",
            format!("claude-mesh reply {} TEXT", question.id).dimmed()
        ))?;
    }
    Ok(())
}

fn answer(desk: &CliContext, late: &LateAnswer, now_ms: i64) -> Result<(), Failure> {
    let LateAnswer { question, from } = late;
    let verb = match (question.state, question.answered_by) {
        (QuestionState::Declined, _) => "declined",
        (QuestionState::Expired, _) => "did not answer within 7 days",
        (_, Some(AnsweredBy::Person)) => "answered (by a person)",
        _ => "answered",
    };
    let when = question
        .answered_at_ms
        .map_or(String::new(), |at| format!(", {}", format_ago(now_ms - at)));
    print::line(&format!(
        "{}  {} {verb}{when} (to: {})",
        question.id,
        bold_name(from.as_str()),
        desk.sanitize_foreign(&excerpt(&question.question)),
    ))?;
    print::line(&indent(
        &desk.sanitize_foreign(question.answer.as_deref().unwrap_or_default()),
    ))?;
    Ok(())
}

fn list_for_others(desk: &CliContext, mesh: &mut Mesh, peer: Option<&str>) -> CommandResult {
    let mut found = match mesh.questions(peer, QUESTIONS_MAX) {
        Err(error) => return Err(with_peer_suggestions(mesh, error)?),
        found => found?,
    };
    found.retain(|(question, _, target)| {
        question.state == QuestionState::Open && peer.is_none_or(|peer| peer == target)
    });
    if peer.is_some() {
        found.reverse();
    }
    let ids: Vec<_> = found.iter().map(|(question, ..)| question.id).collect();
    let question_statuses = mesh.question_statuses(&ids)?;
    let found = found.iter().zip(&question_statuses);
    if desk.json {
        let questions: Vec<Value> = found
            .map(|((question, from, to), question_status)| {
                let mut value = view::between(question, from, to);
                value["delivery"] = output::delivery(&question_status.delivery);
                value
            })
            .collect();
        print::json(&json!({ "questions": questions }))?;
        return Ok(CommandStatus::Done);
    }
    let now_ms = mesh.now().wall_ms;
    for ((question, from, to), question_status) in found {
        print::line(&format!(
            "{}  {} asks {}, {}",
            question.id,
            bold_name(from),
            bold_name(to),
            format_ago(now_ms - question.asked_at_ms),
        ))?;
        body(desk, question)?;
        print::line(&format!("  {}", question_status.delivery.line(to, now_ms)))?;
    }
    if question_statuses.is_empty() {
        print::line("no open questions")?;
    } else {
        print::line(&format!(
            "{}",
            "claude-mesh reply QUESTION_ID TEXT answers one".dimmed()
        ))?;
    }
    Ok(CommandStatus::Done)
}

fn body(desk: &CliContext, question: &Question) -> Result<(), Failure> {
    print::line(&indent(&desk.sanitize_foreign(&question.question)))?;
    if let Some(context) = question.context.as_deref().filter(|text| !text.is_empty()) {
        print::line("  context:")?;
        print::line(&indent(&indent(&desk.sanitize_foreign(context))))?;
    }
    Ok(())
}
