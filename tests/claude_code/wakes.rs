//! What the person at each of two real clients meets when one asks the other: woken at its prompt, told at work, held back, found again.
//!
//! Every wait here is for something to be seen; where a test lets time pass, it watches that nothing happens.
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::asks::{answer, asks_backend};
use super::client::{Lab, PATIENCE};
use super::mesh::Mesh;
use super::scripted_api::{Block, Request, ScriptedApi, call, say};

#[test]
fn a_question_reaches_the_model_of_an_idle_session_within_moments() {
    const QUESTIONS: usize = 10;
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (heard, hearing) = channel();
    let heard = Mutex::new(heard);
    let idle = ScriptedApi::listen(move |request| match request.peer_question() {
        Some(id) => {
            let at = jiff::Timestamp::now();
            let heard = heard.lock().expect("no holder panics");
            heard.send((id.clone(), at)).expect("the test listens");
            answer(&id)
        }
        None => say("back to my prompt"),
    });
    let watched = mesh.clone();
    let asking = ScriptedApi::listen(move |request| match request.turn() {
        QUESTIONS => say("all told"),
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
    assert_eq!(asker.finish().result(), "all told");

    let asked = mesh.log();
    let mut took: Vec<_> = hearing
        .try_iter()
        .map(|(id, heard_at)| {
            let asked = asked
                .iter()
                .find(|it| it["type"] == "question.asked" && it["subject"] == *id);
            let at = &asked.expect("it was asked")["at"];
            let at = at.as_str().expect("a time is text").parse();
            let at: jiff::Timestamp = at.expect("the log's times are of RFC 3339");
            heard_at.duration_since(at).as_millis()
        })
        .collect();
    took.sort_unstable();
    assert_eq!(took.len(), QUESTIONS, "each came once");
    let median = took[QUESTIONS / 2];
    tell(&format!(
        "from the question's commit to the idle peer's request: {median} ms in the median of {took:?}"
    ));
    assert!(median < 5_000, "{took:?}");
}

#[test]
fn two_sessions_that_ask_each_other_at_once_both_get_their_answer() {
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
    assert_eq!((copies(&first), copies(&second)), (1, 1));
}

#[test]
fn what_a_person_types_while_their_session_asks_and_is_asked_is_not_lost() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (let_go, hold) = gate();
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
    let_go.send(()).expect("the other model holds");

    at_frontend.wait_for("it is 5433");
    at_backend.wait_for("it is 5433");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "a call waited: {took:?}");
    let read = first.conversation().into_iter().last();
    let read = read.expect("it has its answer").count("and mind the tests");
    assert_eq!(read, 1, "what was typed is read once");
    assert_eq!((copies(&first), copies(&second)), (1, 1));
    at_frontend.wait_for("half a thought");
}

#[test]
fn a_session_at_work_gets_the_question_once_with_its_next_tool_result() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let working = ScriptedApi::listen(|request| match request.peer_question() {
        Some(id) => answer(&id),
        None if request.turn() == 0 => builds_until_told(),
        None => say("back to my prompt"),
    });
    let asking = ScriptedApi::listen(asks_backend);
    let Some(at_backend) = lab.session(&backend, &working).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    at_backend.type_prompt("build it");
    within("the build has begun", || backend.join("begun").exists());

    let asker = lab
        .session(&frontend, &asking)
        .headless("ask backend for the port");
    let question = mesh.wait_for_open(|it| it["wake"] == "queued");
    let id = question["question_id"].as_str().expect("it has one");
    // Twice what an idle session would get before its wake-up counts as failed.
    let watched_until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < watched_until {
        let open = mesh.wait_for_open(|it| it["question_id"] == id);
        assert_eq!(
            (&open["wake"], &open["shown_times"]),
            (&json!("queued"), &json!(0)),
            "it works still: {open:#}"
        );
    }
    fs::write(backend.join("go"), "").expect("the project is ours");

    assert_eq!(asker.finish().result(), "it is 5433");
    let told = working.wait_until(PATIENCE, |heard| {
        heard
            .iter()
            .find(|it| it.peer_question().is_some())
            .cloned()
    });
    assert_eq!(told.tool_results().join(""), "built");
    at_backend.wait_for("back to my prompt");
    let last = working.conversation().into_iter().last();
    let copies = last
        .expect("it ended its turn")
        .count(&format!("<peer-question id=\"{id}\""));
    assert_eq!(copies, 1);
}

#[test]
fn an_answer_to_a_call_that_went_to_the_background_wakes_its_asker() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (let_go, hold) = gate();
    let slow = ScriptedApi::listen(move |request| {
        if request.peer_question().is_some() {
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
    let_go.send(()).expect("the other model holds");

    at_frontend.wait_for("it is 5433");
    mesh.wait_for_activity("frontend", "idle");
    let last = asking.conversation().into_iter().last();
    let again = last.expect("it was woken").count("<peer-answer");
    assert_eq!(again, 0, "the result of its call is enough");
}

/// The two before, at their full length and with the client's own two minutes.
#[test]
fn a_peer_that_works_for_a_minute_and_answers_after_two_wakes_its_asker_from_the_background() {
    const WORKS: Duration = Duration::from_secs(60);
    const ANSWERS_AFTER: Duration = Duration::from_secs(130);
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (let_go, hold) = gate_for(ANSWERS_AFTER);
    let working = ScriptedApi::listen(move |request| match request.peer_question() {
        Some(id) => {
            hold();
            answer(&id)
        }
        None if request.turn() == 0 => builds_until_told(),
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
    within("the build has begun", || backend.join("begun").exists());

    at_frontend.type_prompt("ask backend");
    mesh.wait_for_open(|it| it["wake"] == "queued");
    let asked = Instant::now();
    while asked.elapsed() < WORKS {
        let open = mesh.wait_for_open(|_| true);
        assert_eq!(
            (&open["wake"], &open["shown_times"]),
            (&json!("queued"), &json!(0)),
            "it works still: {open:#}"
        );
        thread::sleep(Duration::from_millis(500));
    }
    fs::write(backend.join("go"), "").expect("the project is ours");
    mesh.wait_for_open(|it| it["shown_times"] == 1);
    while asked.elapsed() < ANSWERS_AFTER {
        thread::sleep(Duration::from_millis(500));
    }
    at_frontend.wait_for("it takes its time");
    mesh.wait_for_activity("frontend", "idle");
    let_go.send(()).expect("the other model holds");

    at_frontend.wait_for("it is 5433");
    mesh.wait_for_activity("frontend", "idle");
    let last = asking.conversation().into_iter().last();
    let again = last.expect("it was woken").count("<peer-answer");
    assert_eq!(again, 0, "the result of its call is enough");
}

#[test]
fn a_session_that_was_closed_answers_when_it_is_opened_again_and_its_asker_is_woken() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (asking, idle) = (
        ScriptedApi::listen(asks_when_told),
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
fn half_a_prompt_survives_a_wake() {
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
    idle.wait_until(PATIENCE, |heard| {
        heard
            .last()?
            .news()
            .contains("half a thought")
            .then_some(())
    });
}

#[test]
fn a_session_that_skips_all_permissions_is_woken_all_the_same() {
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
fn a_session_that_is_killed_while_it_answers_leaves_the_question_to_the_next() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (let_go, hold) = gate();
    let thinking = ScriptedApi::listen(move |request| {
        hold();
        answers(request)
    });
    let asking = ScriptedApi::listen(asks_when_told);
    let Some(at_backend) = lab.session(&backend, &thinking).interactive() else {
        return;
    };
    let Some(at_frontend) = lab.session(&frontend, &asking).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    mesh.wait_for_peer("frontend");
    at_frontend.type_prompt("ask backend");
    thinking.wait_until(PATIENCE, |heard| heard.first()?.peer_question());
    at_frontend.wait_for("backend: shown");

    let began = Instant::now();
    at_backend.kill();
    at_frontend.wait_for("it was offline");
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(5),
        "it waited for a ghost: {took:?}"
    );
    drop(let_go);

    let idle = ScriptedApi::listen(answers);
    let Some(_at_backend) = lab.session(&backend, &idle).interactive() else {
        return;
    };
    at_frontend.wait_for("it is 5433");
}

#[test]
fn a_session_at_a_dialog_is_told_of_and_gets_the_question_afterwards() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let file = backend.join("notes.txt");
    let file = file.to_str().expect("it is plain text").to_owned();
    let careful = ScriptedApi::listen(move |request| match request.turn() {
        0 => call("Write", json!({"file_path": file, "content": "a note"})),
        _ => answers(request),
    });
    let asking = ScriptedApi::listen(asks_when_told);
    let at_backend = lab
        .session(&backend, &careful)
        .argument("--permission-mode");
    let Some(at_backend) = at_backend.argument("default").interactive() else {
        return;
    };
    let Some(at_frontend) = lab.session(&frontend, &asking).interactive() else {
        return;
    };
    mesh.wait_for_peer("backend");
    mesh.wait_for_peer("frontend");
    at_backend.type_prompt("take a note");
    at_backend.wait_for("Do you want to");
    mesh.wait_for_activity("backend", "waiting");

    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("waits at a dialog for its person");
    let open = mesh.wait_for_open(|it| it["wake"] == "queued");
    assert_eq!(open["shown_times"], 0, "{open:#}");
    assert!(at_backend.screen().contains("Do you want to"));
    at_backend.keys(&["Enter"]);

    at_frontend.wait_for("it is 5433");
    assert!(backend.join("notes.txt").exists());
}

#[test]
fn a_quiet_session_is_not_rung_until_quiet_ends() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (asking, idle) = (
        ScriptedApi::listen(asks_when_told),
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
    assert!(idle.conversation().is_empty(), "it is left alone");
    mesh.run(&["quiet", "backend", "--off"]);

    at_frontend.wait_for("it is 5433");
    assert!(idle.conversation()[0].peer_question().is_some());
}

#[test]
fn a_session_whose_budget_is_spent_holds_questions_until_its_person_types() {
    let Some(lab) = Lab::new() else { return };
    let mesh = Mesh::install(&lab);
    let (frontend, backend) = (lab.project("frontend"), lab.project("backend"));
    let (asking, idle) = (
        ScriptedApi::listen(asks_when_told),
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
    let typed = idle.wait_until(PATIENCE, |heard| heard.get(turns).cloned());
    assert!(typed.news().contains("I am here again"));
    assert!(typed.peer_question().is_some(), "{}", typed.news());
    asking.wait_until(PATIENCE, |heard| {
        heard.last()?.news().contains("<peer-answer").then_some(())
    });
}

#[test]
fn a_window_opened_before_the_install_is_told_once_to_restart_and_works_on() {
    let Some(lab) = Lab::new() else { return };
    let backend = lab.project("backend");
    let api = ScriptedApi::listen(|_| say("as you say"));
    let opened = Instant::now();
    let Some(terminal) = lab.session(&backend, &api).interactive() else {
        return;
    };
    let mesh = Mesh::install(&lab);
    // Before that, its server might just be slow to start.
    within("it is known not to be starting", || {
        opened.elapsed() > Duration::from_secs(21)
    });

    for prompt in ["first", "second"] {
        terminal.type_prompt(prompt);
        api.wait_until(PATIENCE, |heard| {
            heard.last()?.news().contains(prompt).then_some(())
        });
        terminal.wait_for("has no mesh server yet");
    }
    let screen = terminal.screen();
    assert_eq!(screen.matches("no mesh server yet").count(), 1, "{screen}");
    let peers = mesh.peers();
    assert_eq!(peers[0]["activity"], "needs_restart", "{peers:#?}");
}

/// A model that answers whatever it is asked and else goes back to its prompt.
pub(super) fn answers(request: &Request) -> Vec<Block> {
    match request.peer_question() {
        Some(id) => answer(&id),
        None => say("back to my prompt"),
    }
}

/// A model that asks `other` when its person wants it, once `hold` returns, answers what it is asked meanwhile, and says what it was told.
fn asks_and_answers(
    other: &'static str,
    hold: impl Fn() + Send + Sync + 'static,
) -> impl Fn(&Request) -> Vec<Block> + Send + Sync + 'static {
    let open = Mutex::new(None);
    let (prompted, wanted) = (AtomicBool::new(false), AtomicBool::new(false));
    move |request| {
        let news = request.news();
        // The person's words come with a request of their own, or with a tool's result when a question was faster.
        if news.contains("ask the other") && !prompted.swap(true, Ordering::Relaxed) {
            hold();
            wanted.store(true, Ordering::Relaxed);
        }
        // What the prompt brought along comes first.
        if request.peer_question().is_none() && wanted.swap(false, Ordering::Relaxed) {
            return ask(other, "which port?");
        }
        let told = request.tool_results().join("");
        let told: Value = serde_json::from_str(&told).unwrap_or_default();
        let mut open = open.lock().expect("no holder panics");
        let mut asked = request.peer_question();
        if told["status"] == "interrupted" {
            *open = Some(told["question_id"].clone());
            let first = &told["questions"][0]["question_id"];
            asked = asked.or(first.as_str().map(str::to_owned));
        }
        if let Some(id) = asked {
            return answer(&id);
        }
        match (told["answer"].as_str(), open.take()) {
            (Some(port), _) => say(format!("it is {port}")),
            // It rang: the answer came before the wait could go on.
            _ if news.contains("<peer-answer") => say(late(&news)),
            (None, Some(id)) => call(
                "mcp__claude-mesh__await_reply",
                json!({"question_id": id, "timeout_seconds": 60}),
            ),
            (None, None) => say("back to my prompt"),
        }
    }
}

/// A model that asks backend when its person wants it and says how that stands, also when it learns it later.
pub(super) fn asks_when_told(request: &Request) -> Vec<Block> {
    let news = request.news();
    let told = request.tool_results().join("");
    if news.contains("ask backend") && told.is_empty() {
        return ask("backend", &format!("which port? ({})", request.turn()));
    }
    if news.contains("<peer-answer") {
        return say(late(&news));
    }
    let result = serde_json::from_str(&told).unwrap_or(Value::Null);
    match (result["answer"].as_str(), result["status"].as_str()) {
        (Some(port), _) => say(format!("it is {port}")),
        (None, Some(status)) => say(format!("it was {status}")),
        (None, None) => say("back to my prompt"),
    }
}

/// The same, with a call that takes so long that the client puts it into the background.
fn asks_in_the_background(request: &Request) -> Vec<Block> {
    let told = request.tool_results().join("");
    let news = request.news();
    if told.contains("moved to the background") {
        return say("it takes its time");
    }
    if news.contains("<task-notification>") && news.contains("5433") {
        return say("it is 5433");
    }
    asks_when_told(request)
}

/// What a model does that works until its project has a file `go`.
fn builds_until_told() -> Vec<Block> {
    let command = "touch begun; while [ ! -e go ]; do sleep 0.1; done; echo built";
    call("Bash", json!({"command": command, "description": "build"}))
}

/// What a model says of an answer that came when it did not wait.
fn late(news: &str) -> String {
    let (_, block) = news.split_once("<peer-answer").expect("one is there");
    let (_, text) = block.split_once(">\n").expect("the block has a head");
    let (text, _) = text.split_once("\n</peer-answer>").expect("it has an end");
    format!("it is {text}")
}

fn ask(peer: &str, question: &str) -> Vec<Block> {
    let question = json!({"to": peer, "question": question});
    call("mcp__claude-mesh__ask_peer", question)
}

/// Returns how often a model that is asked once has the question before it, by a hook or as the end of a call of its own.
fn copies(api: &ScriptedApi) -> usize {
    let conversation = api.conversation();
    let last = conversation.last().expect("it was asked");
    last.count("<peer-question ") + last.count("\"question\":\"which port?\"")
}

/// Waits until something is so.
#[track_caller]
fn within(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Something a model can wait at until the test lets it go.
fn gate() -> (Sender<()>, impl Fn() + Send + Sync + 'static) {
    gate_for(PATIENCE)
}

fn gate_for(at_most: Duration) -> (Sender<()>, impl Fn() + Send + Sync + 'static) {
    let (let_go, waiting): (_, Receiver<()>) = channel();
    let waiting = Mutex::new(waiting);
    let hold = move || {
        let waiting = waiting.lock().expect("no holder panics");
        // A test that ends early lets everyone go.
        waiting.recv_timeout(at_most).ok();
    };
    (let_go, hold)
}

/// Says something past the test harness, which would swallow it.
fn tell(text: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{text}").ok();
}
