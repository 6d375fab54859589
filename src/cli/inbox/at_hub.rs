//! `claude-mesh inbox` in a folder whose mesh is at a hub.
use serde_json::Value;

use super::InboxArgs;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::format::{bold_name, indent};
use crate::cli::hub_context::{HubCall, HubContext, not_at_hub};
use crate::cli::hub_output::{print_questions, shown};
use crate::cli::print;

pub(in crate::cli) fn run(hub: &HubContext, args: &InboxArgs) -> CommandResult {
    if args.follow {
        return Err(not_at_hub("--follow"));
    }
    if args.all || args.peer.is_some() {
        return Err(not_at_hub("the inbox of others"));
    }
    hub.run(HubCall::new("poll_inbox", inbox))
}

fn inbox(hub: &HubContext, result: &Value) -> CommandResult {
    print_questions(hub, &result["questions"])?;
    let list = |name: &str| result[name].as_array().cloned().unwrap_or_default();
    for answer in list("answers") {
        print::line(&format!(
            "{}  {} answered:\n{}",
            shown(hub, &answer["question_id"]),
            bold_name(&shown(hub, &answer["from"])),
            indent(&shown(hub, &answer["answer"])),
        ))?;
    }
    for granted in list("claims_granted") {
        let resource = shown(hub, &granted["resource"]);
        print::line(&format!("{resource} is yours now"))?;
    }
    for task in list("tasks") {
        let (id, title) = (shown(hub, &task["task_id"]), shown(hub, &task["title"]));
        print::line(&format!("{id}  a task for you: {title}"))?;
    }
    let unread = result["messages_unread"].as_u64().unwrap_or(0);
    if unread > 0 {
        print::line(&format!(
            "{unread} unread; `claude-mesh messages` shows them"
        ))?;
    }
    if unread == 0
        && ["questions", "answers", "claims_granted", "tasks"]
            .iter()
            .all(|it| list(it).is_empty())
    {
        print::line("nothing waits for you")?;
    }
    Ok(CommandStatus::Done)
}
