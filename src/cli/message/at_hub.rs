//! `claude-mesh post` and `claude-mesh messages` in a folder whose mesh is at a hub.
use owo_colors::OwoColorize;
use serde_json::Value;

use super::{MessagesArgs, PostArgs, body_text, ttl_seconds};
use crate::cli::command_status::CommandResult;
use crate::cli::format::{bold_name, indent};
use crate::cli::hub_context::{HubCall, HubContext, not_at_hub};
use crate::cli::hub_output::{print_line, print_table, shown};
use crate::cli::print;
use crate::model::MessageType;
use crate::platform::text;

pub(in crate::cli) fn post(hub: &HubContext, args: &PostArgs) -> CommandResult {
    if args.force {
        return Err(not_at_hub("--force"));
    }
    let call = HubCall::new("post", posted)
        .with("to", args.to.as_str())
        .with("body", body_text(args)?)
        .with("type", MessageType::from(args.kind).as_str())
        .with_some("subject", args.subject.as_deref())
        .with_some("ttl_seconds", args.ttl.map(ttl_seconds))
        .with_some("in_reply_to", args.reply_to.as_deref())
        .with_some("idempotency_key", args.key.as_deref());
    hub.run(call)
}

pub(in crate::cli) fn messages(hub: &HubContext, args: &MessagesArgs) -> CommandResult {
    if let Some(id) = &args.read {
        return hub.run(HubCall::new("mark_read", marked_read).with("up_to", id.as_str()));
    }
    let subscribe = |action: &str| HubCall::new("subscribe", topics).with("action", action);
    if args.topics {
        return hub.run(subscribe("list"));
    }
    if !args.subscribe.is_empty() {
        return hub.run(subscribe("subscribe").with_all("topics", &args.subscribe));
    }
    if !args.unsubscribe.is_empty() {
        return hub.run(subscribe("unsubscribe").with_all("topics", &args.unsubscribe));
    }
    let call = HubCall::new("list_messages", listed)
        .with_all("topics", &args.topic)
        .with("filter", if args.all { "all" } else { "unread" })
        .with_some("from", args.from.as_deref())
        .with("limit", args.limit)
        .with_some("after", args.after.as_deref());
    hub.run(call)
}

fn posted(hub: &HubContext, result: &Value) -> CommandResult {
    let offline = match result["offline"].as_array() {
        Some(names) if !names.is_empty() => {
            format!(
                "; offline, get it later: {}",
                shown(hub, &result["offline"])
            )
        }
        _ => String::new(),
    };
    let id = shown(hub, &result["message_id"]);
    print_line(&format!("posted{offline}  {}", id.dimmed()))
}

fn listed(hub: &HubContext, result: &Value) -> CommandResult {
    let messages = result["messages"].as_array().cloned().unwrap_or_default();
    for message in &messages {
        let subject = match message["subject"].as_str() {
            Some(subject) => format!(": {}", hub.sanitize_foreign(&text::one_line(subject))),
            None => String::new(),
        };
        print::line(&format!(
            "{}  {} to {}, {}{subject}",
            shown(hub, &message["message_id"]),
            bold_name(&shown(hub, &message["from"])),
            shown(hub, &message["to"]),
            shown(hub, &message["posted_at"]),
        ))?;
        let body = message["body"].as_str().unwrap_or_default();
        print::line(&indent(&hub.sanitize_foreign(body)))?;
    }
    match messages.last() {
        None => print_line("no messages"),
        Some(last) => {
            let id = shown(hub, &last["message_id"]);
            let done = format!("claude-mesh messages --read {id} marks them as read");
            print_line(&done.dimmed().to_string())
        }
    }
}

fn marked_read(_: &HubContext, result: &Value) -> CommandResult {
    print_line(&match result["remaining"].as_u64() {
        Some(0) | None => "everything is read".to_owned(),
        Some(more) => format!("{more} unread"),
    })
}

fn topics(hub: &HubContext, result: &Value) -> CommandResult {
    let columns = [("TOPIC", "topic"), ("SUBSCRIBERS", "subscribers")];
    let none = "no topic has a subscriber";
    print_table(hub, &result["topics"], &columns, none)
}
