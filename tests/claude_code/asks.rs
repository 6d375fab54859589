//! One session asks and another answers, and neither person notices a difference in their own work.
//!
//! The models are scripts. So these tests do not show that a model would answer; they show that it is asked, with the
//! question in its context, and that its answer arrives.
use std::sync::Mutex;
use std::sync::mpsc;

use serde_json::{Value, json};

use super::client::{Lab, LabSession, WAIT_TIMEOUT};
use super::mesh::Mesh;
use super::scripted_api::{Block, Request, ScriptedApi, call, say};

#[test]
fn installed_server_connects_and_mcp_list_adds_no_peer() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let project = lab.project("backend");
    let api = ScriptedApi::listen(|_| say("nobody asks me"));

    let listed = lab.session(&project, &api).run(&["mcp", "list"]).finish();

    let line = listed
        .stdout
        .lines()
        .find(|it| it.starts_with("claude-mesh:"));
    assert!(
        line.is_some_and(|it| it.contains("Connected")),
        "{listed:#?}"
    );
    assert_eq!(mesh.peers(), Vec::<Value>::new());
}

#[test]
fn headless_session_answers_before_ending_with_its_result() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let working = ScriptedApi::listen(works_until_asked(&mesh, || ()));
    let asking = ScriptedApi::listen(asks_backend);

    let answerer = answering_session(&lab, &backend, &working).headless("do your work");
    mesh.wait_for_peer("backend");
    let asker = lab
        .session(&frontend, &asking)
        .headless("ask backend for the port");
    let asker_name = format!("frontend/p-{}", asker.pid());

    assert_eq!(asker.finish().result(), "it is 5433");
    assert_eq!(answerer.finish().result(), "B RESULT");
    let answer = tool_result(&asking);
    assert_eq!(
        (&answer["status"], &answer["answer"]),
        (&json!("answered"), &json!("5433"))
    );
    let continued = working
        .conversation()
        .into_iter()
        .find(|it| it.peer_question_id().is_some());
    let continued = continued.expect("the asker has its answer");
    assert_eq!(
        continued.turn(),
        2,
        "the question was delivered before the end of the turn"
    );
    assert!(
        continued
            .new_text()
            .contains(&format!("from=\"{asker_name}\"")),
        "{}",
        continued.new_text()
    );
}

#[test]
fn plain_headless_run_receives_no_questions() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (open_gate, waiting) = mpsc::channel();
    let waiting = Mutex::new(waiting);
    let hold = move || {
        waiting
            .lock()
            .expect("one model waits")
            .recv()
            .expect("the test opens the gate");
    };
    let working = ScriptedApi::listen(works_until_asked(&mesh, hold));
    let asking = ScriptedApi::listen(asks_backend);
    let plain = ScriptedApi::listen(|_| say("C RESULT"));

    let answerer = answering_session(&lab, &backend, &working).headless("do your work");
    mesh.wait_for_peer("backend");
    let asker = lab
        .session(&frontend, &asking)
        .headless("ask backend for the port");
    mesh.wait_for_question("backend");
    let beside = lab
        .session(&backend, &plain)
        .headless("do something else")
        .finish();
    open_gate.send(()).expect("the model still works");

    assert_eq!(beside.result(), "C RESULT");
    let [only] = &plain.conversation()[..] else {
        panic!("it was kept from ending: {:#?}", plain.conversation());
    };
    assert_eq!(only.peer_question_id(), None);
    assert_eq!(asker.finish().result(), "it is 5433");
    assert_eq!(answerer.finish().result(), "B RESULT");
}

#[test]
fn idle_session_wakes_for_a_question_and_answers_it() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let idle = ScriptedApi::listen(|request| match request.peer_question_id() {
        Some(id) => answer(&id),
        None => say("back to my prompt"),
    });
    let asking = ScriptedApi::listen(asks_backend);

    let Some(terminal) = lab.session(&backend, &idle).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    assert!(idle.conversation().is_empty(), "nothing was typed");
    let asker = lab
        .session(&frontend, &asking)
        .headless("ask backend for the port");

    let woken = idle.wait_until(WAIT_TIMEOUT, |requests| requests.first().cloned());
    assert!(woken.peer_question_id().is_some(), "{}", woken.new_text());
    assert_eq!(asker.finish().result(), "it is 5433");
    terminal.wait_for("back to my prompt");
}

#[test]
fn peers_list_shows_activity_summary_and_idle_time() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let api = ScriptedApi::listen(|_| say("The login is fixed."));
    let Some(terminal) = lab.session(&lab.project("backend"), &api).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");

    terminal.type_prompt("fix the login");
    terminal.wait_for("The login is fixed.");

    mesh.wait_until(|peer| {
        peer["doing"] == "asked: fix the login · said: The login is fixed."
            && peer["activity"] == "idle"
            && peer["idle_seconds"].is_i64()
    });
}

/// A headless session that answers questions.
fn answering_session<'lab>(
    lab: &'lab Lab,
    project: &'lab std::path::Path,
    api: &'lab ScriptedApi,
) -> LabSession<'lab> {
    lab.session(project, api).env("CLAUDE_MESH_ANSWER", "1")
}

/// The model of the asker: it asks and repeats the result.
pub(super) fn asks_backend(request: &Request) -> Vec<Block> {
    if request.turn() == 0 {
        let question = json!({"to": "backend", "question": "which port?", "timeout_seconds": 60});
        return call("mcp__claude-mesh__ask_peer", question);
    }
    let reported = request.tool_results().join("");
    let reported: Value =
        serde_json::from_str(&reported).unwrap_or_else(|_| panic!("no JSON: {reported}"));
    say(format!(
        "it is {}",
        reported["answer"].as_str().unwrap_or("unknown")
    ))
}

/// The model of the answerer: it works until a question is stored and `hold` returns, ends its turn, and answers if the turn is continued.
fn works_until_asked(
    mesh: &Mesh,
    hold: impl Fn() + Send + Sync + 'static,
) -> impl Fn(&Request) -> Vec<Block> + Send + Sync + 'static {
    let mesh = mesh.clone();
    move |request| match (request.peer_question_id(), request.turn()) {
        (Some(id), _) => answer(&id),
        (None, 0) => call(
            "Bash",
            json!({"command": "echo some work", "description": "work"}),
        ),
        (None, 1) => {
            mesh.wait_for_question("backend");
            hold();
            say("B RESULT")
        }
        (None, _) => say("B RESULT"),
    }
}

/// The blocks of a model that answers with the port.
pub(super) fn answer(question_id: &str) -> Vec<Block> {
    let answer = json!({"question_id": question_id, "answer": "5433"});
    call("mcp__claude-mesh__reply_to_peer", answer)
}

/// Returns the result of the only call of a model.
fn tool_result(api: &ScriptedApi) -> Value {
    let conversation = api.conversation();
    let results = conversation.iter().flat_map(Request::tool_results);
    let results: Vec<_> = results.collect();
    serde_json::from_str(&results.join("")).unwrap_or_else(|_| panic!("not one JSON: {results:?}"))
}
