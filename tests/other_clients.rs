//! MCP clients of other makers: the official Python client, the TypeScript SDK, and MCP Inspector.
//!
//! Each is installed once, in one version, below the target directory, with programs of the machine (`python3` with pip,
//! npm). If one cannot be installed, its tests are skipped with a line; `CLAUDE_MESH_REQUIRE_CLIENTS=1` makes that a failure.
use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{ProcessOutput, Session, World, program, wait_until};

/// A client as its registry publishes it.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) registry: Registry,
    pub(crate) spec: &'static str,
    /// The file that exists when it is installed.
    pub(crate) entry: &'static str,
}

pub(crate) enum Registry {
    PyPi,
    Npm,
    /// npm with this package.json, for a package whose dependencies have to be replaced.
    NpmWith(&'static str),
}

pub(crate) const PYTHON: Package = Package {
    name: "Python MCP client",
    registry: Registry::PyPi,
    spec: "mcp==2.3.0",
    entry: "bin/python",
};
pub(crate) const TYPESCRIPT: Package = Package {
    name: "TypeScript MCP client",
    registry: Registry::Npm,
    spec: "@modelcontextprotocol/sdk@1.32.2",
    entry: "node_modules/@modelcontextprotocol/sdk",
};
const INSPECTOR: Package = Package {
    name: "MCP Inspector",
    registry: Registry::Npm,
    spec: "@modelcontextprotocol/inspector@2.12.0",
    entry: "node_modules/.bin/mcp-inspector",
};

impl Package {
    /// Returns the installed client, or `None` after reporting why the calling test is skipped.
    pub(crate) fn get(&self) -> Option<PathBuf> {
        self.find_or_install()
            .map_or_else(|reason| self.skip(&reason), Some)
    }

    pub(crate) fn skip<T>(&self, reason: &str) -> Option<T> {
        let required = env::var_os("CLAUDE_MESH_REQUIRE_CLIENTS").is_some_and(|it| it == "1");
        assert!(!required, "{}: {reason}", self.name);
        // Written past the test harness, which would swallow it.
        writeln!(io::stderr(), "SKIPPED: {}: {reason}", self.name).ok();
        None
    }

    fn find_or_install(&self) -> Result<PathBuf, String> {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign");
        let folder = all.join(self.spec.replace(['@', '/', '='], "-"));
        let (entry, complete) = (folder.join(self.entry), folder.join("complete"));
        let is_installed = || complete.exists() && entry.exists();
        if !is_installed() {
            let at = |error: io::Error| format!("cannot use {}: {error}", all.display());
            fs::create_dir_all(&all).map_err(at)?;
            // Another test program may be installing right now.
            let lock = File::create(folder.with_extension("lock")).map_err(at)?;
            lock.lock().map_err(at)?;
            if !is_installed() {
                let _ = fs::remove_dir_all(&folder);
                fs::create_dir(&folder).map_err(at)?;
                self.install(&folder)?;
                File::create(&complete).map_err(at)?;
            }
        }
        is_installed()
            .then_some(entry)
            .ok_or_else(|| format!("the installer left no {}", self.entry))
    }

    fn install(&self, folder: &Path) -> Result<(), String> {
        match self.registry {
            Registry::PyPi => {
                run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
                let options = ["-m", "pip", "install", "--quiet", "--retries=1"];
                run(Command::new(folder.join("bin/python"))
                    .args(options)
                    .arg(self.spec))
            }
            Registry::Npm | Registry::NpmWith(_) => {
                if let Registry::NpmWith(package_json) = self.registry {
                    fs::write(folder.join("package.json"), package_json)
                        .map_err(|error| format!("cannot write package.json: {error}"))?;
                }
                let options = ["install", "--no-audit", "--no-fund", "--ignore-scripts"];
                let retry_options = [
                    "--fetch-retries=1",
                    "--fetch-retry-mintimeout=1000",
                    "--prefix",
                ];
                run(Command::new("npm")
                    .args(options)
                    .args(retry_options)
                    .arg(folder)
                    .arg(self.spec))?;
                node().map(drop)
            }
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let program = command.get_program().display();
    let output = output.map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let first = complaint
        .lines()
        .find(|line| line.to_lowercase().contains("error"));
    Err(format!(
        "{program} could not install it: {}",
        first.unwrap_or("no reason given")
    ))
}

/// Returns the folder of node; the environment of the tests has a plain PATH.
pub(crate) fn node() -> Result<PathBuf, String> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("node"))
        .find(|path| path.is_file())
        .ok_or_else(|| "there is no node in PATH".to_owned())
}

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/other_clients")
        .join(name)
}

/// The calls of both clients after they have answered each other; `assert_results` checks the results
/// in the same order.
fn further_calls() -> Value {
    json!([["list_peers", { "about": "a test of what?", "include_stale": true }]])
}

#[track_caller]
fn assert_results(report: &Value, other: &str) {
    let peers = &report["results"][0]["peers"];
    let peer_and_reason = |at: usize| (&peers[at]["peer"], &peers[at]["why"]);
    let why = json!("answered 1 question with: test");
    assert_eq!(peer_and_reason(0), (&json!(other), &why), "{report}");
    assert_eq!(peer_and_reason(1), (&json!("cy"), &Value::Null), "{report}");
}

/// Lets two clients ask and answer each other in two projects. The client of ada has a foreign environment. It then asks
/// cy, who never reads, and stops once the delivery is reported. Returns the reports of both.
#[track_caller]
fn exchange(world: &World, cy: &Session, client: impl Fn(&Path) -> Command) -> [Value; 2] {
    let elsewhere = world.project("elsewhere");
    let start_client = |project: &str, arguments: &[&str], environment: &[(&str, &str)]| {
        client(&world.project(project))
            .arg(program("claude-mesh-server"))
            .args(arguments)
            .arg(further_calls().to_string())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    // What the shell of a headless Claude Code session passes on.
    let inherited = [
        ("CLAUDE_PROJECT_DIR", elsewhere.to_str().unwrap()),
        ("CLAUDE_CODE_ENTRYPOINT", "sdk-cli"),
        (
            "CLAUDE_CODE_SESSION_ID",
            "00000000-0000-4000-8000-00000000aaaa",
        ),
        ("CLAUDE_PID", "1"),
    ];
    let clients = [
        start_client("ada", &["bo", "cy"], &inherited),
        start_client("bo", &["ada", "-"], &[]),
    ];
    let reports = clients.map(|client| {
        let ran = ProcessOutput::of(&client.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.json()
    });
    let tools: Vec<_> = claude_mesh::mcp::tool_list(None)
        .into_iter()
        .map(|tool| tool.name)
        .collect();
    for (report, [name, other]) in reports.iter().zip([["ada", "bo"], ["bo", "ada"]]) {
        assert_eq!(report["tools"], json!(tools));
        assert_results(report, other);
        assert_eq!(report["you"]["peer"], name);
        assert_eq!(
            report["you"]["project"],
            world.project(name).to_str().unwrap()
        );
    }
    assert_eq!(
        cy.questions().len(),
        0,
        "the question that ada cancelled is withdrawn"
    );
    let peers = cy.call("list_peers", json!({}))["peers"].clone();
    assert_eq!(peers, json!([]), "both peers have left");
    reports
}

/// The Python client in a folder; `mode` selects its protocol revisions.
fn python_client(world: &World, python: &Path, folder: &Path, mode: &str) -> Command {
    let mut command = world.command(python.to_str().unwrap(), folder);
    command.arg(script("client.py")).arg(mode);
    command
}

/// The TypeScript client in a folder.
fn typescript_client(world: &World, node: &Path, sdk: &Path, folder: &Path) -> Command {
    let mut command = world.command(node.to_str().unwrap(), folder);
    command.arg(script("client.mjs")).arg(sdk);
    command
}

// Requirement: Peers 1, Tasks 15
#[test]
fn python_and_typescript_clients_answer_each_other() {
    let (Some(python), Some(sdk)) = (PYTHON.get(), TYPESCRIPT.get()) else {
        return;
    };
    let Ok(node) = node() else { return };
    for python_project in ["ada", "bo"] {
        let world = World::new();
        let cy = world.session("cy");
        exchange(&world, &cy, |folder| {
            if folder.ends_with(python_project) {
                python_client(&world, &python, folder, "auto")
            } else {
                typescript_client(&world, &node, &sdk, folder)
            }
        });
    }
}

// Requirement: Ask 11, Peers 1, Tasks 15
#[test]
fn two_python_clients_call_every_tool_and_answer_each_other() {
    let Some(python) = PYTHON.get() else { return };
    let world = World::new();
    let cy = world.session("cy");
    let [ada, bo] = exchange(&world, &cy, |folder| {
        // One uses the revision without a handshake, the other an older one.
        let mode = if folder.ends_with("ada") {
            "auto"
        } else {
            "legacy"
        };
        python_client(&world, &python, folder, mode)
    });
    assert_eq!(
        (&ada["spoke"], &bo["spoke"]),
        (&json!("2026-07-28"), &json!("2025-11-25"))
    );
}

// Requirement: Tasks 15
#[test]
fn two_typescript_clients_call_every_tool_and_answer_each_other() {
    let Some(sdk) = TYPESCRIPT.get() else { return };
    let Ok(node) = node() else { return };
    let world = World::new();
    let cy = world.session("cy");
    exchange(&world, &cy, |folder| {
        typescript_client(&world, &node, &sdk, folder)
    });
}

#[test]
fn mcp_inspector_lists_and_calls_tools() {
    let Some(inspector) = INSPECTOR.get() else {
        return;
    };
    let Ok(node) = node() else { return };
    let world = World::new();
    let _cy = world.session("cy");
    let inspect = |method: &[&str]| {
        let output = world
            .command(node.to_str().unwrap(), &world.project("ada"))
            .arg(&inspector)
            .args(["--cli", program("claude-mesh-server"), "--method"])
            .args(method)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let ran = ProcessOutput::of(&output);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.json()
    };
    let result = |answer: &Value| -> Value {
        serde_json::from_str(answer["content"][0]["text"].as_str().unwrap()).unwrap()
    };
    let listed = inspect(&["tools/list"]);
    let all = claude_mesh::mcp::tool_list(None).len();
    assert_eq!(listed["tools"].as_array().unwrap().len(), all);
    let status = result(&inspect(&["tools/call", "--tool-name", "mesh_status"]));
    assert_eq!(
        (&status["status"], &status["peers"]["alive"]),
        (&json!("ok"), &json!(2))
    );
    let peers = result(&inspect(&["tools/call", "--tool-name", "list_peers"]));
    assert_eq!(
        (&peers["you"], &peers["peers"][0]["peer"]),
        (&json!("ada"), &json!("cy"))
    );
}

// Requirement: Peers 10
#[test]
fn client_with_several_servers_joins_each_project() {
    let world = World::new();
    world.project("bo");
    let (to_bo, from_bo) = (world.home().join("to_bo"), world.home().join("from_bo"));
    let script = "mkfifo \"$HOME/to_bo\" && \
        sh -c 'cd \"$HOME/bo\" && exec \"$SERVER\"' <\"$HOME/to_bo\" >\"$HOME/from_bo\" & \
        \"$SERVER\"; \"$SERVER\"; :";
    let ada = world.bare_session_with_script("ada", &[], "/bin/sh", script);
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"some-client","version":"1.0"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
    let call = |id: i64, tool: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}},{meta}}}}}"#
        )
    };
    let result = |line: &Value| -> Value {
        serde_json::from_str(line["result"]["content"][0]["text"].as_str().unwrap()).unwrap()
    };
    let call_ada = |id: i64, tool: &str| {
        ada.line(&call(id, tool));
        result(&ada.wait_for(|line| line["id"] == id))
    };
    assert_eq!(call_ada(1, "list_peers")["you"], "ada");
    wait_until("the pipe of the other server exists", || to_bo.exists());
    let mut bo = fs::OpenOptions::new().write(true).open(to_bo).unwrap();
    writeln!(bo, "{}", call(1, "list_peers")).unwrap();
    let bo_output = || fs::read_to_string(&from_bo).unwrap_or_default();
    wait_until("bo's server answers", || bo_output().ends_with('\n'));
    let bo_sees = result(&serde_json::from_str(&bo_output()).unwrap());
    assert_eq!(
        (&bo_sees["you"], &bo_sees["peers"][0]["peer"]),
        (&json!("bo"), &json!("ada"))
    );
    let ada_sees = call_ada(2, "list_peers");
    assert_eq!(
        (&ada_sees["you"], &ada_sees["peers"][0]["peer"]),
        (&json!("ada"), &json!("bo"))
    );
    assert_eq!(ada_sees["peers"][0]["askable"], true);
    // After a server was killed, the next one registers at the same peer.
    let pid = call_ada(3, "mesh_status")["pid"].as_i64().unwrap();
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    assert_eq!(call_ada(4, "list_peers")["you"], "ada");
}
