//! `claude-mesh inbox`: what waits for whoever speaks here; for a person also what waits elsewhere.
use clap::Args;
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::peer::{explained, strong};
use super::{Ending, Outcome, print, view};
use crate::cli::context::{Desk, Seat};
use crate::cli::error::Failure;
use crate::mesh::{LateAnswer, Member, Mesh, Waiting};
use crate::model::question::ago;
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
pub(super) struct Inbox {
    /// What waits for another peer.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    peer: Option<String>,
    /// Every open question of this mesh.
    #[arg(long)]
    all: bool,
}

/// Questions listed at most.
const MOST: u32 = 500;

/// Prints what waits.
pub(super) fn inbox(desk: &Desk, args: &Inbox) -> Outcome {
    let Some(mut mesh) = desk.open_existing()? else {
        return desk.no_mesh(&json!({ "questions": [], "answers": [] }));
    };
    if args.all || args.peer.is_some() {
        desk.persons_only("what waits for others")?;
        let peer = args.peer.as_ref().map(|name| name.trim().to_lowercase());
        return elsewhere(desk, &mut mesh, peer.as_deref());
    }
    own(desk, &mut desk.sit(mesh)?)
}

fn own(desk: &Desk, seat: &mut Seat) -> Outcome {
    let Seat { mesh, me, .. } = seat;
    let inbox = mesh.inbox(me)?;
    let open: Vec<_> = mesh
        .own_open_questions(me)?
        .iter()
        .map(|question| question.id)
        .collect();
    let standings = mesh.standings(&open)?;
    let unread = mesh.unread(me)?;
    if desk.json {
        let still_open: Vec<Value> = standings
            .iter()
            .map(|standing| {
                json!({
                    "question_id": standing.question.id,
                    "to": standing.peer,
                    "question": standing.question.question,
                    "delivery": output::delivery(&standing.delivery),
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
        for standing in &standings {
            print::line(&format!(
                "{}  you asked {}: {}\n  {}",
                standing.question.id,
                strong(standing.peer.as_str()),
                desk.foreign(&one_line(&standing.question.question)),
                standing.delivery.line(standing.peer.as_str(), now_ms),
            ))?;
        }
        for granted in &inbox.granted {
            print::line(&format!(
                "{}  {} is yours now",
                granted.claim.id,
                desk.foreign(&one_line(&granted.claim.resource))
            ))?;
        }
        if unread > 0 {
            let many = if unread == 1 { "message" } else { "messages" };
            print::line(&format!(
                "{unread} unread {many}: `claude-mesh messages` shows them"
            ))?;
        }
        if inbox.is_empty() && standings.is_empty() && unread == 0 {
            print::line(&format!("nothing waits for {}", me.name))?;
        }
    }
    mesh.mark_shown(me, &inbox, None, WakeState::Call)?;
    Ok(Ending::Done)
}

/// Prints questions that interrupted a wait.
pub(super) fn print_questions(
    desk: &Desk,
    member: &mut Member,
    waiting: &[Waiting],
) -> Result<(), Failure> {
    questions(desk, waiting, member.mesh().now().wall_ms)
}

fn questions(desk: &Desk, waiting: &[Waiting], now_ms: i64) -> Result<(), Failure> {
    for one in waiting {
        let question = &one.pending.question;
        let instead = match &one.instead_of {
            Some(seat) => format!(" (for {seat}, where nobody sits)"),
            None => String::new(),
        };
        let waits = if one.asker_waiting {
            ", waits for the answer"
        } else {
            ""
        };
        print::line(&format!(
            "{}  {} asks, {}{waits}{instead}",
            question.id,
            strong(one.from.as_str()),
            ago(now_ms - question.asked_at_ms),
        ))?;
        body(desk, question)?;
        print::line(&format!(
            "  {}",
            format!("claude-mesh reply {} TEXT", question.id).dimmed()
        ))?;
    }
    Ok(())
}

fn answer(desk: &Desk, late: &LateAnswer, now_ms: i64) -> Result<(), Failure> {
    let LateAnswer { question, from } = late;
    let verb = match (question.state, question.answered_by) {
        (QuestionState::Declined, _) => "declined",
        (QuestionState::Expired, _) => "did not answer within 7 days",
        (_, Some(AnsweredBy::Person)) => "answered (by a person)",
        _ => "answered",
    };
    let when = question
        .answered_at_ms
        .map_or(String::new(), |at| format!(", {}", ago(now_ms - at)));
    print::line(&format!(
        "{}  {} {verb}{when} (to: {})",
        question.id,
        strong(from.as_str()),
        desk.foreign(&one_line(&question.question)),
    ))?;
    print::line(&indented(
        &desk.foreign(question.answer.as_deref().unwrap_or_default()),
    ))?;
    Ok(())
}

fn elsewhere(desk: &Desk, mesh: &mut Mesh, peer: Option<&str>) -> Outcome {
    let mut found = match mesh.questions(peer, MOST) {
        Err(error) => return Err(explained(mesh, error)?),
        found => found?,
    };
    found.retain(|(question, _, target)| {
        question.state == QuestionState::Open && peer.is_none_or(|peer| peer == target)
    });
    if peer.is_some() {
        found.reverse();
    }
    let ids: Vec<_> = found.iter().map(|(question, ..)| question.id).collect();
    let standings = mesh.standings(&ids)?;
    let found = found.iter().zip(&standings);
    if desk.json {
        let questions: Vec<Value> = found
            .map(|((question, from, to), standing)| {
                let mut value = view::between(question, from, to);
                value["delivery"] = output::delivery(&standing.delivery);
                value
            })
            .collect();
        print::json(&json!({ "questions": questions }))?;
        return Ok(Ending::Done);
    }
    let now_ms = mesh.now().wall_ms;
    for ((question, from, to), standing) in found {
        print::line(&format!(
            "{}  {} asks {}, {}",
            question.id,
            strong(from),
            strong(to),
            ago(now_ms - question.asked_at_ms),
        ))?;
        body(desk, question)?;
        print::line(&format!("  {}", standing.delivery.line(to, now_ms)))?;
    }
    if standings.is_empty() {
        print::line("no open questions")?;
    } else {
        print::line(&format!(
            "{}",
            "claude-mesh reply QUESTION_ID TEXT answers one".dimmed()
        ))?;
    }
    Ok(Ending::Done)
}

fn body(desk: &Desk, question: &Question) -> Result<(), Failure> {
    print::line(&indented(&desk.foreign(&question.question)))?;
    if let Some(context) = question.context.as_deref().filter(|text| !text.is_empty()) {
        print::line("  context:")?;
        print::line(&indented(&indented(&desk.foreign(context))))?;
    }
    Ok(())
}

pub(super) fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The beginning of a text on one line.
pub(super) fn one_line(text: &str) -> String {
    const CHARS: usize = 100;
    let line = crate::platform::text::one_line(text);
    let cut = crate::platform::text::cut_chars(&line, CHARS);
    if cut.len() < line.len() {
        format!("{cut}…")
    } else {
        line
    }
}
