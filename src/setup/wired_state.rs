//! What Claude Code's files say about us, read once for `inspect`: exactly as written, judged elsewhere.
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::entries::{SERVER_NAME, our_hook_program};
use super::error::Error;
use super::json_items::PathStep;
use super::json_text::JsonText;
use super::places::InstallScope;
use super::wiring::{our_hooks, rules, server_path};
use crate::claude_code::{INBOUND, refuses_inbound};
use crate::setup::atomic_write;
use crate::setup::parse_error::ParseError;

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
}

/// A hook of ours where it stands.
pub(crate) struct WiredHook {
    pub(crate) event: String,
    pub(crate) program: String,
    /// The group it stands in.
    pub(crate) group: Value,
    pub(crate) hook: Value,
}

/// A server entry with our name.
pub(crate) struct WiredServer {
    pub(crate) scope: InstallScope,
    pub(crate) path: PathBuf,
    pub(crate) entry: Value,
}

/// Reads a settings file; nothing if there is none.
pub(crate) fn settings(scope: InstallScope, path: &Path) -> Result<Option<SettingsFile>, Error> {
    read(path, |json| {
        let is_true = |key: &str| Ok(json.value(&[key.into()])? == Some(Value::Bool(true)));
        let rejected = json.value(&["disabledMcpjsonServers".into()])?;
        Ok(Some(SettingsFile {
            scope,
            path: path.to_owned(),
            hooks: wired_hooks(json)?,
            allow: rules(json, "allow")?,
            ask: rules(json, "ask")?,
            deny: rules(json, "deny")?,
            hooks_disabled: is_true("disableAllHooks")?,
            server_rejected: rejected
                .as_ref()
                .and_then(Value::as_array)
                .is_some_and(|names| names.iter().any(|name| name == SERVER_NAME)),
            inbound_refused: refuses_inbound(json.value(&[INBOUND.into()])?.as_ref()),
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

/// Reads the server entry of `~/.claude.json` or `.mcp.json`; nothing if there is none.
pub(crate) fn server(scope: InstallScope, path: &Path) -> Result<Option<WiredServer>, Error> {
    read_server_at(scope, path, &server_path())
}

/// Reads the entry that `claude mcp add` without a scope leaves in `~/.claude.json` for one project.
pub(crate) fn read_project_server(
    path: &Path,
    project: &Path,
) -> Result<Option<WiredServer>, Error> {
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
) -> Result<Option<WiredServer>, Error> {
    read(path, |json| {
        Ok(json.value(steps)?.map(|entry| WiredServer {
            scope,
            path: path.to_owned(),
            entry,
        }))
    })
}

fn wired_hooks(json: &JsonText) -> Result<Vec<WiredHook>, ParseError> {
    let mut wired = Vec::new();
    for (event, (group, _), hook) in our_hooks(json)? {
        let groups = json.list(&["hooks".into(), event.as_str().into()])?;
        wired.push(WiredHook {
            group: groups.get(group).cloned().unwrap_or_default(),
            program: our_hook_program(&hook).unwrap_or_default(),
            event,
            hook,
        });
    }
    Ok(wired)
}

fn read<T>(
    path: &Path,
    extract: impl FnOnce(&JsonText) -> Result<Option<T>, ParseError>,
) -> Result<Option<T>, Error> {
    let Some(content) = atomic_write::read(&atomic_write::resolve_symlinks(path)?)? else {
        return Ok(None);
    };
    JsonText::parse(&content)
        .and_then(|json| extract(&json))
        .map_err(|parse_error| Error::malformed(path, parse_error))
}
