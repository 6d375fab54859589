//! A client that takes no inbox lines, and the hook that waits beside it instead.
use serde_json::{Value, json};

use super::client::{Lab, WAIT_TIMEOUT};
use super::mesh::Mesh;
use super::scripted_api::{Request, ScriptedApi, say};
use super::wakes::{answers, ask_on_request};

#[test]
fn rewake_hook_wakes_a_session_until_its_budget_is_spent() {
    const BUDGET: usize = 3;
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    mesh.run(&["install", "--wake", "rewake"]);
    lab.set("crossSessionInbound", json!("refuse"));
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (asking, idle) = (
        ScriptedApi::listen(ask_on_request),
        ScriptedApi::listen(answers),
    );
    let at_backend = lab.session(&backend, &idle);
    let at_backend = at_backend.env("CLAUDE_MESH_WAKE_BUDGET", "3");
    let Some(_at_backend) = at_backend.interactive() else {
        return;
    };
    let Some(at_frontend) = lab.session(&frontend, &asking).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    mesh.wait_for_peer("frontend");

    for round in 1..=BUDGET {
        mesh.wait_for_activity("backend", "idle");
        at_frontend.type_prompt(&format!("ask backend, round {round}"));
        asking.wait_until(WAIT_TIMEOUT, |requests| {
            let results = requests.iter().flat_map(Request::tool_results);
            let answers = results.filter(|it| it.contains("\"answer\":\"5433\""));
            (answers.count() == round).then_some(())
        });
    }
    mesh.wait_for_activity("backend", "idle");
    at_frontend.type_prompt("ask backend once too often");
    at_frontend.wait_for("it was held");

    let conversation = idle.conversation();
    let last = conversation.last().expect("the model received a request");
    assert_eq!(
        last.count("<peer-question "),
        BUDGET,
        "each question was delivered once"
    );
    let shown: Vec<Value> = mesh
        .log()
        .into_iter()
        .filter(|it| it["type"] == "question.shown")
        .map(|it| it["data"]["way"].clone())
        .collect();
    assert_eq!(shown, [(); BUDGET].map(|()| json!("rewake")));
}

#[test]
fn headless_run_does_not_wait_for_its_rewake_hook() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    mesh.run(&["install", "--wake", "rewake"]);
    let backend = lab.project("backend");
    let api = ScriptedApi::listen(|_| say("B RESULT"));

    let run = lab.session(&backend, &api).env("CLAUDE_MESH_ANSWER", "1");
    assert_eq!(run.headless("do your work").finish().result(), "B RESULT");
}
