//! The lifecycle of the server: its session ends with it or its client, and a client that only lists tools leaves nothing.
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use claude_mesh::mesh::{JoinRequest, Mesh};
use claude_mesh::model::peer::Address;
use claude_mesh::platform::SystemClock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Session, World, wait_until};

/// A server as other sessions and the file system see it.
struct ServerArtifacts {
    pid: i32,
    doorbell: PathBuf,
    lock: PathBuf,
}

impl ServerArtifacts {
    /// Records the files and rows of the only session called `name`; all of them exist.
    #[track_caller]
    fn of(world: &World, session: &Session, name: &str) -> Self {
        let pid = session.call("mesh_status", json!({}))["pid"]
            .as_i64()
            .unwrap();
        let id: String = world
            .rows()
            .query_row(
                "SELECT s.id FROM session s JOIN peer p ON p.id = s.peer_id WHERE p.name = ?1 AND s.ended_at_ms IS NULL",
                [name],
                |row| row.get(0),
            )
            .unwrap();
        let folder = world.home().join(".claude-mesh/mesh.db.d");
        let artifacts = Self {
            pid: i32::try_from(pid).unwrap(),
            doorbell: folder.join("bells").join(&id),
            lock: folder.join("sessions").join(format!("{id}.lock")),
        };
        assert!(artifacts.doorbell.is_dir() && artifacts.lock.is_file());
        assert!(is_running(artifacts.pid));
        artifacts
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid).unwrap(), signal).unwrap();
    }

    /// Asserts that the server and its session have ended; `onlooker` no longer lists it.
    #[track_caller]
    fn assert_removed(&self, world: &World, observer: &Session, name: &str) {
        wait_until("the server ends", || !is_running(self.pid));
        let peers = observer.call("list_peers", json!({}))["peers"].clone();
        let named = |peer: &Value| peer["peer"] == name;
        assert!(!peers.as_array().unwrap().iter().any(named), "{peers}");
        let ends: Vec<String> = world
            .rows()
            .prepare(
                "SELECT type FROM event WHERE subject = ?1 AND type IN ('peer.left', 'peer.died')",
            )
            .unwrap()
            .query_map([name], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(ends.len(), 1, "{ends:?}");
        assert!(!self.doorbell.exists() && !self.lock.exists());
    }
}

fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rfind(')')
        .is_some_and(|at| !stat[at..].starts_with(") Z"))
}

// Requirement: Mesh 1, Beyond 14
#[test]
fn server_exits_when_stdin_closes_and_ends_its_session() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let artifacts = ServerArtifacts::of(&world, &bo, "bo");
    bo.close_stdin();
    bo.wait_for_end();
    artifacts.assert_removed(&world, &ada, "bo");
}

#[test]
fn server_exits_on_a_signal_and_ends_its_session() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let world = World::new();
        let (ada, bo) = (world.session("ada"), world.session("bo"));
        let artifacts = ServerArtifacts::of(&world, &bo, "bo");
        artifacts.signal(signal);
        bo.wait_for_end();
        artifacts.assert_removed(&world, &ada, "bo");
    }
}

#[test]
fn server_exits_on_a_signal_during_a_blocking_call() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let artifacts = ServerArtifacts::of(&world, &ada, "ada");
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    artifacts.signal(Signal::TERM);
    ada.wait_for_end();
    artifacts.assert_removed(&world, &bo, "ada");
    assert_eq!(bo.questions()[0]["asker_waiting"], false);
}

// Requirement: Beyond 14
#[test]
fn server_exits_when_its_client_is_killed_with_stdin_open() {
    let world = World::new();
    let (ada, mut bo) = (world.session("ada"), world.session("bo"));
    let artifacts = ServerArtifacts::of(&world, &bo, "bo");
    bo.kill_client();
    artifacts.assert_removed(&world, &ada, "bo");
}

#[test]
fn server_of_a_killed_client_wakes_its_waiting_askers() {
    let world = World::new();
    let mut bo = world.session("bo");
    let mesh = Mesh::open(&world.database(), Arc::new(SystemClock::new())).unwrap();
    let project = world.project("ada");
    let mut ada = mesh.join(&JoinRequest::here(&project).unwrap()).unwrap();
    // She waits without polling, and no other process reads the mesh.
    let to = Address::parse("bo").unwrap();
    ada.ask(&to, "which port?", None).unwrap().1.unwrap();
    bo.wait_until_idle();
    let doorbells = world.home().join(".claude-mesh/mesh.db.d/bells");
    let doorbell = doorbells
        .join(ada.handle().session.to_string())
        .join("bell");
    let _ = std::fs::remove_file(&doorbell);
    bo.kill_client();
    wait_until("the doorbell of ada is written", || doorbell.exists());
    let left = "SELECT count(*) FROM event WHERE type = 'peer.left' AND subject = 'bo'";
    let left: i64 = world.rows().query_row(left, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
}

/// Creates a copy of the shell that is not recognized as a wrapper, for a client with scripts.
fn claude_shell(world: &World) -> String {
    let program = world.home().join("claude");
    // Another process writes it: a child of another test may hold open what this process has open for writing.
    let copied = Command::new("cp").arg("/bin/sh").arg(&program).status();
    assert!(copied.unwrap().success());
    program.to_string_lossy().into_owned()
}

#[test]
fn server_below_a_wrapper_exits_when_its_client_is_killed() {
    let world = World::new();
    let ada = world.session("ada");
    let mut bo = world.bare_session_with_script(
        "bo",
        &[],
        &claude_shell(&world),
        "sh -c '\"$SERVER\"; :'; :",
    );
    bo.hook("SessionStart", json!({ "source": "startup" }));
    bo.discover();
    let artifacts = ServerArtifacts::of(&world, &bo, "bo");
    bo.kill_client();
    artifacts.assert_removed(&world, &ada, "bo");
}

// Requirement: Beyond 14
#[test]
fn killed_server_leaves_its_peer_to_the_next_server() {
    let world = World::new();
    let ada = world.session("ada");
    // The client keeps running and starts another server.
    let bo = world.bare_session_with_script("bo", &[], "/bin/sh", "\"$SERVER\"; \"$SERVER\"; :");
    bo.discover();
    let artifacts = ServerArtifacts::of(&world, &bo, "bo");
    artifacts.signal(Signal::KILL);
    wait_until("the server ends", || !is_running(artifacts.pid));
    let peers = ada.call("list_peers", json!({}))["peers"].clone();
    assert_eq!(peers[0]["askable"], false, "{peers}");
    bo.discover();
    assert_eq!(bo.name(), "bo");
    let peers = ada.call("list_peers", json!({}))["peers"].clone();
    assert_eq!(
        (&peers[0]["askable"], &peers[1]),
        (&json!(true), &Value::Null)
    );
}

// Requirement: Mesh 4
#[test]
fn killed_session_is_evicted_by_the_next_listing() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let artifacts = ServerArtifacts::of(&world, &bo, "bo");
    // The server first: it must not notice the end of its client.
    artifacts.signal(Signal::KILL);
    bo.kill();
    artifacts.assert_removed(&world, &ada, "bo");
}

/// What `claude mcp list` does: it lists the tools, waits a moment and exits.
fn list_tools_and_exit(session: &Session) {
    session.discover();
    let listed = session.request("tools/list", json!({}));
    let all = claude_mesh::mcp::tool_list(None).len();
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), all);
    // Long enough for the server to have searched for its session several times.
    std::thread::sleep(Duration::from_millis(300));
    session.close_stdin();
    session.wait_for_end();
}

#[test]
fn tool_listing_creates_no_mesh_files() {
    for entrypoint in ["sdk-cli", "cli"] {
        let world = World::new();
        list_tools_and_exit(&world.bare_session("bo", &[("CLAUDE_CODE_ENTRYPOINT", entrypoint)]));
        assert!(!world.home().join(".claude-mesh").exists(), "{entrypoint}");
    }
}

/// Opens a session whose shell starts another client of the same make, which starts the server. The outer one is in
/// the registry of the client.
fn nested_session(world: &World, entrypoint: &str) -> Session {
    let session = world.bare_session_with_script(
        "bo",
        &[("CLAUDE_CODE_ENTRYPOINT", entrypoint)],
        &claude_shell(world),
        "read -r go; sh -c '\"$HOME/claude\" -c \"\\\"\\$SERVER\\\"; :\"; :'; :",
    );
    session.register("busy");
    session.line("go");
    session
}

#[test]
fn tool_listing_in_a_session_shell_creates_no_mesh_files() {
    let world = World::new();
    list_tools_and_exit(&nested_session(&world, "sdk-cli"));
    assert!(!world.home().join(".claude-mesh").exists());
}

// Requirement: Beyond 9
#[test]
fn client_in_a_session_shell_gets_a_separate_peer() {
    let world = World::new();
    let inner = nested_session(&world, "cli");
    // The outer one is registered by its hook, as it is before any shell runs.
    inner.hook("SessionStart", json!({ "source": "startup" }));
    inner.discover();
    assert_eq!(inner.name(), "bo-2");
    let world = World::new();
    let inner = nested_session(&world, "sdk-cli");
    inner.hook("SessionStart", json!({ "source": "startup" }));
    inner.discover();
    let name = inner.name();
    assert!(name.starts_with("bo/p-"), "{name}");
}

#[test]
fn next_sweep_removes_the_doorbell_of_a_killed_server() {
    let world = World::new();
    let ada = world.session("ada");
    let stray = world
        .home()
        .join(".claude-mesh/mesh.db.d/bells/01K00000000000000000000000");
    std::fs::create_dir(&stray).unwrap();
    assert_eq!(world.cli(&world.home(), &["gc"]).code, Some(0));
    assert!(!stray.exists());
    let doorbells = world.home().join(".claude-mesh/mesh.db.d/bells");
    assert_eq!(
        std::fs::read_dir(doorbells).unwrap().count(),
        1,
        "the doorbell folder of ada remains"
    );
    drop(ada);
}

#[test]
fn blocking_call_does_not_delay_exit_when_stdin_closes() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = bo.start(
        "ask_peer",
        json!({ "to": "ada", "question": "which port?" }),
    );
    ask.wait_for_progress("ada: ");
    let began = std::time::Instant::now();
    bo.close_stdin();
    bo.wait_for_end();
    assert!(
        began.elapsed() < std::time::Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(ada.call("list_peers", json!({}))["peers"], json!([]));
    assert_eq!(ada.questions().len(), 1, "the question stays open");
}
