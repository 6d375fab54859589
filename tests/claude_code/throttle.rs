//! What holds a wake-up back at a real client: quiet, and a spent wake budget.

use super::client::{Lab, WAIT_TIMEOUT};
use super::mesh::Mesh;
use super::scripted_api::ScriptedApi;
use super::wakes::{answers, ask_on_request};

#[test]
fn quiet_interactive_session_is_woken_when_quiet_ends() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (asking, idle) = (
        ScriptedApi::listen(ask_on_request),
        ScriptedApi::listen(answers),
    );
    let Some(_at_backend) = lab.session(&backend, &idle).interactive() else {
        return;
    };
    let Some(at_frontend) = lab.session(&frontend, &asking).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    mesh.wait_for_peer("frontend");
    mesh.run(&["quiet", "backend"]);

    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("it was held");
    assert!(idle.conversation().is_empty(), "no turn is started");
    mesh.run(&["quiet", "backend", "--off"]);

    at_frontend.wait_for("it is 5433");
    assert!(idle.conversation()[0].peer_question_id().is_some());
}

#[test]
fn spent_wake_budget_holds_questions_until_the_person_types() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (asking, idle) = (
        ScriptedApi::listen(ask_on_request),
        ScriptedApi::listen(answers),
    );
    let at_backend = lab
        .session(&backend, &idle)
        .env("CLAUDE_MESH_WAKE_BUDGET", "1");
    let Some(at_backend) = at_backend.interactive() else {
        return;
    };
    let Some(at_frontend) = lab.session(&frontend, &asking).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    mesh.wait_for_peer("frontend");
    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("it is 5433");
    at_backend.wait_for("back to my prompt");
    mesh.wait_for_activity("backend", "idle");
    let turns = idle.conversation().len();

    at_frontend.type_prompt("ask backend again");
    at_frontend.wait_for("it was held");
    assert_eq!(idle.conversation().len(), turns, "no turn was started");
    at_backend.type_prompt("I am here again");
    let typed = idle.wait_until(WAIT_TIMEOUT, |requests| requests.get(turns).cloned());
    assert!(typed.new_text().contains("I am here again"));
    assert!(typed.peer_question_id().is_some(), "{}", typed.new_text());
    asking.wait_until(WAIT_TIMEOUT, |requests| {
        requests
            .last()?
            .new_text()
            .contains("<peer-answer")
            .then_some(())
    });
}
