//! `claude-mesh memory` in a folder whose mesh is at a hub.
use owo_colors::OwoColorize;
use serde_json::Value;

use super::{ForgetArgs, MemoryAction, MemoryArgs, MemoryFilterArgs, RememberArgs, memory_text};
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::format::{bold_name, indent};
use crate::cli::hub_context::{HubCall, HubContext, not_at_hub};
use crate::cli::hub_output::{print_line, shown};
use crate::cli::print;
use crate::model::memory::MemoryScope;

pub(in crate::cli) fn run(hub: &HubContext, args: &MemoryArgs) -> CommandResult {
    match &args.action {
        MemoryAction::Remember(args) => remember(hub, args),
        MemoryAction::Recall(args) if args.history => Err(not_at_hub("--history")),
        MemoryAction::Recall(args) => {
            let words = args.query.join(" ");
            let query = Some(words).filter(|words| !words.is_empty());
            let call = recall(&args.filter).with_some("query", query);
            hub.run(call.with_some("key", args.key.as_deref()))
        }
        MemoryAction::List(args) => hub.run(recall(&args.filter)),
        MemoryAction::Forget(args) => forget(hub, args),
    }
}

fn remember(hub: &HubContext, args: &RememberArgs) -> CommandResult {
    if args.force {
        return Err(not_at_hub("--force"));
    }
    let call = HubCall::new("remember", remembered)
        .with("text", memory_text(args)?)
        .with_some("key", args.key.as_deref())
        .with_all("tags", &args.tags)
        .with_some("ttl_seconds", args.ttl.map(|ttl| ttl.as_secs()))
        .with("scope", MemoryScope::from(args.scope).as_str());
    hub.run(call)
}

fn recall(filter: &MemoryFilterArgs) -> HubCall {
    let scope = filter.scope.map(|scope| MemoryScope::from(scope).as_str());
    HubCall::new("recall", recalled)
        .with_all("tags", &filter.tags)
        .with_some("scope", scope)
        .with("limit", filter.limit)
}

fn forget(hub: &HubContext, args: &ForgetArgs) -> CommandResult {
    let call = HubCall::new("forget", forgotten);
    hub.run(match &args.id {
        Some(id) => call.with("memory_id", id.trim()),
        None => call.with_some("key", args.key.as_deref().or(args.named.as_deref())),
    })
}

fn remembered(hub: &HubContext, result: &Value) -> CommandResult {
    let id = shown(hub, &result["memory_id"]);
    print_line(&format!("remembered  {}", id.dimmed()))
}

fn recalled(hub: &HubContext, result: &Value) -> CommandResult {
    let memories = result["memories"].as_array().cloned().unwrap_or_default();
    for memory in &memories {
        let key = match memory["key"].as_str() {
            Some(key) => format!("{}  ", bold_name(&hub.sanitize_foreign(key))),
            None => String::new(),
        };
        let (by, at) = (shown(hub, &memory["by"]), shown(hub, &memory["at"]));
        let details = format!("{by}, {at}  {}", shown(hub, &memory["memory_id"]));
        print::line(&format!("{key}{}", details.dimmed()))?;
        let text = memory["text"].as_str().unwrap_or_default();
        print::line(&indent(&hub.sanitize_foreign(text)))?;
    }
    if memories.is_empty() {
        print::line("no such memory here")?;
    }
    Ok(CommandStatus::Done)
}

fn forgotten(_: &HubContext, result: &Value) -> CommandResult {
    print_line(match result["forgotten"].as_u64() {
        Some(0) | None => "no such memory; nothing was changed",
        Some(_) => "erased, with its earlier versions",
    })
}
