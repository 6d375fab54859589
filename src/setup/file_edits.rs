//! The edits that `install` and `uninstall` make in one file. Everything else in the file stays as it is.
//!
//! An entry of claude-mesh that is there is updated key by key, so that what its user has added (`timeout`, `env`,
//! `alwaysLoad`) stays. Keys and lists that become empty by a removal are removed too. An empty `hooks` or `mcpServers` that
//! was there before the install cannot be distinguished and is removed too, which means the same to Claude Code. Blanks inside
//! an empty top level are not restored either.
use std::path::PathBuf;

use serde_json::Value;

use super::client_hooks::{add_client_hooks, drop_client_hooks};
use super::entries::SERVER_NAME;
use super::json_items::ContainerKind;
use super::json_text::JsonText;
use super::parse_error::ParseError;
use crate::claude_code::ServerEntry;
use crate::setup::codex_config::{with_server, without_server};
use crate::setup::server_edits::{add_gemini_server, add_server, server_path};
use crate::setup::settings_edits::{WantedSettings, add_settings, drop_settings};

/// An edit of one file.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Adds or updates the server entry.
    AddServer(ServerEntry),
    /// Adds or updates hooks, permission rules and the mod.
    AddSettings(Box<WantedSettings>),
    /// Adds or updates the server entry and the hooks of Gemini CLI, which are in one file.
    AddGemini(Value),
    /// Adds or updates hooks of another client.
    AddClientHooks(Value),
    /// Adds or updates the server entry of the Codex CLI, which is this table.
    AddCodexServer(String),
    /// Removes the server entry.
    DropServer,
    /// Removes the server entry of the Codex CLI.
    DropCodexServer,
    /// Removes the server entry and the hooks of Gemini CLI.
    DropGemini,
    /// Removes the hooks of another client.
    DropClientHooks,
    /// Removes hooks, permission rules and the mod.
    DropSettings,
    /// Writes a file of the mod.
    WriteFile(&'static str),
    /// Removes a file of the mod, and its folders up to this one if they are empty then.
    RemoveFile(PathBuf),
}

/// A file after an edit.
pub(crate) struct EditedFile {
    pub(crate) content: Vec<u8>,
    pub(crate) is_changed: bool,
    /// Whether it holds nothing any more.
    pub(crate) is_empty: bool,
}

impl Edit {
    /// Returns the content of a file after the edit, and whether the file then holds nothing.
    pub(crate) fn apply(&self, before: &[u8]) -> Result<EditedFile, ParseError> {
        let in_text = |change: &dyn Fn(&str) -> Result<String, ParseError>| {
            let text = std::str::from_utf8(before)
                .map_err(|_| ParseError::at_offset("", 0, "not UTF-8".to_owned()))?;
            let after = change(text)?;
            Ok(EditedFile {
                is_empty: after.trim().is_empty(),
                is_changed: after != text,
                content: after.into_bytes(),
            })
        };
        match self {
            Self::AddCodexServer(table) => in_text(&|text| with_server(text, table)),
            Self::DropCodexServer => in_text(&without_server),
            _ => {
                let read = JsonText::parse(before)?;
                let mut json = read.clone();
                self.apply_to_json(&mut json)?;
                Ok(EditedFile {
                    is_empty: json.is_empty(),
                    is_changed: json != read,
                    content: json.bytes(),
                })
            }
        }
    }

    fn apply_to_json(&self, json: &mut JsonText) -> Result<(), ParseError> {
        match self {
            Self::AddGemini(file) => {
                add_gemini_server(json, &file["mcpServers"][SERVER_NAME])?;
                add_client_hooks(json, file)
            }
            Self::AddClientHooks(file) => add_client_hooks(json, file),
            Self::AddServer(server) => add_server(json, server),
            Self::AddSettings(wanted) => add_settings(json, wanted),
            Self::DropServer => drop_server(json),
            Self::DropGemini => {
                drop_client_hooks(json)?;
                drop_server(json)
            }
            Self::DropClientHooks => drop_client_hooks(json),
            Self::DropSettings => drop_settings(json),
            Self::AddCodexServer(_)
            | Self::DropCodexServer
            | Self::WriteFile(_)
            | Self::RemoveFile(_) => Ok(()),
        }
    }

    /// Returns whether this edit only removes.
    pub(crate) fn is_removal(&self) -> bool {
        matches!(
            self,
            Self::DropServer
                | Self::DropGemini
                | Self::DropClientHooks
                | Self::DropSettings
                | Self::DropCodexServer
                | Self::RemoveFile(_)
        )
    }
}

fn drop_server(json: &mut JsonText) -> Result<(), ParseError> {
    let [servers, _] = server_path();
    json.check_kind(&[servers], ContainerKind::Object)?;
    json.prune(&server_path())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::setup::entries::{HookSets, server};
    use crate::setup::settings_edits::{InstallOptions, WakeMethod};

    const PROGRAMS: &str = "/opt/mesh/bin";

    fn text(content: &str) -> JsonText {
        JsonText::parse(content.as_bytes()).unwrap()
    }

    fn after(edit: &Edit, content: &str) -> String {
        let mut json = text(content);
        edit.apply_to_json(&mut json).unwrap();
        String::from_utf8(json.bytes()).unwrap()
    }

    fn value(content: &str) -> Value {
        serde_json::from_str(content).unwrap()
    }

    fn add_settings() -> Edit {
        add_settings_with(InstallOptions::default())
    }

    fn add_settings_with(options: InstallOptions) -> Edit {
        Edit::AddSettings(Box::new(WantedSettings {
            hooks: HookSets::load(Some(Path::new(PROGRAMS))).unwrap(),
            mod_folder: options
                .install_mod
                .then(|| PathBuf::from("/home/ada/.claude-mesh/mod")),
            options,
        }))
    }

    fn add_waiting_hooks() -> Edit {
        add_settings_with(InstallOptions {
            wake: Some(WakeMethod::Rewake),
            ..InstallOptions::default()
        })
    }

    fn add_settings_and_mod() -> Edit {
        add_settings_with(InstallOptions {
            install_mod: true,
            ..InstallOptions::default()
        })
    }

    fn add_server() -> Edit {
        Edit::AddServer(server(Some(Path::new(PROGRAMS))).unwrap())
    }

    /// Files of users, without an entry of claude-mesh.
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
                (add_waiting_hooks(), Edit::DropSettings),
                (add_settings_and_mod(), Edit::DropSettings),
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
                assert_eq!(
                    after(&add, &wired),
                    wired,
                    "a second install changes: {file}"
                );
                assert_eq!(after(&drop, &wired), file);
                assert_eq!(after(&drop, file), file, "there is no entry to remove");
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
        let own = r#"{"command": "claude-mesh-inbox-poll", "type": "command"}"#;
        let before = format!(
            r#"{{"hooks": {{"Stop": [{{"matcher": "x", "hooks": [{own}]}}, {{"hooks": [{own}, {own}]}}, {{"hooks": [{own}]}}]}}}}"#
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
            let waiting = after(&add_waiting_hooks(), &plain);
            assert_ne!(waiting, plain);
            assert_eq!(after(&add_settings(), &waiting), waiting, "it stays");
            assert_eq!(after(&inbox, &waiting), plain);
            assert_eq!(after(&Edit::DropSettings, &waiting), file);
        }
        let wired = value(&after(&add_waiting_hooks(), "{}"));
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
        let wired = after(&add_waiting_hooks(), "{}");
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
