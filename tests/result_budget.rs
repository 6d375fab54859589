//! Long results: each ends where a client still takes it whole, reports that, and continues in the next call.
use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{InFlight, Session, World, wait_until};

/// The limit of a result, counted as Claude Code counts.
const CHARS_MAX: usize = 200_000;

/// Asserts that a result is within the limit. Returns whether it is marked as truncated.
#[track_caller]
fn is_truncated(result: &Value) -> bool {
    let chars = result.to_string().encode_utf16().count();
    assert!(chars <= CHARS_MAX, "{chars} characters");
    result["truncated"] == true
}

#[track_caller]
fn list<'a>(result: &'a Value, key: &str) -> &'a Vec<Value> {
    result[key]
        .as_array()
        .unwrap_or_else(|| panic!("no {key} in {result}"))
}

fn texts(values: &[Value], key: &str) -> Vec<String> {
    let text = |value: &Value| value[key].as_str().unwrap().to_owned();
    values.iter().map(text).collect()
}

fn hint(result: &Value) -> &str {
    result["hint"].as_str().unwrap_or_default()
}

/// Returns a text of the maximum length that differs for each number.
fn long_text(number: usize) -> String {
    format!("{number} {}", "x".repeat(65_000))
}

/// Asks several long questions at once; all are pending when this returns.
fn ask_long_questions<'a>(
    world: &World,
    asker: &'a Session,
    to: &str,
    numbers: std::ops::Range<usize>,
) -> Vec<InFlight<'a>> {
    let before = count_open_questions(world);
    let count = i64::try_from(numbers.len()).unwrap();
    let calls = numbers
        .map(|number| {
            let question =
                json!({ "to": to, "question": long_text(number), "timeout_seconds": 60 });
            asker.start("ask_peer", question)
        })
        .collect();
    wait_until("the questions are stored", || {
        count_open_questions(world) == before + count
    });
    calls
}

fn count_open_questions(world: &World) -> i64 {
    let count = "SELECT count(*) FROM question WHERE state = 'open'";
    world.rows().query_row(count, [], |row| row.get(0)).unwrap()
}

fn count_never_shown(world: &World, like: &str) -> i64 {
    let count = "SELECT count(*) FROM question WHERE shown_times = 0 AND question LIKE ?1";
    world
        .rows()
        .query_row(count, [like], |row| row.get(0))
        .unwrap()
}

#[test]
fn interrupted_call_returns_what_fits_and_the_next_the_rest() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let asked = ask_long_questions(&world, &cy, "ada", 0..6);
    let mut result = ada.call("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let own = result["question_id"].clone();
    let mut answered = Vec::new();
    while answered.len() < 6 {
        assert_eq!(result["status"], "interrupted", "{}", hint(&result));
        let reported = texts(list(&result, "questions"), "question_id");
        let left = 6 - answered.len() - reported.len();
        assert!(!reported.is_empty());
        assert_eq!(is_truncated(&result), left > 0);
        assert_eq!(
            hint(&result).contains("poll_inbox"),
            left > 0,
            "{}",
            hint(&result)
        );
        let unshown = count_never_shown(&world, "% xxx%");
        assert_eq!(
            unshown,
            i64::try_from(left).unwrap(),
            "an item that is left out was not delivered"
        );
        for id in &reported {
            ada.send_reply(id, "yes");
        }
        answered.extend(reported);
        let again = json!({ "question_id": own, "timeout_seconds": 1 });
        result = ada.call("await_reply", again);
    }
    assert_eq!(result["status"], "timed_out");
    assert_eq!(answered.iter().collect::<BTreeSet<_>>().len(), 6);
    for call in asked {
        assert_eq!(call.result()["answer"], "yes");
    }
    drop(bo);
}

#[test]
fn interrupting_question_is_included_despite_long_older_ones() {
    let world = World::new();
    let (ada, _bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let _asked = ask_long_questions(&world, &cy, "ada", 0..5);
    let first = ada.call("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    assert!(is_truncated(&first));
    let seen = texts(list(&first, "questions"), "question_id");
    let own =
        |seconds: u32| json!({ "question_id": first["question_id"], "timeout_seconds": seconds });
    while ada.call("await_reply", own(1))["status"] == "interrupted" {}
    let waiting = ada.start("await_reply", own(60));
    waiting.wait_for_progress("bo: ");
    let _last = cy.start(
        "ask_peer",
        json!({ "to": "ada", "question": "a short one" }),
    );
    let third = waiting.result();
    assert!(is_truncated(&third));
    let reported = list(&third, "questions");
    assert_eq!(reported.last().unwrap()["question"], "a short one");
    assert_eq!(
        reported[0]["question_id"], seen[0],
        "the oldest questions are first"
    );
}

#[test]
fn interrupted_claim_or_event_wait_respects_the_size_limit() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    bo.call("claim", json!({ "resource": "deploy" }));
    let _asked = ask_long_questions(&world, &cy, "ada", 0..6);
    let turn = json!({ "resource": "deploy", "wait": "queue", "wait_seconds": 60 });
    let claim = ada.call("claim", turn);
    let wait = json!({ "action": "wait", "types": ["project.none"], "timeout_seconds": 60 });
    let event = ada.call("events", wait);
    for result in [claim, event] {
        assert_eq!(result["status"], "interrupted");
        assert!(is_truncated(&result));
        assert!(hint(&result).contains("poll_inbox"), "{}", hint(&result));
    }
}

#[test]
fn long_answers_are_truncated_together_and_whole_one_by_one() {
    let world = World::new();
    let ada = world.session("ada");
    let names = ["bo", "cy", "di", "ed", "flo"];
    let peers = names.map(|name| world.session(name));
    let ask = ada.start(
        "ask_peer",
        json!({ "to": names, "question": "what is in it?" }),
    );
    // Characters that JSON escapes count with their escaped length.
    let answers = [
        long_text(0),
        "\"\n".repeat(32_768),
        "ä".repeat(32_768),
        "short".to_owned(),
        long_text(4),
    ];
    for (peer, answer) in peers.iter().zip(&answers) {
        peer.send_reply(&peer.next_question(), answer);
    }
    let result = ask.result();
    assert!(is_truncated(&result));
    assert_eq!(result["status"], "answered");
    assert!(hint(&result).contains("await_reply"), "{result}");
    let reported = list(&result, "answers");
    assert_eq!(texts(reported, "from"), names);
    assert_eq!(texts(reported, "status"), ["answered"; 5]);
    for (one, whole) in reported.iter().zip(&answers) {
        let shown = one["answer"].as_str().unwrap();
        assert!(whole.starts_with(shown) && shown.len() >= whole.len().min(15_000));
        assert_eq!(one["cut"] == true, shown.len() < whole.len());
        let alone = ada.call("await_reply", json!({ "question_id": one["question_id"] }));
        assert_eq!(alone["answer"], whole.as_str());
        assert!(alone["cut"].is_null());
    }
    assert!(reported[3]["cut"].is_null() && reported[0]["cut"] == true);
    let again = json!({ "question_id": result["question_ids"] });
    assert!(is_truncated(&ada.call("await_reply", again)));
}

#[test]
fn pending_items_are_listed_in_parts_until_all_were_shown() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let subscribe = json!({ "action": "subscribe", "types": ["project.*"] });
    ada.call("events", subscribe);
    for number in 0..60 {
        let title = format!("{number} {}", "\"".repeat(490));
        bo.call(
            "create_task",
            json!({ "title": title, "assigned_to": "ada" }),
        );
    }
    // Late answers: asked by ada, whose calls end, and answered afterwards.
    for number in 0..3 {
        let ask = ada.start(
            "ask_peer",
            json!({ "to": "bo", "question": format!("{number}?") }),
        );
        let id = bo.next_question();
        ask.cancel();
        wait_until("its call has ended", || {
            let waits = "SELECT count(*) FROM wait";
            world
                .rows()
                .query_row(waits, [], |row| row.get::<_, i64>(0))
                .unwrap()
                == 0
        });
        bo.send_reply(&id, &long_text(number));
    }
    for number in 0..3 {
        let data = json!(long_text(number));
        bo.call(
            "events",
            json!({ "action": "emit", "type": "project.long", "data": data }),
        );
    }
    let _asked = ask_long_questions(&world, &cy, "ada", 0..5);
    let (mut questions, mut answers, mut events) = (BTreeSet::new(), BTreeSet::new(), 0);
    let mut polls = 0;
    loop {
        let inbox = ada.call("poll_inbox", json!({}));
        polls += 1;
        let truncated = is_truncated(&inbox);
        assert_eq!(hint(&inbox).contains("poll_inbox"), truncated);
        assert_eq!(list(&inbox, "tasks").len(), 50);
        for id in texts(list(&inbox, "questions"), "question_id") {
            ada.send_reply(&id, "yes");
            questions.insert(id);
        }
        for id in texts(list(&inbox, "answers"), "question_id") {
            ada.call("await_reply", json!({ "question_id": id }));
            answers.insert(id);
        }
        events += list(&inbox, "events").len();
        if !truncated {
            break;
        }
        assert!(polls < 20, "the parts do not end");
    }
    assert_eq!((questions.len(), answers.len(), events), (5, 3, 3));
    assert!(polls > 3, "{polls} polls");
}

#[test]
fn long_memories_are_truncated_together_and_whole_one_by_one() {
    let world = World::new();
    let ada = world.session("ada");
    for number in 0..8 {
        let text = format!("deploy {}", long_text(number));
        ada.call(
            "remember",
            json!({ "key": format!("k{number}"), "text": text }),
        );
    }
    let found = ada.call("recall", json!({ "query": "deploy", "limit": 50 }));
    assert!(is_truncated(&found));
    assert!(hint(&found).contains("key"), "{}", hint(&found));
    let memories = list(&found, "memories");
    assert_eq!(memories.len(), 8, "every memory is returned");
    for one in memories {
        assert_eq!(one["cut"], true);
        assert!(one["text"].as_str().unwrap().len() > 20_000);
        let whole = ada.call("recall", json!({ "key": one["key"] }));
        assert!(!is_truncated(&whole));
        let text = whole["memories"][0]["text"].as_str().unwrap();
        assert!(text.len() > 65_000 && text.starts_with(one["text"].as_str().unwrap()));
    }
    let few = ada.call("recall", json!({ "query": "deploy", "limit": 3 }));
    assert!(!is_truncated(&few));
}

#[test]
fn long_claim_list_is_truncated_and_narrowed_by_prefix() {
    let world = World::new();
    let ada = world.session("ada");
    for number in 0..400 {
        let resource = format!("{}/{number:03}", number / 100);
        ada.call(
            "claim",
            json!({ "resource": resource, "note": "\"".repeat(500) }),
        );
    }
    let all = ada.call("claims", json!({}));
    assert!(is_truncated(&all));
    assert!(hint(&all).contains("prefix"), "{}", hint(&all));
    assert!(list(&all, "claims").len() > 100);
    let mut seen = BTreeSet::new();
    for prefix in ["0/", "1/", "2/", "3/"] {
        let some = ada.call("claims", json!({ "prefix": prefix }));
        assert!(!is_truncated(&some));
        seen.extend(texts(list(&some, "claims"), "resource"));
    }
    assert_eq!(seen.len(), 400);
}

#[test]
fn overlong_claim_queue_is_truncated_but_returned() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ada.call("claim", json!({ "resource": "deploy" }));
    let queue = json!({ "resource": "deploy", "wait": "queue", "note": "n".repeat(500) });
    bo.call("claim", queue);
    world
        .rows()
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
             INSERT INTO claim (id, resource, mode, state, peer_id, session_id, note, lease_ms, boot, claimed_monotonic_ms, claimed_at_ms)
             SELECT printf('7ZZZZZZZZZZZZZZZZZZZZZ%04d', i), resource, mode, state, peer_id, session_id, note, lease_ms, boot,
                 claimed_monotonic_ms, claimed_at_ms FROM claim, n WHERE state = 'queued'",
        )
        .unwrap();
    let reported = ada.call("claims", json!({ "resource": "deploy" }));
    assert!(is_truncated(&reported));
    let line = &list(&reported, "claims")[0];
    assert_eq!(line["holders"][0]["peer"], "ada");
    let queue = list(line, "queue");
    assert!(queue.len() > 200 && queue.len() < 401);
    assert_eq!(queue[0]["queue_position"], 1);
    assert_eq!(line["queue_length"], 401);
}

#[test]
fn long_task_list_is_truncated_and_narrowed_by_words() {
    let world = World::new();
    let ada = world.session("ada");
    for number in 0..200 {
        let title = format!("word{} number {number}", number / 50);
        let description = "\"".repeat(2_000);
        ada.call(
            "create_task",
            json!({ "title": title, "description": description }),
        );
    }
    let all = ada.call("list_tasks", json!({ "limit": 200 }));
    assert!(is_truncated(&all));
    assert!(hint(&all).contains("query"), "{}", hint(&all));
    assert_eq!(all["counts"]["todo"], 200);
    let mut seen = BTreeSet::new();
    for number in 0..4 {
        let query = json!({ "limit": 200, "query": format!("word{number}") });
        let some = ada.call("list_tasks", query);
        assert!(!is_truncated(&some));
        seen.extend(texts(list(&some, "tasks"), "task_id"));
    }
    assert_eq!(seen.len(), 200);
}

#[test]
fn long_messages_are_listed_one_by_one() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    for number in 0..9 {
        bo.call("post", json!({ "to": "ada", "body": long_text(number) }));
    }
    let (mut seen, mut after) = (0, Value::Null);
    loop {
        let mut call = json!({ "limit": 100 });
        if !after.is_null() {
            call["after"] = after;
        }
        let page = ada.call("list_messages", call);
        let messages = list(&page, "messages");
        seen += messages.len();
        after = messages.last().unwrap()["message_id"].clone();
        if !is_truncated(&page) {
            break;
        }
        assert!(hint(&page).contains(after.as_str().unwrap()));
    }
    assert_eq!(seen, 9);
}

#[test]
fn events_are_read_page_by_page() {
    let world = World::new();
    let ada = world.session("ada");
    for number in 0..5 {
        let data = json!("\"".repeat(30_000 + number));
        ada.call(
            "events",
            json!({ "action": "emit", "type": "project.long", "data": data }),
        );
    }
    let (mut seen, mut after) = (0, json!(0));
    while seen < 5 {
        let read = json!({ "types": ["project.*"], "after": after, "limit": 500 });
        let page = ada.call("events", read);
        seen += list(&page, "events").len();
        assert_eq!(is_truncated(&page), seen < 5);
        after = page["next"].clone();
    }
}

#[test]
fn long_state_list_is_paged() {
    let world = World::new();
    let ada = world.session("ada");
    let namespace = "n".repeat(128);
    for number in 0..450 {
        let key = format!("{number:03}{}", "k".repeat(240));
        let set = json!({ "action": "set", "namespace": namespace, "key": key, "value": number });
        ada.call("state", set);
    }
    let (mut seen, mut after) = (0, String::new());
    loop {
        let read = json!({ "action": "list", "namespace": namespace, "after": after });
        let page = ada.call("state", read);
        let entries = list(&page, "entries");
        seen += entries.len();
        after = entries.last().unwrap()["key"].as_str().unwrap().to_owned();
        if !is_truncated(&page) {
            break;
        }
        assert!(hint(&page).contains(&after), "{}", hint(&page));
    }
    assert_eq!(seen, 450);
}

#[test]
fn long_peer_list_is_truncated() {
    let world = World::new();
    let (ada, _bo) = (world.session("ada"), world.session("bo"));
    world
        .rows()
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
             INSERT INTO peer (id, kind, name, wanted, summary, created_at_ms, last_seen_at_ms)
             SELECT printf('7ZZZZZZZZZZZZZZZZZZZZZ%04d', i), 'session', printf('p%04d', i), 'p', printf('%.500c', 'x'), 1, 1 FROM n",
        )
        .unwrap();
    let peers = ada.call("list_peers", json!({ "include_stale": true }));
    assert!(is_truncated(&peers));
    assert!(hint(&peers).contains("scope"), "{}", hint(&peers));
    assert!(texts(list(&peers, "peers"), "peer").contains(&"bo".to_owned()));
    assert!(list(&peers, "peers").len() > 100);
    let live = ada.call("list_peers", json!({}));
    assert!(!is_truncated(&live));
}

#[test]
fn starting_many_tasks_at_once_truncates_their_claims() {
    let world = World::new();
    let ada = world.session("ada");
    let updates: Vec<Value> = (0..20)
        .map(|number| {
            let files: Vec<String> = (0..64)
                .map(|file| format!("{number}/{file}/{}", "f".repeat(100)))
                .collect();
            let task = json!({ "title": format!("task {number}"), "files_owned": files });
            let id = ada.call("create_task", task)["task"]["task_id"].clone();
            json!({ "task_id": id, "status": "in_progress" })
        })
        .collect();
    let done = ada.call("bulk_update_tasks", json!({ "updates": updates }));
    assert!(is_truncated(&done));
    assert!(hint(&done).contains("claims"), "{}", hint(&done));
    let updated = list(&done, "updated");
    assert_eq!(updated.len(), 20);
    assert!(updated.iter().all(|one| one["status"] == "in_progress"));
    assert_eq!(list(&updated[0], "claims").len(), 64);
}
