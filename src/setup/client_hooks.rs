//! Adds and removes the hooks of other clients: the same groups of entries as in Claude Code, but each command is a line for
//! a shell, and the events of Gemini CLI have names of their own.
use std::path::Path;

use serde_json::{Value, json};

use super::entries::own_hook_program;
use super::error::InstallError;
use super::json_items::{ContainerKind, PathStep};
use super::json_text::JsonText;
use super::parse_error::ParseError;
use crate::setup::hook_edits::{drop_hook, event_path, hooks_of_program, wired_hooks};

const CODEX_HOOKS: &str = include_str!("../../config/hooks-codex.json");
/// Begins the command of each hook in the shipped files.
const COMMAND_START: &str = "claude-mesh-";

/// Returns the content of the file of hooks of the Codex CLI, with the programs in this folder.
pub(crate) fn codex_hooks(programs: &Path) -> Result<Value, InstallError> {
    with_programs(&read(CODEX_HOOKS), programs)
}

/// Returns a shipped file with the programs of its hooks in this folder.
pub(crate) fn with_programs(shipped: &Value, programs: &Path) -> Result<Value, InstallError> {
    let mut file = shipped.clone();
    let groups = file["hooks"].as_object_mut().into_iter().flatten();
    let groups = groups.flat_map(|(_, groups)| groups.as_array_mut().into_iter().flatten());
    let entries = groups.flat_map(|group| group["hooks"].as_array_mut().into_iter().flatten());
    for entry in entries {
        let line = entry["command"].as_str().unwrap_or_default();
        let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
        debug_assert!(name.starts_with(COMMAND_START), "{name}");
        let program = programs.join(name);
        let quoted = program
            .to_str()
            .and_then(|path| shlex::try_quote(path).ok());
        let quoted = quoted.ok_or_else(|| {
            InstallError::unusable(&program, "its name cannot be written for a shell")
        })?;
        entry["command"] = json!(format!("{quoted} {arguments}"));
    }
    Ok(file)
}

fn read(shipped: &str) -> Value {
    serde_json::from_str(shipped).expect("the files in config are checked by a test")
}

/// Adds the hooks of a file, and updates the command of those that are there.
pub(crate) fn add_client_hooks(json: &mut JsonText, file: &Value) -> Result<(), ParseError> {
    let events = || file["hooks"].as_object().into_iter().flatten();
    json.check_kind(&["hooks".into()], ContainerKind::Object)?;
    for (event, _) in events() {
        json.check_kind(&event_path(event), ContainerKind::Array)?;
    }
    for (event, groups) in events() {
        for group in groups.as_array().into_iter().flatten() {
            add_group(json, event, group)?;
        }
    }
    Ok(())
}

fn add_group(json: &mut JsonText, event: &str, group: &Value) -> Result<(), ParseError> {
    let wanted = &group["hooks"][0];
    let program = own_hook_program(wanted).unwrap_or_default();
    let mut current = hooks_of_program(json, &program)?;
    current.retain(|hook| hook.event == event);
    // They come in reverse order of the file: the first of the file stays.
    let Some(kept) = current.pop() else {
        return json.push(&event_path(event), group);
    };
    if kept.entry["command"] != wanted["command"] {
        let [hooks, name] = event_path(event);
        let (at_group, at) = kept.position;
        let command: [PathStep<'_>; 6] = [
            hooks,
            name,
            at_group.into(),
            "hooks".into(),
            at.into(),
            "command".into(),
        ];
        json.set(&command, &wanted["command"])?;
    }
    current
        .iter()
        .try_for_each(|duplicate| drop_hook(json, duplicate))
}

/// Removes every hook that starts a program of claude-mesh.
pub(crate) fn drop_client_hooks(json: &mut JsonText) -> Result<(), ParseError> {
    let hooks = wired_hooks(json)?;
    hooks.iter().try_for_each(|hook| drop_hook(json, hook))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_of_a_client_are_added_once_and_removed_without_a_trace() {
        let wanted = codex_hooks(Path::new("/opt/my mesh")).unwrap();
        let command = &wanted["hooks"]["Stop"][0]["hooks"][0]["command"];
        assert_eq!(
            command,
            "'/opt/my mesh/claude-mesh-inbox-poll' --other-client"
        );
        for before in [
            "{}",
            "{\n  \"hooks\": {\"Stop\": [ {\"hooks\": [{\"type\":\"command\",\"command\":\"say done\"}]} ]}\n}\n",
            "{\"a\":1}\n",
        ] {
            let mut json = JsonText::parse(before.as_bytes()).unwrap();
            add_client_hooks(&mut json, &wanted).unwrap();
            let once = json.bytes();
            add_client_hooks(&mut json, &wanted).unwrap();
            assert_eq!(json.bytes(), once);
            let moved = codex_hooks(Path::new("/new")).unwrap();
            add_client_hooks(&mut json, &moved).unwrap();
            let text = String::from_utf8(json.bytes()).unwrap();
            assert_eq!(text.matches("/new/claude-mesh-").count(), 4, "{text}");
            assert!(!text.contains("/opt/"), "{text}");
            drop_client_hooks(&mut json).unwrap();
            assert_eq!(json.bytes(), before.as_bytes());
        }
    }
}
