//! Waking real clients: at an idle prompt, during work, at a dialog, after a restart.
//!
//! Every wait here is for something visible. Where a test lets time pass, it checks that nothing happens.
use crate::support::{print_to_stderr, wait_until};
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::asks::{answer, asks_backend};
use super::background::{build_until_released, late_answer_text};
use super::client::{Lab, WAIT_TIMEOUT};
use super::mesh::Mesh;
use super::scripted_api::{Block, Request, ScriptedApi, call, say};
use super::terminal::Terminal;

#[test]
fn question_reaches_an_idle_model_within_five_seconds() {
    const QUESTIONS: usize = 10;
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let idle = ScriptedApi::listen(move |request| match request.peer_question_id() {
        Some(id) => {
            let at = jiff::Timestamp::now();
            let sender = sender.lock().expect("no holder panics");
            sender.send((id.clone(), at)).expect("the test listens");
            answer(&id)
        }
        None => say("back to my prompt"),
    });
    let watched = mesh.clone();
    let asking = ScriptedApi::listen(move |request| match request.turn() {
        QUESTIONS => say("all asked"),
        turn => {
            watched.wait_for_activity("backend", "idle");
            ask("backend", &format!("which port has service {turn}?"))
        }
    });

    let Some(_terminal) = lab.session(&backend, &idle).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    let asker = lab.session(&frontend, &asking).headless("ask ten times");
    assert_eq!(asker.finish().result(), "all asked");

    let asked = mesh.log();
    let mut took: Vec<_> = receiver
        .try_iter()
        .map(|(id, received_at)| {
            let asked = asked
                .iter()
                .find(|it| it["type"] == "question.asked" && it["subject"] == *id);
            let at = &asked.expect("the log has the question")["at"];
            let at = at.as_str().expect("a time is text").parse();
            let at: jiff::Timestamp = at.expect("the log's times are of RFC 3339");
            received_at.duration_since(at).as_millis()
        })
        .collect();
    took.sort_unstable();
    assert_eq!(took.len(), QUESTIONS, "each question was delivered once");
    let median = took[QUESTIONS / 2];
    print_to_stderr(&format!(
        "from the question's commit to the idle peer's request: {median} ms in the median of {took:?}"
    ));
    assert!(median < 5_000, "{took:?}");
}

#[test]
fn two_sessions_asking_each_other_at_once_both_get_answers() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let first = ScriptedApi::listen(asks_and_answers("backend", || ()));
    let second = ScriptedApi::listen(asks_and_answers("frontend", || ()));
    let Some(at_frontend) = lab.session(&frontend, &first).interactive() else {
        return;
    };
    let Some(at_backend) = lab.session(&backend, &second).interactive() else {
        return;
    };
    mesh.wait_for_peer("frontend");
    mesh.wait_for_peer("backend");

    let began = Instant::now();
    at_frontend.type_prompt("ask the other");
    at_backend.type_prompt("ask the other");

    at_frontend.wait_for("it is 5433");
    at_backend.wait_for("it is 5433");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "a call waited: {took:?}");
    assert_eq!(mesh.open_questions(), Vec::<Value>::new());
    assert_eq!((count_copies(&first), count_copies(&second)), (1, 1));
}

#[test]
fn typed_prompt_survives_a_concurrent_ask_and_question() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (open_gate, hold) = gate();
    let first = ScriptedApi::listen(asks_and_answers("backend", || ()));
    let second = ScriptedApi::listen(asks_and_answers("frontend", hold));
    let Some(at_frontend) = lab.session(&frontend, &first).interactive() else {
        return;
    };
    let Some(at_backend) = lab.session(&backend, &second).interactive() else {
        return;
    };
    mesh.wait_for_peer("frontend");
    mesh.wait_for_peer("backend");

    at_backend.type_prompt("ask the other");
    mesh.wait_for_activity("backend", "busy");
    at_frontend.type_prompt("ask the other");
    mesh.wait_for_question("backend");
    at_frontend.type_prompt("and mind the tests");
    at_frontend.wait_for("Queued");
    at_frontend.keys(&["-l", "half a thought"]);
    at_frontend.wait_for("half a thought");
    let began = Instant::now();
    open_gate
        .send(())
        .expect("the other model waits for the gate");

    at_frontend.wait_for("it is 5433");
    at_backend.wait_for("it is 5433");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "a call waited: {took:?}");
    let read = first.conversation().into_iter().last();
    let read = read
        .expect("the model has its answer")
        .count("and mind the tests");
    assert_eq!(read, 1, "the typed text is read once");
    assert_eq!((count_copies(&first), count_copies(&second)), (1, 1));
    at_frontend.wait_for("half a thought");
}

#[test]
fn busy_session_gets_a_question_once_with_a_tool_result() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let working = ScriptedApi::listen(|request| match request.peer_question_id() {
        Some(id) => answer(&id),
        None if request.turn() == 0 => build_until_released(),
        None => say("back to my prompt"),
    });
    let asking = ScriptedApi::listen(asks_backend);
    let Some(at_backend) = lab.session(&backend, &working).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    at_backend.type_prompt("build it");
    wait_until("the build has begun", || backend.join("begun").exists());

    let asker = lab
        .session(&frontend, &asking)
        .headless("ask backend for the port");
    let question = mesh.wait_for_open_question(|it| it["wake"] == "queued");
    let id = question["question_id"]
        .as_str()
        .expect("the entry has an id");
    // Twice what an idle session would get before its wake-up counts as failed.
    let watched_until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < watched_until {
        let open = mesh.wait_for_open_question(|it| it["question_id"] == id);
        assert_eq!(
            (&open["wake"], &open["shown_times"]),
            (&json!("queued"), &json!(0)),
            "the peer still works: {open:#}"
        );
    }
    fs::write(backend.join("go"), "").expect("the folder is writable");

    assert_eq!(asker.finish().result(), "it is 5433");
    let reported = working.wait_until(WAIT_TIMEOUT, |requests| {
        requests
            .iter()
            .find(|it| it.peer_question_id().is_some())
            .cloned()
    });
    assert_eq!(reported.tool_results().join(""), "built");
    at_backend.wait_for("back to my prompt");
    let last = working.conversation().into_iter().last();
    let count_copies = last
        .expect("the model has ended its turn")
        .count(&format!("<peer-question id=\"{id}\""));
    assert_eq!(count_copies, 1);
}

#[test]
fn reopened_session_answers_and_its_asker_is_woken() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (asking, idle) = (
        ScriptedApi::listen(ask_on_request),
        ScriptedApi::listen(answers),
    );
    let Some(at_backend) = lab.session(&backend, &idle).interactive() else {
        return;
    };
    let Some(at_frontend) = lab.session(&frontend, &asking).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    mesh.wait_for_peer("frontend");
    drop(at_backend);

    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("it was offline");
    let Some(at_backend) = lab.session(&backend, &idle).interactive() else {
        return;
    };

    at_backend.wait_for("back to my prompt");
    at_frontend.wait_for("it is 5433");
}

#[test]
fn partially_typed_prompt_survives_a_wake() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (asking, idle) = (
        ScriptedApi::listen(asks_backend),
        ScriptedApi::listen(answers),
    );
    let Some(at_backend) = lab.session(&backend, &idle).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    at_backend.keys(&["-l", "half a thou"]);
    at_backend.wait_for("half a thou");

    let asker = lab
        .session(&frontend, &asking)
        .headless("ask backend for the port");
    assert_eq!(asker.finish().result(), "it is 5433");
    at_backend.wait_for("back to my prompt");
    at_backend.keys(&["-l", "ght"]);
    at_backend.wait_for("half a thought");
    at_backend.keys(&["Enter"]);
    idle.wait_until(WAIT_TIMEOUT, |requests| {
        requests
            .last()?
            .new_text()
            .contains("half a thought")
            .then_some(())
    });
}

#[test]
fn session_skipping_permissions_can_be_woken() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    lab.set("skipDangerousModePermissionPrompt", json!(true));
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (asking, idle) = (
        ScriptedApi::listen(asks_backend),
        ScriptedApi::listen(answers),
    );
    let at_backend = lab.session(&backend, &idle).env("IS_SANDBOX", "1");
    let at_backend = at_backend.argument("--dangerously-skip-permissions");
    let Some(at_backend) = at_backend.interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    at_backend.wait_for("bypass permissions on");

    let asker = lab
        .session(&frontend, &asking)
        .headless("ask backend for the port");
    assert_eq!(asker.finish().result(), "it is 5433");
}

#[test]
fn question_of_a_killed_answerer_goes_to_the_next_session() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (open_gate, hold) = gate();
    let thinking = ScriptedApi::listen(move |request| {
        hold();
        answers(request)
    });
    let asking = ScriptedApi::listen(ask_on_request);
    let Some(at_backend) = lab.session(&backend, &thinking).interactive() else {
        return;
    };
    let Some(at_frontend) = lab.session(&frontend, &asking).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    mesh.wait_for_peer("frontend");
    at_frontend.type_prompt("ask backend");
    thinking.wait_until(WAIT_TIMEOUT, |requests| {
        requests.first()?.peer_question_id()
    });
    at_frontend.wait_for("backend: shown");

    let began = Instant::now();
    at_backend.kill();
    at_frontend.wait_for("it was offline");
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(5),
        "it waited for a ghost: {took:?}"
    );
    drop(open_gate);

    let idle = ScriptedApi::listen(answers);
    let Some(_at_backend) = lab.session(&backend, &idle).interactive() else {
        return;
    };
    at_frontend.wait_for("it is 5433");
}

/// Opens a session of each project, with these models: first backend, whose model writes a file, so that its person is asked;
/// then frontend.
pub(super) fn open_at_dialog(
    lab: &Lab,
    mesh: &Mesh,
    models: [&ScriptedApi; 2],
) -> Option<[Terminal; 2]> {
    let [backend, frontend] = ["backend", "frontend"].map(|name| lab.path(name));
    let at_backend = lab.session(&backend, models[0]);
    let at_backend = at_backend.argument("--permission-mode").argument("default");
    let at_backend = at_backend.interactive()?;
    let at_frontend = lab.session(&frontend, models[1]).interactive()?;
    mesh.wait_for_peer("backend");
    mesh.wait_for_peer("frontend");
    at_backend.type_prompt("take a note");
    at_backend.wait_for("Do you want to");
    mesh.wait_for_activity("backend", "waiting");
    Some([at_backend, at_frontend])
}

#[test]
fn session_at_a_dialog_is_reported_and_asked_afterwards() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    lab.project("frontend");
    let file = lab.project("backend").join("notes.txt");
    let file = file.to_str().expect("the path is UTF-8").to_owned();
    let careful = ScriptedApi::listen(move |request| match request.turn() {
        0 => call("Write", json!({"file_path": file, "content": "a note"})),
        _ => answers(request),
    });
    let asking = ScriptedApi::listen(ask_on_request);
    let opened = open_at_dialog(&lab, &mesh, [&careful, &asking]);
    let Some([at_backend, at_frontend]) = opened else {
        return;
    };

    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("waits at a dialog for its person");
    let open = mesh.wait_for_open_question(|it| it["wake"] == "queued");
    assert_eq!(open["shown_times"], 0, "{open:#}");
    assert!(at_backend.screen().contains("Do you want to"));
    at_backend.keys(&["Enter"]);

    at_frontend.wait_for("it is 5433");
    assert!(lab.path("backend/notes.txt").exists());
}

#[test]
fn session_opened_before_install_is_asked_once_to_restart() {
    let Some(lab) = Lab::new() else { return };
    let backend = lab.project("backend");
    let api = ScriptedApi::listen(|_| say("as you say"));
    let Some(terminal) = lab.session(&backend, &api).interactive() else {
        return;
    };
    let opened = Instant::now();
    let mesh = Mesh::install(&lab);
    // Before that, its server may still be starting.
    wait_until("the server is no longer assumed to start", || {
        opened.elapsed() > Duration::from_secs(21)
    });

    for prompt in ["first", "second"] {
        terminal.type_prompt(prompt);
        api.wait_until(WAIT_TIMEOUT, |requests| {
            requests.last()?.new_text().contains(prompt).then_some(())
        });
        terminal.wait_for("has no mesh server yet");
    }
    let screen = terminal.screen();
    assert_eq!(screen.matches("no mesh server yet").count(), 1, "{screen}");
    let peers = mesh.peers();
    assert_eq!(peers[0]["activity"], "needs_restart", "{peers:#?}");
}

/// A model that answers every question and otherwise ends its turn.
pub(super) fn answers(request: &Request) -> Vec<Block> {
    match request.peer_question_id() {
        Some(id) => answer(&id),
        None => say("back to my prompt"),
    }
}

/// A model that asks `other` when prompted, once `hold` returns, answers questions meanwhile, and repeats the answer.
pub(super) fn asks_and_answers(
    other: &'static str,
    hold: impl Fn() + Send + Sync + 'static,
) -> impl Fn(&Request) -> Vec<Block> + Send + Sync + 'static {
    let open = Mutex::new(None);
    let (prompted, wanted) = (AtomicBool::new(false), AtomicBool::new(false));
    move |request| {
        let new_text = request.new_text();
        // The prompt comes in its own request, or with the result of a tool if a question was faster.
        if new_text.contains("ask the other") && !prompted.swap(true, Ordering::Relaxed) {
            hold();
            wanted.store(true, Ordering::Relaxed);
        }
        // Questions that came with the prompt are answered first.
        if request.peer_question_id().is_none() && wanted.swap(false, Ordering::Relaxed) {
            return ask(other, "which port?");
        }
        let reported = request.tool_results().join("");
        let reported: Value = serde_json::from_str(&reported).unwrap_or_default();
        let mut open = open.lock().expect("no holder panics");
        let mut asked = request.peer_question_id();
        if reported["status"] == "interrupted" {
            *open = Some(reported["question_id"].clone());
            let first = &reported["questions"][0]["question_id"];
            asked = asked.or(first.as_str().map(str::to_owned));
        }
        if let Some(id) = asked {
            return answer(&id);
        }
        match (reported["answer"].as_str(), open.take()) {
            (Some(port), _) => say(format!("it is {port}")),
            // The call was woken: the answer came before the wait could continue.
            _ if new_text.contains("<peer-answer") => say(late_answer_text(&new_text)),
            (None, Some(id)) => call(
                "mcp__claude-mesh__await_reply",
                json!({"question_id": id, "timeout_seconds": 60}),
            ),
            (None, None) => say("back to my prompt"),
        }
    }
}

/// A model that asks backend when prompted and reports the state, also if it learns it later.
pub(super) fn ask_on_request(request: &Request) -> Vec<Block> {
    let new_text = request.new_text();
    let reported = request.tool_results().join("");
    if new_text.contains("ask backend") && reported.is_empty() {
        return ask("backend", &format!("which port? ({})", request.turn()));
    }
    if new_text.contains("<peer-answer") {
        return say(late_answer_text(&new_text));
    }
    let result = serde_json::from_str(&reported).unwrap_or(Value::Null);
    match (result["answer"].as_str(), result["status"].as_str()) {
        (Some(port), _) => say(format!("it is {port}")),
        (None, Some(status)) => say(format!("it was {status}")),
        (None, None) => say("back to my prompt"),
    }
}

pub(super) fn ask(peer: &str, question: &str) -> Vec<Block> {
    let question = json!({"to": peer, "question": question});
    call("mcp__claude-mesh__ask_peer", question)
}

/// Returns how often a model that is asked once receives the question, from a hook or as the end of its own call.
pub(super) fn count_copies(api: &ScriptedApi) -> usize {
    let conversation = api.conversation();
    let last = conversation.last().expect("the model received a request");
    last.count("<peer-question ") + last.count("\"question\":\"which port?\"")
}

/// Returns a gate: a scripted model waits at it until the test opens it.
pub(super) fn gate() -> (Sender<()>, impl Fn() + Send + Sync + 'static) {
    gate_for(WAIT_TIMEOUT)
}

pub(super) fn gate_for(at_most: Duration) -> (Sender<()>, impl Fn() + Send + Sync + 'static) {
    let (open_gate, waiting): (_, Receiver<()>) = channel();
    let waiting = Mutex::new(waiting);
    let hold = move || {
        let waiting = waiting.lock().expect("no holder panics");
        // A test that ends early opens the gate.
        waiting.recv_timeout(at_most).ok();
    };
    (open_gate, hold)
}
