//! Expertise ranking: `list_peers` orders peers by who most likely knows, with a reason for each, and asks none of them.
use serde_json::{Value, json};

use crate::support::ask_and_answer;
use crate::support::{Session, World};

/// Names and reasons, in the order of the list.
#[track_caller]
fn expertise_ranking(session: &Session, about: &str) -> Vec<(String, Value)> {
    names_and_reasons(&session.call("list_peers", json!({ "about": about })))
}

#[track_caller]
fn names_and_reasons(list: &Value) -> Vec<(String, Value)> {
    let peers = list["peers"].as_array().unwrap();
    let reported = |peer: &Value| {
        let name = peer["peer"].as_str().unwrap().to_owned();
        (name, peer["why"].clone())
    };
    peers.iter().map(reported).collect()
}

fn with_reason(name: &str, why: &str) -> (String, Value) {
    (name.into(), why.into())
}

fn without_reason(name: &str) -> (String, Value) {
    (name.into(), Value::Null)
}

#[test]
fn expertise_ranking_puts_answerers_first_and_asks_nobody() {
    let world = World::new();
    let [ada, bo, cy] = ["ada", "bo", "cy"].map(|name| world.session(name));
    ask_and_answer(&ada, &cy, "which port does Postgres use?", "5433");
    ask_and_answer(&bo, &cy, "is redis there?", "no, only Postgres");
    ask_and_answer(&ada, &bo, "who writes the invoices?", "the billing job");
    let events = || -> i64 {
        let count = "SELECT count(*) FROM event";
        world.rows().query_row(count, [], |row| row.get(0)).unwrap()
    };
    let before = events();
    assert_eq!(
        expertise_ranking(&ada, "the port of postgres"),
        [
            with_reason("cy", "answered 2 questions with: port, postgres"),
            without_reason("bo")
        ]
    );
    assert_eq!(
        expertise_ranking(&ada, "invoices"),
        [
            with_reason("bo", "answered 1 question with: invoices"),
            without_reason("cy")
        ]
    );
    assert_eq!(
        expertise_ranking(&bo, "kubernetes"),
        [without_reason("ada"), without_reason("cy")]
    );
    assert_eq!(events(), before, "the call writes nothing");
    assert!(
        ada.call("list_peers", json!({}))["peers"][0]
            .get("why")
            .is_none()
    );
}

#[test]
fn expertise_ranking_uses_role_folder_branch_and_summary() {
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
        assert_eq!(
            expertise_ranking(&ada, about),
            [with_reason("backend", why)],
            "{about}"
        );
    }
}

#[test]
fn expertise_ranking_uses_claims() {
    let world = World::new();
    let [ada, bo] = ["ada", "bo"].map(|name| world.session(name));
    bo.call("claim", json!({ "resource": "file:src/auth.rs" }));
    assert_eq!(
        expertise_ranking(&ada, "auth"),
        [with_reason("bo", "has claimed …/src/auth.rs")]
    );
}

#[test]
fn expertise_ranking_uses_memories_of_any_scope() {
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
        expertise_ranking(&ada, "sealed \" OR * (seals"),
        [
            with_reason("bo", "remembered 1 thing with: sealed"),
            without_reason("cy")
        ]
    );
}

#[test]
fn expertise_ranking_ignores_declined_and_open_questions() {
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
    assert_eq!(expertise_ranking(&ada, "postgres"), [without_reason("bo")]);
}

#[test]
fn expertise_ranking_reads_only_the_newest_answers() {
    let world = World::new();
    let [ada, bo] = ["ada", "bo"].map(|name| world.session(name));
    ask_and_answer(&ada, &bo, "where is the walrus?", "in the zoo");
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
        expertise_ranking(&ada, "seals"),
        [with_reason("bo", "answered 300 questions with: seals")]
    );
    assert_eq!(expertise_ranking(&ada, "walrus"), [without_reason("bo")]);
}

#[test]
fn expertise_ranking_includes_offline_peers_on_request() {
    let world = World::new();
    let [ada, bo, _cy] = ["ada", "bo", "cy"].map(|name| world.session(name));
    ask_and_answer(&ada, &bo, "which port does postgres use?", "5433");
    bo.kill();
    assert_eq!(expertise_ranking(&ada, "postgres"), [without_reason("cy")]);
    let all = ada.call(
        "list_peers",
        json!({ "about": "postgres", "include_stale": true }),
    );
    assert_eq!(
        names_and_reasons(&all),
        [
            with_reason("bo", "answered 1 question with: postgres"),
            without_reason("cy")
        ]
    );
}

#[test]
fn expertise_ranking_respects_the_scope() {
    let world = World::new();
    let [ada, bo, _cy] = ["shop", "shop/api", "cy"].map(|name| world.session(name));
    ask_and_answer(&ada, &bo, "which port does postgres use?", "5433");
    let below = ada.call("list_peers", json!({ "about": "cy", "scope": "directory" }));
    assert_eq!(names_and_reasons(&below), [without_reason("api")]);
}

#[test]
fn expertise_ranking_refuses_a_subject_without_words() {
    let world = World::new();
    let ada = world.session("ada");
    let long = "x ".repeat(300);
    for (about, reported) in [
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
        assert!(message.contains(reported), "{message}");
    }
}

#[cfg(feature = "cli")]
#[test]
fn cli_peers_about_prints_the_expertise_ranking() {
    let world = World::new();
    let [ada, bo] = ["ada", "bo"].map(|name| world.session(name));
    ask_and_answer(&ada, &bo, "which port does postgres use?", "5433");
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
        names_and_reasons(&seen(&["postgres", "--json"]).json()),
        [
            with_reason("bo", "answered 1 question with: postgres"),
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
