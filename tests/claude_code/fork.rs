//! Answers from forks of real sessions: while a session works, waits at a dialog or is idle, its conversation does not change;
//! and where no fork answers, everything is as without forks.
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::asks::answer;
use super::background::build_until_released;
use super::claude_sandbox::scripted_api::blocks_of;
use super::client::{Lab, WAIT_TIMEOUT};
use super::mesh::Mesh;
use super::scripted_api::{Block, Request, ScriptedApi, call, say};
use super::terminal::Terminal;
use super::wakes::{answers, ask, ask_on_request, open_at_dialog};
use crate::support::{print_to_stderr, wait_until};

/// A lab with the mod, whose person has set this.
pub(super) fn install_with_mod(setting: &str) -> Option<(Lab, Mesh)> {
    let lab = Lab::new()?;
    let mesh = Mesh::install(&lab);
    mesh.run(&["install", "--mod"]);
    fs::write(lab.path("home/.claude-mesh/.env"), setting).expect("the folder is there");
    for name in ["frontend", "backend"] {
        lab.project(name);
    }
    Some((lab, mesh))
}

/// Opens a session of each project, with these models: first backend, then frontend.
fn open_both(lab: &Lab, mesh: &Mesh, models: [&ScriptedApi; 2]) -> Option<[Terminal; 2]> {
    let [backend, frontend] = ["backend", "frontend"].map(|name| lab.path(name));
    let at_backend = lab.session(&backend, models[0]).interactive()?;
    let at_frontend = lab.session(&frontend, models[1]).interactive()?;
    mesh.wait_for_peer("backend");
    mesh.wait_for_peer("frontend");
    Some([at_backend, at_frontend])
}

/// Returns whether a request is that of a fork which is to answer.
pub(super) fn is_fork(request: &Request) -> bool {
    request.count("You are a copy of this conversation") > 0
}

/// A model whose forks say this; otherwise it does as `model` says.
fn with_fork(
    fork: &'static str,
    model: impl Fn(&Request) -> Vec<Block> + Send + Sync + 'static,
) -> ScriptedApi {
    ScriptedApi::listen(move |request| {
        if is_fork(request) {
            return say(fork);
        }
        model(request)
    })
}

/// Returns who has answered the questions so far.
pub(super) fn answered_by(mesh: &Mesh) -> Vec<Value> {
    let answered = mesh.log().into_iter();
    answered
        .filter(|event| event["type"] == "question.answered")
        .map(|event| event["data"]["by"].clone())
        .collect()
}

/// Returns everything that the transcripts of a lab hold.
fn transcripts(lab: &Lab) -> String {
    let mut texts = String::new();
    let mut folders = vec![lab.path("home/.claude/projects")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the client has written there") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains("-backend") {
                texts += &fs::read_to_string(path).unwrap_or_default();
            }
        }
    }
    texts
}

/// Returns the requests of the session itself, without those of its forks.
pub(super) fn own_requests(api: &ScriptedApi) -> Vec<Request> {
    let mut requests = api.conversation();
    requests.retain(|request| !is_fork(request));
    requests
}

/// Opens a session of each project; that of backend has a conversation, of which forks can be made.
pub(super) fn open_greeted(
    lab: &Lab,
    mesh: &Mesh,
    models: [&ScriptedApi; 2],
) -> Option<[Terminal; 2]> {
    let opened = open_both(lab, mesh, models)?;
    greet(mesh, "backend", &opened[0]);
    Some(opened)
}

/// Lets a session have its first turn: there is nothing to fork before.
fn greet(mesh: &Mesh, name: &str, terminal: &Terminal) {
    mesh.wait_for_peer(name);
    terminal.type_prompt("hello");
    terminal.wait_for("hello, person");
    mesh.wait_for_activity(name, "idle");
}

/// Returns a value without the marks by which the client asks for a cache; they move with each request.
fn without_cache_marks(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_cache_marks).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(key, _)| *key != "cache_control");
            let kept = kept.map(|(key, value)| (key.clone(), without_cache_marks(value)));
            Value::Object(kept.collect())
        }
        other => other.clone(),
    }
}

/// Checks that the conversation of a session that has made two requests does not have what its fork was asked.
#[track_caller]
fn assert_no_trace(lab: &Lab, api: &ScriptedApi, terminal: &Terminal) {
    let requests = own_requests(api);
    let [first, second] = &requests[..] else {
        panic!("the session made {} requests", requests.len())
    };
    let count = first.messages().len();
    let messages = |request: &Request| -> Vec<Value> {
        let first = request.messages().iter().take(count);
        let shown = first.map(|message| {
            let blocks = Value::Array(blocks_of(&message["content"]));
            json!({ "role": message["role"], "content": without_cache_marks(&blocks) })
        });
        shown.collect()
    };
    assert_eq!(messages(second), messages(first));
    let system = |request: &Request| without_cache_marks(&request.body["system"]);
    assert_eq!(system(second), system(first));
    for (place, text) in [
        ("request", second.body["messages"].to_string()),
        ("transcript", transcripts(lab)),
        ("screen", terminal.screen()),
    ] {
        for part in ["which port?", "5433", "a copy of this", "doorbell"] {
            assert!(!text.contains(part), "{part} in its {place}: {text}");
        }
    }
}

/// Prints how long the call of the asker waited.
fn report_wait(asking: &ScriptedApi) {
    let requests = own_requests(asking);
    let results = requests.iter().map(Request::tool_results);
    let waited_ms = results.flatten().find_map(|result| {
        let result: Value = serde_json::from_str(&result).ok()?;
        result["waited_ms"].as_i64()
    });
    let waited_ms = waited_ms.expect("the call has returned");
    print_to_stderr(&format!(
        "MEASURED: answer by a fork of a busy session: {waited_ms} ms, with a model that answers at once"
    ));
}

// Requirement: Beyond 19
#[test]
fn busy_session_is_answered_for_by_its_fork() {
    let Some((lab, mesh)) = install_with_mod("CLAUDE_MESH_FORK=busy\n") else {
        return;
    };
    let working = with_fork("5433", |request| match request.turn() {
        0 => build_until_released(),
        1 => say("it is built"),
        _ => say("as you say"),
    });
    let asking = ScriptedApi::listen(ask_on_request);
    let opened = open_both(&lab, &mesh, [&working, &asking]);
    let Some([at_backend, at_frontend]) = opened else {
        return;
    };
    let backend = lab.path("backend");
    at_backend.type_prompt("build it");
    wait_until("the build has begun", || backend.join("begun").exists());
    mesh.wait_for_activity("backend", "busy");
    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("it is 5433");
    assert!(!backend.join("go").exists(), "the build runs on");
    assert_eq!(answered_by(&mesh), ["fork"]);
    report_wait(&asking);

    fs::write(backend.join("go"), "").expect("the folder is writable");
    at_backend.wait_for("it is built");
    assert_no_trace(&lab, &working, &at_backend);
    mesh.wait_for_activity("backend", "idle");
    at_backend.type_prompt("tidy up the yard");
    let notice = working.wait_until(WAIT_TIMEOUT, |requests| {
        let own = requests.iter().filter(|request| !is_fork(request));
        own.map(Request::new_text)
            .find(|text| text.contains("tidy up the yard"))
    });
    assert!(
        notice.contains("a fork of this session has answered"),
        "{notice}"
    );
}

#[test]
fn idle_session_is_answered_for_by_its_fork_without_a_turn() {
    let Some((lab, mesh)) = install_with_mod("CLAUDE_MESH_FORK=always\n") else {
        return;
    };
    let idle = with_fork("5433", |_| say("hello, person"));
    let asking = ScriptedApi::listen(ask_on_request);
    let opened = open_greeted(&lab, &mesh, [&idle, &asking]);
    let Some([_at_backend, at_frontend]) = opened else {
        return;
    };
    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("it is 5433");
    assert_eq!(answered_by(&mesh), ["fork"]);
    assert_eq!(own_requests(&idle).len(), 1, "no turn has begun");
    let fork = idle.conversation().into_iter().find(is_fork);
    let fork = fork.expect("a fork was asked");
    assert_eq!(fork.count("<peer-question"), 0, "the question is data");
    let results = asking
        .conversation()
        .into_iter()
        .flat_map(|it| it.tool_results());
    let result: Value = serde_json::from_str(&results.collect::<String>()).expect("one result");
    let asked = mesh
        .log()
        .into_iter()
        .find(|event| event["type"] == "question.asked");
    let time = |value: &Value| -> jiff::Timestamp {
        let text = value.as_str().expect("a time is text");
        text.parse().expect("times are of RFC 3339")
    };
    let asked_at = time(&asked.expect("it was asked")["at"]);
    assert!(time(&result["as_of"]) < asked_at, "{result}");
}

#[test]
fn session_answers_itself_where_no_fork_does() {
    for (setting, fork, greets) in [
        ("CLAUDE_MESH_FORK=off\n", "5434", true),
        ("CLAUDE_MESH_FORK=busy\n", "5434", true),
        ("CLAUDE_MESH_FORK=always\n", "5434", false),
        ("CLAUDE_MESH_FORK=always\n", "NOT_IN_TRANSCRIPT", true),
        ("CLAUDE_MESH_FORK=always\n", " ", true),
    ] {
        let Some((lab, mesh)) = install_with_mod(setting) else {
            return;
        };
        let idle = with_fork(fork, |request| match request.peer_question_id() {
            Some(id) => answer(&id),
            None => say("hello, person"),
        });
        let asking = ScriptedApi::listen(ask_on_request);
        let opened = open_both(&lab, &mesh, [&idle, &asking]);
        let Some([at_backend, at_frontend]) = opened else {
            return;
        };
        if greets {
            greet(&mesh, "backend", &at_backend);
        }
        at_frontend.type_prompt("ask backend");
        at_frontend.wait_for("it is 5433");
        assert_eq!(answered_by(&mesh), ["session"], "{setting}{fork}");
    }
}

#[test]
fn session_without_its_conversation_answers_itself_again() {
    let Some((lab, mesh)) = install_with_mod("CLAUDE_MESH_FORK=always\n") else {
        return;
    };
    let idle = with_fork("5434", |request| match request.peer_question_id() {
        Some(id) => answer(&id),
        None => say("hello, person"),
    });
    let asking = ScriptedApi::listen(ask_on_request);
    let opened = open_greeted(&lab, &mesh, [&idle, &asking]);
    let Some([at_backend, at_frontend]) = opened else {
        return;
    };
    at_backend.type_prompt("/clear");
    wait_until("the screen is cleared", || {
        !at_backend.screen().contains("hello, person")
    });
    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("it is 5433");
    assert_eq!(answered_by(&mesh), ["session"]);
}

#[test]
fn dialog_stays_open_while_a_fork_answers() {
    let Some((lab, mesh)) = install_with_mod("CLAUDE_MESH_FORK=busy\n") else {
        return;
    };
    let file = lab.path("backend/notes.txt");
    let path = file.to_str().expect("the path is UTF-8").to_owned();
    let careful = with_fork("5433", move |request| match request.turn() {
        0 => call("Write", json!({"file_path": path, "content": "a note"})),
        _ => answers(request),
    });
    let asking = ScriptedApi::listen(ask_on_request);
    let opened = open_at_dialog(&lab, &mesh, [&careful, &asking]);
    let Some([at_backend, at_frontend]) = opened else {
        return;
    };
    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("it is 5433");
    assert_eq!(answered_by(&mesh), ["fork"]);
    assert!(at_backend.screen().contains("Do you want to"));
    at_backend.keys(&["Enter"]);
    wait_until("the note is taken", || file.exists());
}

#[test]
fn sessions_that_ask_each_other_are_both_answered_for() {
    let Some((lab, mesh)) = install_with_mod("CLAUDE_MESH_FORK=always\n") else {
        return;
    };
    // A question that comes before the prompt of the asked session would be shown to it by that prompt, and one that comes to a
    // session that has its answer already by the end of its turn.
    let (prompted, forked): (Arc<[AtomicBool; 2]>, Arc<[AtomicBool; 2]>) = Default::default();
    let asks = |own: usize, other: &'static str| {
        let (prompted, forked) = (Arc::clone(&prompted), Arc::clone(&forked));
        let meet = move |what, both: &[AtomicBool; 2]| {
            both[own].store(true, Ordering::SeqCst);
            wait_until(what, || both.iter().all(|one| one.load(Ordering::SeqCst)));
        };
        ScriptedApi::listen(move |request: &Request| {
            if is_fork(request) {
                meet("both have forks", &forked);
                return say("5433");
            }
            if request.new_text().contains("ask the other") {
                meet("both have their prompts", &prompted);
                return ask(other, "which port?");
            }
            let reported = request.tool_results().join("");
            let reported: Value = serde_json::from_str(&reported).unwrap_or_default();
            match reported["status"].as_str() {
                Some(status) => say(format!("{status} by a {}", reported["by"])),
                None => say("hello, person"),
            }
        })
    };
    let (of_backend, of_frontend) = (asks(0, "frontend"), asks(1, "backend"));
    let opened = open_both(&lab, &mesh, [&of_backend, &of_frontend]);
    let Some([at_backend, at_frontend]) = opened else {
        return;
    };
    greet(&mesh, "backend", &at_backend);
    greet(&mesh, "frontend", &at_frontend);
    at_backend.type_prompt("ask the other");
    at_frontend.type_prompt("ask the other");
    at_backend.wait_for("answered by a");
    at_frontend.wait_for("answered by a");
    assert_eq!(answered_by(&mesh), ["fork", "fork"]);
}
