//! Answers that arrive after the call has ended or moved to the background: they wake their asker.
use crate::support::wait_until;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::asks::answer;
use super::client::Lab;
use super::mesh::Mesh;
use super::scripted_api::{Block, Request, ScriptedApi, call, say};
use super::wakes::{answers, ask_on_request, gate, gate_for};

#[test]
fn answer_to_a_background_call_wakes_its_asker() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (open_gate, hold) = gate();
    let slow = ScriptedApi::listen(move |request| {
        if request.peer_question_id().is_some() {
            hold();
        }
        answers(request)
    });
    let asking = ScriptedApi::listen(asks_in_the_background);
    let Some(_at_backend) = lab.session(&backend, &slow).interactive() else {
        return;
    };
    let at_frontend = lab.session(&frontend, &asking);
    let at_frontend = at_frontend.env("CLAUDE_CODE_MCP_AUTO_BACKGROUND_MS", "3000");
    let Some(at_frontend) = at_frontend.interactive() else {
        return;
    };
    mesh.wait_for_peer("frontend");
    mesh.wait_for_peer("backend");

    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("it takes its time");
    mesh.wait_for_activity("frontend", "idle");
    open_gate
        .send(())
        .expect("the other model waits for the gate");

    at_frontend.wait_for("it is 5433");
    mesh.wait_for_activity("frontend", "idle");
    let last = asking.conversation().into_iter().last();
    let again = last.expect("the session was woken").count("<peer-answer");
    assert_eq!(again, 0, "the result of its call is enough");
}

/// The two tests above in full length, with the client's own limit of two minutes.
#[test]
fn answer_after_two_minutes_wakes_its_background_asker() {
    const WORK_DURATION: Duration = Duration::from_secs(60);
    const ANSWER_DELAY: Duration = Duration::from_secs(130);
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (open_gate, hold) = gate_for(ANSWER_DELAY);
    let working = ScriptedApi::listen(move |request| match request.peer_question_id() {
        Some(id) => {
            hold();
            answer(&id)
        }
        None if request.turn() == 0 => build_until_released(),
        None => say("back to my prompt"),
    });
    let asking = ScriptedApi::listen(asks_in_the_background);
    let Some(at_backend) = lab.session(&backend, &working).interactive() else {
        return;
    };
    let Some(at_frontend) = lab.session(&frontend, &asking).interactive() else {
        return;
    };
    mesh.wait_for_peer("frontend");
    mesh.wait_for_peer("backend");
    at_backend.type_prompt("build it");
    wait_until("the build has begun", || backend.join("begun").exists());

    at_frontend.type_prompt("ask backend");
    mesh.wait_for_open_question(|it| it["wake"] == "queued");
    let asked = Instant::now();
    while asked.elapsed() < WORK_DURATION {
        let open = mesh.wait_for_open_question(|_| true);
        assert_eq!(
            (&open["wake"], &open["shown_times"]),
            (&json!("queued"), &json!(0)),
            "it works still: {open:#}"
        );
        thread::sleep(Duration::from_millis(500));
    }
    fs::write(backend.join("go"), "").expect("the folder is writable");
    mesh.wait_for_open_question(|it| it["shown_times"] == 1);
    while asked.elapsed() < ANSWER_DELAY {
        thread::sleep(Duration::from_millis(500));
    }
    at_frontend.wait_for("it takes its time");
    mesh.wait_for_activity("frontend", "idle");
    open_gate
        .send(())
        .expect("the other model waits for the gate");

    at_frontend.wait_for("it is 5433");
    mesh.wait_for_activity("frontend", "idle");
    let last = asking.conversation().into_iter().last();
    let again = last.expect("the session was woken").count("<peer-answer");
    assert_eq!(again, 0, "the result of its call is enough");
}

/// The same, with a call so long that the client moves it to the background.
fn asks_in_the_background(request: &Request) -> Vec<Block> {
    let reported = request.tool_results().join("");
    let new_text = request.new_text();
    if reported.contains("moved to the background") {
        return say("it takes its time");
    }
    if new_text.contains("<task-notification>") && new_text.contains("5433") {
        return say("it is 5433");
    }
    ask_on_request(request)
}

/// The blocks of a model that works until its project has a file `go`.
pub(super) fn build_until_released() -> Vec<Block> {
    let command = "touch begun; while [ ! -e go ]; do sleep 0.1; done; echo built";
    call("Bash", json!({"command": command, "description": "build"}))
}

/// What a model says about an answer that came when it did not wait.
pub(super) fn late_answer_text(new_text: &str) -> String {
    let (_, block) = new_text.split_once("<peer-answer").expect("one is there");
    let (_, text) = block.split_once(">\n").expect("the block has a head");
    let (text, _) = text
        .split_once("\n</peer-answer>")
        .expect("the block has an end");
    format!("it is {text}")
}
