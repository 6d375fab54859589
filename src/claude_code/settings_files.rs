//! The parts of Claude Code's settings files that claude-mesh reads or writes.
//!
//! `setup` edits these files; what belongs into them is defined here.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::platform::file;
use crate::platform::text::without_bom;

/// A longer settings file is not read.
const SETTINGS_BYTES_MAX: u64 = 1024 * 1024;

/// The settings file of a user or project, in its `.claude` folder.
pub(crate) const SETTINGS_FILE: &str = "settings.json";
/// The settings file of one checkout, in its `.claude` folder.
pub(crate) const LOCAL_SETTINGS_FILE: &str = "settings.local.json";
/// The folder of a project that holds its settings files.
pub(crate) const PROJECT_SETTINGS_DIR: &str = ".claude";

/// The settings file of an organization, on Linux.
pub(crate) const MANAGED_SETTINGS_FILE: &str = "/etc/claude-code/managed-settings.json";

/// How rules name the server that an install adds, and that of the plugin.
const SERVERS: [&str; 2] = ["mcp__claude-mesh", "mcp__plugin_mesh_claude-mesh"];

/// The setting that decides which lines of other sessions an inbox accepts.
pub const INBOX_POLICY_KEY: &str = "crossSessionInbound";
/// The value of [`INBOX_POLICY_KEY`] that refuses every line.
pub const INBOX_POLICY_REFUSE: &str = "refuse";

/// The key of a hook whose exit code 2 wakes the session, and for which Claude Code does not wait.
pub(crate) const ASYNC_REWAKE: &str = "asyncRewake";

/// A file with an entry `hooks`.
#[derive(Deserialize)]
pub(crate) struct HooksFile {
    pub(crate) hooks: HooksByEvent,
}

/// The hooks of the events that claude-mesh uses.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub(crate) struct HooksByEvent {
    session_start: Vec<HookGroup>,
    user_prompt_submit: Vec<HookGroup>,
    pre_tool_use: Vec<HookGroup>,
    stop: Vec<HookGroup>,
    session_end: Vec<HookGroup>,
}

impl HooksByEvent {
    /// Returns the groups with the name of their event.
    pub(crate) fn into_groups(self) -> [(&'static str, Vec<HookGroup>); 5] {
        [
            ("SessionStart", self.session_start),
            ("UserPromptSubmit", self.user_prompt_submit),
            ("PreToolUse", self.pre_tool_use),
            ("Stop", self.stop),
            ("SessionEnd", self.session_end),
        ]
    }
}

/// Hooks that run for every occurrence of an event, or for those that the matcher names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HookGroup {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) matcher: Option<String>,
    pub(crate) hooks: Vec<HookEntry>,
}

impl HookGroup {
    /// Returns whether a group with the matcher of `group` runs wherever one with `matcher` does.
    pub(crate) fn covers(group: &Value, matcher: Option<&str>) -> bool {
        match group.get("matcher").map(Value::as_str) {
            None | Some(Some("" | "*" | ".*")) => true,
            own => matcher.is_some() && own == Some(matcher),
        }
    }
}

/// A hook that starts a program without a shell: Claude Code uses a shell if `args` is missing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HookEntry {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    /// See [`ASYNC_REWAKE`].
    #[serde(
        rename = "asyncRewake",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub(crate) async_rewake: bool,
    /// In seconds.
    pub(crate) timeout: u32,
}

/// An MCP server that Claude Code starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ServerEntry {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) env: BTreeMap<String, String>,
}

/// Returns whether this value of [`INBOX_POLICY_KEY`] refuses every line.
pub(crate) fn refuses_inbound(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value == INBOX_POLICY_REFUSE)
}

/// Returns the first settings file that makes the inbox refuse lines for sessions in `folder`. A file that is missing or
/// broken refuses nothing.
pub fn find_inbound_refusal(config_dir: &Path, folder: Option<&Path>) -> Option<PathBuf> {
    find_settings(config_dir, folder, |settings| {
        refuses_inbound(settings.get(INBOX_POLICY_KEY))
    })
}

/// Returns the first settings file with a rule by which sessions in `folder` ask their person before they answer a peer, or
/// must not answer.
pub fn find_answer_restriction(config_dir: &Path, folder: Option<&Path>) -> Option<PathBuf> {
    let is_about_answers = |rule: &Value| {
        let rule = rule.as_str().unwrap_or_default();
        let rule = rule.split('(').next().unwrap_or_default();
        SERVERS.iter().any(|server| {
            let tool = format!("{server}__reply_to_peer");
            let begins = |start| tool.starts_with(start);
            rule == *server || rule == tool || rule.strip_suffix('*').is_some_and(begins)
        })
    };
    find_settings(config_dir, folder, |settings| {
        ["ask", "deny"].into_iter().any(|list| {
            let rules = settings.get("permissions").and_then(|it| it.get(list));
            let rules = rules.and_then(Value::as_array);
            rules.is_some_and(|rules| rules.iter().any(is_about_answers))
        })
    })
}

/// Returns the first settings file for sessions in `folder` of which `found` holds.
fn find_settings(
    config_dir: &Path,
    folder: Option<&Path>,
    found: impl Fn(&Value) -> bool,
) -> Option<PathBuf> {
    let own = folder.map(|folder| folder.join(PROJECT_SETTINGS_DIR));
    let own = own
        .iter()
        .flat_map(|claude| [LOCAL_SETTINGS_FILE, SETTINGS_FILE].map(|name| claude.join(name)));
    own.chain([config_dir.join(SETTINGS_FILE)]).find(|path| {
        let content = file::read(path, SETTINGS_BYTES_MAX).unwrap_or_default();
        let settings = serde_json::from_slice(without_bom(&content));
        settings.is_ok_and(|settings: Value| found(&settings))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::file::tests::make_pipe;

    #[test]
    fn user_project_and_local_settings_can_refuse_inbound_lines() {
        let place = tempfile::tempdir().unwrap();
        let (config, project) = (place.path().join("config"), place.path().join("project"));
        let refuses = || find_inbound_refusal(&config, Some(&project));
        assert_eq!(refuses(), None);
        std::fs::create_dir_all(project.join(".claude")).unwrap();
        make_pipe(&project.join(".claude/settings.json"));
        assert_eq!(refuses(), None, "a pipe is not read");
        std::fs::remove_file(project.join(".claude/settings.json")).unwrap();
        for path in [
            config.join("settings.json"),
            project.join(".claude/settings.json"),
            project.join(".claude/settings.local.json"),
        ] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, r#"{"crossSessionInbound": "accept"}"#).unwrap();
            assert_eq!(refuses(), None);
            std::fs::write(&path, "\u{feff}{\"crossSessionInbound\": \"refuse\"}").unwrap();
            assert_eq!(refuses(), Some(path.clone()));
            std::fs::write(&path, "{").unwrap();
            assert_eq!(refuses(), None, "a broken file refuses nothing");
        }
    }
}
