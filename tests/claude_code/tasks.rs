//! A real session creates a task for an idle one. That session is woken, works, submits, gets a rejection with a reason, and
//! finishes; each is woken by the steps of the other.
use serde_json::{Value, json};

use super::client::{Lab, WAIT_TIMEOUT};
use super::mesh::Mesh;
use super::scripted_api::{Block, Request, ScriptedApi, call, say};

const REASON: &str = "the test is missing";

fn result(request: &Request) -> Value {
    let reported = request.tool_results().join("");
    serde_json::from_str(&reported).unwrap_or_else(|_| panic!("no JSON: {reported}"))
}

fn update_status(id: &str, status: &str, reason: Option<&str>) -> Vec<Block> {
    let mut arguments = json!({ "task_id": id, "status": status });
    if let Some(reason) = reason {
        arguments["reason"] = reason.into();
    }
    call("mcp__claude-mesh__update_task", arguments)
}

/// Returns the id of the task of which a notification says `what`.
fn notified_task_id(request: &Request, what: &str) -> Option<String> {
    let new_text = request.new_text();
    let before = new_text
        .split(what)
        .next()
        .filter(|before| before.len() < new_text.len())?;
    let (_, id) = before.rsplit_once("Task ")?;
    Some(id.trim().to_owned())
}

/// Creates the task, rejects its first result, and accepts the second.
fn create_and_review(request: &Request) -> Vec<Block> {
    if let Some(id) = notified_task_id(request, " waits for your review") {
        return match request.count(REASON) {
            0 => update_status(&id, "todo", Some(REASON)),
            _ => update_status(&id, "done", None),
        };
    }
    if request.turn() == 0 {
        return call(
            "mcp__claude-mesh__create_task",
            json!({ "title": "add a health check", "assigned_to": "backend" }),
        );
    }
    if !request.tool_results().is_empty() {
        assert!(result(request)["error"].is_null(), "{}", result(request));
    }
    say("back to my prompt")
}

/// Starts the task of a notification and submits it.
fn work_on_tasks(request: &Request) -> Vec<Block> {
    let begins = notified_task_id(request, " is yours now")
        .or_else(|| notified_task_id(request, " was sent back"));
    if let Some(id) = begins {
        return update_status(&id, "in_progress", None);
    }
    if request.tool_results().is_empty() {
        return say("back to my prompt");
    }
    let task = &result(request)["task"];
    match task["status"].as_str() {
        Some("in_progress") => update_status(
            task["task_id"].as_str().expect("the entry has an id"),
            "in_review",
            None,
        ),
        Some("in_review") => say("handed in"),
        _ => panic!("{}", result(request)),
    }
}

// Requirement: Peers 5, Tasks 7
#[test]
fn woken_session_finishes_a_task_after_a_rejection() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let creating = ScriptedApi::listen(create_and_review);
    let idle = ScriptedApi::listen(work_on_tasks);
    let Some(_at_backend) = lab.session(&backend, &idle).interactive() else {
        return;
    };
    let Some(at_frontend) = lab.session(&frontend, &creating).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    mesh.wait_for_peer("frontend");
    mesh.wait_for_activity("backend", "idle");

    at_frontend.type_prompt("have a health check added");

    // The reason is in the message that wakes the worker.
    idle.wait_until(WAIT_TIMEOUT, |requests| {
        requests
            .iter()
            .any(|one| one.new_text().contains(REASON))
            .then_some(())
    });
    creating.wait_until(WAIT_TIMEOUT, |requests| {
        let done = |one: &Request| one.tool_results().join("").contains("\"status\":\"done\"");
        requests.iter().any(done).then_some(())
    });
    let steps: Vec<String> = mesh
        .log()
        .iter()
        .filter(|event| event["type"] == "task.updated")
        .map(|event| {
            let to = &event["data"]["changes"]["status"]["to"];
            format!(
                "{} {}",
                event["by"].as_str().unwrap_or_default(),
                to.as_str().unwrap_or_default()
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            "backend in_progress",
            "backend in_review",
            "frontend todo",
            "backend in_progress",
            "backend in_review",
            "frontend done",
        ]
    );
}
