//! A fork that may read: it reads files of its project, and everything else is refused.
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::client::{Lab, WAIT_TIMEOUT};
use super::fork::{answered_by, install_with_mod, is_fork, open_greeted, own_requests};
use super::scripted_api::{Request, ScriptedApi, call, say};
use super::wakes::ask_on_request;

/// A call of a tool.
type Call = (&'static str, Value);

/// Fills the project of backend, and returns what its fork must not do, then what it may.
fn calls(lab: &Lab) -> (Vec<Call>, Call) {
    let rules = json!({
        "allow": ["Bash", "Read", "Write", "Edit", "Grep", "Glob", "mcp__claude-mesh"],
        "deny": ["Read(private.txt)"],
    });
    lab.set("permissions", rules);
    for (path, text) in [
        ("backend/port.txt", "the port is 5433"),
        ("backend/private.txt", "the port is secret"),
        ("backend/.env.local", "the port is secret"),
        ("outside.txt", "the port is secret"),
    ] {
        fs::write(lab.path(path), text).expect("the folder is writable");
    }
    symlink(lab.path("outside.txt"), lab.path("backend/link.txt")).expect("the folder is writable");
    let at = |name: &str| {
        lab.path(name)
            .to_str()
            .expect("the path is UTF-8")
            .to_owned()
    };
    let read = |name: &str| ("Read", json!({"file_path": at(name)}));
    let new = at("backend/new.txt");
    let change =
        json!({"file_path": at("backend/port.txt"), "old_string": "5433", "new_string": "1"});
    let grep = |more: Value| {
        let mut input = json!({"pattern": "secret", "output_mode": "content"});
        let fields = more.as_object().expect("an object").clone();
        input.as_object_mut().expect("an object").extend(fields);
        ("Grep", input)
    };
    let refused = vec![
        ("Write", json!({"file_path": new, "content": "x"})),
        ("Edit", change),
        (
            "Bash",
            json!({"command": "touch new.txt", "description": "touch"}),
        ),
        ("mcp__claude-mesh__list_peers", json!({})),
        read("backend/.env.local"),
        read("backend/private.txt"),
        read("outside.txt"),
        read("backend/link.txt"),
        read("backend/../outside.txt"),
        grep(json!({"path": at("")})),
        grep(json!({"glob": "*.local"})),
        ("Glob", json!({"pattern": "../*.txt"})),
    ];
    (refused, read("backend/port.txt"))
}

#[test]
fn fork_that_may_read_reads_its_project_and_nothing_else() {
    let setting = "CLAUDE_MESH_FORK=always\nCLAUDE_MESH_FORK_READS=on\n";
    let Some((lab, mesh)) = install_with_mod(setting) else {
        return;
    };
    let (mut calls, allowed) = calls(&lab);
    let refused_count = calls.len();
    calls.push(allowed);
    let results = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&results);
    let idle = ScriptedApi::listen(move |request| {
        if !is_fork(request) {
            return say("hello, person");
        }
        let mut seen = seen.lock().expect("no holder panics");
        // The first request of the fork has the result of the call that has started it.
        if !request.new_text().contains("You are a copy") {
            seen.push(request.tool_results().join(""));
        }
        match calls.get(seen.len()) {
            Some((tool, input)) => call(tool, input.clone()),
            None => say("5433"),
        }
    });
    let asking = ScriptedApi::listen(ask_on_request);
    let opened = open_greeted(&lab, &mesh, [&idle, &asking]);
    let Some([at_backend, at_frontend]) = opened else {
        return;
    };
    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("it is 5433");
    assert_eq!(answered_by(&mesh), ["fork"]);
    assert_refused_but_last(&results.lock().expect("no holder panics"), refused_count);
    assert!(!lab.path("backend/new.txt").exists());
    assert_eq!(own_requests(&idle).len(), 1, "no turn has begun");
    at_backend.type_prompt("tidy up the yard");
    let last = idle.wait_until(WAIT_TIMEOUT, |requests| {
        let mut own = requests.iter().filter(|request| !is_fork(request));
        own.find(|it: &&Request| it.new_text().contains("tidy up the yard"))
            .cloned()
    });
    assert_eq!(
        last.count("port.txt"),
        0,
        "its conversation does not have it"
    );
}

#[track_caller]
fn assert_refused_but_last(results: &[String], refused_count: usize) {
    assert_eq!(results.len(), refused_count + 1, "{results:#?}");
    for result in &results[..refused_count] {
        assert!(!result.contains("the port is secret"), "{result}");
        assert!(!result.contains("outside.txt"), "{result}");
    }
    assert!(
        results[refused_count].contains("the port is 5433"),
        "{results:#?}"
    );
}
