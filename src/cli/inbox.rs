//! `claude-mesh inbox`: lists what is pending for the caller; for a person also what is pending for other peers.
#[cfg(feature = "remote")]
pub(super) mod at_hub;

use clap::Args;
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::format::{bold_name, excerpt};
use super::inbox_follow::follow;
use super::inbox_format::{
    print_granted, print_late_answer, print_pending_questions, print_question_text,
};
use super::peer::with_peer_suggestions;
use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CliContext, SessionGuard};
use crate::cli::error::Failure;
use crate::mesh::{Inbox, Member, Mesh, PendingQuestion, QuestionStatus};
use crate::model::elapsed::format_ago;
use crate::model::{PeerName, QuestionState, WakeState};
use crate::tools::output;

/// Show what waits for you: questions, late answers, mail, your own open questions
#[derive(Debug, Args)]
#[command(
    after_help = "Reading removes nothing: an answer is listed for a day after it was first shown.

Examples:
  claude-mesh inbox
  claude-mesh inbox --all            every open question of this mesh
  claude-mesh inbox --peer backend   what waits for backend
  claude-mesh inbox --follow         each question as it comes; sessions can ask you meanwhile"
)]
pub(super) struct InboxArgs {
    /// What waits for another peer.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    peer: Option<String>,
    /// Every open question of this mesh.
    #[arg(long)]
    all: bool,
    /// Show each question as it comes, until Ctrl-C. Meanwhile sessions can ask you. With --json one object a line.
    #[arg(long, conflicts_with_all = ["all", "peer"])]
    follow: bool,
}

/// The maximum number of questions listed.
const QUESTIONS_MAX: u32 = 500;

pub(super) fn inbox(context: &CliContext, args: &InboxArgs) -> CommandResult {
    if args.follow {
        return follow(context);
    }
    let Some(mut mesh) = context.open_existing()? else {
        return context.report_no_mesh(&json!({ "questions": [], "answers": [] }));
    };
    if args.all || args.peer.is_some() {
        context.require_person("the inbox of others")?;
        let peer = args.peer.as_ref().map(|name| name.trim().to_lowercase());
        return list_for_others(context, &mut mesh, peer.as_deref());
    }
    list_own(context, &mut context.register(mesh)?)
}

fn list_own(context: &CliContext, session: &mut SessionGuard) -> CommandResult {
    let SessionGuard { mesh, me, .. } = session;
    let pending = mesh.inbox(me)?;
    let open: Vec<_> = mesh
        .own_open_questions(me)?
        .iter()
        .map(|question| question.id)
        .collect();
    let own = OwnInbox {
        pending,
        still_open: mesh.question_statuses(&open)?,
        unread: mesh.unread(me)?,
    };
    if context.json {
        print::json(&own.to_json(&me.name))?;
    } else {
        own.report(context, &me.name, mesh.now().wall_ms)?;
    }
    mesh.mark_delivered(me, &own.pending, None, WakeState::Call)?;
    Ok(CommandStatus::Done)
}

/// What is pending for the caller, and its own open questions.
struct OwnInbox {
    pending: Inbox,
    still_open: Vec<QuestionStatus>,
    unread: u32,
}

impl OwnInbox {
    fn to_json(&self, you: &PeerName) -> Value {
        let still_open = self.still_open.iter().map(|status| {
            json!({
                "question_id": status.question.id,
                "to": status.peer,
                "question": status.question.question,
                "delivery": output::delivery(&status.delivery),
            })
        });
        let Inbox {
            questions,
            answers,
            granted,
            ..
        } = &self.pending;
        json!({
            "you": you,
            "questions": questions.iter().map(output::waiting).collect::<Vec<_>>(),
            "answers": answers.iter().map(output::late_answer).collect::<Vec<_>>(),
            "still_open": still_open.collect::<Vec<_>>(),
            "messages_unread": self.unread,
            "claims_granted": granted.iter().map(output::granted).collect::<Vec<_>>(),
        })
    }

    fn report(&self, context: &CliContext, you: &PeerName, now_ms: i64) -> Result<(), Failure> {
        print_pending_questions(context, &self.pending.questions, now_ms)?;
        for late in &self.pending.answers {
            print_late_answer(context, late, now_ms)?;
        }
        for status in &self.still_open {
            print::line(&format!(
                "{}  you asked {}: {}\n  {}",
                status.question.id,
                bold_name(status.peer.as_str()),
                context.sanitize_foreign(&excerpt(&status.question.question)),
                status.delivery.line(status.peer.as_str(), now_ms),
            ))?;
        }
        for granted in &self.pending.granted {
            print_granted(context, granted)?;
        }
        if self.unread > 0 {
            let noun = if self.unread == 1 {
                "message"
            } else {
                "messages"
            };
            print::line(&format!(
                "{} unread {noun}: `claude-mesh messages` shows them",
                self.unread
            ))?;
        }
        if self.pending.is_empty() && self.still_open.is_empty() && self.unread == 0 {
            print::line(&format!("nothing waits for {you}"))?;
        }
        Ok(())
    }
}

/// Prints the questions that interrupted a wait.
pub(super) fn print_questions(
    context: &CliContext,
    member: &mut Member,
    waiting: &[PendingQuestion],
) -> Result<(), Failure> {
    print_pending_questions(context, waiting, member.mesh().now().wall_ms)
}

fn list_for_others(context: &CliContext, mesh: &mut Mesh, peer: Option<&str>) -> CommandResult {
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
    if context.json {
        let questions: Vec<Value> = found
            .map(|((question, from, to), question_status)| {
                let mut value = output::question_between(question, from, to);
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
        print_question_text(context, question)?;
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
