//! Hooks where the mesh is at a hub: they ask the server of their session by its socket, and are silent when it does not answer.
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc;

use claude_mesh::platform::process;
use serde_json::{Value, json};

use crate::support::{Hub, Session, World, far_host, join_home, print_to_stderr, wait_until};

/// A port at which nobody listens.
const NO_HUB: &str = "http://127.0.0.1:9";

/// A home whose hub cannot be reached, and a session in it whose server has not begun.
fn session_without_server() -> (World, Session) {
    let world = World::new();
    join_home(&world.home(), NO_HUB, "cmk_none");
    let session = world.bare_session("ada", &[]);
    std::fs::create_dir(sockets(&world)).unwrap();
    set_mode(&sockets(&world), 0o700);
    (world, session)
}

fn sockets(world: &World) -> PathBuf {
    world.home().join(".claude-mesh/run")
}

fn set_mode(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Returns the socket at which hooks of a session ask.
fn socket(world: &World, session: &Session) -> PathBuf {
    let pid = i32::try_from(session.pid()).unwrap();
    let key = process::stat(pid).unwrap().key;
    sockets(world).join(format!("{}-{}.sock", key.pid, key.started))
}

/// Answers the next hook of a session with these bytes. Then keeps the connection until the returned sender is dropped.
fn answer_next(world: &World, session: &Session, output: &str) -> mpsc::Sender<()> {
    let listener = UnixListener::bind(socket(world, session)).unwrap();
    let output = output.to_owned();
    let (hold, held) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        stream.read_to_string(&mut request).unwrap();
        assert!(request.starts_with("run\n{"), "{request}");
        stream.write_all(output.as_bytes()).unwrap();
        let _ = held.recv();
    });
    hold
}

/// Sends bytes to the server of a session and returns what it answers.
fn exchange(world: &World, session: &Session, request: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket(world, session)).unwrap();
    // A server that refuses the request may close the connection while it is written.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let mut output = Vec::new();
    let _ = stream.read_to_end(&mut output);
    output
}

#[test]
fn far_hook_prints_what_its_server_answers() {
    let (world, session) = session_without_server();
    let output = json!({ "systemMessage": "it works" });
    drop(answer_next(&world, &session, &output.to_string()));
    assert_eq!(session.hook("Stop", json!({})), output);
}

#[test]
fn far_hook_is_silent_when_its_server_is_dead() {
    let (world, session) = session_without_server();
    drop(UnixListener::bind(socket(&world, &session)).unwrap());
    assert!(socket(&world, &session).exists());
    assert_eq!(session.prompt("t1"), None);
    assert_eq!(session.stop("t1", false), None);
    assert_eq!(session.hook("SessionEnd", json!({})), Value::Null);
}

#[test]
fn far_hook_gives_up_a_server_that_does_not_answer() {
    let (world, session) = session_without_server();
    let held = answer_next(&world, &session, "");
    assert_eq!(session.prompt("t1"), None);
    drop(held);
}

#[test]
fn half_an_answer_is_not_printed() {
    let (world, session) = session_without_server();
    let held = answer_next(&world, &session, "{\"systemMessage\": \"it wor");
    assert_eq!(session.hook("Stop", json!({})), Value::Null);
    drop(held);
}

#[test]
fn socket_folder_that_others_can_write_is_refused() {
    let (world, session) = session_without_server();
    drop(answer_next(&world, &session, "{\"systemMessage\": \"x\"}"));
    set_mode(&sockets(&world), 0o777);
    assert_eq!(session.hook_with_fault("Stop", json!({})), "");
    let link = world.home().join("elsewhere");
    std::fs::rename(sockets(&world), &link).unwrap();
    set_mode(&link, 0o700);
    std::os::unix::fs::symlink(&link, sockets(&world)).unwrap();
    assert_eq!(session.hook_with_fault("Stop", json!({})), "", "a link");
}

#[test]
fn socket_folder_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return print_to_stderr("SKIPPED: only root can give a folder to another user");
    }
    let (world, session) = session_without_server();
    drop(answer_next(&world, &session, "{\"systemMessage\": \"x\"}"));
    std::os::unix::fs::chown(sockets(&world), Some(65_534), None).unwrap();
    assert_eq!(session.hook_with_fault("Stop", json!({})), "");
}

#[test]
fn far_session_starts_without_its_hub_and_is_named_later() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = far_host(&hub, "laptop");
    let address = hub.url().trim_start_matches("http://").to_owned();
    hub.kill();
    let session = laptop.bare_session("ada", &[]);
    let start = || {
        session
            .hook("SessionStart", json!({ "source": "startup" }))
            .to_string()
    };
    assert!(start().contains("has not answered yet"), "no server yet");
    session.discover();
    session.register("idle");
    wait_until("its socket is there", || socket(&laptop, &session).exists());
    assert!(start().contains("has not answered yet"), "no hub yet");
    assert_eq!(session.prompt("t1"), None);
    let _hub = Hub::start_with(&world, &["--addr", &address]);
    let mut prompt = None;
    wait_until("the hub is reached", || {
        prompt = session.prompt("t2");
        prompt.is_some()
    });
    let prompt = prompt.unwrap();
    assert!(prompt.contains("you are \"ada"), "{prompt}");
    assert_eq!(session.prompt("t3"), None, "once");
}

#[test]
fn far_server_survives_garbage_and_answers_a_huge_event() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = far_host(&hub, "laptop");
    let session = laptop.session("ada");
    for garbage in [
        &b""[..],
        b"run",
        b"run\n",
        b"run\nnot JSON",
        b"run\n{\"hook_event_name\": 5}",
        b"other\n{}",
        b"\xff\xfe\n\x00",
        &b"x".repeat(100_000),
    ] {
        assert_eq!(exchange(&laptop, &session, garbage), b"");
    }
    let start = session.hook("SessionStart", json!({ "source": "compact" }));
    assert!(start.to_string().contains("you are \\\"ada"), "{start}");
    let huge = json!({
        "hook_event_name": "UserPromptSubmit", "prompt": "x".repeat(8 << 20), "prompt_id": "t1",
    });
    let ran = session.raw_hook("UserPromptSubmit", huge.to_string().as_bytes());
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
}

#[test]
fn socket_ends_with_its_server_and_dead_ones_are_removed() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = far_host(&hub, "laptop");
    std::fs::create_dir(sockets(&laptop)).unwrap();
    set_mode(&sockets(&laptop), 0o700);
    let dead = sockets(&laptop).join("999999999-1.sock");
    drop(UnixListener::bind(&dead).unwrap());
    let other = laptop.write(".claude-mesh/run/notes.txt", "x");
    let session = laptop.session("ada");
    let own = socket(&laptop, &session);
    assert!(own.exists() && !dead.exists() && other.exists());
    session.close_stdin();
    session.wait_for_end();
    assert!(!own.exists());
}

#[test]
fn what_a_hook_has_shown_without_the_hub_is_shown_once() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (far_host(&hub, "laptop"), far_host(&hub, "desk"));
    let (ada, bo) = (laptop.session("ada"), desk.session("bo"));
    bo.hook("SessionStart", json!({ "source": "compact" }));
    ada.call("post", json!({ "to": "bo", "body": "the build is green" }));
    bo.call("claim", json!({ "resource": "port:5433" }));
    // A hook waits for the snapshot with the call, which has the mail too.
    bo.hook(
        "PreToolUse",
        json!({ "tool_name": "Edit", "tool_input": { "file_path": "/nowhere" } }),
    );
    let address = hub.url().trim_start_matches("http://").to_owned();
    hub.kill();
    let prompt = bo.prompt("t1").unwrap();
    assert!(prompt.contains("the build is green"), "{prompt}");
    assert_eq!(bo.prompt("t2"), None, "the mirror knows it");
    let _hub = Hub::start_with(&world, &["--addr", &address]);
    wait_until("the hub knows it", || {
        let mentioned = world.rows().query_row(
            "SELECT mail_mentioned <> '' FROM peer WHERE name = 'bo'",
            [],
            |row| row.get::<_, bool>(0),
        );
        mentioned.unwrap()
    });
    assert_eq!(bo.prompt("t3"), None);
}

#[test]
fn stop_hook_right_after_the_reply_lets_the_turn_end() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (laptop, desk) = (far_host(&hub, "laptop"), far_host(&hub, "desk"));
    let (ada, bo) = (laptop.session("ada"), desk.session("bo"));
    for turn in ["t1", "t2", "t3", "t4", "t5"] {
        let ask = ada.start("ask_peer", json!({ "to": "bo", "question": turn }));
        bo.send_reply(&bo.next_question(), "5433");
        assert_eq!(bo.stop(turn, false), None, "{turn}");
        assert_eq!(ask.result()["answer"], "5433");
    }
}

#[test]
fn cleared_far_session_goes_on_as_the_new_conversation() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = far_host(&hub, "laptop");
    let session = laptop.session("ada");
    let conversation = || {
        world.rows().query_row(
            "SELECT client_session FROM session WHERE agent IS NOT NULL",
            [],
            |row| row.get::<_, Option<String>>(0),
        )
    };
    let new = "00000000-0000-4000-8000-0000000000ff".to_owned();
    session.hook("SessionEnd", json!({ "reason": "clear" }));
    wait_until("it has ended", || conversation() == Ok(None));
    *session.client_session.lock().unwrap() = new.clone();
    session.hook("SessionStart", json!({ "source": "clear" }));
    wait_until("it goes on", || conversation() == Ok(Some(new.clone())));
    let late = json!({ "reason": "clear", "session_id": "of another conversation" });
    session.hook("SessionEnd", late);
    session.call("mesh_status", json!({}));
    assert_eq!(conversation(), Ok(Some(new)));
}

#[test]
fn edit_of_a_file_claimed_on_the_same_far_host_is_denied() {
    let world = World::new();
    let hub = Hub::start(&world);
    let laptop = far_host(&hub, "laptop");
    let (ada, bo) = (laptop.session("shop"), laptop.session("shop"));
    let file = laptop.write("shop/shared.rs", "");
    let edit = || {
        let output = bo.hook(
            "PreToolUse",
            json!({
                "tool_name": "Edit", "tool_use_id": "toolu_1", "cwd": bo.folder,
                "tool_input": { "file_path": file, "old_string": "a", "new_string": "b" },
            }),
        );
        let reason = &output["hookSpecificOutput"]["permissionDecisionReason"];
        reason.as_str().map(str::to_owned)
    };
    assert_eq!(edit(), None);
    let claim = json!({ "resource": "file:shared.rs", "note": "renaming" });
    assert_eq!(ada.call("claim", claim)["status"], "granted");
    wait_until("the edit is denied", || edit().is_some());
    let reason = edit().unwrap();
    assert!(
        reason.contains("shared.rs is claimed by") && reason.contains("renaming"),
        "{reason}"
    );
    ada.call("release", json!({ "resource": "file:shared.rs" }));
    wait_until("the edit goes on", || edit().is_none());
}
