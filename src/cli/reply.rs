//! `claude-mesh reply`: answers or declines a question, as a person or as the session above the shell.
#[cfg(feature = "remote")]
pub(super) mod at_hub;

use clap::Args;
use serde_json::json;

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::error::Failure;
use crate::cli::{print, text_input};
use crate::mesh;
use crate::model::{QuestionState, Refusal};
use crate::platform::id::QuestionId;

/// Answer a question, or decline it
///
/// A person may answer any question of the mesh; the asker sees that a person answered.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh inbox --all                               the open questions with their ids
  claude-mesh reply 01KXYZ… 5433
  claude-mesh reply 01KXYZ… - < answer.md
  claude-mesh reply 01KXYZ… --decline 'ask the infra team'")]
pub(super) struct ReplyArgs {
    /// The id of the question.
    question_id: String,
    /// The answer, or with --decline the reason; `-` reads stdin.
    text: String,
    /// Decline: TEXT is the reason.
    #[arg(long)]
    decline: bool,
    /// Replace an answer given before.
    #[arg(long)]
    corrects: bool,
    /// Send a text that looks like a secret; only a person may.
    #[arg(long)]
    force: bool,
}

pub(super) fn reply(context: &CliContext, args: &ReplyArgs) -> CommandResult {
    let not_found = || Refusal::UnknownQuestion {
        id: args.question_id.clone(),
    };
    let question: QuestionId = args.question_id.trim().parse().map_err(|_| not_found())?;
    if args.force {
        context.require_person("--force")?;
    }
    let text = answer_text(args)?;
    let Some(mesh) = context.open_existing()? else {
        return Err(not_found().into());
    };
    let mut session = context.register(mesh)?;
    let reply = mesh::Reply {
        question,
        text: &text,
        decline: args.decline,
        corrects: args.corrects,
        force: args.force,
        fork: None,
    };
    let replied = session.mesh.reply(&session.me, reply)?;
    if context.json {
        print::json(&json!({
            "status": replied.state,
            "question_id": question,
            "to": replied.to,
            "asker_waiting": replied.asker_waiting,
            "late": replied.late,
        }))?;
        return Ok(CommandStatus::Done);
    }
    print::line(&reply_text(&replied))?;
    Ok(CommandStatus::Done)
}

/// Returns the text of the answer, which may come from stdin.
fn answer_text(args: &ReplyArgs) -> Result<String, Failure> {
    text_input::read_typed("answer", &args.text)
}

/// Returns what came of a reply, for a person.
pub(super) fn reply_text(replied: &mesh::ReplyOutcome) -> String {
    let word = if replied.state == QuestionState::Declined {
        "declined"
    } else {
        "answered"
    };
    let way = if replied.asker_waiting {
        "it waits and has the answer now"
    } else {
        "it no longer waits and finds the answer in its inbox"
    };
    format!("{word} {}: {way}", replied.to)
}
