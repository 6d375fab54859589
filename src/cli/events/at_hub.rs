//! `claude-mesh events` in a folder whose mesh is at a hub.
use owo_colors::OwoColorize;
use serde_json::Value;

use super::{EventsArgs, now_ms};
use crate::cli::command_status::CommandResult;
use crate::cli::error::Failure;
use crate::cli::format::bold_name;
use crate::cli::hub_context::{HubCall, HubContext, not_at_hub, status_of, wait_seconds};
use crate::cli::hub_output::{print_line, print_questions, shown};
use crate::cli::print;
use crate::platform::clock::rfc3339;

pub(in crate::cli) fn run(hub: &HubContext, args: &EventsArgs) -> CommandResult {
    if args.follow {
        return Err(not_at_hub("--follow"));
    }
    if let Some(kind) = &args.emit {
        let call = HubCall::new("events", event_emitted)
            .with("action", "emit")
            .with("type", kind.as_str());
        let data = args.data.as_deref().map(read_data).transpose()?;
        return hub.run(call.with_some("data", data));
    }
    let since = args.since.map(|since| rfc3339(since.wall_ms(now_ms())));
    let call = HubCall::new("events", events)
        .with_all("types", &args.types)
        .with_some("after", args.after)
        .with_some("since", since)
        .with("limit", args.limit);
    hub.run(if args.wait {
        call.with("action", "wait")
            .with("timeout_seconds", wait_seconds("--timeout", args.timeout)?)
    } else {
        call
    })
}

fn read_data(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::argument(format!("--data is no JSON: {error}"), "nothing was emitted")
    })
}

fn events(hub: &HubContext, result: &Value) -> CommandResult {
    for event in result["events"].as_array().into_iter().flatten() {
        print::line(&format!(
            "{}  {}  {}  {}  {}  {}",
            shown(hub, &event["seq"]),
            shown(hub, &event["at"]),
            bold_name(&shown(hub, &event["type"])),
            shown(hub, &event["by"]),
            shown(hub, &event["subject"]),
            shown(hub, &event["data"]).dimmed(),
        ))?;
    }
    if result["events"].as_array().is_none_or(Vec::is_empty) {
        print::line("no such events")?;
    }
    if result["truncated"] == true {
        let next = shown(hub, &result["next"]);
        print::line(&format!("there are more; continue with `--after {next}`"))?;
    }
    print_questions(hub, &result["questions"])?;
    Ok(status_of(result))
}

fn event_emitted(hub: &HubContext, result: &Value) -> CommandResult {
    print_line(&format!("event {}", shown(hub, &result["seq"])))
}
