//! Messages: who receives which, in what order, and how far a peer has read.

use serde_json::{Value, json};

use crate::support::{Session, World};
use crate::support::{post_message, refused};

#[track_caller]
pub(crate) fn bodies(session: &Session, arguments: Value) -> Vec<String> {
    let listed = session.call("list_messages", arguments);
    let messages = listed["messages"].as_array();
    messages
        .unwrap_or_else(|| panic!("{listed}"))
        .iter()
        .map(|message| message["body"].as_str().unwrap().to_owned())
        .collect()
}

// Requirement: Mesh 11, Sharing 3, Peers 3, Tasks 13
#[test]
fn message_reaches_peer_everyone_or_topic_with_all_fields() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let posted = ada.call(
        "post",
        json!({ "to": "bo", "subject": "noon", "body": "the database moves", "ttl_seconds": 3600 }),
    );
    assert_eq!(
        (&posted["recipients"], &posted["offline"]),
        (&json!(1), &json!([]))
    );
    let listed = bo.call("list_messages", json!({}));
    let message = &listed["messages"][0];
    assert_eq!(message["message_id"], posted["message_id"]);
    assert_eq!(
        (&message["from"], &message["to"]),
        (&json!("ada"), &json!("bo"))
    );
    assert_eq!(
        (&message["type"], &message["subject"]),
        (&json!("text"), &json!("noon"))
    );
    assert_eq!(message["body"], "the database moves");
    assert!(message["expires_at"].as_str() > message["posted_at"].as_str());
    assert_eq!(
        (&listed["unread"], &listed["cursor"]),
        (&json!(1), &Value::Null)
    );
    let answer = bo.call(
        "post",
        json!({ "to": "ada", "body": "fine", "in_reply_to": posted["message_id"] }),
    );
    assert_eq!(answer["recipients"], 1);
    let received = ada.call("list_messages", json!({}));
    assert_eq!(received["messages"][0]["in_reply_to"], posted["message_id"]);

    let everybody = ada.call("post", json!({ "to": "*", "body": "good morning" }));
    assert_eq!(everybody["recipients"], 2, "the sender gets no copy");
    assert_eq!(bodies(&cy, json!({})), ["good morning"]);
    assert_eq!(
        bodies(&ada, json!({})),
        ["fine"],
        "a broadcast does not reach its sender"
    );
    post_message(&ada, "topic:ops", "pager");
    assert_eq!(
        bodies(&cy, json!({ "topics": ["#Ops"] })),
        ["good morning", "pager"]
    );
    assert_eq!(
        bodies(&cy, json!({})),
        ["good morning"],
        "a topic message is listed only with its topic"
    );
    assert_eq!(bodies(&ada, json!({ "topics": ["ops"] })), ["fine"]);
}

// Requirement: Mesh 11
#[test]
fn broadcast_reaches_only_peers_present_when_it_was_posted() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    post_message(&ada, "*", "before");
    let late = world.session("late");
    post_message(&ada, "*", "after");
    assert_eq!(bodies(&bo, json!({})), ["before", "after"]);
    assert_eq!(bodies(&late, json!({})), ["after"]);
    assert_eq!(
        late.call("list_messages", json!({ "filter": "all" }))["unread"],
        1
    );
}

// Requirement: Mesh 12, Peers 4
#[test]
fn topic_messages_are_delivered_from_the_subscription_on() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    post_message(&ada, "#ops", "before");
    let listed = bo.call("subscribe", json!({ "topics": ["ops", "#alerts", "#ops"] }));
    assert_eq!(
        listed["topics"],
        json!([{ "topic": "ops", "subscribers": ["bo"] }, { "topic": "alerts", "subscribers": ["bo"] }])
    );
    let posted = ada.call("post", json!({ "to": "#ops", "body": "after" }));
    assert_eq!(posted["recipients"], 1);
    assert_eq!(bodies(&bo, json!({})), ["after"]);
    assert_eq!(
        bodies(&bo, json!({ "topics": ["ops"] })),
        ["before", "after"],
        "no message is listed twice"
    );
    assert_eq!(
        bo.call("list_messages", json!({ "topics": ["ops"] }))["unread"],
        2
    );
    bo.call("subscribe", json!({ "topics": ["ops"] }));
    assert_eq!(
        bodies(&bo, json!({})),
        ["after"],
        "a repeated subscription changes nothing"
    );
    bo.call(
        "subscribe",
        json!({ "action": "unsubscribe", "topics": ["ops"] }),
    );
    assert_eq!(bodies(&bo, json!({})), Vec::<String>::new());
    let all = ada.call("subscribe", json!({ "action": "list" }));
    assert_eq!(
        all["topics"],
        json!([{ "topic": "alerts", "subscribers": ["bo"] }])
    );
}

#[test]
fn registering_subscribes_to_the_topics_of_the_project_file() {
    let world = World::new();
    world.write(
        "bo/.claude-mesh.json",
        r##"{ "topics": ["Ops", "#deploys", "two words"] }"##,
    );
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    post_message(&ada, "#ops", "pager");
    post_message(&ada, "#deploys", "1.4 is out");
    assert_eq!(bodies(&bo, json!({})), ["pager", "1.4 is out"]);
    drop(bo);
    post_message(&ada, "#ops", "meanwhile");
    let bo = world.session("bo");
    assert_eq!(bodies(&bo, json!({})), ["pager", "1.4 is out", "meanwhile"]);
}

// Requirement: Mesh 12, Mesh 13
#[test]
fn listing_moves_no_cursor_and_mark_read_only_advances_it() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ids: Vec<String> = ["a", "b", "c"]
        .map(|body| post_message(&ada, "bo", body))
        .into();
    for _ in 0..2 {
        assert_eq!(bodies(&bo, json!({})), ["a", "b", "c"]);
    }
    let read = bo.call("mark_read", json!({ "up_to": ids[1] }));
    assert_eq!(read, json!({ "cursor": ids[1], "remaining": 1 }));
    let read = bo.call("mark_read", json!({ "up_to": ids[0] }));
    assert_eq!(
        read,
        json!({ "cursor": ids[1], "remaining": 1 }),
        "the cursor does not move backward"
    );
    assert_eq!(bodies(&bo, json!({})), ["c"]);
    let all = bo.call("list_messages", json!({ "filter": "all" }));
    assert_eq!(
        (&all["unread"], &all["cursor"]),
        (&json!(1), &json!(ids[1]))
    );
    assert_eq!(all["messages"].as_array().unwrap().len(), 3);
    drop(bo);
    let bo = world.session("bo");
    assert_eq!(
        bodies(&bo, json!({})),
        ["c"],
        "the cursor belongs to the mailbox, not to the session"
    );
    assert_eq!(bo.call("poll_inbox", json!({}))["messages_unread"], 1);
}

// Requirement: Sharing 4, Peers 3
#[test]
fn message_list_is_filtered_by_sender_and_paged() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    for number in 0..5 {
        post_message(&ada, "bo", &format!("ada {number}"));
        post_message(&cy, "*", &format!("cy {number}"));
    }
    let from_cy = bodies(&bo, json!({ "from": "CY" }));
    assert_eq!(from_cy, ["cy 0", "cy 1", "cy 2", "cy 3", "cy 4"]);
    let (mut all, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = bo.call("list_messages", json!({ "limit": 3, "after": after }));
        assert_eq!(page["unread"], 10);
        let page = page["messages"].as_array().unwrap().clone();
        let Some(last) = page.last() else { break };
        after = last["message_id"].clone();
        all.extend(page.iter().map(|message| message["message_id"].clone()));
    }
    assert_eq!(all.len(), 10);
    assert!(all.is_sorted_by(|a, b| a.as_str() < b.as_str()));
    let (_, message) = refused(&bo.call("list_messages", json!({ "from": "adda" })));
    assert!(
        message.contains("; nearest: ada; here now: ada, cy"),
        "{message}"
    );
    assert_eq!(
        refused(&bo.call("list_messages", json!({ "from": "nobody" }))).0,
        "unknown_peer"
    );
}

// Requirement: Peers 3
#[test]
fn message_to_an_offline_peer_waits_and_reports_it_offline() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    drop(bo);
    let posted = ada.call("post", json!({ "to": "bo", "body": "for later" }));
    assert_eq!(
        (&posted["recipients"], &posted["offline"]),
        (&json!(1), &json!(["bo"]))
    );
    let bo = world.session("bo");
    assert_eq!(bodies(&bo, json!({})), ["for later"]);
    let posted = ada.call("post", json!({ "to": "bo/any", "body": "now" }));
    assert_eq!(posted["offline"], json!([]));
}

#[test]
fn headless_run_can_post_but_has_no_mailbox() {
    let world = World::new();
    let ada = world.session("ada");
    let run = world.bare_session("ada", &[("CLAUDE_CODE_ENTRYPOINT", "sdk-cli")]);
    run.discover();
    post_message(&run, "ada", "done");
    let message = &ada.call("list_messages", json!({}))["messages"][0];
    let name = message["from"].as_str().unwrap();
    assert!(name.starts_with("ada/p-"), "{message}");
    assert_eq!(
        refused(&ada.call("post", json!({ "to": name, "body": "thanks" }))).0,
        "unknown_peer"
    );
    assert_eq!(bodies(&ada, json!({ "from": name })), ["done"]);
    post_message(&ada, "*", "to all");
    for (tool, arguments) in [
        ("list_messages", json!({})),
        ("mark_read", json!({ "up_to": message["message_id"] })),
        ("subscribe", json!({ "topics": ["ops"] })),
    ] {
        assert_eq!(
            refused(&run.call(tool, arguments)).0,
            "unsupported",
            "{tool}"
        );
    }
}

#[test]
fn same_idempotency_key_stores_one_message() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let post = |from: &Session, to: &str, body: &str| {
        from.call(
            "post",
            json!({ "to": to, "body": body, "idempotency_key": "k-1" }),
        )
    };
    let first = post(&ada, "bo", "hello");
    assert_eq!(post(&ada, "bo", "hello"), first);
    assert_eq!(
        post(&ada, "bo/any", "hello"),
        first,
        "another form of the address reaches the same session"
    );
    assert_ne!(
        post(&cy, "bo", "hello")["message_id"],
        first["message_id"],
        "a key is unique only for its sender"
    );
    for (to, body) in [
        ("bo", "other"),
        ("cy", "hello"),
        ("*", "hello"),
        ("#ops", "hello"),
    ] {
        assert_eq!(
            post(&ada, to, body)["error"]["code"],
            "conflict",
            "{to} {body}"
        );
    }
    assert_eq!(bodies(&bo, json!({})), ["hello", "hello"]);
}

// Requirement: Tasks 11
#[test]
fn event_log_records_a_post_without_its_text() {
    let world = World::new();
    let (ada, _bo) = (world.session("ada"), world.session("bo"));
    let id = post_message(&ada, "#ops", "xyzzy");
    let log = world.cli(&world.home(), &["log", "--json"]).out;
    let line = log
        .lines()
        .find(|line| line.contains("message.posted"))
        .unwrap();
    let event: Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&event["by"], &event["subject"]),
        (&json!("ada"), &json!(id))
    );
    assert_eq!(
        event["data"],
        json!({ "to": "topic:ops", "type": "text", "bytes": 5 })
    );
    assert!(!log.contains("xyzzy"));
    let log = world.cli(&world.home(), &["log"]).out;
    assert!(log.contains("ada posted a message to topic:ops"), "{log}");
}

#[test]
fn peer_with_mail_keeps_its_name_and_removal_deletes_its_mail() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    post_message(&ada, "bo", "hello");
    for session in [&ada, &bo] {
        assert_eq!(
            refused(&session.call("register", json!({ "name": "other" }))).0,
            "conflict"
        );
    }
    post_message(&bo, "ada", "from bo");
    drop(bo);
    crate::support::wait_until("bo has left", || {
        world.cli(&world.home(), &["peers", "--forget", "bo"]).code == Some(0)
    });
    let message = &ada.call("list_messages", json!({}))["messages"][0];
    assert_eq!(
        (&message["from"], &message["body"]),
        (&json!("bo"), &json!("from bo"))
    );
    assert_eq!(bodies(&ada, json!({ "from": "bo" })), ["from bo"]);
    let left: i64 = world
        .rows()
        .query_row("SELECT count(*) FROM message", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 1, "its own messages are removed with the peer");
}
