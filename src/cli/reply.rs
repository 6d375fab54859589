//! `claude-mesh reply`: an answer, typed by a person or in a session's shell.
use std::io::Read;

use clap::Args;
use serde_json::json;

use super::desk::Desk;
use super::wrong::{Failure, Wrong};
use super::{Ending, Outcome, print};
use crate::ground::id::QuestionId;
use crate::mesh;
use crate::model::ask::TEXT_BYTES_MAX;
use crate::model::{QuestionState, Refusal};

/// Answer a question, or decline it
///
/// A person may answer any question of the mesh; the asker sees that a person answered.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh inbox --all                               the open questions with their ids
  claude-mesh reply 01KXYZ… 5433
  claude-mesh reply 01KXYZ… - < answer.md
  claude-mesh reply 01KXYZ… --decline 'ask the infra team'")]
pub(super) struct Reply {
    /// The id of the question.
    question_id: String,
    /// The answer, or with --decline the reason; `-` reads stdin.
    text: String,
    /// Say why there is no answer.
    #[arg(long)]
    decline: bool,
    /// Replace an answer given before.
    #[arg(long)]
    corrects: bool,
    /// Send a text although it looks like a secret; a person's right only.
    #[arg(long)]
    force: bool,
}

/// Answers.
pub(super) fn reply(desk: &Desk, args: &Reply) -> Outcome {
    let not_found = || Refusal::NotFound {
        id: args.question_id.clone(),
    };
    let question: QuestionId = args.question_id.trim().parse().map_err(|_| not_found())?;
    if args.force {
        desk.persons_only("--force")?;
    }
    let text = if args.text == "-" {
        read_stdin()?
    } else {
        args.text.clone()
    };
    let Some(mesh) = desk.open_existing()? else {
        return Err(not_found().into());
    };
    let mut seat = desk.sit(mesh)?;
    let reply = mesh::Reply {
        question,
        text: &text,
        decline: args.decline,
        corrects: args.corrects,
        force: args.force,
    };
    let replied = seat.mesh.reply(&seat.me, reply)?;
    if desk.json {
        print::json(&json!({
            "status": replied.state,
            "question_id": question,
            "to": replied.to,
            "asker_waiting": replied.asker_waiting,
            "late": replied.late,
        }))?;
        return Ok(Ending::Done);
    }
    let word = if replied.state == QuestionState::Declined {
        "declined"
    } else {
        "answered"
    };
    let way = if replied.asker_waiting {
        "it waits and has the answer now"
    } else {
        "it does not wait any more and finds the answer in its inbox"
    };
    print::line(&format!("{word} {}: {way}", replied.to))?;
    Ok(Ending::Done)
}

fn read_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(TEXT_BYTES_MAX as u64 + 2)
        .read_to_end(&mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.len() > TEXT_BYTES_MAX {
        let message = format!("the answer has more than {TEXT_BYTES_MAX} bytes");
        return Err(Wrong::new("too_large", message, "nothing was sent").into());
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::argument("the answer on stdin is not UTF-8", "nothing was sent"))
}
