//! Finds, adds, updates and removes the hooks that start programs of claude-mesh.
use serde_json::{Value, json};

use super::entries::{WantedHook, own_hook_program};
use super::json_items::{ContainerKind, PathStep};
use super::json_text::JsonText;
use super::parse_error::ParseError;
use crate::claude_code::{ASYNC_REWAKE, HookGroup};

/// A hook in a settings file that starts a program of claude-mesh.
#[derive(Clone, Debug)]
pub(crate) struct WiredHook {
    pub(crate) event: String,
    pub(crate) program: String,
    /// The group that holds the entry.
    pub(crate) group: Value,
    pub(crate) entry: Value,
    pub(crate) position: HookPosition,
}

/// Index of the group in its event, and of the entry in the group.
type HookPosition = (usize, usize);

/// Returns the path of the groups of an event.
pub(crate) fn event_path(event: &str) -> [PathStep<'_>; 2] {
    ["hooks".into(), event.into()]
}

/// Returns every hook that starts a program of claude-mesh, in reverse order of the file.
pub(crate) fn wired_hooks(json: &JsonText) -> Result<Vec<WiredHook>, ParseError> {
    let mut found = Vec::new();
    json.check_kind(&["hooks".into()], ContainerKind::Object)?;
    let Some(Value::Object(events)) = json.value(&["hooks".into()])? else {
        return Ok(found);
    };
    for (event, groups) in events {
        let groups = groups.as_array().into_iter().flatten();
        for (group_index, group) in groups.enumerate() {
            let entries = group.get("hooks").and_then(Value::as_array);
            for (index, entry) in entries.into_iter().flatten().enumerate() {
                if let Some(program) = own_hook_program(entry) {
                    found.push(WiredHook {
                        event: event.clone(),
                        program,
                        group: group.clone(),
                        entry: entry.clone(),
                        position: (group_index, index),
                    });
                }
            }
        }
    }
    found.reverse();
    Ok(found)
}

/// Returns the hooks that start this program.
pub(crate) fn hooks_of_program(
    json: &JsonText,
    program: &str,
) -> Result<Vec<WiredHook>, ParseError> {
    let mut found = wired_hooks(json)?;
    found.retain(|hook| hook.program == program);
    Ok(found)
}

/// Leaves exactly one hook for this event and program, in a group that runs wherever the hook is wanted.
pub(crate) fn add_hook(json: &mut JsonText, wanted: &WantedHook) -> Result<(), ParseError> {
    let event = event_path(wanted.event);
    json.check_kind(&event, ContainerKind::Array)?;
    let mut current = hooks_of_program(json, &wanted.program)?;
    current.retain(|hook| hook.event == wanted.event);
    match current
        .iter()
        .rposition(|hook| wanted.is_run_by_group(&hook.group))
    {
        Some(kept) => update_hook(json, wanted, &current.remove(kept))?,
        None => json.push(
            &event,
            &HookGroup {
                matcher: wanted.matcher.clone(),
                hooks: vec![wanted.hook.clone()],
            },
        )?,
    }
    for duplicate in &current {
        drop_hook(json, duplicate)?;
    }
    Ok(())
}

/// Sets the keys of a hook that are not as wanted. A timeout that its user has set stays.
fn update_hook(
    json: &mut JsonText,
    wanted: &WantedHook,
    current: &WiredHook,
) -> Result<(), ParseError> {
    let positive = |timeout: &Value| timeout.as_f64().is_some_and(|seconds| seconds > 0.0);
    let timeout = current
        .entry
        .get("timeout")
        .filter(|timeout| positive(timeout));
    let async_rewake = wanted
        .hook
        .async_rewake
        .then(|| (ASYNC_REWAKE, json!(true)));
    let keys = [
        ("type", json!(wanted.hook.kind)),
        ("command", json!(wanted.hook.command)),
        ("args", json!(wanted.hook.args)),
        (
            "timeout",
            timeout.cloned().unwrap_or(json!(wanted.hook.timeout)),
        ),
    ];
    let (group, index) = current.position;
    let [hooks, event] = event_path(wanted.event);
    for (key, value) in keys.into_iter().chain(async_rewake) {
        if current.entry.get(key) != Some(&value) {
            let path = [
                hooks,
                event,
                group.into(),
                "hooks".into(),
                index.into(),
                key.into(),
            ];
            json.set(&path, &value)?;
        }
    }
    Ok(())
}

/// Removes a hook, then its group and event if nothing else is in them.
pub(crate) fn drop_hook(json: &mut JsonText, hook: &WiredHook) -> Result<(), ParseError> {
    let (group, index) = hook.position;
    let [hooks, event] = event_path(&hook.event);
    let entries: [PathStep<'_>; 4] = [hooks, event, group.into(), "hooks".into()];
    if json.list(&entries)?.len() == 1 {
        json.prune(&entries[..3])
    } else {
        json.remove(&[&entries[..], &[index.into()]].concat())
    }
}
