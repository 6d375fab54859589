//! The PostgreSQL server behind a hub restarts, fails over, is away or has a full disk: what was acknowledged is there, nothing
//! is done twice, and the hub goes on by itself.
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Hub, Network, OtherHost, OtherHostSession, OwnServer, PostgresServer, Relay, World,
    print_to_stderr, wait_until,
};

/// How many sessions wait at once.
const SESSIONS: usize = 32;

/// Returns a value that the server has.
fn text_of(url: &str, sql: &str) -> String {
    let server = PostgresServer {
        url: url.to_owned(),
    };
    server.admin().text(sql)
}

/// Repeats a call under its key for as long as the mesh is away, as the program of a session does.
fn call_until_settled(session: &OtherHostSession, tool: &str, arguments: &Value) -> Value {
    let key = format!("{tool}-{}", fastrand::u64(..));
    loop {
        let (status, result) = session.call_once(tool, arguments.clone(), &key);
        if status != 503 {
            return result;
        }
        assert_eq!(result["error"]["code"], "storage", "{result}");
    }
}

/// Answers this many questions to a peer with their own text.
fn answer_questions(peer: &OtherHostSession, count: usize) {
    let mut answered = 0;
    while answered < count {
        let inbox = call_until_settled(peer, "poll_inbox", &json!({}));
        let questions = inbox["questions"].as_array().cloned();
        for question in questions.unwrap_or_default().iter().take(count - answered) {
            let id = question["question_id"].as_str().unwrap();
            let answer = format!("to {}", question["question"].as_str().unwrap());
            let reply = json!({ "question_id": id, "answer": answer });
            let replied = call_until_settled(peer, "reply_to_peer", &reply);
            assert_eq!(replied["asker_waiting"], true, "{replied}");
            answered += 1;
        }
    }
}

#[test]
fn waiting_sessions_get_answers_after_restarts_of_the_server() {
    let Some(server) = OwnServer::start("restarts of the server behind a hub") else {
        return;
    };
    let world = World::new();
    let hub = Hub::start_on(&world, &format!("{}?schema=restarts", server.url));
    let (laptop, desk) = (OtherHost::new(&hub, "laptop"), OtherHost::new(&hub, "desk"));
    let api = desk.join("/work/api", 1);
    let askers: Vec<_> = (0..SESSIONS)
        .map(|number| laptop.join(&format!("/work/web{number}"), 10 + number as i32))
        .collect();
    let claim = |session: &OtherHostSession, number: usize| {
        let claim = json!({ "resource": format!("port:{number}"), "lease_seconds": 600 });
        session.call("claim", claim)
    };
    let mut tokens = Vec::new();
    for (number, asker) in askers.iter().enumerate() {
        let granted = claim(asker, number);
        assert_eq!(granted["status"], "granted", "{granted}");
        tokens.push(granted["token"].clone());
    }
    let questions = "SELECT count(*), count(DISTINCT question) FROM restarts.question";
    std::thread::scope(|scope| {
        let asked: Vec<_> = askers
            .iter()
            .enumerate()
            .map(|(number, asker)| {
                let question = json!({ "to": "api", "question": format!("port {number}?") });
                scope.spawn(move || asker.call("ask_peer", question))
            })
            .collect();
        wait_until("all questions are stored", || {
            hub.count_rows("question") == i64::try_from(SESSIONS).unwrap()
        });
        for mode in ["fast", "immediate"] {
            server.restart(mode);
            answer_questions(&api, SESSIONS / 2);
        }
        for (number, asked) in asked.into_iter().enumerate() {
            let answer = asked.join().unwrap();
            assert_eq!(answer["status"], "answered", "{answer}");
            assert_eq!(answer["answer"], format!("to port {number}?"), "{answer}");
        }
    });
    let count = "SELECT count(*) || ' ' || count(DISTINCT id) FROM restarts.question";
    assert_eq!(text_of(&server.url, count), "32 32", "{questions}");
    for (number, asker) in askers.iter().enumerate() {
        let renewed = claim(asker, number);
        assert_eq!(renewed["token"], tokens[number], "{renewed}");
    }
    assert_eq!(claim(&api, 0)["status"], "denied");
}
