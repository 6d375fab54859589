//! What a file should hold when we are wired in, and when we are out again; the text changes nowhere else.
//!
//! An entry of ours that is there is mended key by key, so that what its owner added (`timeout`, `env`,
//! `alwaysLoad`) stays. Only keys and entries that became empty by our leaving go with us; an empty `hooks` or
//! `mcpServers` that stood there before cannot be told from ours and goes too, which means the same to Claude Code.
use serde_json::{Value, json};

use super::entries::{
    ALLOW, CONFIRM, GUARD, Group, Hooks, PROJECT_PATH, SERVER, Server, WAITER, Wanted,
    program_of_hook, program_of_server,
};
use super::json_text::{Bracket, JsonText, Step};
use crate::setup::parse_error::Flaw;

/// What a person may choose when wiring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Ask the person before an answer to a peer leaves. Wiring again without it takes nothing back.
    pub confirm_answers: bool,
    /// What wakes an idle session; `None` leaves it as it is.
    pub wake: Option<Wake>,
    /// Deny edits of files that another session has claimed. Wiring again without it takes nothing back.
    pub guard: bool,
}

/// What wakes an idle session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A line in its inbox; nothing is put in for it.
    Inbox,
    /// A hook that waits beside it.
    Rewake,
}

/// What is to become of one file.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// The server entry goes in, or is brought up to date.
    AddServer(Server),
    /// Hooks and permission rules go in, or are brought up to date.
    AddSettings(Hooks, Options),
    /// The server entry goes out.
    DropServer,
    /// Hooks and permission rules go out.
    DropSettings,
}

impl Edit {
    pub(crate) fn apply(&self, json: &mut JsonText) -> Result<(), Flaw> {
        match self {
            Self::AddServer(server) => add_server(json, server),
            Self::AddSettings(hooks, options) => {
                check_settings(json, hooks.always.iter().map(|wanted| wanted.event))?;
                for wanted in &hooks.always {
                    add_hook(json, wanted)?;
                }
                match options.wake {
                    Some(Wake::Inbox) => drop_waiters(json)?,
                    None if ours_of(json, WAITER)?.is_empty() => {}
                    None | Some(Wake::Rewake) => {
                        for wanted in &hooks.waiters {
                            add_hook(json, wanted)?;
                        }
                    }
                }
                if options.guard || !ours_of(json, GUARD)?.is_empty() {
                    for wanted in &hooks.guard {
                        add_hook(json, wanted)?;
                    }
                }
                add_rule(json, "allow", ALLOW)?;
                if options.confirm_answers {
                    add_rule(json, "ask", CONFIRM)?;
                }
                Ok(())
            }
            Self::DropServer => {
                json.expect(&["mcpServers".into()], Bracket::Curly)?;
                json.prune(&server_path())
            }
            Self::DropSettings => {
                let ours = hooks_of_ours(json)?;
                check_settings(json, ours.iter().map(|(event, ..)| event.as_str()))?;
                for (event, place, _) in &ours {
                    drop_hook(json, event, *place)?;
                }
                drop_rule(json, "allow", ALLOW)?;
                drop_rule(json, "ask", CONFIRM)
            }
        }
    }

    /// Does this edit only take things out?
    pub(crate) fn only_drops(&self) -> bool {
        matches!(self, Self::DropServer | Self::DropSettings)
    }
}

/// Where a hook stands below its event: group, then entry.
pub(crate) type Place = (usize, usize);

/// Every hook that starts a program of ours, last first, with its event and the whole entry.
pub(crate) fn hooks_of_ours(json: &JsonText) -> Result<Vec<(String, Place, Value)>, Flaw> {
    let mut found = Vec::new();
    json.expect(&["hooks".into()], Bracket::Curly)?;
    let Some(Value::Object(events)) = json.value(&["hooks".into()])? else {
        return Ok(found);
    };
    for (event, groups) in events {
        let groups = groups.as_array().into_iter().flatten();
        for (group, value) in groups.enumerate() {
            let hooks = value.get("hooks").and_then(Value::as_array);
            for (index, hook) in hooks.into_iter().flatten().enumerate() {
                if program_of_hook(hook).is_some() {
                    found.push((event.clone(), (group, index), hook.clone()));
                }
            }
        }
    }
    found.reverse();
    Ok(found)
}

/// The hooks that start one program of ours.
fn ours_of(json: &JsonText, program: &str) -> Result<Vec<(String, Place, Value)>, Flaw> {
    let mut found = hooks_of_ours(json)?;
    found.retain(|(.., hook)| program_of_hook(hook).as_deref() == Some(program));
    Ok(found)
}

fn drop_waiters(json: &mut JsonText) -> Result<(), Flaw> {
    for (event, place, _) in ours_of(json, WAITER)? {
        drop_hook(json, &event, place)?;
    }
    Ok(())
}

/// The rules of one list below `permissions`.
pub(crate) fn rules(json: &JsonText, list: &str) -> Result<Vec<Value>, Flaw> {
    json.list(&["permissions".into(), list.into()])
}

/// Does this rule speak of our whole server?
pub(crate) fn covers_server(rule: &Value) -> bool {
    matches!(
        rule.as_str(),
        Some("mcp__claude-mesh" | "mcp__claude-mesh__*")
    )
}

pub(crate) fn server_path() -> [Step<'static>; 2] {
    ["mcpServers".into(), SERVER.into()]
}

/// Refuses before the first change, so that line and column are those of the file.
fn check_settings<'a>(json: &JsonText, events: impl Iterator<Item = &'a str>) -> Result<(), Flaw> {
    json.expect(&["hooks".into()], Bracket::Curly)?;
    for event in events {
        json.expect(&["hooks".into(), event.into()], Bracket::Square)?;
    }
    json.expect(&["permissions".into()], Bracket::Curly)?;
    json.expect(&["permissions".into(), "allow".into()], Bracket::Square)?;
    json.expect(&["permissions".into(), "ask".into()], Bracket::Square)
}

fn add_server(json: &mut JsonText, server: &Server) -> Result<(), Flaw> {
    json.expect(&["mcpServers".into()], Bracket::Curly)?;
    let [servers, name] = server_path();
    let entry = json.value(&[servers, name])?;
    let Some(entry) = entry.filter(|entry| entry.get("command").is_some_and(Value::is_string))
    else {
        return json.set(&[servers, name], server);
    };
    json.expect(&[servers, name, "env".into()], Bracket::Curly)?;
    let mut keep = |key: &'static str, wanted: Value, fine: bool| {
        if fine {
            Ok(())
        } else {
            json.set(&[servers, name, key.into()], &wanted)
        }
    };
    keep(
        "type",
        json!(server.kind),
        entry.get("type") == Some(&json!(server.kind)),
    )?;
    keep(
        "command",
        json!(server.command),
        entry["command"] == json!(server.command),
    )?;
    let started_us =
        program_of_server(&entry).is_some_and(|program| server.command.ends_with(&program));
    keep(
        "args",
        json!(server.args),
        started_us && entry.get("args").is_some_and(Value::is_array),
    )?;
    let pinned: [Step<'_>; 4] = [servers, name, "env".into(), PROJECT_PATH.into()];
    let is = json.value(&pinned)?;
    match server.env.get(PROJECT_PATH) {
        Some(path) if is != Some(json!(path)) => json.set(&pinned, path),
        None if is.is_some() => json.prune(&pinned),
        _ => Ok(()),
    }
}

/// Leaves exactly one hook for this event and program, in a group that runs when it is wanted.
fn add_hook(json: &mut JsonText, wanted: &Wanted) -> Result<(), Flaw> {
    let event: [Step<'_>; 2] = ["hooks".into(), wanted.event.into()];
    let groups = json.list(&event)?;
    let mut places: Vec<Place> = hooks_of_ours(json)?
        .into_iter()
        .filter(|(at, _, hook)| {
            at == wanted.event && program_of_hook(hook).as_ref() == Some(&wanted.program)
        })
        .map(|(_, place, _)| place)
        .collect();
    match places
        .iter()
        .rposition(|(group, _)| wanted.runs_in(&groups[*group]))
    {
        Some(kept) => {
            let (group, index) = places.remove(kept);
            mend_hook(json, wanted, (group, index), &groups[group]["hooks"][index])?;
        }
        None => json.push(
            &event,
            &Group {
                matcher: wanted.matcher.clone(),
                hooks: vec![wanted.hook.clone()],
            },
        )?,
    }
    for place in places {
        drop_hook(json, wanted.event, place)?;
    }
    Ok(())
}

fn mend_hook(
    json: &mut JsonText,
    wanted: &Wanted,
    (group, index): Place,
    is: &Value,
) -> Result<(), Flaw> {
    let positive = |timeout: &Value| timeout.as_f64().is_some_and(|seconds| seconds > 0.0);
    let timeout = is.get("timeout").filter(|timeout| positive(timeout));
    let rewakes = wanted.hook.rewakes.then(|| ("asyncRewake", json!(true)));
    let keys = [
        ("type", json!(wanted.hook.kind)),
        ("command", json!(wanted.hook.command)),
        ("args", json!(wanted.hook.args)),
        (
            "timeout",
            timeout.cloned().unwrap_or(json!(wanted.hook.timeout)),
        ),
    ];
    for (key, value) in keys.into_iter().chain(rewakes) {
        if is.get(key) != Some(&value) {
            let path: [Step<'_>; 6] = [
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
fn drop_hook(json: &mut JsonText, event: &str, (group, index): Place) -> Result<(), Flaw> {
    let hooks: [Step<'_>; 4] = ["hooks".into(), event.into(), group.into(), "hooks".into()];
    if json.list(&hooks)?.len() == 1 {
        json.prune(&hooks[..3])
    } else {
        json.remove(&[&hooks[..], &[index.into()]].concat())
    }
}

fn add_rule(json: &mut JsonText, list: &str, rule: &str) -> Result<(), Flaw> {
    let there = rules(json, list)?
        .iter()
        .any(|is| is == rule || (rule == ALLOW && covers_server(is)));
    if there {
        return Ok(());
    }
    json.push(&["permissions".into(), list.into()], &rule)
}

fn drop_rule(json: &mut JsonText, list: &str, rule: &str) -> Result<(), Flaw> {
    for (index, is) in rules(json, list)?.iter().enumerate().rev() {
        if is == rule {
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
        add_settings_with(Options::default())
    }

    fn add_settings_with(options: Options) -> Edit {
        Edit::AddSettings(Hooks::below(Some(Path::new(PROGRAMS))).unwrap(), options)
    }

    fn add_waiters() -> Edit {
        add_settings_with(Options {
            wake: Some(Wake::Rewake),
            ..Options::default()
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
    fn going_out_gives_back_the_very_bytes_from_before() {
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
    fn where_nothing_of_ours_is_empty_keys_stay() {
        let file =
            r#"{"mcpServers": {}, "hooks": {"Stop": []}, "permissions": {"allow": [], "ask": {}}}"#;
        assert_eq!(after(&Edit::DropServer, file), file);
        let file = file.replace("{}}}", "[]}}");
        assert_eq!(after(&Edit::DropSettings, &file), file);
    }

    #[test]
    fn line_ends_are_not_mixed() {
        for file in FILES.iter().filter(|file| file.contains("\r\n")) {
            let wired = after(&add_settings(), file);
            assert_eq!(wired.matches('\n').count(), wired.matches("\r\n").count());
        }
    }

    #[test]
    fn the_settings_hold_four_hooks_and_a_rule() {
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
    fn a_stale_hook_is_mended_in_place_beside_foreign_ones() {
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
    fn a_timeout_the_person_chose_stays() {
        let wired = after(&add_settings(), "{}").replace("\"timeout\": 10", "\"timeout\": 33");
        assert_eq!(after(&add_settings(), &wired), wired);
    }

    #[test]
    fn one_hook_is_left_of_several() {
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
    fn a_hook_that_runs_only_sometimes_moves_to_a_group_that_always_runs() {
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
    fn a_server_entry_keeps_what_its_owner_added() {
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
    fn an_entry_of_another_kind_under_our_name_is_replaced_whole() {
        let before =
            r#"{"mcpServers": {"claude-mesh": {"type": "http", "url": "http://localhost"}}}"#;
        let wired = value(&after(&add_server(), before));
        assert_eq!(wired["mcpServers"]["claude-mesh"]["type"], "stdio");
        assert!(wired["mcpServers"]["claude-mesh"].get("url").is_none());
    }

    #[test]
    fn confirming_answers_is_added_and_not_taken_back_by_a_plain_install() {
        let confirm = add_settings_with(Options {
            confirm_answers: true,
            ..Options::default()
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
    fn waiting_hooks_stand_beside_the_others_until_the_inbox_is_chosen_again() {
        let inbox = add_settings_with(Options {
            wake: Some(Wake::Inbox),
            ..Options::default()
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
    fn waiting_hooks_of_another_place_are_brought_up_to_date_without_being_asked_for() {
        let wired = after(&add_waiters(), "{}");
        let stale = wired
            .replace(PROGRAMS, "/old/place")
            .replace("\"asyncRewake\": true", "\"asyncRewake\": false");
        assert_ne!(stale, wired);
        assert_eq!(after(&add_settings(), &stale), wired);
    }

    #[test]
    fn a_rule_of_the_persons_own_that_says_the_same_is_enough_and_stays() {
        let before = r#"{"permissions":{"allow":["mcp__claude-mesh__*"]}}"#;
        let wired = after(&add_settings(), before);
        assert_eq!(value(&wired)["permissions"], value(before)["permissions"]);
        assert_eq!(after(&Edit::DropSettings, &wired), before);
    }

    #[test]
    fn going_out_finds_every_hook_of_ours_and_no_other() {
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
