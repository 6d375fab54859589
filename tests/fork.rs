//! Answers from forks of a session. The test is the mod: it reads the wake line of a real server and calls its tools as a
//! plugin inside Claude Code does.
#[cfg(feature = "remote")]
mod other_hosts;
mod usage;
mod waiting;

use serde_json::{Value, json};

use crate::support::{InboxSession, Session, World, attached_context, start_ask};

const AS_OF: &str = "2026-11-29T15:00:00.000Z";

/// A world whose person has set these.
pub(crate) fn world_with(settings: &str) -> World {
    let world = World::new();
    world.write(".claude-mesh/.env", settings);
    world
}

/// Returns the nonce of a wake line.
fn nonce(line: &str) -> &str {
    let (_, rest) = line
        .split_once("claude-mesh doorbell ")
        .expect("a wake line");
    rest.split(':').next().expect("it has a nonce")
}

/// Tells the server of a wake line, as the mod does.
pub(crate) fn offer(session: &Session, line: &str) -> Value {
    session.call_from_plugin("poll_inbox", json!({ "fork": { "doorbell": nonce(line) } }))
}

/// Returns the ids of the questions in an offer.
pub(crate) fn offered(offer: &Value) -> Vec<String> {
    let questions = offer["questions"].as_array();
    let questions = questions.unwrap_or_else(|| panic!("{offer}"));
    let id = |question: &Value| question["question_id"].as_str().unwrap().to_owned();
    questions.iter().map(id).collect()
}

pub(crate) fn answer_from_fork(session: &Session, question: &str, answer: &str) -> Value {
    let usage = json!({ "input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": 900 });
    let fork = json!({ "as_of": AS_OF, "usage": usage });
    session.call_from_plugin(
        "reply_to_peer",
        json!({ "question_id": question, "answer": answer, "fork": fork }),
    )
}

fn give_up(session: &Session, question: &str) {
    session.call_from_plugin(
        "poll_inbox",
        json!({ "fork": { "unanswered": [question] } }),
    );
}

/// Returns how often a question was shown, and how it last reached its peer.
fn delivery(world: &World, question: &str) -> (u32, String) {
    let sql = "SELECT shown_times, wake FROM question WHERE id = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    world.rows().query_row(sql, [question], read).unwrap()
}

// Requirement: Beyond 19
#[test]
fn fork_of_a_busy_session_answers_without_a_turn() {
    let world = world_with("CLAUDE_MESH_FORK=busy\n");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "busy");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    let offer = offer(&bo.session, &line);
    assert_eq!(offer["takes_line"], true, "{offer}");
    assert_eq!(offer["questions"][0]["question"], "which port?");
    assert_eq!(offer["questions"][0]["from"], "ada");
    ask.wait_for_progress("a fork of it answers");
    let id = &offered(&offer)[0];
    assert_eq!(delivery(&world, id), (0, "fork".to_owned()));
    assert_eq!(bo.session.stop("t1", false), None, "it continues no turn");
    assert_eq!(bo.session.questions(), Vec::<Value>::new());

    answer_from_fork(&bo.session, id, "5433");
    let result = ask.result();
    assert_eq!(result["status"], "answered", "{result}");
    assert_eq!(
        (&result["answer"], &result["by"]),
        (&json!("5433"), &json!("fork"))
    );
    assert_eq!(result["as_of"], "2026-11-29T15:00:00.000Z");
    assert!(result.get("git_head").is_some(), "{result}");
    assert_eq!(delivery(&world, id), (0, "fork".to_owned()));
    let peers = ada.call("list_peers", json!({}));
    assert_eq!(peers["peers"][0]["posted_turns"], 0, "{peers}");

    let notice = bo.session.prompt("t2").expect("the session is notified");
    assert_eq!(notice.trim().lines().count(), 1, "{notice}");
    for part in [
        "a fork of this session has answered ada",
        "which port?",
        "5433",
        id,
    ] {
        assert!(notice.contains(part), "{part}: {notice}");
    }
    assert_eq!(bo.session.prompt("t3"), None, "it is notified once");
}

#[test]
fn forks_are_off_unless_the_own_env_file_says_otherwise() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_FORK", "always");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "busy");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    let offer = offer(&bo.session, &line);
    assert_eq!(offered(&offer), Vec::<String>::new());
    assert_eq!(offer["takes_line"], false);
    let said = bo.read_wake_line(&line, "t1");
    assert!(attached_context(&said).contains("which port?"));
    bo.session.send_reply(&bo.session.next_question(), "5433");
    let result = ask.result();
    assert_eq!(result["by"], "session");
    assert!(result.get("as_of").is_none(), "{result}");
    let doctor = world.cli(&world.home(), &["doctor"]).out;
    assert!(
        doctor.contains("CLAUDE_MESH_FORK in the environment has no effect"),
        "{doctor}"
    );
}

#[test]
fn fork_mode_decides_about_idle_sessions() {
    for (mode, count) in [("busy", 0), ("always", 1)] {
        let world = world_with(&format!("CLAUDE_MESH_FORK={mode}\n"));
        let ada = world.session("ada");
        let bo = InboxSession::open(&world, "bo", "idle");
        let _ask = start_ask(&ada, "bo", "which port?");
        let offer = offer(&bo.session, &bo.next_wake_line());
        assert_eq!(offered(&offer).len(), count, "{mode}: {offer}");
    }
}

#[test]
fn only_a_plugin_answers_as_a_fork() {
    let world = world_with("CLAUDE_MESH_FORK=busy\n");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "busy");
    let _ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    let fork = json!({ "as_of": AS_OF, "usage": {} });
    let code = |result: &Value| result["error"]["code"].as_str().map(str::to_owned);
    let refused = bo.session.call(
        "poll_inbox",
        json!({ "fork": { "doorbell": nonce(&line) } }),
    );
    assert_eq!(
        code(&refused).as_deref(),
        Some("invalid_argument"),
        "{refused}"
    );
    let never_offered = bo.session.questions()[0]["question_id"].clone();
    let reply = json!({ "question_id": never_offered, "answer": "5433", "fork": fork });
    let refused = bo.session.call("reply_to_peer", reply.clone());
    assert_eq!(
        code(&refused).as_deref(),
        Some("invalid_argument"),
        "{refused}"
    );
    let refused = bo.session.call_from_plugin("reply_to_peer", reply);
    assert_eq!(code(&refused).as_deref(), Some("not_yours"), "{refused}");
    for more in [
        json!({}),
        json!({ "fork": fork, "decline": true }),
        json!({ "fork": fork, "corrects": true }),
        json!({ "fork": { "as_of": "noon", "usage": {} } }),
    ] {
        let mut reply = json!({ "question_id": never_offered, "answer": "5433" });
        reply
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let refused = bo.session.call_from_plugin("reply_to_peer", reply);
        assert_eq!(
            code(&refused).as_deref(),
            Some("invalid_argument"),
            "{refused}"
        );
    }
}

#[test]
fn look_of_a_plugin_shows_nothing() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let _ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    let seen = bo.session.call_from_plugin("poll_inbox", json!({}));
    let id = seen["questions"][0]["question_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let one = json!({ "question_id": id });
    let seen = bo.session.call_from_plugin("poll_inbox", one);
    assert_eq!(seen["questions"][0]["shown_times"], 0, "{seen}");
    assert_eq!(delivery(&world, &id).0, 0);
    let said = bo.read_wake_line(&line, "t1");
    assert!(attached_context(&said).contains("which port?"));
}

#[test]
fn questions_beyond_the_budget_go_to_the_session() {
    let world = world_with("CLAUDE_MESH_FORK=busy\nCLAUDE_MESH_FORK_BUDGET=2\n");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "busy");
    let texts = ["one?", "two?", "three?"];
    let asks: Vec<_> = texts.map(|text| start_ask(&ada, "bo", text)).into();
    for ask in &asks {
        ask.wait_for_progress("bo: ");
    }
    let line = bo.next_wake_line();
    let first = offer(&bo.session, &line);
    let ids = offered(&first);
    assert_eq!(ids.len(), 2, "{first}");
    assert_eq!(first["takes_line"], false, "the third needs the line");
    let said = bo.read_wake_line(&line, "t1");
    let context = attached_context(&said);
    assert!(context.contains("three?"), "{context}");
    assert!(
        !context.contains("one?") && !context.contains("two?"),
        "{context}"
    );
    for id in &ids {
        answer_from_fork(&bo.session, id, "yes");
    }
    bo.session.send_reply(&bo.session.next_question(), "no");
    let by: Vec<Value> = asks.iter().map(|ask| ask.result()["by"].clone()).collect();
    assert_eq!(by, ["fork", "fork", "session"]);
}

#[test]
fn question_that_no_fork_answers_wakes_the_session() {
    let world = world_with("CLAUDE_MESH_FORK=always\n");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let ask = start_ask(&ada, "bo", "which port?");
    let first = offer(&bo.session, &bo.next_wake_line());
    let id = &offered(&first)[0];
    give_up(&bo.session, id);
    let line = bo.next_wake_line();
    let again = offer(&bo.session, &line);
    assert_eq!(
        offered(&again),
        Vec::<String>::new(),
        "one fork for a question"
    );
    let said = bo.read_wake_line(&line, "t1");
    assert!(attached_context(&said).contains("which port?"));
    let late = answer_from_fork(&bo.session, id, "5434");
    assert_eq!(late["error"]["code"], "not_yours", "{late}");
    bo.session.send_reply(id, "5433");
    let result = ask.result();
    assert_eq!(
        (&result["answer"], &result["by"]),
        (&json!("5433"), &json!("session"))
    );
}

#[test]
fn asker_can_want_the_session_itself() {
    let world = world_with("CLAUDE_MESH_FORK=always\n");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let question = json!({ "to": "bo", "question": "which port?", "prefer": "session" });
    let _ask = ada.start("ask_peer", question);
    let line = bo.next_wake_line();
    let offer = offer(&bo.session, &line);
    assert_eq!(offered(&offer), Vec::<String>::new());
    let said = bo.read_wake_line(&line, "t1");
    assert!(attached_context(&said).contains("which port?"));
}

#[test]
fn answer_of_a_fork_with_a_secret_is_refused() {
    let world = world_with("CLAUDE_MESH_FORK=busy\n");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "busy");
    let ask = start_ask(&ada, "bo", "which key?");
    let id = offered(&offer(&bo.session, &bo.next_wake_line())).remove(0);
    let secret = format!("AKIA{}", "IOSFODNN7EXAMPLQ");
    let refused = answer_from_fork(&bo.session, &id, &secret);
    assert!(refused["error"]["code"].is_string(), "{refused}");
    give_up(&bo.session, &id);
    let said = bo.read_wake_line(&bo.next_wake_line(), "t1");
    assert!(attached_context(&said).contains("which key?"));
    bo.session.send_reply(&id, "ask the vault");
    assert_eq!(ask.result()["answer"], "ask the vault");
}

#[test]
fn answer_of_a_person_is_not_replaced_by_a_fork() {
    let world = world_with("CLAUDE_MESH_FORK=busy\n");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "busy");
    let ask = start_ask(&ada, "bo", "which port?");
    let id = offered(&offer(&bo.session, &bo.next_wake_line())).remove(0);
    let ran = world.cli(&world.home(), &["reply", &id, "5433"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let refused = answer_from_fork(&bo.session, &id, "5434");
    assert_eq!(refused["error"]["code"], "conflict", "{refused}");
    let result = ask.result();
    assert_eq!(
        (&result["answer"], &result["by"]),
        (&json!("5433"), &json!("person"))
    );
    assert_eq!(bo.session.prompt("t1"), None, "no fork has answered");
}

#[test]
fn session_corrects_what_its_fork_has_answered() {
    let world = world_with("CLAUDE_MESH_FORK=busy\n");
    let ada = InboxSession::open(&world, "ada", "busy");
    let bo = InboxSession::open(&world, "bo", "busy");
    let ask = start_ask(&ada.session, "bo", "which port?");
    let id = offered(&offer(&bo.session, &bo.next_wake_line())).remove(0);
    answer_from_fork(&bo.session, &id, "5433");
    assert_eq!(ask.result()["by"], "fork");
    ada.session.register("idle");
    let correction = json!({ "question_id": id, "answer": "5434", "corrects": true });
    let replied = bo.session.call("reply_to_peer", correction);
    assert_eq!(replied["late"], true, "{replied}");
    let said = ada.read_wake_line(&ada.next_wake_line(), "t1");
    assert!(
        attached_context(&said).contains("5434"),
        "the asker is woken"
    );
    let result = ada
        .session
        .call("await_reply", json!({ "question_id": id }));
    assert_eq!(
        (&result["answer"], &result["by"]),
        (&json!("5434"), &json!("session"))
    );
    assert!(result.get("as_of").is_none(), "{result}");
    assert_eq!(
        bo.session.prompt("t1"),
        None,
        "it knows what it has corrected"
    );
}

#[test]
fn answers_that_the_person_confirms_are_no_business_of_forks() {
    for (list, rule) in [
        ("ask", "mcp__claude-mesh__reply_to_peer"),
        ("deny", "mcp__claude-mesh__reply_to_peer"),
        ("ask", "mcp__plugin_mesh_claude-mesh__reply_to_peer"),
        ("deny", "mcp__plugin_mesh_claude-mesh"),
        ("ask", "mcp__plugin_mesh_*"),
    ] {
        let world = world_with("CLAUDE_MESH_FORK=always\n");
        let rules = json!({ "permissions": { list: [rule] } });
        world.write(".claude/settings.json", &rules.to_string());
        let ada = world.session("ada");
        let bo = InboxSession::open(&world, "bo", "busy");
        let _ask = start_ask(&ada, "bo", "which port?");
        let offer = offer(&bo.session, &bo.next_wake_line());
        assert_eq!(offered(&offer), Vec::<String>::new(), "{list} {rule}");
    }
}

#[test]
fn throttled_session_offers_nothing() {
    let world = world_with("CLAUDE_MESH_FORK=always\n");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let _ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    let quiet = world.cli(&world.home(), &["quiet", "bo", "--for", "1h"]);
    assert_eq!(quiet.code, Some(0), "{quiet:?}");
    assert_eq!(offered(&offer(&bo.session, &line)), Vec::<String>::new());
    let wrong = line.replace(nonce(&line), "0000000000");
    let over = world.cli(&world.home(), &["quiet", "bo", "--off"]);
    assert_eq!(over.code, Some(0), "{over:?}");
    assert_eq!(offered(&offer(&bo.session, &wrong)), Vec::<String>::new());
    assert_eq!(offered(&offer(&bo.session, &bo.next_wake_line())).len(), 1);
}

#[test]
fn forty_questions_at_once_are_answered_by_forks() {
    let world = world_with("CLAUDE_MESH_FORK=always\nCLAUDE_MESH_FORK_BUDGET=100\n");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "busy");
    let asks: Vec<_> = (0..40)
        .map(|number| start_ask(&ada, "bo", &format!("what is {number}?")))
        .collect();
    let mut answered = 0;
    while answered < asks.len() {
        for id in offered(&offer(&bo.session, &bo.next_wake_line())) {
            answer_from_fork(&bo.session, &id, "a number");
            answered += 1;
        }
    }
    for ask in asks {
        assert_eq!(ask.result()["by"], "fork");
    }
    let notice = bo.session.prompt("t1").expect("the session is notified");
    assert!(notice.contains("has answered ada"), "{notice}");
}
