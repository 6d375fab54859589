//! `claude-mesh inbox --follow`: shows a person what comes into the inbox, and makes the person reachable meanwhile.
use serde_json::{Value, json};

use super::inbox_format::{print_granted, print_late_answer, print_pending_questions};
use super::message::print_message;
use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::error::Failure;
use crate::cli::progress::StopFlag;
use crate::mesh::{Inbox, InboxFollower};
use crate::model::WakeState;
use crate::tools::output;

/// Prints what is pending, then each item as it comes, until a signal comes.
pub(super) fn follow(context: &CliContext) -> CommandResult {
    context.require_person("following the inbox")?;
    let mut member = context.join_as_terminal()?;
    let stop = StopFlag::on_signals(member.signal())?;
    let me = member.handle().clone();
    if !context.json && print::stderr_is_terminal() {
        print::err(&format!(
            "sessions can ask you as {} now; Ctrl-C ends this\n",
            me.name
        ))?;
    }
    let mut follower = InboxFollower::default();
    while let Some(found) = member.follow_inbox(&mut follower, || !stop.is_set())? {
        if context.json {
            print_lines(&found)?;
        } else {
            print_items(context, &found, member.mesh().now().wall_ms)?;
        }
        member
            .mesh()
            .mark_delivered(&me, &found, None, WakeState::Call)?;
    }
    Ok(CommandStatus::Done)
}

fn print_items(context: &CliContext, found: &Inbox, now_ms: i64) -> Result<(), Failure> {
    print_pending_questions(context, &found.questions, now_ms)?;
    for late in &found.answers {
        print_late_answer(context, late, now_ms)?;
    }
    for granted in &found.granted {
        print_granted(context, granted)?;
    }
    for message in &found.mail {
        print_message(context, message, now_ms)?;
    }
    Ok(())
}

/// Prints each item as one line of JSON; `kind` says what it is.
fn print_lines(found: &Inbox) -> Result<(), Failure> {
    let questions = found.questions.iter().map(output::waiting);
    let answers = found.answers.iter().map(output::late_answer);
    let granted = found.granted.iter().map(output::granted);
    let mail = found.mail.iter().map(output::message);
    let items = (questions.map(|item| ("question", item)))
        .chain(answers.map(|item| ("answer", item)))
        .chain(granted.map(|item| ("claim_granted", item)))
        .chain(mail.map(|item| ("message", item)));
    for (kind, item) in items {
        let mut line = json!({ "kind": kind });
        if let (Some(line), Value::Object(item)) = (line.as_object_mut(), item) {
            line.extend(item);
        }
        print::json_line(&line)?;
    }
    Ok(())
}
