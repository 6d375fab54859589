//! `claude-mesh install --client`: the files of Codex and Gemini, edited and restored byte for byte, as these programs read them.
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::other_clients::{Package, Registry, node};
use crate::support::{ProcessOutput, World, program};

pub(crate) const CODEX: Package = Package {
    name: "Codex CLI",
    registry: Registry::Npm,
    spec: "@openai/codex@0.171.0",
    entry: "node_modules/.bin/codex",
};
pub(crate) const GEMINI: Package = Package {
    name: "Gemini CLI",
    registry: Registry::Npm,
    spec: "@google/gemini-cli@0.61.0",
    entry: "node_modules/.bin/gemini",
};

/// The file of each client, with contents that a user may have.
const FILES: [(&str, &str, &[&str]); 2] = [
    (
        "codex",
        ".codex/config.toml",
        &[
            "model = \"x\" # mine\n\n[mcp_servers.other]\ncommand = \"o\"\n",
            "model = \"x\"\r\n",
            "# nothing yet",
        ],
    ),
    (
        "gemini",
        ".gemini/settings.json",
        &[
            "{\n    \"theme\": \"x\",\n\n    \"mcpServers\": {\"other\": {\"command\": \"o\"}}\n}",
            "{\"a\":1}\n",
        ],
    ),
];

#[track_caller]
fn run(world: &World, arguments: &[&str]) -> ProcessOutput {
    let ran = world.cli(&world.home(), arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// Runs a client that is a program of node.
fn run_client(world: &World, folder: &std::path::Path, client: &[&str]) -> ProcessOutput {
    let mut path = node().unwrap().parent().unwrap().as_os_str().to_owned();
    path.push(":/usr/local/bin:/usr/bin:/bin");
    let mut command: Command = world.command(client[0], folder);
    let output = command
        .args(&client[1..])
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    ProcessOutput::of(&output)
}

#[test]
fn entry_of_a_client_is_added_once_and_removed_without_a_trace() {
    for (client, path, contents) in FILES {
        for content in contents {
            let world = World::new();
            let file = world.write(path, content);
            let read = || std::fs::read_to_string(&file).unwrap();
            let dry = run(&world, &["install", "--client", client, "--dry-run"]);
            assert!(dry.out.contains("claude-mesh-server"), "{dry:?}");
            assert_eq!(read(), *content);
            let ran = run(&world, &["install", "--client", client]);
            assert!(
                ran.out.contains("wrote ~/") && ran.out.contains("before: "),
                "{ran:?}"
            );
            let with = read();
            assert!(with.contains(program("claude-mesh-server")), "{with}");
            let again = run(&world, &["install", "--client", client]);
            assert!(again.out.contains("nothing to do"), "{again:?}");
            assert_eq!(read(), with);
            let hooks = hooks_of(&world, client);
            assert_eq!(hooks.len(), 4, "{hooks:?}");
            for command in &hooks {
                assert!(command.ends_with(" --other-client"), "{command}");
            }
            run(&world, &["uninstall", "--client", client]);
            assert_eq!(read(), *content, "{client}");
            assert!(!world.home().join(".codex/hooks.json").exists());
            let again = run(&world, &["uninstall", "--client", client, "--json"]).json();
            assert_eq!(again["written"], json!([]));
        }
        let world = World::new();
        run(&world, &["install", "--client", client]);
        let printed = run(&world, &["install", "--print", client]).out;
        let written = std::fs::read_to_string(world.home().join(path)).unwrap();
        assert_eq!(
            written.trim_end(),
            printed.trim_end(),
            "it writes what it prints"
        );
        run(&world, &["uninstall", "--client", client]);
        assert!(
            !world.home().join(path).exists(),
            "the install had created it"
        );
    }
}

/// Returns the commands of the hooks in the file of a client, one for each event.
fn hooks_of(world: &World, client: &str) -> Vec<String> {
    let path = if client == "codex" {
        ".codex/hooks.json"
    } else {
        ".gemini/settings.json"
    };
    let content = std::fs::read(world.home().join(path)).unwrap();
    let file: Value = serde_json::from_slice(&content).unwrap();
    let events = file["hooks"].as_object().unwrap().values();
    let commands = events.map(|groups| groups[0]["hooks"][0]["command"].as_str());
    commands
        .map(|command| command.unwrap().to_owned())
        .collect()
}

#[test]
fn hooks_of_a_user_stay_beside_those_of_claude_mesh() {
    let world = World::new();
    let own = "{\n \"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"say done\"}]}]}}\n";
    let file = world.write(".codex/hooks.json", own);
    run(&world, &["install", "--client", "codex"]);
    let with = std::fs::read_to_string(&file).unwrap();
    assert!(with.contains("say done") && with.contains("claude-mesh-inbox-poll"));
    run(&world, &["uninstall", "--client", "codex"]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), own);
}

#[test]
fn what_a_user_added_to_the_entry_of_a_client_stays() {
    let world = World::new();
    let old = "[mcp_servers.claude-mesh]\ncommand = \"/old/claude-mesh-server\"\nstartup_timeout_sec = 9\n";
    let codex = world.write(".codex/config.toml", old);
    run(&world, &["install", "--client", "codex"]);
    let written = std::fs::read_to_string(codex).unwrap();
    assert!(
        written.ends_with("claude-mesh-server\"\nstartup_timeout_sec = 9\n"),
        "{written}"
    );
    assert!(!written.contains("/old/"), "{written}");
    let old = r#"{"mcpServers":{"claude-mesh":{"command":"/old/x","trust":true,"timeout":5}}}"#;
    let gemini = world.write(".gemini/settings.json", old);
    run(&world, &["install", "--client", "gemini"]);
    let written: Value = serde_json::from_slice(&std::fs::read(gemini).unwrap()).unwrap();
    let entry = &written["mcpServers"]["claude-mesh"];
    assert_eq!(
        (&entry["trust"], &entry["timeout"]),
        (&json!(true), &json!(5))
    );
    assert!(
        entry["command"]
            .as_str()
            .unwrap()
            .ends_with("/claude-mesh-server")
    );
}

#[test]
fn client_file_in_an_unknown_form_is_refused_and_kept() {
    let world = World::new();
    for (client, path, content) in [
        ("codex", ".codex/config.toml", "mcp_servers = {}\n"),
        ("codex", ".codex/config.toml", "a = \n"),
        ("gemini", ".gemini/settings.json", "{\n  // mine\n}\n"),
        ("gemini", ".gemini/settings.json", "{\"mcpServers\": []}"),
        ("gemini", ".gemini/settings.json", "{\"hooks\": []}"),
    ] {
        let file = world.write(path, content);
        let ran = world.cli(&world.home(), &["install", "--client", client]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains("left untouched"), "{ran:?}");
        assert_eq!(std::fs::read_to_string(file).unwrap(), content);
    }
    for wrong in [
        &["install", "--client", "cursor"][..],
        &["install", "--client", "codex", "--project"],
        &["install", "--client", "codex", "--print", "codex"],
        &["uninstall", "--client", "codex", "--local"],
    ] {
        assert_eq!(world.cli(&world.home(), wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn codex_lists_the_installed_server() {
    let Some(codex) = CODEX.get() else {
        return;
    };
    let world = World::new();
    run(&world, &["install", "--client", "codex"]);
    let listed = run_client(
        &world,
        &world.home(),
        &[codex.to_str().unwrap(), "mcp", "list", "--json"],
    );
    let server = &listed.json()[0];
    assert_eq!(server["name"], "claude-mesh", "{listed:?}");
    assert_eq!(
        server["transport"]["command"],
        program("claude-mesh-server")
    );
    assert_eq!(server["tool_timeout_sec"], 3660.0);
}

#[test]
fn gemini_connects_to_the_installed_server() {
    let Some(gemini) = GEMINI.get() else {
        return;
    };
    let world = World::new();
    let folder = world.project("shop");
    run(&world, &["install", "--client", "gemini"]);
    let trusted = json!({ folder.to_str().unwrap(): "TRUST_FOLDER" });
    world.write(".gemini/trustedFolders.json", &trusted.to_string());
    let listed = run_client(&world, &folder, &[gemini.to_str().unwrap(), "mcp", "list"]);
    let said = format!("{}{}", listed.out, listed.err);
    assert!(
        said.contains("✓ claude-mesh: ") && said.contains("Connected"),
        "{listed:?}"
    );
    let peers = world.cli(&folder, &["peers", "--all"]);
    assert_eq!(peers.code, Some(0), "{peers:?}");
}
