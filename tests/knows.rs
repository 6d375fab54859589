//! Stories of who knows: the list of peers in the order of who most likely does, each with why, and nobody is asked.
use serde_json::{Value, json};

use crate::world::{Session, World};

/// Names and reasons, in the order of the list.
#[track_caller]
fn who_knows(session: &Session, about: &str) -> Vec<(String, Value)> {
    ranked(&session.call("list_peers", json!({ "about": about })))
}

#[track_caller]
fn ranked(list: &Value) -> Vec<(String, Value)> {
    let peers = list["peers"].as_array().unwrap();
    let told = |peer: &Value| {
        let name = peer["peer"].as_str().unwrap().to_owned();
        (name, peer["why"].clone())
    };
    peers.iter().map(told).collect()
}

fn because(name: &str, why: &str) -> (String, Value) {
    (name.into(), why.into())
}

fn without_reason(name: &str) -> (String, Value) {
    (name.into(), Value::Null)
}

/// One asks another and gets this answer.
#[track_caller]
fn asks(asker: &Session, to: &Session, question: &str, answer: &str) {
    let name = to.name();
    let ask = asker.start("ask_peer", json!({ "to": name, "question": question }));
    ask.wait_for_progress(&format!("{name}: stored"));
    to.replies(&to.next_question(), answer);
    assert_eq!(ask.result()["status"], "answered");
}

#[test]
fn who_has_answered_about_it_comes_first_and_nobody_is_asked() {
    let world = World::new();
    let [ada, bo, cy] = ["ada", "bo", "cy"].map(|name| world.session(name));
    asks(&ada, &cy, "which port does Postgres use?", "5433");
    asks(&bo, &cy, "is redis there?", "no, only Postgres");
    asks(&ada, &bo, "who writes the invoices?", "the billing job");
    let events = || -> i64 {
        let count = "SELECT count(*) FROM event";
        world.rows().query_row(count, [], |row| row.get(0)).unwrap()
    };
    let before = events();
    assert_eq!(
        who_knows(&ada, "the port of postgres"),
        [
            because("cy", "answered 2 questions with: port, postgres"),
            without_reason("bo")
        ]
    );
    assert_eq!(
        who_knows(&ada, "invoices"),
        [
            because("bo", "answered 1 question with: invoices"),
            without_reason("cy")
        ]
    );
    assert_eq!(
        who_knows(&bo, "kubernetes"),
        [without_reason("ada"), without_reason("cy")]
    );
    assert_eq!(events(), before, "nobody was asked, nothing was written");
    assert!(
        ada.call("list_peers", json!({}))["peers"][0]
            .get("why")
            .is_none()
    );
}

#[test]
fn role_folder_branch_summary_and_what_it_is_at_are_reasons() {
    let world = World::new();
    world.write("shop/backend/.git/HEAD", "ref: refs/heads/fix-login\n");
    let [ada, bo] = ["ada", "shop/backend"].map(|name| world.session(name));
    bo.call(
        "register",
        json!({ "role": "API and database", "summary": "moves the schema" }),
    );
    bo.hook(
        "UserPromptSubmit",
        json!({ "prompt": "rotate the certificates", "prompt_id": "t1" }),
    );
    for (about, why) in [
        ("databases", "role: API and database"),
        ("our schema", "summary with: schema"),
        ("certificate rotation", "doing with: certificate, rotation"),
        ("shops", "works in …/shop/backend"),
        ("login", "on branch fix-login"),
    ] {
        assert_eq!(who_knows(&ada, about), [because("backend", why)], "{about}");
    }
}

#[test]
fn what_a_peer_has_claimed_is_a_reason() {
    let world = World::new();
    let [ada, bo] = ["ada", "bo"].map(|name| world.session(name));
    bo.call("claim", json!({ "resource": "file:src/auth.rs" }));
    assert_eq!(
        who_knows(&ada, "auth"),
        [because("bo", "has claimed …/src/auth.rs")]
    );
}

#[test]
fn what_a_peer_has_remembered_is_a_reason_whatever_its_scope() {
    let world = World::new();
    let [ada, bo, cy] = ["ada", "bo", "cy"].map(|name| world.session(name));
    let remember = |session: &Session, text: &str, scope: &str| {
        let kept = session.call(
            "remember",
            json!({ "text": text, "scope": scope, "key": "k" }),
        );
        assert!(kept["memory_id"].is_string(), "{kept}");
    };
    remember(&bo, "the seals are rotated by hand", "project");
    remember(&cy, "seals: replaced below", "mesh");
    remember(&cy, "nothing of that any more", "mesh");
    assert_eq!(
        who_knows(&ada, "sealed \" OR * (seals"),
        [
            because("bo", "remembered 1 thing with: sealed"),
            without_reason("cy")
        ]
    );
}

#[test]
fn a_declined_or_open_question_is_no_knowledge() {
    let world = World::new();
    let [ada, bo] = ["ada", "bo"].map(|name| world.session(name));
    let ask = |question: &str| {
        let ask = ada.start("ask_peer", json!({ "to": "bo", "question": question }));
        ask.wait_for_progress("bo: stored");
        ask
    };
    let declined = ask("which port does postgres use?");
    let id = bo.next_question();
    bo.call(
        "reply_to_peer",
        json!({ "question_id": id, "answer": "no idea about postgres", "decline": true }),
    );
    assert_eq!(declined.result()["status"], "declined");
    let _open = ask("is postgres there?");
    assert_eq!(who_knows(&ada, "postgres"), [without_reason("bo")]);
}

#[test]
fn only_the_newest_answers_are_looked_at() {
    let world = World::new();
    let [ada, bo] = ["ada", "bo"].map(|name| world.session(name));
    asks(&ada, &bo, "where is the walrus?", "in the zoo");
    world
        .rows()
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
             INSERT INTO question (id, asker_peer, asker_session, target_peer, question, answer, state, asked_at_ms, expires_at_ms)
             SELECT printf('01Z%023d', i), asker_peer, asker_session, target_peer, 'what is it?', 'a seal', 'answered', 0, 0
             FROM question, n",
        )
        .unwrap();
    assert_eq!(
        who_knows(&ada, "seals"),
        [because("bo", "answered 300 questions with: seals")]
    );
    assert_eq!(who_knows(&ada, "walrus"), [without_reason("bo")]);
}

#[test]
fn a_mailbox_nobody_sits_at_is_ranked_only_when_it_is_asked_for() {
    let world = World::new();
    let [ada, bo, _cy] = ["ada", "bo", "cy"].map(|name| world.session(name));
    asks(&ada, &bo, "which port does postgres use?", "5433");
    bo.kill();
    assert_eq!(who_knows(&ada, "postgres"), [without_reason("cy")]);
    let all = ada.call(
        "list_peers",
        json!({ "about": "postgres", "include_stale": true }),
    );
    assert_eq!(
        ranked(&all),
        [
            because("bo", "answered 1 question with: postgres"),
            without_reason("cy")
        ]
    );
}

#[test]
fn a_scope_narrows_who_is_ranked() {
    let world = World::new();
    let [ada, bo, _cy] = ["shop", "shop/api", "cy"].map(|name| world.session(name));
    asks(&ada, &bo, "which port does postgres use?", "5433");
    let below = ada.call("list_peers", json!({ "about": "cy", "scope": "directory" }));
    assert_eq!(ranked(&below), [without_reason("api")]);
}

#[test]
fn a_subject_without_a_word_is_refused_by_name() {
    let world = World::new();
    let ada = world.session("ada");
    let long = "x ".repeat(300);
    for (about, told) in [
        (json!(""), "must have a word to look for"),
        (
            json!("who knows the"),
            "neither very common nor a single letter, got \"who knows the\"",
        ),
        (json!("?!\u{1b}"), "must have a word to look for"),
        (json!(long), "500 characters at most, got 600"),
        (json!(7), "\"about\": wrong type"),
        (json!(["a", "b"]), "\"about\": wrong type"),
    ] {
        let refused = ada.call("list_peers", json!({ "about": about }));
        assert_eq!(refused["error"]["code"], "invalid_argument", "{refused}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains(told), "{message}");
    }
}

#[cfg(feature = "cli")]
#[test]
fn a_person_finds_who_knows_at_the_command_line() {
    let world = World::new();
    let [ada, bo] = ["ada", "bo"].map(|name| world.session(name));
    asks(&ada, &bo, "which port does postgres use?", "5433");
    let folder = world.project("own");
    let seen =
        |arguments: &[&str]| world.cli(&folder, &[&["peers", "--about"], arguments].concat());
    let table = seen(&["postgres"]).out;
    let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    assert!(lines[1].ends_with("ASKABLE  WHY"), "{table}");
    assert!(
        lines[2].starts_with("bo ") && lines[2].ends_with("answered 1 question with: postgres"),
        "{table}"
    );
    assert!(
        lines[3].starts_with("ada ") && lines[3].ends_with("yes"),
        "{table}"
    );
    assert_eq!(
        ranked(&seen(&["postgres", "--json"]).json()),
        [
            because("bo", "answered 1 question with: postgres"),
            without_reason("ada")
        ]
    );
    let refused = seen(&["the"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("must have a word to look for"),
        "{refused:?}"
    );
    assert!(!table.contains('\u{1b}'));
}
