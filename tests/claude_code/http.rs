//! The real client connected to `/mcp` of a hub over HTTP, without anything installed: it asks, and it answers.
use std::path::Path;
use std::process::Command;

use claude_mesh::model::access_key::KeyScope;
use serde_json::{Value, json};

use super::asks::answer;
use super::client::Lab;
use super::mesh::Mesh;
use super::scripted_api::{Block, Request, ScriptedApi, call, say};
use crate::support::{Hub, McpClient, program, wait_until};

/// Starts a hub in the home of a lab, and permits the tools of a server called `hub`.
fn hub(lab: &Lab) -> Hub {
    lab.set(
        "permissions",
        json!({ "allow": ["Bash", "Read", "mcp__hub", "mcp__claude-mesh"] }),
    );
    let mut command = Command::new(program("claude-mesh"));
    command.env_clear().envs(lab.environment());
    Hub::spawn(command, lab.path("home"), &[])
}

/// Adds the hub to the client in a project, with a key for a peer, as a person does.
fn add(lab: &Lab, hub: &Hub, project: &Path, peer: &str) {
    let api = ScriptedApi::listen(|_| say("nobody asks me"));
    let url = format!("{}/mcp", hub.url());
    let key = format!("Authorization: Bearer {}", hub.key(peer, KeyScope::Write));
    let add = [
        "mcp",
        "add",
        "--transport",
        "http",
        "hub",
        &url,
        "--header",
        &key,
    ];
    let session = lab.session(project, &api);
    let added = session.run(&add).finish();
    assert!(added.status.success(), "{added:#?}");
    let listed = session.run(&["mcp", "list"]).finish();
    assert!(listed.stdout.contains("Connected"), "{listed:#?}");
}

/// The model of the asker: it asks and repeats the answer.
fn asks(request: &Request) -> Vec<Block> {
    if request.turn() == 0 {
        let question = json!({ "to": "backend", "question": "which port?", "timeout_seconds": 60 });
        return call("mcp__hub__ask_peer", question);
    }
    let answer = last_result(request);
    say(format!(
        "it is {}",
        answer["answer"].as_str().unwrap_or("unknown")
    ))
}

/// The model of the answerer: it looks into its inbox until a question is there, answers it, and says what it was asked.
fn answers(request: &Request) -> Vec<Block> {
    let result = match request.turn() {
        0 => return call("mcp__hub__poll_inbox", json!({})),
        _ => last_result(request),
    };
    if result["status"] == "answered" {
        return say(format!(
            "answered {}",
            result["to"].as_str().unwrap_or("nobody")
        ));
    }
    match &result["questions"][0]["question_id"] {
        Value::Null => call("mcp__hub__poll_inbox", json!({})),
        id => call(
            "mcp__hub__reply_to_peer",
            json!({ "question_id": id, "answer": "5433" }),
        ),
    }
}

/// Waits until a peer can be asked.
fn wait_for_peer(hub: &Hub, name: &str) {
    let key = hub.key("watcher", KeyScope::Read);
    let watcher = McpClient::new(hub, &key, "2026-07-28");
    wait_until("the peer can be asked", || {
        let listed = watcher.call("list_peers", json!({}));
        let peers = listed["peers"].as_array().unwrap();
        peers
            .iter()
            .any(|peer| peer["peer"] == name && peer["askable"] == true)
    });
}

fn last_result(request: &Request) -> Value {
    let results = request.tool_results();
    let last = results.last().expect("the model has called a tool");
    serde_json::from_str(last).unwrap_or_else(|_| panic!("no JSON: {last}"))
}

#[test]
fn clients_over_http_ask_and_answer_each_other() {
    let Some(lab) = Lab::new() else { return };
    let hub = hub(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    add(&lab, &hub, &frontend, "frontend");
    add(&lab, &hub, &backend, "backend");
    let (asking, answering) = (ScriptedApi::listen(asks), ScriptedApi::listen(answers));

    let answerer = lab.session(&backend, &answering).headless("answer");
    wait_for_peer(&hub, "backend");
    let asker = lab
        .session(&frontend, &asking)
        .headless("ask backend for the port");

    assert_eq!(asker.finish().result(), "it is 5433");
    assert_eq!(answerer.finish().result(), "answered frontend");
}

#[test]
fn installed_session_answers_a_client_over_http() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let hub = hub(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    add(&lab, &hub, &frontend, "web");
    let idle = ScriptedApi::listen(|request| match request.peer_question_id() {
        Some(id) => answer(&id),
        None => say("back to my prompt"),
    });
    let asking = ScriptedApi::listen(asks);
    let Some(terminal) = lab.session(&backend, &idle).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    let asker = lab.session(&frontend, &asking).headless("ask backend");

    assert_eq!(asker.finish().result(), "it is 5433");
    terminal.wait_for("back to my prompt");
}
