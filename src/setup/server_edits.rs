//! Adds the server entry, or updates the one that is there: for Claude Code, and for Gemini CLI.
use serde_json::{Value, json};

use super::entries::{PROJECT_PATH_VAR, SERVER_NAME, own_server_program};
use super::json_items::{ContainerKind, PathStep};
use super::json_text::JsonText;
use super::parse_error::ParseError;
use crate::claude_code::ServerEntry;

/// Returns the path of the server entry.
pub(crate) fn server_path() -> [PathStep<'static>; 2] {
    ["mcpServers".into(), SERVER_NAME.into()]
}

/// Adds the server entry. One that starts a program is updated key by key, any other is replaced.
pub(crate) fn add_server(json: &mut JsonText, server: &ServerEntry) -> Result<(), ParseError> {
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
    let starts_own_server =
        own_server_program(&entry).is_some_and(|program| server.command.ends_with(&program));
    set_unless_current(
        "args",
        json!(server.args),
        starts_own_server && entry.get("args").is_some_and(Value::is_array),
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

/// Adds the server entry of Gemini CLI. Of one that starts a program only the command is replaced, and missing keys are added.
pub(crate) fn add_gemini_server(json: &mut JsonText, server: &Value) -> Result<(), ParseError> {
    let [servers, name] = server_path();
    json.check_kind(&[servers], ContainerKind::Object)?;
    let entry = json.value(&[servers, name])?;
    let Some(entry) = entry.filter(|entry| entry.get("command").is_some_and(Value::is_string))
    else {
        return json.set(&[servers, name], server);
    };
    for (key, wanted) in server.as_object().into_iter().flatten() {
        let is_current = match entry.get(key) {
            Some(current) => key != "command" || current == wanted,
            None => false,
        };
        if !is_current {
            json.set(&[servers, name, key.as_str().into()], wanted)?;
        }
    }
    Ok(())
}
