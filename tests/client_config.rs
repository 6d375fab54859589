//! The configuration printed for other clients: correct for each format, and nothing is written.
use std::path::Path;

use serde_json::Value;

use crate::support::{World, program};

/// The published format of a client, with its source and date.
fn published_format(client: &str) -> Value {
    let formats = include_str!("payloads/client_formats.json");
    serde_json::from_str::<Value>(formats).unwrap()[client].clone()
}

fn server_entry(client: &str, text: &str) -> Value {
    let all: Value = match client {
        "codex" => serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap(),
        _ => serde_json::from_str(text).unwrap(),
    };
    // The file of Gemini CLI has its hooks too.
    let keys = if client == "gemini" { 2 } else { 1 };
    assert_eq!(all.as_object().unwrap().len(), keys, "{client}");
    let servers = published_format(client)["servers"]
        .as_str()
        .unwrap()
        .to_owned();
    all[servers]["claude-mesh"].clone()
}

/// Returns whether a value has the type that the format names.
fn has_kind(kind: &str, value: &Value) -> bool {
    match kind {
        "text" => value.is_string(),
        "texts" => value
            .as_array()
            .is_some_and(|all| all.iter().all(Value::is_string)),
        "texts by name" => value
            .as_object()
            .is_some_and(|all| all.values().all(Value::is_string)),
        "number" => value.is_number(),
        "flag" => value.is_boolean(),
        word => value == word,
    }
}

#[test]
fn printed_client_config_matches_the_published_format() {
    let world = World::new();
    let folder = world.project("own");
    for client in ["codex", "cursor", "gemini", "vscode", "windsurf"] {
        let format = published_format(client);
        let printed = world.cli(&folder, &["install", "--print", client]).out;
        let server_entry = server_entry(client, &printed);
        let server_entry = server_entry.as_object().unwrap();
        for key in format["required"].as_array().unwrap() {
            let key = key.as_str().unwrap();
            assert!(server_entry.contains_key(key), "{client} needs {key}");
        }
        for (key, value) in server_entry {
            let kind = format["keys"][key].as_str();
            let kind = kind.unwrap_or_else(|| panic!("{client} knows no {key}"));
            assert!(
                has_kind(kind, value),
                "{client}: {key} is {kind}, not {value}"
            );
        }
        let placeholders: Vec<&str> = printed
            .match_indices("${")
            .map(|(at, _)| &printed[at..=at + printed[at..].find('}').unwrap()])
            .collect();
        for variable in placeholders {
            let replaces = format["replaces"].as_array().unwrap();
            assert!(replaces.contains(&variable.into()), "{client}: {variable}");
        }
    }
}

// Requirement: Peers 11
#[test]
fn install_print_shows_each_client_config_and_writes_nothing() {
    let world = World::new();
    let folder = world.project("own");
    let server = Path::new(program("claude-mesh-server"));
    for (client, config_path) in [
        ("codex", "~/.codex/config.toml"),
        ("cursor", "~/.cursor/mcp.json"),
        ("gemini", "~/.gemini/settings.json"),
        ("vscode", ".vscode/mcp.json"),
        ("windsurf", "~/.codeium/windsurf/mcp_config.json"),
    ] {
        let ran = world.cli(&folder, &["install", "--print", client]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let reported: Vec<&str> = ran.err.lines().collect();
        assert!(
            reported[0].starts_with("goes into ") && reported[0].contains(config_path),
            "{ran:?}"
        );
        assert_eq!(reported.last(), Some(&"nothing was written"));
        let printed = server_entry(client, &ran.out);
        let command = Path::new(printed["command"].as_str().unwrap());
        assert_eq!(command, server.canonicalize().unwrap(), "{client}");
        let json = world
            .cli(&folder, &["install", "--print", client, "--json"])
            .json();
        assert_eq!(json["configuration"], ran.out);
        assert_eq!(json["client"], client);
    }
    let windsurf = world.cli(&folder, &["install", "--print", "windsurf"]);
    let project = &server_entry("windsurf", &windsurf.out)["env"]["CLAUDE_MESH_PROJECT_PATH"];
    assert_eq!(project, folder.to_str().unwrap());
    let remaining: Vec<_> = std::fs::read_dir(world.home()).unwrap().collect();
    assert_eq!(
        remaining.len(),
        1,
        "only the project's folder is there: {remaining:?}"
    );
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

// Requirement: Peers 11
#[test]
fn printed_client_config_starts_a_session_in_its_project() {
    let world = World::new();
    let folder = world.project("own");
    let ran = world.cli(&folder, &["install", "--print", "windsurf"]);
    let printed = server_entry("windsurf", &ran.out);
    let environment = printed["env"].as_object().unwrap();
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let mut entry_world = World::new();
    entry_world.servers = Path::new(printed["command"].as_str().unwrap())
        .parent()
        .unwrap()
        .into();
    let session = entry_world.bare_session("elsewhere", &environment);
    session.discover();
    assert_eq!(session.name(), "own");
}

#[test]
fn install_print_rejects_unknown_clients_and_other_options() {
    let world = World::new();
    let folder = world.project("own");
    let refused = world.cli(&folder, &["install", "--print", "emacs"]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""));
    assert!(
        refused
            .err
            .contains("codex, cursor, gemini, vscode, windsurf"),
        "{refused:?}"
    );
    for option in [
        "--dry-run",
        "--project",
        "--local",
        "--confirm-answers",
        "--guard",
    ] {
        let refused = world.cli(&folder, &["install", "--print", "codex", option]);
        assert_eq!(
            (refused.code, refused.out.as_str()),
            (Some(2), ""),
            "{option}"
        );
    }
}
