//! Reads what Claude Code's files say about claude-mesh, for `inspect`, which judges it.
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::entries::SERVER_NAME;
use super::error::InstallError;
use super::install_paths::InstallScope;
use super::json_items::{ContainerKind, PathStep};
use super::json_text::JsonText;
use super::mod_settings::ModState;
use super::mod_settings::PLUGIN_NAME as MOD_PLUGIN;
use super::parse_error::ParseError;
use super::permission_rules::rules;
use crate::claude_code::{INBOX_POLICY_KEY, refuses_inbound};
use crate::platform::settings::HUB_URL;
use crate::setup::hook_edits::{WiredHook, event_path, wired_hooks};
use crate::setup::replace_with_backup;
use crate::setup::server_edits::server_path;

/// How the names of the plugin begin; the name of its marketplace follows.
const PLUGIN_PREFIX: &str = "mesh@";

/// One settings file.
pub(crate) struct SettingsFile {
    pub(crate) scope: InstallScope,
    pub(crate) path: PathBuf,
    pub(crate) hooks: Vec<WiredHook>,
    pub(crate) allow: Vec<Value>,
    pub(crate) ask: Vec<Value>,
    pub(crate) deny: Vec<Value>,
    pub(crate) hooks_disabled: bool,
    pub(crate) server_rejected: bool,
    pub(crate) inbound_refused: bool,
    pub(crate) db_path: Option<String>,
    pub(crate) hub_url: Option<Value>,
    pub(crate) mod_state: ModState,
    /// The name of the plugin `mesh`, if the file enables it.
    pub(crate) plugin: Option<String>,
}

impl SettingsFile {
    /// Returns whether a hook starts this program.
    pub(crate) fn runs_program(&self, program: &str) -> bool {
        self.hooks.iter().any(|hook| hook.program == program)
    }
}

/// A server entry with the name of claude-mesh.
pub(crate) struct WiredServer {
    pub(crate) scope: InstallScope,
    pub(crate) path: PathBuf,
    pub(crate) entry: Value,
}

/// Reads a settings file; `None` if there is no such file.
pub(crate) fn settings(
    scope: InstallScope,
    path: &Path,
) -> Result<Option<SettingsFile>, InstallError> {
    read(path, |json| {
        let is_true = |key: &str| Ok(json.value(&[key.into()])? == Some(Value::Bool(true)));
        let rejected = json.value(&["disabledMcpjsonServers".into()])?;
        Ok(Some(SettingsFile {
            scope,
            path: path.to_owned(),
            hooks: checked_hooks(json)?,
            allow: rules(json, "allow")?,
            ask: rules(json, "ask")?,
            deny: rules(json, "deny")?,
            hooks_disabled: is_true("disableAllHooks")?,
            server_rejected: rejected
                .as_ref()
                .and_then(Value::as_array)
                .is_some_and(|names| names.iter().any(|name| name == SERVER_NAME)),
            inbound_refused: refuses_inbound(json.value(&[INBOX_POLICY_KEY.into()])?.as_ref()),
            mod_state: ModState::of(json)?,
            plugin: enabled_name(json.value(&["enabledPlugins".into()])?.as_ref()),
            hub_url: json.value(&["env".into(), HUB_URL.into()])?,
            db_path: json
                .value(&["env".into(), "MESH_DB_PATH".into()])?
                .map(|value| {
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                }),
        }))
    })
}

/// Reads the server entry of `~/.claude.json` or `.mcp.json`; `None` if there is none.
pub(crate) fn server(
    scope: InstallScope,
    path: &Path,
) -> Result<Option<WiredServer>, InstallError> {
    read_server_at(scope, path, &server_path())
}

/// Reads the entry that `claude mcp add` without a scope adds to `~/.claude.json` for one project.
pub(crate) fn read_project_server(
    path: &Path,
    project: &Path,
) -> Result<Option<WiredServer>, InstallError> {
    let Some(project) = project.to_str() else {
        return Ok(None);
    };
    let [servers, name] = server_path();
    let steps = ["projects".into(), project.into(), servers, name];
    read_server_at(InstallScope::User, path, &steps)
}

fn read_server_at(
    scope: InstallScope,
    path: &Path,
    steps: &[PathStep<'_>],
) -> Result<Option<WiredServer>, InstallError> {
    read(path, |json| {
        Ok(json.value(steps)?.map(|entry| WiredServer {
            scope,
            path: path.to_owned(),
            entry,
        }))
    })
}

/// Returns the hooks, and refuses an event that occurs twice.
fn checked_hooks(json: &JsonText) -> Result<Vec<WiredHook>, ParseError> {
    let hooks = wired_hooks(json)?;
    for hook in &hooks {
        json.check_kind(&event_path(&hook.event), ContainerKind::Array)?;
    }
    Ok(hooks)
}

fn read<T>(
    path: &Path,
    extract: impl FnOnce(&JsonText) -> Result<Option<T>, ParseError>,
) -> Result<Option<T>, InstallError> {
    let Some(content) = replace_with_backup::read(&replace_with_backup::resolve_symlinks(path)?)?
    else {
        return Ok(None);
    };
    JsonText::parse(&content)
        .and_then(|json| extract(&json))
        .map_err(|parse_error| InstallError::malformed(path, parse_error))
}

/// Returns the name under which the value of `enabledPlugins` enables the plugin.
fn enabled_name(plugins: Option<&Value>) -> Option<String> {
    let plugins = plugins?.as_object()?;
    let is_plugin = |name: &&String| name.starts_with(PLUGIN_PREFIX) && *name != MOD_PLUGIN;
    let enabled = plugins.iter().filter(|(_, enabled)| **enabled == true);
    enabled.map(|(name, _)| name).find(is_plugin).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_enabled_plugin_counts() {
        let name = |plugins: Value| enabled_name(Some(&plugins));
        assert_eq!(
            name(json!({ "other@x": true, "mesh@claude-mesh": true })),
            Some("mesh@claude-mesh".into())
        );
        for plugins in [
            json!({ "mesh@claude-mesh": false }),
            json!({ "mesh@claude-mesh-mod": true }),
            json!({ "meshed@claude-mesh": true }),
            json!([]),
        ] {
            assert_eq!(name(plugins), None);
        }
        assert_eq!(enabled_name(None), None);
    }
}
