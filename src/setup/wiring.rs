//! What a file should hold when we are wired in, and when we are out again; the text changes nowhere else.
//!
//! An entry of ours that is there is mended key by key, so that what its owner added (`timeout`, `env`,
//! `alwaysLoad`) stays. Only keys and entries that became empty by our leaving go with us; an empty `hooks` or
//! `mcpServers` that stood there before cannot be told from ours and goes too, which means the same to Claude Code.
use serde_json::{Value, json};

use super::entries::{
    ALLOW_RULE, CONFIRM_RULE, GUARD_PROGRAM, HookSets, PROJECT_PATH_VAR, REWAKE_PROGRAM,
    SERVER_NAME, WantedHook, our_hook_program, our_server_program,
};
use super::json_items::{ContainerKind, PathStep};
use super::json_text::JsonText;
use crate::claude_code::{ASYNC_REWAKE, HookGroup, ServerEntry};
use crate::setup::parse_error::ParseError;

/// What a person may choose when wiring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstallOptions {
    /// Ask the person before an answer to a peer leaves. Wiring again without it takes nothing back.
    pub confirm_answers: bool,
    /// What wakes an idle session; `None` leaves it as it is.
    pub wake: Option<WakeMethod>,
    /// Deny edits of files that another session has claimed. Wiring again without it takes nothing back.
    pub guard: bool,
}

/// What wakes an idle session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeMethod {
    /// A line in its inbox; nothing is put in for it.
    Inbox,
    /// A hook that waits beside it.
    Rewake,
}

/// What is to become of one file.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// The server entry goes in, or is brought up to date.
    AddServer(ServerEntry),
    /// Hooks and permission rules go in, or are brought up to date.
    AddSettings(HookSets, InstallOptions),
    /// The server entry goes out.
    DropServer,
    /// Hooks and permission rules go out.
    DropSettings,
}

impl Edit {
    pub(crate) fn apply(&self, json: &mut JsonText) -> Result<(), ParseError> {
        match self {
            Self::AddServer(server) => add_server(json, server),
            Self::AddSettings(hooks, options) => {
                check_settings(json, hooks.always.iter().map(|wanted| wanted.event))?;
                for wanted in &hooks.always {
                    add_hook(json, wanted)?;
                }
                match options.wake {
                    Some(WakeMethod::Inbox) => drop_rewake_hooks(json)?,
                    None if hooks_of_program(json, REWAKE_PROGRAM)?.is_empty() => {}
                    None | Some(WakeMethod::Rewake) => {
                        for wanted in &hooks.rewake_hooks {
                            add_hook(json, wanted)?;
                        }
                    }
                }
                if options.guard || !hooks_of_program(json, GUARD_PROGRAM)?.is_empty() {
                    for wanted in &hooks.guard {
                        add_hook(json, wanted)?;
                    }
                }
                add_rule(json, "allow", ALLOW_RULE)?;
                if options.confirm_answers {
                    add_rule(json, "ask", CONFIRM_RULE)?;
                }
                Ok(())
            }
            Self::DropServer => {
                json.check_kind(&["mcpServers".into()], ContainerKind::Object)?;
                json.prune(&server_path())
            }
            Self::DropSettings => {
                let ours = our_hooks(json)?;
                check_settings(json, ours.iter().map(|(event, ..)| event.as_str()))?;
                for (event, position, _) in &ours {
                    drop_hook(json, event, *position)?;
                }
                drop_rule(json, "allow", ALLOW_RULE)?;
                drop_rule(json, "ask", CONFIRM_RULE)
            }
        }
    }

    /// Does this edit only take things out?
    pub(crate) fn is_removal(&self) -> bool {
        matches!(self, Self::DropServer | Self::DropSettings)
    }
}

/// Where a hook stands below its event: group, then entry.
pub(crate) type HookPosition = (usize, usize);

/// Every hook that starts a program of ours, last first, with its event and the whole entry.
pub(crate) fn our_hooks(json: &JsonText) -> Result<Vec<(String, HookPosition, Value)>, ParseError> {
    let mut found = Vec::new();
    json.check_kind(&["hooks".into()], ContainerKind::Object)?;
    let Some(Value::Object(events)) = json.value(&["hooks".into()])? else {
        return Ok(found);
    };
    for (event, groups) in events {
        let groups = groups.as_array().into_iter().flatten();
        for (group, value) in groups.enumerate() {
            let hooks = value.get("hooks").and_then(Value::as_array);
            for (index, hook) in hooks.into_iter().flatten().enumerate() {
                if our_hook_program(hook).is_some() {
                    found.push((event.clone(), (group, index), hook.clone()));
                }
            }
        }
    }
    found.reverse();
    Ok(found)
}

/// The hooks that start one program of ours.
fn hooks_of_program(
    json: &JsonText,
    program: &str,
) -> Result<Vec<(String, HookPosition, Value)>, ParseError> {
    let mut found = our_hooks(json)?;
    found.retain(|(.., hook)| our_hook_program(hook).as_deref() == Some(program));
    Ok(found)
}

fn drop_rewake_hooks(json: &mut JsonText) -> Result<(), ParseError> {
    for (event, position, _) in hooks_of_program(json, REWAKE_PROGRAM)? {
        drop_hook(json, &event, position)?;
    }
    Ok(())
}

/// The rules of one list below `permissions`.
pub(crate) fn rules(json: &JsonText, list: &str) -> Result<Vec<Value>, ParseError> {
    json.list(&["permissions".into(), list.into()])
}

/// Does this rule speak of our whole server?
pub(crate) fn covers_server(rule: &Value) -> bool {
    matches!(
        rule.as_str(),
        Some("mcp__claude-mesh" | "mcp__claude-mesh__*")
    )
}

pub(crate) fn server_path() -> [PathStep<'static>; 2] {
    ["mcpServers".into(), SERVER_NAME.into()]
}

/// Refuses before the first change, so that line and column are those of the file.
fn check_settings<'a>(
    json: &JsonText,
    events: impl Iterator<Item = &'a str>,
) -> Result<(), ParseError> {
    json.check_kind(&["hooks".into()], ContainerKind::Object)?;
    for event in events {
        json.check_kind(&["hooks".into(), event.into()], ContainerKind::Array)?;
    }
    json.check_kind(&["permissions".into()], ContainerKind::Object)?;
    json.check_kind(
        &["permissions".into(), "allow".into()],
        ContainerKind::Array,
    )?;
    json.check_kind(&["permissions".into(), "ask".into()], ContainerKind::Array)
}

fn add_server(json: &mut JsonText, server: &ServerEntry) -> Result<(), ParseError> {
    json.check_kind(&["mcpServers".into()], ContainerKind::Object)?;
    let [servers, name] = server_path();
    let entry = json.value(&[servers, name])?;
    let Some(entry) = entry.filter(|entry| entry.get("command").is_some_and(Value::is_string))
    else {
        return json.set(&[servers, name], server);
    };
    json.check_kind(&[servers, name, "env".into()], ContainerKind::Object)?;
    let mut set_unless_current = |key: &'static str, wanted: Value, is_current: bool| {
        if is_current {
            Ok(())
        } else {
            json.set(&[servers, name, key.into()], &wanted)
        }
    };
    set_unless_current(
        "type",
        json!(server.kind),
        entry.get("type") == Some(&json!(server.kind)),
    )?;
    set_unless_current(
        "command",
        json!(server.command),
        entry["command"] == json!(server.command),
    )?;
    let starts_our_server =
        our_server_program(&entry).is_some_and(|program| server.command.ends_with(&program));
    set_unless_current(
        "args",
        json!(server.args),
        starts_our_server && entry.get("args").is_some_and(Value::is_array),
    )?;
    let project_path_key: [PathStep<'_>; 4] =
        [servers, name, "env".into(), PROJECT_PATH_VAR.into()];
    let current = json.value(&project_path_key)?;
    match server.env.get(PROJECT_PATH_VAR) {
        Some(path) if current != Some(json!(path)) => json.set(&project_path_key, path),
        None if current.is_some() => json.prune(&project_path_key),
        _ => Ok(()),
    }
}

/// Leaves exactly one hook for this event and program, in a group that runs when it is wanted.
fn add_hook(json: &mut JsonText, wanted: &WantedHook) -> Result<(), ParseError> {
    let event: [PathStep<'_>; 2] = ["hooks".into(), wanted.event.into()];
    let groups = json.list(&event)?;
    let mut positions: Vec<HookPosition> = our_hooks(json)?
        .into_iter()
        .filter(|(event_name, _, hook)| {
            event_name == wanted.event && our_hook_program(hook).as_ref() == Some(&wanted.program)
        })
        .map(|(_, position, _)| position)
        .collect();
    match positions
        .iter()
        .rposition(|(group, _)| wanted.is_run_by_group(&groups[*group]))
    {
        Some(kept) => {
            let (group, index) = positions.remove(kept);
            update_hook(json, wanted, (group, index), &groups[group]["hooks"][index])?;
        }
        None => json.push(
            &event,
            &HookGroup {
                matcher: wanted.matcher.clone(),
                hooks: vec![wanted.hook.clone()],
            },
        )?,
    }
    for position in positions {
        drop_hook(json, wanted.event, position)?;
    }
    Ok(())
}

fn update_hook(
    json: &mut JsonText,
    wanted: &WantedHook,
    (group, index): HookPosition,
    current: &Value,
) -> Result<(), ParseError> {
    let positive = |timeout: &Value| timeout.as_f64().is_some_and(|seconds| seconds > 0.0);
    let timeout = current.get("timeout").filter(|timeout| positive(timeout));
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
    for (key, value) in keys.into_iter().chain(async_rewake) {
        if current.get(key) != Some(&value) {
            let path: [PathStep<'_>; 6] = [
                "hooks".into(),
                wanted.event.into(),
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

/// Takes one hook out, and its group and event where nothing else is left in them.
fn drop_hook(
    json: &mut JsonText,
    event: &str,
    (group, index): HookPosition,
) -> Result<(), ParseError> {
    let hooks: [PathStep<'_>; 4] = ["hooks".into(), event.into(), group.into(), "hooks".into()];
    if json.list(&hooks)?.len() == 1 {
        json.prune(&hooks[..3])
    } else {
        json.remove(&[&hooks[..], &[index.into()]].concat())
    }
}

fn add_rule(json: &mut JsonText, list: &str, rule: &str) -> Result<(), ParseError> {
    let is_present = rules(json, list)?
        .iter()
        .any(|current| current == rule || (rule == ALLOW_RULE && covers_server(current)));
    if is_present {
        return Ok(());
    }
    json.push(&["permissions".into(), list.into()], &rule)
}

fn drop_rule(json: &mut JsonText, list: &str, rule: &str) -> Result<(), ParseError> {
    for (index, current) in rules(json, list)?.iter().enumerate().rev() {
        if current == rule {
            json.prune(&["permissions".into(), list.into(), index.into()])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::entries::server;
    use super::*;

    const PROGRAMS: &str = "/opt/mesh/bin";

    fn text(content: &str) -> JsonText {
        JsonText::parse(content.as_bytes()).unwrap()
    }

    fn after(edit: &Edit, content: &str) -> String {
        let mut json = text(content);
        edit.apply(&mut json).unwrap();
        String::from_utf8(json.bytes()).unwrap()
    }

    fn value(content: &str) -> Value {
        serde_json::from_str(content).unwrap()
    }

    fn add_settings() -> Edit {
        add_settings_with(InstallOptions::default())
    }

    fn add_settings_with(options: InstallOptions) -> Edit {
        Edit::AddSettings(HookSets::load(Some(Path::new(PROGRAMS))).unwrap(), options)
    }

    fn add_waiters() -> Edit {
        add_settings_with(InstallOptions {
            wake: Some(WakeMethod::Rewake),
            ..InstallOptions::default()
        })
    }

    fn add_server() -> Edit {
        Edit::AddServer(server(Some(Path::new(PROGRAMS))).unwrap())
    }

    /// Files as people have them, none with an entry of ours.
    const FILES: [&str; 14] = [
        "{}",
        "{}\n",
        "{\"model\":\"opus\"}",
        "{ \"model\": \"opus\" }\n",
        "{\n  \"model\": \"opus\"\n}\n",
        "{\n    \"model\": \"opus\",\n    \"permissions\": {\n        \"allow\": [\n            \"Bash(ls)\"\n        ]\n    }\n}",
        "{\n\t\"permissions\": { \"allow\": [\"Bash(ls)\", \"Read\"], \"deny\": [] },\n\t\"env\": {}\n}\n",
        "{\r\n  \"hooks\": {\r\n    \"Stop\": [\r\n      {\r\n        \"hooks\": [\r\n          { \"type\": \"command\", \"command\": \"say done\" }\r\n        ]\r\n      }\r\n    ]\r\n  }\r\n}\r\n",
        "\u{feff}{\n\n  \"mcpServers\" : { \"other\" : { \"command\" : \"x\" } } ,\n\n  \"numStartups\": 7\n\n}\n\n",
        "{\"hooks\":{\"SessionStart\":[{\"matcher\":\"startup\",\"hooks\":[{\"type\":\"command\",\"command\":\"date\"}]}],\"PreToolUse\":[]}}",
        "{\n  \"hooks\": {\"Stop\": [ {\"hooks\": [{\"type\":\"command\",\"command\":\"say done\"}]} ]}\n}\n",
        "{\n\"a\": [\n1,\n2\n],\n\"b\": \"cut \\ud83d\"\n}",
        "  {\"a\":1}\n",
        "{\n  \"mcpServers\": {\n    \"other\": {\n      \"command\": \"x\"\n    }},\n  \"projects\": {\"/p\": {\"mcpServers\": {}}}\n}",
    ];

    #[test]
    fn drop_edit_restores_the_original_bytes() {
        for file in FILES {
            for (add, drop) in [
                (add_settings(), Edit::DropSettings),
                (add_waiters(), Edit::DropSettings),
                (add_server(), Edit::DropServer),
            ] {
                let wired = after(&add, file);
                assert_ne!(wired, file);
                value(
                    wired
                        .trim_start_matches('\u{feff}')
                        .replace("\\ud83d", "")
                        .as_str(),
                );
                assert_eq!(after(&add, &wired), wired, "a second time changes: {file}");
                assert_eq!(after(&drop, &wired), file);
                assert_eq!(after(&drop, file), file, "nothing of ours was in there");
            }
        }
    }

    #[test]
    fn drop_edit_keeps_empty_keys_of_others() {
        let file =
            r#"{"mcpServers": {}, "hooks": {"Stop": []}, "permissions": {"allow": [], "ask": {}}}"#;
        assert_eq!(after(&Edit::DropServer, file), file);
        let file = file.replace("{}}}", "[]}}");
        assert_eq!(after(&Edit::DropSettings, &file), file);
    }

    #[test]
    fn settings_edit_keeps_crlf_line_endings() {
        for file in FILES.iter().filter(|file| file.contains("\r\n")) {
            let wired = after(&add_settings(), file);
            assert_eq!(wired.matches('\n').count(), wired.matches("\r\n").count());
        }
    }

    #[test]
    fn settings_edit_adds_four_hooks_and_one_permission_rule() {
        let wired = value(&after(&add_settings(), "{}"));
        let hook = |program: &str, timeout: u32| {
            json!([{"hooks": [{
                "type": "command",
                "command": format!("{PROGRAMS}/{program}"),
                "args": [],
                "timeout": timeout
            }]}])
        };
        assert_eq!(
            wired,
            json!({
                "hooks": {
                    "SessionStart": hook("claude-mesh-session-start", 10),
                    "UserPromptSubmit": hook("claude-mesh-inbox-poll", 10),
                    "Stop": hook("claude-mesh-inbox-poll", 10),
                    "SessionEnd": hook("claude-mesh-session-end", 5),
                },
                "permissions": {"allow": ["mcp__claude-mesh"]}
            })
        );
    }

    #[test]
    fn outdated_hook_is_updated_in_place_among_foreign_hooks() {
        let before = r#"{"hooks": {"Stop": [
  {"hooks": [
    {"type": "command", "command": "say done"},
    {"type": "command", "command": "/bin/sh -c '\"/old place/claude-mesh-inbox-poll\" || true'", "statusMessage": "mesh"},
    {"type": "command", "command": "say again"}
  ]}
]}}"#;
        let wired = value(&after(&add_settings(), before));
        assert_eq!(
            wired["hooks"]["Stop"],
            json!([{"hooks": [
                {"type": "command", "command": "say done"},
                {
                    "type": "command",
                    "command": format!("{PROGRAMS}/claude-mesh-inbox-poll"),
                    "statusMessage": "mesh",
                    "args": [],
                    "timeout": 10
                },
                {"type": "command", "command": "say again"}
            ]}])
        );
    }

    #[test]
    fn custom_hook_timeout_is_kept() {
        let wired = after(&add_settings(), "{}").replace("\"timeout\": 10", "\"timeout\": 33");
        assert_eq!(after(&add_settings(), &wired), wired);
    }

    #[test]
    fn duplicate_hooks_are_reduced_to_one() {
        let ours = r#"{"command": "claude-mesh-inbox-poll", "type": "command"}"#;
        let before = format!(
            r#"{{"hooks": {{"Stop": [{{"matcher": "x", "hooks": [{ours}]}}, {{"hooks": [{ours}, {ours}]}}, {{"hooks": [{ours}]}}]}}}}"#
        );
        let wired = value(&after(&add_settings(), &before));
        let groups = wired["hooks"]["Stop"].as_array().unwrap();
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0]["hooks"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn hook_under_a_matcher_moves_to_a_group_without_one() {
        let before = r#"{"hooks": {"SessionStart": [{"matcher": "startup", "hooks": [
            {"type": "command", "command": "claude-mesh-session-start"},
            {"type": "command", "command": "date"}]}]}}"#;
        let wired = value(&after(&add_settings(), before));
        let groups = wired["hooks"]["SessionStart"].as_array().unwrap();
        assert_eq!(
            groups[0]["hooks"],
            json!([{"type": "command", "command": "date"}])
        );
        assert!(groups[1].get("matcher").is_none());
        assert_eq!(groups[1]["hooks"][0]["timeout"], 10);
    }

    #[test]
    fn server_entry_keeps_custom_fields() {
        let before = r#"{"mcpServers": {"claude-mesh": {
            "command": "/old/claude-mesh-server", "args": ["--trace"], "timeout": 600000,
            "env": {"CLAUDE_MESH_PROJECT_PATH": "/home/ada/p", "A": "b"}}}}"#;
        let wired = value(&after(&add_server(), before));
        assert_eq!(
            wired["mcpServers"]["claude-mesh"],
            json!({
                "type": "stdio",
                "command": format!("{PROGRAMS}/claude-mesh-server"),
                "args": ["--trace"],
                "timeout": 600_000,
                "env": {"A": "b"}
            })
        );
        let project = Edit::AddServer(server(None).unwrap());
        let wired = value(&after(&project, before));
        let entry = &wired["mcpServers"]["claude-mesh"];
        assert_eq!(entry["command"], "claude-mesh-server");
        assert_eq!(
            entry["env"]["CLAUDE_MESH_PROJECT_PATH"],
            "${CLAUDE_PROJECT_DIR:-.}"
        );
    }

    #[test]
    fn server_entry_of_another_type_is_replaced_whole() {
        let before =
            r#"{"mcpServers": {"claude-mesh": {"type": "http", "url": "http://localhost"}}}"#;
        let wired = value(&after(&add_server(), before));
        assert_eq!(wired["mcpServers"]["claude-mesh"]["type"], "stdio");
        assert!(wired["mcpServers"]["claude-mesh"].get("url").is_none());
    }

    #[test]
    fn plain_settings_edit_keeps_the_confirm_answers_rule() {
        let confirm = add_settings_with(InstallOptions {
            confirm_answers: true,
            ..InstallOptions::default()
        });
        let plain = add_settings();
        let wired = after(&confirm, "{}");
        assert_eq!(
            value(&wired)["permissions"]["ask"],
            json!(["mcp__claude-mesh__reply_to_peer"])
        );
        assert_eq!(after(&plain, &wired), wired);
        assert_eq!(after(&Edit::DropSettings, &wired), "{}");
    }

    #[test]
    fn rewake_hooks_stay_until_inbox_waking_is_chosen() {
        let inbox = add_settings_with(InstallOptions {
            wake: Some(WakeMethod::Inbox),
            ..InstallOptions::default()
        });
        for file in FILES {
            let plain = after(&add_settings(), file);
            let waiting = after(&add_waiters(), &plain);
            assert_ne!(waiting, plain);
            assert_eq!(after(&add_settings(), &waiting), waiting, "it stays");
            assert_eq!(after(&inbox, &waiting), plain);
            assert_eq!(after(&Edit::DropSettings, &waiting), file);
        }
        let wired = value(&after(&add_waiters(), "{}"));
        assert_eq!(
            wired["hooks"]["Stop"][1],
            json!({"hooks": [{
                "type": "command",
                "command": format!("{PROGRAMS}/claude-mesh-inbox-wait"),
                "args": [],
                "asyncRewake": true,
                "timeout": 604_800
            }]})
        );
    }

    #[test]
    fn plain_settings_edit_updates_outdated_rewake_hooks() {
        let wired = after(&add_waiters(), "{}");
        let stale = wired
            .replace(PROGRAMS, "/old/place")
            .replace("\"asyncRewake\": true", "\"asyncRewake\": false");
        assert_ne!(stale, wired);
        assert_eq!(after(&add_settings(), &stale), wired);
    }

    #[test]
    fn equivalent_user_permission_rule_is_sufficient_and_kept() {
        let before = r#"{"permissions":{"allow":["mcp__claude-mesh__*"]}}"#;
        let wired = after(&add_settings(), before);
        assert_eq!(value(&wired)["permissions"], value(before)["permissions"]);
        assert_eq!(after(&Edit::DropSettings, &wired), before);
    }

    #[test]
    fn drop_edit_removes_every_own_hook_and_no_other() {
        let before = r#"{"hooks": {
            "Stop": [{"hooks": [{"command": "claude-mesh-inbox-poll"}, {"command": "echo claude-mesh-inbox-poll"}]}],
            "Notification": [{"matcher": "x", "hooks": [{"command": "/o/claude-mesh-waiter --once", "asyncRewake": true}]}],
            "PreToolUse": "odd"}}"#;
        assert_eq!(
            value(&after(&Edit::DropSettings, before)),
            json!({"hooks": {
                "Stop": [{"hooks": [{"command": "echo claude-mesh-inbox-poll"}]}],
                "PreToolUse": "odd"
            }})
        );
    }
}
