//! Prior answers: earlier answers of a peer are offered when no peer can answer now.
use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::ask_and_answer;
use crate::support::{Session, World};

fn ask(asker: &Session, to: &str, question: &str) -> Value {
    asker.call(
        "ask_peer",
        json!({ "to": to, "question": question, "timeout_seconds": 1 }),
    )
}

fn ask_prefer_known(asker: &Session, to: &str, question: &str) -> Value {
    asker.call(
        "ask_peer",
        json!({ "to": to, "question": question, "prefer": "known" }),
    )
}

#[track_caller]
fn prior_answers(result: &Value) -> Vec<&str> {
    let prior_answers = result["known"]
        .as_array()
        .unwrap_or_else(|| panic!("{result}"));
    prior_answers
        .iter()
        .map(|one| one["answer"].as_str().unwrap())
        .collect()
}

// Requirement: Beyond 17
#[test]
fn offline_ask_returns_prior_answers() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let id = ask_and_answer(&ada, &bo, "Which port does the API listen on?", "5433");
    ask_and_answer(
        &ada,
        &bo,
        "Which branch do releases come from?",
        "release/2",
    );
    drop(bo);
    let result = ask(&cy, "bo", "on what port is the api listening?");
    assert_eq!(result["status"], "offline");
    assert_eq!(prior_answers(&result), ["5433"]);
    let one = &result["known"][0];
    assert_eq!(one["question_id"], id.as_str());
    assert_eq!(one["question"], "Which port does the API listen on?");
    assert_eq!(one["matched"], json!(["api", "listening", "port"]));
    assert!(one["answered_at"].as_str().unwrap().ends_with('Z'));
    let bo = world.session("bo");
    assert_eq!(bo.questions().len(), 1, "the question stays open");
    assert_eq!(
        prior_answers(&ask(&cy, "bo", "Who reviews the importer?")),
        [""; 0]
    );
}

#[test]
fn prefer_known_wakes_nobody_and_leaves_no_open_question() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let question = "Which port does the API use?";
    let nothing = ask_prefer_known(&ada, "bo", question);
    assert_eq!(nothing["status"], "known");
    assert_eq!(nothing["from"], "bo");
    assert_eq!(prior_answers(&nothing), [""; 0]);
    ask_and_answer(&ada, &bo, question, "5433");
    assert_eq!(
        prior_answers(&ask_prefer_known(&ada, "bo", "the API uses which port?")),
        ["5433"]
    );
    assert_eq!(bo.questions(), [json!(null); 0]);
    assert_eq!(bo.prompt("t1"), None);
    let many = ada.call(
        "ask_peer",
        json!({ "to": ["bo", "ada-2"], "question": question, "prefer": "known" }),
    );
    assert_eq!(many["error"]["code"], "unknown_peer");
    let _cy = world.session("cy");
    let many = ada.call(
        "ask_peer",
        json!({ "to": ["bo", "cy"], "question": question, "prefer": "known" }),
    );
    assert_eq!(prior_answers(&many["answers"][0]), ["5433"]);
    assert_eq!(
        prior_answers(&many["answers"][1]),
        [""; 0],
        "answers of another peer are not returned"
    );
}

#[test]
fn timed_out_and_held_asks_return_prior_answers() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ask_and_answer(&ada, &bo, "Which port does the API use?", "5433");
    let late = ask(&ada, "bo", "which port is used by the API?");
    assert_eq!(late["status"], "timed_out");
    assert_eq!(prior_answers(&late), ["5433"]);
    let again = ada.call(
        "await_reply",
        json!({ "question_id": late["question_id"], "timeout_seconds": 1 }),
    );
    assert_eq!(prior_answers(&again), ["5433"]);
    world.cli(&world.home(), &["quiet", "bo"]);
    let held = ask(&ada, "bo", "what is the API port?");
    assert_eq!(held["status"], "held");
    assert_eq!(prior_answers(&held), ["5433"]);
}

#[test]
fn prior_answers_use_corrections_and_omit_declined_and_erased() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let id = ask_and_answer(&ada, &bo, "Which port does the API use?", "5432");
    bo.call(
        "reply_to_peer",
        json!({ "question_id": id, "answer": "5433", "corrects": true }),
    );
    let declined = ada.start(
        "ask_peer",
        json!({ "to": "bo", "question": "Which queue does the mailer use?" }),
    );
    declined.wait_for_progress("stored");
    bo.call(
        "reply_to_peer",
        json!({ "question_id": bo.next_question(), "answer": "no time", "decline": true }),
    );
    assert_eq!(declined.result()["status"], "declined");
    let erased = ask_and_answer(&ada, &bo, "Which bucket has the uploads?", "shop-uploads");
    let ran = world.cli(&world.home(), &["log", "--forget", &erased]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        prior_answers(&ask_prefer_known(&ada, "bo", "which port has the API?")),
        ["5433"]
    );
    assert_eq!(
        prior_answers(&ask_prefer_known(
            &ada,
            "bo",
            "which queue does the mailer use?"
        )),
        [""; 0]
    );
    assert_eq!(
        prior_answers(&ask_prefer_known(
            &ada,
            "bo",
            "which bucket has the uploads?"
        )),
        [""; 0]
    );
}

#[test]
fn prior_answers_name_the_commit_they_were_given_at() {
    let world = World::new();
    let (then, now) = ("1".repeat(40), "2".repeat(40));
    world.write("bo/.git/HEAD", "ref: refs/heads/main\n");
    world.write("bo/.git/refs/heads/main", &format!("{then}\n"));
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ask_and_answer(&ada, &bo, "Which port does the API use?", "5433");
    drop(bo);
    world.write("bo/.git/refs/heads/main", &format!("{now}\n"));
    let result = ask(&ada, "bo", "the port of the API?");
    assert_eq!(result["known"][0]["git_head_then"], then.as_str());
    assert_eq!(result["known"][0]["git_head_now"], now.as_str());
    std::fs::remove_dir_all(world.home().join("bo")).unwrap();
    let result = ask(&ada, "bo", "what port has the API?");
    assert_eq!(result["known"][0]["git_head_now"], Value::Null);
}

#[test]
fn prior_answers_are_truncated_to_four_kilobytes() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    for number in 0..5 {
        let question = format!("Which steps does deploy number {number} of the shop have?");
        ask_and_answer(
            &ada,
            &bo,
            &question,
            &format!("{number} \"\n\u{1} ä").repeat(4_000),
        );
    }
    let result = ask_prefer_known(&ada, "bo", "which steps has a deploy of the shop?");
    assert_eq!(result["known"].as_array().unwrap().len(), 3, "{result}");
    assert!(result["known"].to_string().len() < 4_096);
    for one in result["known"].as_array().unwrap() {
        assert_eq!(one["cut"], true);
        assert!(one["answer"].as_str().unwrap().len() > 100);
    }
}

// Requirement: Beyond 15
#[test]
fn prior_answers_never_cross_meshes() {
    let world = World::new();
    let wall = world.home().join("acme");
    std::fs::create_dir_all(&wall).unwrap();
    let built = world.cli(&world.home(), &["wall", wall.to_str().unwrap(), "acme"]);
    assert_eq!(built.code, Some(0), "{built:?}");
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let (walled_ada, walled_bo) = (world.session("acme/cy"), world.session("acme/bo"));
    let question = "Which port does the API use?";
    ask_and_answer(&ada, &bo, question, "5433");
    assert_eq!(
        prior_answers(&ask_prefer_known(&walled_ada, "bo", question)),
        [""; 0]
    );
    ask_and_answer(&walled_ada, &walled_bo, question, "9999");
    assert_eq!(
        prior_answers(&ask_prefer_known(&walled_ada, "bo", question)),
        ["9999"]
    );
    assert_eq!(
        prior_answers(&ask_prefer_known(&ada, "bo", question)),
        ["5433"]
    );
}

#[test]
fn log_known_counts_prior_answer_results_per_asker() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    ask_and_answer(&ada, &bo, "Which port does the API use?", "5433");
    ask_prefer_known(&cy, "bo", "which port has the API?");
    ask_prefer_known(&cy, "bo", "who reviews the importer?");
    drop(bo);
    ask(&cy, "bo", "what is the port of the API?");
    ask(&ada, "bo", "what is the port of the API?");
    let reported = world
        .cli(&world.home(), &["log", "--known", "--json"])
        .json();
    assert_eq!(reported["results"], 3, "{reported}");
    assert_eq!(reported["by"][0]["asker"], "cy");
    assert_eq!(reported["by"][0]["peer"], "bo");
    assert_eq!(reported["by"][0]["results"], 2);
    assert_eq!(reported["by"][1]["asker"], "ada");
    let text = world.cli(&world.home(), &["log", "--known"]).out;
    assert!(text.contains("cy asked bo: 2 results"), "{text}");
}

#[test]
fn prior_answers_of_a_question_awaited_twice_are_counted_once() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    ask_and_answer(&ada, &bo, "Which port does the API use?", "5433");
    let first = ask(&cy, "bo", "what is the port of the API?");
    assert_eq!(prior_answers(&first), ["5433"]);
    let again = json!({ "question_id": first["question_id"], "timeout_seconds": 1 });
    for _ in 0..2 {
        let result = cy.call("await_reply", again.clone());
        assert_eq!(
            prior_answers(&result),
            ["5433"],
            "the answer is returned every time"
        );
    }
    ask(&ada, "bo", "what is the port of the API?");
    ask(&cy, "bo", "on what port is the API now?");
    let reported = world
        .cli(&world.home(), &["log", "--known", "--json"])
        .json();
    assert_eq!(reported["results"], 3, "{reported}");
    let events = ada.call("events", json!({ "types": ["question.known"] }));
    assert_eq!(events["events"].as_array().unwrap().len(), 3);
}

#[test]
fn cli_ask_known_prints_prior_answers() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ask_and_answer(&ada, &bo, "Which port does the API use?", "5433");
    let home = world.home();
    let shown = world.cli(&home, &["ask", "--known", "bo", "which port has the API?"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(
        shown.out.contains("Which port does the API use?"),
        "{shown:?}"
    );
    assert!(shown.out.contains("  5433\n"), "{shown:?}");
    assert_eq!(bo.questions().len(), 0);
    let none = world.cli(
        &home,
        &["ask", "--known", "bo", "who reviews the importer?"],
    );
    assert_eq!(none.code, Some(3), "{none:?}");
    drop(bo);
    let offline = world.cli(&home, &["ask", "bo", "which port has the API?", "--json"]);
    assert_eq!(offline.json()["known"][0]["answer"], "5433");
    let offline = world.cli(&home, &["ask", "bo", "the API's port?"]);
    assert!(
        offline
            .out
            .starts_with("earlier answers to similar questions:\n"),
        "{offline:?}"
    );
}

#[test]
fn prior_answer_search_reads_the_newest_up_to_a_size_limit() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ask_and_answer(&ada, &bo, "Which port does the API use?", "5433");
    let clone = |from: i64, to: i64| {
        let more = "WITH RECURSIVE n (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)
            INSERT INTO question (id, asker_peer, asker_session, target_peer, question, state, asked_at_ms, expires_at_ms, answer,
                                  answered_at_ms, closed_at_ms)
            SELECT printf('01Z0000000000000000000%04d', n), asker_peer, asker_session, target_peer, 'what is in part ' || n || '?',
                   state, asked_at_ms, expires_at_ms, replace(hex(zeroblob(30000)), '00', 'x '), answered_at_ms + n, closed_at_ms
            FROM n, question WHERE answer = '5433'";
        world.rows().execute(more, [from, to]).unwrap();
    };
    clone(1, 100);
    let question = "which port has the API?";
    assert_eq!(
        prior_answers(&ask_prefer_known(&ada, "bo", question)),
        ["5433"]
    );
    clone(101, 300);
    assert_eq!(
        prior_answers(&ask_prefer_known(&ada, "bo", question)),
        [""; 0]
    );
    let newest = ask_prefer_known(&ada, "bo", "what is in part 300?");
    assert_eq!(
        newest["known"][0]["question"], "what is in part 300?",
        "{newest}"
    );
}

/// A week of five teams of a shop: 86 questions that were answered, then 114 asked while their peer was offline, 82 of
/// them repetitions in other words and 32 new. `docs/prior-answers.md` quotes the figures.
// Requirement: Beyond 17
#[test]
fn prior_answers_are_accurate_for_a_week_of_questions() {
    let week: Vec<Value> = serde_json::from_str(include_str!("payloads/week.json")).unwrap();
    assert_eq!(week.len(), 200);
    let world = World::new();
    let mut sessions: HashMap<&str, Session> = TEAMS.map(|name| (name, world.session(name))).into();
    let mut asked = HashMap::new();
    for one in week.iter().filter(|one| !one["answer"].is_null()) {
        let (from, peer) = (&sessions[text(one, "asker")], text(one, "peer"));
        let (question, answer) = (text(one, "question"), text(one, "answer"));
        let id = ask_and_answer(from, &sessions[peer], question, answer);
        asked.insert(id, (text(one, "id"), peer));
    }
    let mut figures = WeekFigures::default();
    for peer in TEAMS {
        drop(sessions.remove(peer));
        for one in week
            .iter()
            .filter(|one| one["answer"].is_null() && one["peer"] == peer)
        {
            let result = ask(&sessions[text(one, "asker")], peer, text(one, "question"));
            assert_eq!(result["status"], "offline", "{result}");
            let prior_answers = result["known"].as_array().unwrap();
            let found: Vec<&str> = prior_answers
                .iter()
                .map(|one| {
                    let (id, of) = asked[one["question_id"].as_str().unwrap()];
                    assert_eq!(of, peer, "the answer of another peer");
                    id
                })
                .collect();
            figures.add(one, &found);
        }
        sessions.insert(peer, world.session(peer));
    }
    figures.assert_documented(week.len(), asked.len());
}

const TEAMS: [&str; 5] = ["api", "web", "infra", "data", "mobile"];

/// What the questions to absent peers returned.
#[derive(Default)]
struct WeekFigures {
    /// Questions that repeat an earlier one.
    repeated: usize,
    /// Questions that repeat none.
    new: usize,
    /// Repetitions with the right answer first.
    first: usize,
    /// Repetitions without any answer.
    none: usize,
    /// Questions whose first answer is to another question.
    mismatched: usize,
    /// Each question whose result is not the wanted one alone, for a failed assertion.
    reported: Vec<String>,
}

impl WeekFigures {
    fn add(&mut self, one: &Value, found: &[&str]) {
        let wanted = text(one, "repeats");
        if wanted.is_empty() {
            self.new += 1;
        } else {
            self.repeated += 1;
        }
        match found.first() {
            None if wanted.is_empty() => {}
            None => self.none += 1,
            Some(id) if *id == wanted => self.first += 1,
            Some(_) => self.mismatched += 1,
        }
        if wanted.is_empty() != found.is_empty() || found.first() != Some(&wanted) {
            let question = text(one, "question");
            self.reported
                .push(format!("{question}: wanted {wanted:?}, got {found:?}"));
        }
    }

    /// Checks the figures and their sentence in `docs/prior-answers.md`.
    fn assert_documented(&self, asked: usize, answered: usize) {
        let Self {
            repeated,
            new,
            first,
            none,
            mismatched,
            ..
        } = *self;
        let asked_while_away = repeated + new;
        let reported = self.reported.join("\n");
        let of_all = first * 100 / asked_while_away;
        let of_repeated = first * 100 / repeated;
        assert_eq!(
            mismatched, 0,
            "the first answer belongs to another question\n{reported}"
        );
        assert_eq!(
            first + none,
            repeated,
            "a repetition returns the right answer first or none\n{reported}"
        );
        let sentence = format!(
            "{asked} questions, {answered} were answered and {asked_while_away} asked while the peer was away, {repeated} of those repeating \
         an earlier one in other words. {first} ({of_all} % of the {asked_while_away}, {of_repeated} % of the repetitions) got the \
         right earlier answer as the first; the other {} got none; none got the answer of a wrong peer; none of the {new} new questions got \
         an answer to something else.",
            NUMBER_WORDS[none]
        );
        let page = include_str!("../docs/prior-answers.md").split_whitespace();
        let page = page.collect::<Vec<_>>().join(" ");
        assert!(
            page.contains(&sentence),
            "docs/prior-answers.md does not say {sentence:?}\n{reported}"
        );
        assert!(of_all >= 30);
    }
}

/// Returns a field of a row of the week; empty if the row has none.
fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

const NUMBER_WORDS: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];
