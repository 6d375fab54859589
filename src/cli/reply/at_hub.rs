//! `claude-mesh reply` in a folder whose mesh is at a hub.
use serde_json::Value;

use super::{ReplyArgs, answer_text};
use crate::cli::command_status::CommandResult;
use crate::cli::hub_context::{HubCall, HubContext, not_at_hub};
use crate::cli::hub_output::{print_line, shown};

pub(in crate::cli) fn run(hub: &HubContext, args: &ReplyArgs) -> CommandResult {
    if args.force {
        return Err(not_at_hub("--force"));
    }
    let call = HubCall::new("reply_to_peer", replied)
        .with("question_id", args.question_id.trim())
        .with("answer", answer_text(args)?)
        .with("decline", args.decline)
        .with("corrects", args.corrects);
    hub.run(call)
}

fn replied(hub: &HubContext, result: &Value) -> CommandResult {
    let way = if result["asker_waiting"] == true {
        "it waits and has the answer now"
    } else {
        "it no longer waits and finds the answer in its inbox"
    };
    let (status, to) = (shown(hub, &result["status"]), shown(hub, &result["to"]));
    print_line(&format!("{status} {to}: {way}"))
}
