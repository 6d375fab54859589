//! The socket at which a server tells the mod which tool calls are denied. The test is the mod.
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

#[cfg(feature = "remote")]
use crate::support::{Hub, far_host};
use crate::support::{Session, World, git, wait_until};

/// Returns the socket that a server names to the mod, once it listens.
fn guard_socket(session: &Session) -> PathBuf {
    let said = session.call_from_plugin("poll_inbox", json!({ "fork": {} }));
    let path = said["guard_socket"].as_str();
    let path = PathBuf::from(path.unwrap_or_else(|| panic!("{said}")));
    wait_until("the server listens", || path.exists());
    path
}

fn exchange(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

/// Returns what the guard says of a call, as the mod asks it.
#[track_caller]
fn denial(session: &Session, socket: &Path, tool: &str, input: &Value) -> Option<String> {
    let event = json!({
        "hook_event_name": "PreToolUse", "tool_name": tool, "cwd": session.folder, "tool_input": input,
    });
    let body = event.to_string();
    let head = format!(
        "POST /guard HTTP/1.1\r\nHost: claude-mesh\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let response = exchange(socket, &format!("{head}{body}"));
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let answer: Value = serde_json::from_str(body).unwrap();
    answer["deny"].as_str().map(str::to_owned)
}

#[test]
fn guard_socket_denies_what_the_hook_denies() {
    let world = World::new();
    let folder = world.project("shop");
    git(&world, &folder, &["init", "-q"]);
    let (ada, bo) = (world.session("shop"), world.session("shop"));
    let (of_ada, of_bo) = (guard_socket(&ada), guard_socket(&bo));
    assert_ne!(of_ada, of_bo);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(of_ada.parent().unwrap()), 0, "others do not get there");
    let calls = [
        ("Edit", json!({ "file_path": "src/a.rs" })),
        ("Write", json!({ "file_path": folder.join("src/a.rs") })),
        ("NotebookEdit", json!({ "notebook_path": "src/a.rs" })),
        ("Bash", json!({ "command": "git commit -am x" })),
        ("Bash", json!({ "command": "git status" })),
        ("Edit", json!({ "file_path": "src/b.rs" })),
        ("Read", json!({ "file_path": "src/a.rs" })),
    ];
    let all = |session: &Session, socket: &Path| {
        let said = calls
            .iter()
            .map(|(tool, input)| denial(session, socket, tool, input));
        said.collect::<Vec<_>>()
    };
    assert_eq!(all(&bo, &of_bo), vec![None; calls.len()]);
    let claimed = ada.call("claim", json!({ "resource": "file:src/a.rs" }));
    assert_eq!(claimed["status"], "granted", "{claimed}");
    let said = all(&bo, &of_bo);
    let denied: Vec<bool> = said.iter().map(Option::is_some).collect();
    assert_eq!(denied, [true, true, true, true, false, false, false]);
    assert_eq!(all(&ada, &of_ada), vec![None; calls.len()], "its own claim");
    let text = said[0].as_ref().unwrap();
    assert!(text.contains("src/a.rs is claimed by \"shop\""), "{text}");
    let hook = bo
        .denial("Edit", &json!({ "file_path": "src/a.rs" }))
        .unwrap();
    let without_time = |text: &str| text.split(" until ").next().unwrap().to_owned();
    assert_eq!(without_time(text), without_time(&hook));
    ada.call("release", json!({ "resource": "file:src/a.rs" }));
    assert_eq!(all(&bo, &of_bo), vec![None; calls.len()]);
}

#[test]
fn guard_socket_survives_requests_of_others() {
    let world = World::new();
    let bo = world.session("bo");
    let socket = guard_socket(&bo);
    for request in [
        "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
    ] {
        assert_eq!(exchange(&socket, request), "", "{request}");
    }
    let empty = exchange(&socket, "GET / HTTP/1.1\r\n\r\n");
    assert!(empty.ends_with("{\"deny\":null}"), "{empty}");
    let edit = json!({ "file_path": "a.rs" });
    assert_eq!(denial(&bo, &socket, "Edit", &edit), None);
    // A client that sends nothing keeps no other waiting.
    let _silent = UnixStream::connect(&socket).unwrap();
    assert_eq!(denial(&bo, &socket, "Edit", &edit), None);
    bo.close_stdin();
    bo.wait_for_end();
    assert!(!socket.exists(), "it is removed at the end");
}

#[cfg(feature = "remote")]
#[test]
fn guard_socket_denies_where_the_mesh_is_at_a_hub() {
    let world = World::new();
    let hub = Hub::start(&world);
    let far = far_host(&hub, "laptop");
    let (ada, bo) = (far.session("shop"), far.session("shop"));
    let socket = guard_socket(&bo);
    let edit = json!({ "file_path": "a.rs" });
    assert_eq!(denial(&bo, &socket, "Edit", &edit), None);
    ada.call("claim", json!({ "resource": "file:a.rs" }));
    wait_until("the hub has said that it is claimed", || {
        let said = denial(&bo, &socket, "Edit", &edit);
        said.is_some_and(|text| text.contains("a.rs is claimed by \"shop\""))
    });
    let said = bo.call_from_plugin("poll_inbox", json!({ "fork": {} }));
    assert_eq!(
        (&said["here"], &said["takes_line"]),
        (&json!(1), &json!(false)),
        "{said}"
    );
    let refused = bo.call("poll_inbox", json!({ "fork": {} }));
    assert_eq!(refused["error"]["code"], "invalid_argument", "{refused}");
    hub.kill();
    assert!(
        denial(&bo, &socket, "Edit", &edit).is_some(),
        "it knows it still"
    );
}
