//! Clients of another make are told what to put into their files, and nothing is written for them.
use std::path::Path;

use serde_json::Value;

use crate::world::{World, program};

fn entry(client: &str, text: &str) -> Value {
    let all: Value = match client {
        "codex" => serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap(),
        _ => serde_json::from_str(text).unwrap(),
    };
    let servers = match client {
        "codex" => &all["mcp_servers"],
        "vscode" => &all["servers"],
        _ => &all["mcpServers"],
    };
    servers["claude-mesh"].clone()
}

#[test]
fn the_entry_of_each_client_is_printed_with_where_it_goes_and_nothing_is_written() {
    let world = World::new();
    let folder = world.project("own");
    let server = Path::new(program("claude-mesh-server"));
    for (client, place) in [
        ("codex", "~/.codex/config.toml"),
        ("cursor", "~/.cursor/mcp.json"),
        ("gemini", "~/.gemini/settings.json"),
        ("vscode", ".vscode/mcp.json"),
        ("windsurf", "~/.codeium/windsurf/mcp_config.json"),
    ] {
        let ran = world.cli(&folder, &["install", "--print", client]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let told: Vec<&str> = ran.err.lines().collect();
        assert!(
            told[0].starts_with("goes into ") && told[0].contains(place),
            "{ran:?}"
        );
        assert_eq!(told.last(), Some(&"nothing was written"));
        let printed = entry(client, &ran.out);
        let command = Path::new(printed["command"].as_str().unwrap());
        assert_eq!(command, server.canonicalize().unwrap(), "{client}");
        let json = world
            .cli(&folder, &["install", "--print", client, "--json"])
            .json();
        assert_eq!(json["configuration"], ran.out);
        assert_eq!(json["client"], client);
    }
    let windsurf = world.cli(&folder, &["install", "--print", "windsurf"]);
    let project = &entry("windsurf", &windsurf.out)["env"]["CLAUDE_MESH_PROJECT_PATH"];
    assert_eq!(project, folder.to_str().unwrap());
    let left: Vec<_> = std::fs::read_dir(world.home()).unwrap().collect();
    assert_eq!(
        left.len(),
        1,
        "only the project's folder is there: {left:?}"
    );
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_session_by_such_an_entry_sits_in_the_project_it_names() {
    let world = World::new();
    let folder = world.project("own");
    let ran = world.cli(&folder, &["install", "--print", "windsurf"]);
    let printed = entry("windsurf", &ran.out);
    let environment = printed["env"].as_object().unwrap();
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let mut at_entry = World::new();
    at_entry.servers = Path::new(printed["command"].as_str().unwrap())
        .parent()
        .unwrap()
        .into();
    let session = at_entry.window("elsewhere", &environment);
    session.discover();
    assert_eq!(session.name(), "own");
}

#[test]
fn an_unknown_client_and_what_does_not_go_with_it_are_wrong_usage() {
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
