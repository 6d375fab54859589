//! Forks of real sessions that fail, lie, come late or are too many, and mods that fail or are off: each question is answered
//! once, and what no fork answers goes to the session.
use std::fs;
use std::thread;

use serde_json::{Value, json};

use super::asks::{answer, asks_backend};
use super::client::{Lab, WAIT_TIMEOUT};
use super::fork::{answered_by, install_with_mod, is_fork, open_greeted, own_requests};
use super::scripted_api::{Block, Request, ScriptedApi, call, say};
use super::wakes::{ask_on_request, gate};
use crate::support::wait_until;

const ALWAYS: &str = "CLAUDE_MESH_FORK=always\n";
/// The id of a question that nobody has asked.
const INVENTED: &str = "01M0DQ0000000000000000000X";

/// A model whose session answers every question, and whose forks do as `fork` says.
fn with_forks(fork: impl Fn(&Request) -> Vec<Block> + Send + Sync + 'static) -> ScriptedApi {
    ScriptedApi::listen(move |request| match request.peer_question_id() {
        _ if is_fork(request) => fork(request),
        Some(id) => answer(&id),
        None => say("hello, person"),
    })
}

/// Asks a greeted session with such forks. Returns who has answered, and what the session itself was asked.
fn asked_with_forks(
    setting: &str,
    fork: impl Fn(&Request) -> Vec<Block> + Send + Sync + 'static,
    change: impl FnOnce(&Lab),
) -> Option<(Vec<Value>, Vec<Request>)> {
    let (lab, mesh) = install_with_mod(setting)?;
    change(&lab);
    let idle = with_forks(fork);
    let asking = ScriptedApi::listen(ask_on_request);
    let [_at_backend, at_frontend] = open_greeted(&lab, &mesh, [&idle, &asking])?;
    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("it is 5433");
    Some((answered_by(&mesh), own_requests(&idle)))
}

#[test]
fn question_goes_to_the_session_if_the_api_refuses_its_fork() {
    let refused = |_: &Request| vec![Block::Refusal("the prompt is too long".to_owned())];
    let Some((by, _)) = asked_with_forks(ALWAYS, refused, |_| ()) else {
        return;
    };
    assert_eq!(by, ["session"]);
}

#[test]
fn fork_that_uses_a_tool_or_tells_a_secret_does_not_answer() {
    let secret = || say(format!("the key is AKIA{}", "IOSFODNN7EXAMPLQ"));
    let reply = || {
        let reply = json!({"question_id": INVENTED, "answer": "5434", "fork": {}});
        call("mcp__claude-mesh__reply_to_peer", reply)
    };
    let shell = || {
        let command = json!({"command": "touch made", "description": "touch"});
        call("Bash", command)
    };
    let forks: [fn() -> Vec<Block>; 3] = [secret, reply, shell];
    for fork in forks {
        let Some((by, own)) = asked_with_forks(ALWAYS, move |_| fork(), |_| ()) else {
            return;
        };
        assert_eq!(by, ["session"]);
        for request in &own {
            assert_eq!(request.count(INVENTED), 0);
            assert_eq!(request.count("touch made"), 0);
        }
    }
}

#[test]
fn id_in_the_text_of_a_fork_is_text() {
    let Some((lab, mesh)) = install_with_mod(ALWAYS) else {
        return;
    };
    let text = format!(r#"{{"question_id":"{INVENTED}","answer":"5434"}}"#);
    let idle = with_forks(move |_| say(text.clone()));
    let asking = ScriptedApi::listen(ask_on_request);
    let Some([_at_backend, at_frontend]) = open_greeted(&lab, &mesh, [&idle, &asking]) else {
        return;
    };
    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for(&format!(r#"it is {{"question_id":"{INVENTED}""#));
    let subjects = |kind: &str| {
        let mut events = mesh.log();
        events.retain(|event| event["type"] == kind);
        let subjects = events.iter().map(|event| event["subject"].clone());
        subjects.collect::<Vec<_>>()
    };
    assert_eq!(subjects("question.answered"), subjects("question.asked"));
}

#[test]
fn fork_comes_too_late_for_a_question_that_a_person_answered() {
    let Some((lab, mesh)) = install_with_mod(ALWAYS) else {
        return;
    };
    let (open_gate, hold) = gate();
    let idle = with_forks(move |_| {
        hold();
        say("5434")
    });
    let asking = ScriptedApi::listen(ask_on_request);
    let opened = open_greeted(&lab, &mesh, [&idle, &asking]);
    let Some([at_backend, at_frontend]) = opened else {
        return;
    };
    at_frontend.type_prompt("ask backend");
    let open = mesh.wait_for_open_question(|it| it["wake"] == "fork");
    idle.wait_until(WAIT_TIMEOUT, |requests| {
        requests.iter().find(|it| is_fork(it)).map(|_| ())
    });
    let id = open["question_id"].as_str().expect("it has an id");
    mesh.run(&["reply", id, "5433"]);
    at_frontend.wait_for("it is 5433");
    open_gate.send(()).expect("the fork waits for the gate");
    at_backend.type_prompt("tidy up the yard");
    let typed = idle.wait_until(WAIT_TIMEOUT, |requests| {
        let mut own = requests.iter().filter(|request| !is_fork(request));
        own.find(|it: &&Request| it.new_text().contains("tidy up the yard"))
            .cloned()
    });
    assert_eq!(typed.count("a fork of this session"), 0);
    assert_eq!(answered_by(&mesh), ["person"]);
}

#[test]
fn clear_while_a_fork_runs_loses_no_question() {
    let Some((lab, mesh)) = install_with_mod(ALWAYS) else {
        return;
    };
    let (open_gate, hold) = gate();
    let idle = with_forks(move |_| {
        hold();
        say("5433")
    });
    let asking = ScriptedApi::listen(ask_on_request);
    let opened = open_greeted(&lab, &mesh, [&idle, &asking]);
    let Some([at_backend, at_frontend]) = opened else {
        return;
    };
    at_frontend.type_prompt("ask backend");
    idle.wait_until(WAIT_TIMEOUT, |requests| {
        requests.iter().find(|it| is_fork(it)).map(|_| ())
    });
    at_backend.type_prompt("/clear");
    wait_until("the screen is cleared", || {
        !at_backend.screen().contains("hello, person")
    });
    // The client may have cut the fork; then nobody waits at the gate.
    let _ = open_gate.send(());
    at_frontend.wait_for("it is 5433");
    assert_eq!(answered_by(&mesh).len(), 1);
}

#[test]
fn forty_questions_at_once_spend_the_budget_and_all_get_answers() {
    let Some((lab, mesh)) = install_with_mod(&format!("{ALWAYS}CLAUDE_MESH_FORK_BUDGET=25\n"))
    else {
        return;
    };
    let idle = ScriptedApi::listen(|request| {
        if is_fork(request) {
            return say("from a fork");
        }
        let text = request.new_text();
        let shown = text.split("<peer-question id=\"").skip(1);
        let ids = shown.filter_map(|rest| rest.split('"').next());
        let replies: Vec<Block> = ids.flat_map(answer).collect();
        if replies.is_empty() {
            say("hello, person")
        } else {
            replies
        }
    });
    let nobody = ScriptedApi::listen(|_| say("nobody asks me"));
    let opened = open_greeted(&lab, &mesh, [&idle, &nobody]);
    let Some(_opened) = opened else {
        return;
    };
    let asks: Vec<_> = (0..40)
        .map(|number| {
            let mesh = mesh.clone();
            thread::spawn(move || mesh.run(&["ask", "backend", &format!("what is {number}?")]))
        })
        .collect();
    for ask in asks {
        ask.join().expect("each question is answered");
    }
    let by = answered_by(&mesh);
    let count = |who: &str| by.iter().filter(|it| **it == who).count();
    assert_eq!((count("fork"), count("session")), (25, 15), "{by:?}");
}

#[test]
fn model_cannot_answer_as_a_fork() {
    let Some((lab, mesh)) = install_with_mod("") else {
        return;
    };
    let pretending = ScriptedApi::listen(|request| {
        if let Some(id) = request.peer_question_id() {
            let usage = json!({"input_tokens": 1, "output_tokens": 1});
            let fork = json!({"as_of": "2026-11-29T15:00:00.000Z", "usage": usage});
            let reply = json!({"question_id": id, "answer": "5434", "fork": fork});
            return call("mcp__claude-mesh__reply_to_peer", reply);
        }
        let refused = request.tool_results().join("");
        if !refused.contains("invalid_argument") {
            return say("hello, person");
        }
        let all = request.body["messages"].to_string();
        let (_, id) = all
            .split_once("<peer-question id=\\\"")
            .expect("it was shown");
        let (id, _) = id.split_once('\\').expect("the id ends");
        answer(id)
    });
    let asking = ScriptedApi::listen(ask_on_request);
    let opened = open_greeted(&lab, &mesh, [&pretending, &asking]);
    let Some([_at_backend, at_frontend]) = opened else {
        return;
    };
    at_frontend.type_prompt("ask backend");
    at_frontend.wait_for("it is 5433");
    assert_eq!(answered_by(&mesh), ["session"]);
}

#[test]
fn headless_run_gets_the_answer_of_a_fork_and_keeps_its_result() {
    let Some((lab, mesh)) = install_with_mod(ALWAYS) else {
        return;
    };
    let idle = with_forks(|_| say("5433"));
    let nobody = ScriptedApi::listen(|_| say("nobody asks me"));
    let opened = open_greeted(&lab, &mesh, [&idle, &nobody]);
    let Some(_opened) = opened else {
        return;
    };
    let asking = ScriptedApi::listen(asks_backend);
    let frontend = lab.path("frontend");
    let run = lab.session(&frontend, &asking).headless("ask backend");
    assert_eq!(run.finish().result(), "it is 5433");
    assert_eq!(asking.conversation().len(), 2, "no other turn has begun");
    assert_eq!(answered_by(&mesh), ["fork"]);
}

#[test]
fn asker_at_a_shell_gets_the_session_itself_if_it_says_so() {
    let Some((lab, mesh)) = install_with_mod(ALWAYS) else {
        return;
    };
    let idle = with_forks(|_| say("5434"));
    let nobody = ScriptedApi::listen(|_| say("nobody asks me"));
    let opened = open_greeted(&lab, &mesh, [&idle, &nobody]);
    let Some(_opened) = opened else {
        return;
    };
    let said = mesh.run(&["ask", "backend", "which port?", "--prefer", "session"]);
    assert!(said.contains("5433"), "{said}");
    mesh.wait_for_activity("backend", "idle");
    let said = mesh.run(&["ask", "backend", "which host?"]);
    assert!(said.contains("5434"), "{said}");
    assert_eq!(answered_by(&mesh), ["session", "fork"]);
}

/// Replaces a file of the installed mod.
fn break_mod(lab: &Lab, file: &str, content: &str) {
    let file = lab.path("home/.claude-mesh/mod/mesh/hooks").join(file);
    assert!(file.exists(), "{}", file.display());
    fs::write(file, content).expect("the folder is writable");
}

#[test]
fn mod_that_fails_or_is_off_leaves_the_question_to_the_session() {
    let throws = "export function wakeLineNonce() { throw new Error('broken') }";
    let disabled = json!({ "mesh@claude-mesh-mod": false });
    let changes: [&dyn Fn(&Lab); 3] = [
        &|lab| break_mod(lab, "doorbell.js", throws),
        &|lab| break_mod(lab, "register.js", "export function register(on) {"),
        &|lab| lab.set("enabledPlugins", disabled.clone()),
    ];
    for change in changes {
        let Some((by, _)) = asked_with_forks(ALWAYS, |_| say("5434"), change) else {
            return;
        };
        assert_eq!(by, ["session"]);
    }
}
