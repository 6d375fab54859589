//! `claude-mesh state` in a folder whose mesh is at a hub.
use serde_json::Value;

use super::{ExpectedVersionArgs, NamespaceArgs, StateAction, StateArgs, read_value, ttl_seconds};
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::hub_context::{HubCall, HubContext, not_at_hub};
use crate::cli::hub_output::{print_line, print_table, shown};
use crate::cli::print;
use crate::platform::text;

pub(in crate::cli) fn run(hub: &HubContext, args: &StateArgs) -> CommandResult {
    hub.run(match &args.action {
        StateAction::Get { key, place } => {
            call("get", place, state_value).with("key", key.as_str())
        }
        StateAction::List { after, .. } if !after.is_empty() => {
            return Err(not_at_hub("--after"));
        }
        StateAction::List { prefix, place, .. } => {
            let prefix = Some(prefix.as_str()).filter(|prefix| !prefix.is_empty());
            call("list", place, state_entries).with_some("prefix", prefix)
        }
        StateAction::Delete {
            key,
            expected,
            place,
        } => call("delete", place, state_deleted)
            .with("key", key.as_str())
            .with_some("expected_version", version(expected)),
        StateAction::Set {
            key,
            value,
            text,
            ttl,
            expected,
            place,
        } => call("set", place, state_set)
            .with("key", key.as_str())
            .with("value", read_value(value, *text)?)
            .with_some("ttl_seconds", ttl.map(ttl_seconds).transpose()?)
            .with_some("expected_version", version(expected)),
    })
}

fn call(
    action: &str,
    place: &NamespaceArgs,
    print: fn(&HubContext, &Value) -> CommandResult,
) -> HubCall {
    let call = HubCall::new("state", print).with("action", action);
    call.with_some("namespace", place.namespace.as_deref())
}

fn version(expected: &ExpectedVersionArgs) -> Option<u32> {
    expected.expected_version
}

fn state_value(hub: &HubContext, result: &Value) -> CommandResult {
    if result["version"]
        .as_u64()
        .is_none_or(|version| version == 0)
    {
        let key = text::one_line(result["key"].as_str().unwrap_or_default());
        let hint = "`claude-mesh state list` lists the entries";
        print::notice(&format!("no entry {key:?}"), hint)?;
        return Ok(CommandStatus::NoAnswer);
    }
    match &result["value"] {
        Value::String(text) => hub.print_foreign(text)?,
        other => hub.print_foreign(&other.to_string())?,
    }
    Ok(CommandStatus::Done)
}

fn state_set(hub: &HubContext, result: &Value) -> CommandResult {
    let (key, version) = (shown(hub, &result["key"]), shown(hub, &result["version"]));
    print_line(&format!("{key} is set, version {version}"))
}

fn state_deleted(hub: &HubContext, result: &Value) -> CommandResult {
    let key = shown(hub, &result["key"]);
    print_line(&if result["deleted"] == true {
        format!("{key} is deleted")
    } else {
        format!("there was no {key}")
    })
}

fn state_entries(hub: &HubContext, result: &Value) -> CommandResult {
    let columns = [
        ("KEY", "key"),
        ("VERSION", "version"),
        ("SET BY", "updated_by"),
        ("VALUE", "value"),
    ];
    let none = "no entries; `claude-mesh state set KEY VALUE` creates one";
    print_table(hub, &result["entries"], &columns, none)
}
