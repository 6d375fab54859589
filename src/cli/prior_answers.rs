//! Earlier answers on the command line: beside a question that has none now, alone with `ask --known`, and how often they
//! helped with `log --known`.
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::inbox::one_line;
use super::peer::{explained, strong};
use super::{Ending, Outcome, print};
use crate::cli::context::Desk;
use crate::cli::duration::Since;
use crate::cli::error::Failure;
use crate::mesh::{Asking, Known, Member};
use crate::model::peer::Address;
use crate::model::question::ago;
use crate::platform::clock::rfc3339;
use crate::platform::id::{PeerId, QuestionId};
use crate::tools::output;

/// Shows earlier answers of a peer and asks nobody.
pub(super) fn only(desk: &Desk, to: &Address, question: &str) -> Outcome {
    let mut member = desk.join()?;
    let me = member.sitting().clone();
    let (peer, name) = match member.mesh().addressee(&me, to, question) {
        Err(error) => return Err(explained(member.mesh(), error)?),
        found => found?,
    };
    let asking = Asking {
        peer,
        question,
        id: None,
    };
    let known = member.mesh().known(&me, asking)?;
    if desk.json {
        print::json(&output::known_only(&name, &known))?;
    } else if known.is_empty() {
        print::err(&format!(
            "claude-mesh: {name} has answered nothing like that\n{}: without --known the question is put to it\n",
            "hint".cyan()
        ))?;
    } else {
        list(desk, &known, member.mesh().now().wall_ms)?;
    }
    Ok(if known.is_empty() {
        Ending::NoAnswer
    } else {
        Ending::Done
    })
}

/// Adds earlier answers to the result of a question that is stored.
pub(super) fn add(
    member: &mut Member,
    peer: PeerId,
    id: QuestionId,
    question: &str,
    result: &mut Value,
) -> Result<(), Failure> {
    let known = look(member, peer, Some(id), question)?;
    result["known"] = json!(output::known(&known));
    Ok(())
}

/// Prints earlier answers beside a question that is stored, if there are any.
pub(super) fn tell(
    desk: &Desk,
    member: &mut Member,
    peer: PeerId,
    id: Option<QuestionId>,
    question: &str,
) -> Result<(), Failure> {
    let known = look(member, peer, id, question)?;
    if !known.is_empty() {
        print::line("answered earlier to questions like this one:")?;
        list(desk, &known, member.mesh().now().wall_ms)?;
    }
    Ok(())
}

fn look(
    member: &mut Member,
    peer: PeerId,
    id: Option<QuestionId>,
    question: &str,
) -> Result<Vec<Known>, Failure> {
    let me = member.sitting().clone();
    let asking = Asking { peer, question, id };
    Ok(member.mesh().known(&me, asking)?)
}

fn list(desk: &Desk, known: &[Known], now_ms: i64) -> Result<(), Failure> {
    for one in known {
        let answered = &one.answered;
        let commits = match (&answered.head, &one.head_now) {
            (Some(then), Some(now)) if then == now => ", at the same commit as now".to_owned(),
            (Some(then), Some(now)) => format!(", at {}, now {}", short(then), short(now)),
            (Some(then), None) => format!(", at {}", short(then)),
            (None, _) => String::new(),
        };
        print::line(&format!(
            "{} {}",
            strong(&desk.foreign(&one_line(&answered.question))),
            format!("({}{commits})", ago(now_ms - answered.answered_at_ms)).dimmed()
        ))?;
        for line in desk.foreign(&answered.answer).lines() {
            print::line(&format!("  {line}"))?;
        }
    }
    Ok(())
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// Prints how often earlier answers helped, and whom.
pub(super) fn counts(desk: &Desk, since: Since) -> Outcome {
    let Some(mut mesh) = desk.open_existing()? else {
        return desk.no_mesh(&json!({ "results": 0, "by": [] }));
    };
    let since_ms = since.wall_ms(mesh.now().wall_ms);
    let counts = mesh.known_counts(since_ms)?;
    let results: usize = counts.iter().map(|count| count.results).sum();
    if desk.json {
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
        return Ok(Ending::Done);
    }
    let now_ms = mesh.now().wall_ms;
    for count in &counts {
        print::line(&format!(
            "{} asked {}: {} results with earlier answers ({} in all), the last {}",
            strong(&desk.foreign(&count.asker)),
            strong(&desk.foreign(&count.peer)),
            count.results,
            count.answers,
            ago(now_ms - count.last_at_ms)
        ))?;
    }
    print::line(&format!(
        "earlier answers came with {results} results since {}",
        rfc3339(since_ms)
    ))?;
    Ok(Ending::Done)
}
