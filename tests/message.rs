//! Stories of messages: who gets which, in what order, how far somebody has read, and what is refused.
use std::sync::Arc;

use claude_mesh::mesh::{
    JoinRequest, Mesh, MessageDraft, MessageFilter, SessionHandle, SubscriptionAction,
};
use claude_mesh::model::{Error, Recipient, Refusal, Topic};
use claude_mesh::platform::Clock;
use claude_mesh::platform::clock::ManualClock;
use claude_mesh::platform::id::MessageId;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Session, World};

#[track_caller]
fn post_message(from: &Session, to: &str, body: &str) -> String {
    let posted = from.call("post", json!({ "to": to, "body": body }));
    let id = posted["message_id"].as_str();
    id.unwrap_or_else(|| panic!("{posted}")).to_owned()
}

#[track_caller]
fn bodies(session: &Session, arguments: Value) -> Vec<String> {
    let listed = session.call("list_messages", arguments);
    let messages = listed["messages"].as_array();
    messages
        .unwrap_or_else(|| panic!("{listed}"))
        .iter()
        .map(|message| message["body"].as_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn refused(session: &Session, tool: &str, arguments: Value) -> (String, String) {
    let said = session.call(tool, arguments);
    let error = &said["error"];
    let text = |key: &str| {
        error[key]
            .as_str()
            .unwrap_or_else(|| panic!("{said}"))
            .to_owned()
    };
    (text("code"), text("message"))
}

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
    let heard = ada.call("list_messages", json!({}));
    assert_eq!(heard["messages"][0]["in_reply_to"], posted["message_id"]);

    let everybody = ada.call("post", json!({ "to": "*", "body": "good morning" }));
    assert_eq!(everybody["recipients"], 2, "everybody but the sender");
    assert_eq!(bodies(&cy, json!({})), ["good morning"]);
    assert_eq!(
        bodies(&ada, json!({})),
        ["fine"],
        "one's own is not for oneself"
    );
    post_message(&ada, "topic:ops", "pager");
    assert_eq!(
        bodies(&cy, json!({ "topics": ["#Ops"] })),
        ["good morning", "pager"]
    );
    assert_eq!(
        bodies(&cy, json!({})),
        ["good morning"],
        "only for those who name the topic"
    );
    assert_eq!(bodies(&ada, json!({ "topics": ["ops"] })), ["fine"]);
}

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
        "none twice"
    );
    assert_eq!(
        bo.call("list_messages", json!({ "topics": ["ops"] }))["unread"],
        2
    );
    bo.call("subscribe", json!({ "topics": ["ops"] }));
    assert_eq!(
        bodies(&bo, json!({})),
        ["after"],
        "once more changes nothing"
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
        "not back"
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
        "the cursor is the mailbox's, not the session's"
    );
    assert_eq!(bo.call("poll_inbox", json!({}))["messages_unread"], 1);
}

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
    let (_, message) = refused(&bo, "list_messages", json!({ "from": "adda" }));
    assert!(
        message.contains("; nearest: ada; here now: ada, cy"),
        "{message}"
    );
    assert_eq!(
        refused(&bo, "list_messages", json!({ "from": "nobody" })).0,
        "unknown_peer"
    );
}

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
        refused(&ada, "post", json!({ "to": name, "body": "thanks" })).0,
        "unknown_peer"
    );
    assert_eq!(bodies(&ada, json!({ "from": name })), ["done"]);
    post_message(&ada, "*", "to all");
    for (tool, arguments) in [
        ("list_messages", json!({})),
        ("mark_read", json!({ "up_to": message["message_id"] })),
        ("subscribe", json!({ "topics": ["ops"] })),
    ] {
        assert_eq!(refused(&run, tool, arguments).0, "unsupported", "{tool}");
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
        "the project's session, by another word"
    );
    assert_ne!(
        post(&cy, "bo", "hello")["message_id"],
        first["message_id"],
        "another sender's key"
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

/// What cannot be posted, and by what words that is told.
#[expect(clippy::too_many_lines, reason = "a list of like things")]
fn bad_messages() -> Vec<(Value, &'static str, &'static str)> {
    let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(4));
    vec![
        (
            json!({ "to": "bo" }),
            "invalid_argument",
            "missing parameter `body`",
        ),
        (
            json!({ "to": 7, "body": "x" }),
            "invalid_argument",
            "\"to\"",
        ),
        (
            json!({ "to": "bo", "body": ["x"] }),
            "invalid_argument",
            "\"body\"",
        ),
        (
            json!({ "to": "bo", "body": " \n" }),
            "invalid_argument",
            "\"body\" is empty",
        ),
        (
            json!({ "to": "bo", "body": "x".repeat(65_537) }),
            "too_large",
            "65537",
        ),
        (
            json!({ "to": "bo", "body": "x", "subject": "y".repeat(201) }),
            "invalid_argument",
            "200",
        ),
        (
            json!({ "to": "bo", "body": "x", "subject": "" }),
            "invalid_argument",
            "\"subject\" is empty",
        ),
        (
            json!({ "to": "bo", "body": "x", "type": "alarm" }),
            "invalid_argument",
            "alarm",
        ),
        (
            json!({ "to": "bo", "body": "{\"a\": }", "type": "json" }),
            "invalid_argument",
            "line 1 column 7",
        ),
        (
            json!({ "to": "bo", "body": "x", "ttl_seconds": 0 }),
            "invalid_argument",
            "\"ttl_seconds\"",
        ),
        (
            json!({ "to": "bo", "body": "x", "ttl_seconds": -1 }),
            "invalid_argument",
            "\"ttl_seconds\"",
        ),
        (
            json!({ "to": "bo", "body": "x", "idempotency_key": "k".repeat(129) }),
            "invalid_argument",
            "128",
        ),
        (
            json!({ "to": "bo", "body": "x", "in_reply_to": "soon" }),
            "invalid_argument",
            "\"in_reply_to\"",
        ),
        (
            json!({ "to": "bo", "body": "x", "in_reply_to": "01K00000000000000000000000" }),
            "not_found",
            "no message",
        ),
        (json!({ "to": "bo", "body": token }), "secret", "GitHub"),
        (
            json!({ "to": "bo", "body": "x", "subject": token }),
            "secret",
            "\"subject\"",
        ),
        (
            json!({ "to": "bo", "body": "x", "urgent": true }),
            "invalid_argument",
            "urgent",
        ),
        (
            json!({ "to": "", "body": "x" }),
            "invalid_argument",
            "\"to\"",
        ),
        (
            json!({ "to": "#", "body": "x" }),
            "invalid_argument",
            "topic",
        ),
        (
            json!({ "to": "#a b", "body": "x" }),
            "invalid_argument",
            "topic",
        ),
        (
            json!({ "to": "ada", "body": "x" }),
            "invalid_argument",
            "yourself",
        ),
        (
            json!({ "to": "bob", "body": "x" }),
            "unknown_peer",
            "nearest: bo",
        ),
    ]
}

#[test]
fn invalid_message_is_refused_by_name_and_not_stored() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    for (arguments, code, words) in bad_messages() {
        let shown = arguments.to_string();
        let shown = shown.get(..120).unwrap_or(&shown).to_owned();
        let (said, message) = refused(&ada, "post", arguments);
        assert_eq!(said, code, "{shown}: {message}");
        assert!(message.contains(words), "{shown}: {message}");
    }
    for (tool, arguments, code) in [
        (
            "mark_read",
            json!({ "up_to": "01K00000000000000000000000" }),
            "not_found",
        ),
        ("mark_read", json!({ "up_to": "last" }), "invalid_argument"),
        ("mark_read", json!({}), "invalid_argument"),
        ("list_messages", json!({ "limit": 0 }), "invalid_argument"),
        ("list_messages", json!({ "limit": 101 }), "invalid_argument"),
        (
            "list_messages",
            json!({ "filter": "new" }),
            "invalid_argument",
        ),
        (
            "list_messages",
            json!({ "topics": ["*"] }),
            "invalid_argument",
        ),
        (
            "list_messages",
            json!({ "topics": "ops" }),
            "invalid_argument",
        ),
        ("subscribe", json!({ "topics": ["*"] }), "invalid_argument"),
        ("subscribe", json!({ "topics": [""] }), "invalid_argument"),
        ("subscribe", json!({ "topics": [] }), "invalid_argument"),
        ("subscribe", json!({}), "invalid_argument"),
    ] {
        assert_eq!(
            refused(&bo, tool, arguments.clone()).0,
            code,
            "{tool} {arguments}"
        );
    }
    assert_eq!(bodies(&bo, json!({})), Vec::<String>::new());
}

#[test]
fn largest_body_arrives_whole_and_a_long_list_is_limited() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let large = "ä".repeat(65_536 / 2);
    for _ in 0..7 {
        post_message(&ada, "bo", &large);
    }
    let first = bo.call("list_messages", json!({}));
    assert_eq!(first["truncated"], true);
    assert!(first.to_string().encode_utf16().count() <= 200_000);
    let page = first["messages"].as_array().unwrap();
    assert_eq!(page[0]["body"], large.as_str());
    let last = &page.last().unwrap()["message_id"];
    assert!(
        first["hint"]
            .as_str()
            .unwrap()
            .contains(last.as_str().unwrap())
    );
    let rest = bo.call("list_messages", json!({ "after": last }));
    assert_eq!(page.len() + rest["messages"].as_array().unwrap().len(), 7);
}

#[test]
fn sixty_broadcasts_a_minute_pass_and_more_are_rate_limited() {
    let world = World::new();
    let (ada, _bo) = (world.session("ada"), world.session("bo"));
    for number in 0..60 {
        post_message(&ada, "*", &format!("{number}"));
    }
    let (code, message) = refused(&ada, "post", json!({ "to": "*", "body": "once more" }));
    assert_eq!(code, "rate_limited");
    assert!(
        message.contains("again in ") && message.ends_with(" s"),
        "{message}"
    );
    post_message(&ada, "bo", "to one it is free");
}

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
            refused(session, "register", json!({ "name": "other" })).0,
            "conflict"
        );
    }
    post_message(&bo, "ada", "from bo");
    drop(bo);
    crate::support::wait_until("bo is gone", || {
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
    assert_eq!(left, 1, "its own mail is gone with the mailbox");
}

/// A mesh whose clock is set by hand.
struct MeshFixture {
    place: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl MeshFixture {
    fn new() -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(1_800_000_000_000)),
        }
    }

    fn join_peer(&self, name: &str, instance: u32) -> (Mesh, SessionHandle) {
        let project = self.place.path().join(name);
        std::fs::create_dir_all(&project).unwrap();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let mut mesh = Mesh::open(&self.place.path().join("mesh.db"), clock).unwrap();
        let me = mesh
            .register(&JoinRequest::here(&project).unwrap().instance(instance))
            .unwrap();
        (mesh, me)
    }
}

fn to(text: &str) -> Recipient {
    Recipient::parse(text).unwrap()
}

fn texts(mesh: &mut Mesh, me: &SessionHandle) -> Vec<String> {
    let wanted = MessageFilter {
        limit: 100,
        ..MessageFilter::default()
    };
    let listed = mesh.messages(me, &wanted).unwrap();
    assert_eq!(listed.unread as usize, listed.messages.len());
    listed
        .messages
        .into_iter()
        .map(|message| message.body)
        .collect()
}

#[test]
fn messages_keep_posting_order_despite_a_clock_jump() {
    let fixture = MeshFixture::new();
    let (mut ada, a) = fixture.join_peer("ada", 1);
    let (mut bo, b) = fixture.join_peer("bo", 2);
    let mut ids: Vec<MessageId> = Vec::new();
    for (number, jump_ms) in [0, -3_600_000, 0, 7_200_000, -1].into_iter().enumerate() {
        fixture.clock.jump_wall_ms(jump_ms);
        let text = number.to_string();
        ids.push(
            ada.post(&a, &MessageDraft::of(&to("bo"), &text))
                .unwrap()
                .id,
        );
    }
    assert!(ids.is_sorted_by(|a, b| a < b));
    assert_eq!(texts(&mut bo, &b), ["0", "1", "2", "3", "4"]);
}

#[test]
fn expired_message_is_hidden_and_reclaimed() {
    let fixture = MeshFixture::new();
    let (mut ada, a) = fixture.join_peer("ada", 1);
    let (mut bo, b) = fixture.join_peer("bo", 2);
    ada.sweep().unwrap();
    let to_bo = to("bo");
    let short = MessageDraft {
        ttl_seconds: Some(60),
        ..MessageDraft::of(&to_bo, "lunch?")
    };
    ada.post(&a, &short).unwrap();
    ada.post(&a, &MessageDraft::of(&to("bo"), "stays")).unwrap();
    fixture.clock.advance_ms(59_999);
    assert_eq!(texts(&mut bo, &b), ["lunch?", "stays"]);
    fixture.clock.advance_ms(1);
    assert_eq!(texts(&mut bo, &b), ["stays"]);
    assert_eq!(bo.unmentioned_mail(&b).unwrap().count, 1);
    assert_eq!(ada.sweep().unwrap().messages, 1);
    fixture.clock.advance_ms(30 * 24 * 3_600_000);
    assert_eq!(
        ada.sweep().unwrap().messages,
        1,
        "after thirty days everything goes"
    );
    assert_eq!(texts(&mut bo, &b), Vec::<String>::new());
}

#[test]
fn one_sweep_removes_at_most_a_thousand_messages() {
    let fixture = MeshFixture::new();
    let (mut ada, a) = fixture.join_peer("ada", 1);
    let (_bo, _) = fixture.join_peer("bo", 2);
    ada.sweep().unwrap();
    for _ in 0..1_100 {
        ada.post(&a, &MessageDraft::of(&to("bo"), "x")).unwrap();
    }
    fixture.clock.advance_ms(31 * 24 * 3_600_000);
    assert_eq!(ada.sweep().unwrap().messages, 1_000);
    assert_eq!(ada.sweep().unwrap().messages, 100);
}

#[test]
fn broadcast_rate_limit_resets_after_a_minute() {
    let fixture = MeshFixture::new();
    let (mut ada, a) = fixture.join_peer("ada", 1);
    let everybody = to("*");
    let post = |mesh: &mut Mesh| mesh.post(&a, &MessageDraft::of(&everybody, "hear"));
    for _ in 0..60 {
        post(&mut ada).unwrap();
        fixture.clock.advance_ms(100);
    }
    fixture.clock.advance_ms(24_000);
    let refused = post(&mut ada).unwrap_err();
    let Error::Refused(Refusal::RateLimited { problem }) = refused else {
        panic!("{refused}")
    };
    assert!(problem.ends_with("again in 30 s"), "{problem}");
    fixture.clock.advance_ms(30_000);
    post(&mut ada).unwrap();
}

/// One step of the story that the model below tells as well.
#[derive(Debug, Clone)]
enum Step {
    Direct,
    FromOther,
    Everyone,
    Topic(usize),
    Subscribe(usize),
    Unsubscribe(usize),
    Read(prop::sample::Index),
    Expire,
    Look(Vec<usize>),
}

const TOPICS: [&str; 3] = ["ops", "alerts", "x"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Direct),
        1 => Just(Step::FromOther),
        2 => Just(Step::Everyone),
        3 => (0..3_usize).prop_map(Step::Topic),
        2 => (0..3_usize).prop_map(Step::Subscribe),
        1 => (0..3_usize).prop_map(Step::Unsubscribe),
        2 => any::<prop::sample::Index>().prop_map(Step::Read),
        1 => Just(Step::Expire),
        3 => prop::collection::vec(0..3_usize, 0..3).prop_map(Step::Look),
    ]
}

/// A message as the model knows it: where it went, and whether it comes to the reader by itself.
struct ModelMessage {
    id: MessageId,
    topic: Option<usize>,
    delivered: bool,
    expired: bool,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// What a mailbox is shown, how many are unread and where the cursor stands is what a small list of messages says.
    #[test]
    fn mailbox_cursor_agrees_with_a_list_model(steps in prop::collection::vec(step(), 1..40)) {
        let fixture = MeshFixture::new();
        let (mut ada, a) = fixture.join_peer("ada", 1);
        let (mut bo, b) = fixture.join_peer("bo", 2);
        let (mut posted_messages, mut subscribed): (Vec<ModelMessage>, [bool; 3]) = (Vec::new(), [false; 3]);
        let mut cursor: Option<MessageId> = None;
        for step in steps {
            let topic = |number: usize| Topic::parse(TOPICS[number]).unwrap();
            let mut add = |id, topic, delivered| posted_messages.push(ModelMessage { id, topic, delivered, expired: false });
            match step {
                Step::Direct => add(ada.post(&a, &MessageDraft::of(&to("bo"), "d")).unwrap().id, None, true),
                Step::FromOther => add(bo.post(&b, &MessageDraft::of(&to("ada"), "o")).unwrap().id, None, false),
                Step::Everyone => add(ada.post(&a, &MessageDraft::of(&to("*"), "e")).unwrap().id, None, true),
                Step::Topic(number) => {
                    let recipient = Recipient::Topic(topic(number));
                    let posted = ada.post(&a, &MessageDraft::of(&recipient, "t")).unwrap();
                    add(posted.id, Some(number), subscribed[number]);
                }
                Step::Subscribe(number) => {
                    bo.subscribe(&b, SubscriptionAction::Subscribe, &[topic(number)]).unwrap();
                    subscribed[number] = true;
                }
                Step::Unsubscribe(number) => {
                    bo.subscribe(&b, SubscriptionAction::Unsubscribe, &[topic(number)]).unwrap();
                    subscribed[number] = false;
                    // Subscribed anew, it begins anew.
                    posted_messages.iter_mut().filter(|one| one.topic == Some(number)).for_each(|one| one.delivered = false);
                }
                Step::Read(index) if !posted_messages.is_empty() => {
                    let up_to = index.get(&posted_messages).id;
                    cursor = cursor.max(Some(up_to));
                    let marked = bo.mark_read(&b, up_to).unwrap();
                    prop_assert_eq!(Some(marked.cursor), cursor.map(|id| id.to_string()));
                    let left = posted_messages.iter().filter(|one| one.delivered && !one.expired && Some(one.id) > cursor).count();
                    prop_assert_eq!(marked.remaining as usize, left);
                }
                Step::Read(_) => {}
                Step::Expire => {
                    let to_bo = to("bo");
                    let short = MessageDraft { ttl_seconds: Some(1), ..MessageDraft::of(&to_bo, "s") };
                    let id = ada.post(&a, &short).unwrap().id;
                    fixture.clock.advance_ms(1_000);
                    posted_messages.push(ModelMessage { id, topic: None, delivered: true, expired: true });
                }
                Step::Look(numbers) => {
                    let topics: Vec<Topic> = numbers.iter().map(|number| topic(*number)).collect();
                    let listed = bo.messages(&b, &MessageFilter { topics: &topics, limit: 100, ..MessageFilter::default() }).unwrap();
                    let shown: Vec<MessageId> = listed.messages.iter().map(|message| message.id).collect();
                    let expected: Vec<MessageId> = posted_messages
                        .iter()
                        .filter(|one| !one.expired && Some(one.id) > cursor)
                        .filter(|one| one.delivered || one.topic.is_some_and(|topic| numbers.contains(&topic)))
                        .map(|one| one.id)
                        .collect();
                    prop_assert_eq!(&shown, &expected);
                    prop_assert_eq!(listed.unread as usize, expected.len());
                    prop_assert_eq!(listed.cursor, cursor.map(|id| id.to_string()));
                }
            }
        }
    }
}
