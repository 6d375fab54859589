//! The event log at the command line: printed, followed, erased.
use std::io::{BufRead, BufReader};
use std::time::Instant;

use serde_json::{Value, json};

use super::fixture::{CliFixture, answers};
use crate::support::WAIT_TIMEOUT;
use crate::support::event_calls::CONSECUTIVE_EVENTS;

#[test]
fn cli_log_prints_the_events_of_a_question_as_sentences() {
    let fixture = CliFixture::new();
    let (mut ada, bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let _cy = fixture.peer("cy");
    let id = CliFixture::question(&mut ada, "bo", "which port?");
    answers(bo, "5433").join().unwrap();
    let log = fixture.run_ok(&["log", "--peer", "bo"]);
    let said: Vec<&str> = log.lines().map(|line| &line[22..]).collect();
    assert_eq!(
        said,
        [
            "bo joined".to_owned(),
            format!("ada asked bo: which port?  {id}"),
            format!("bo was shown the question of ada (call)  {id}"),
            format!("bo answered ada (late): 5433  {id}"),
            "bo left (left)".to_owned(),
        ]
    );
    let lines = fixture.run_ok(&["log", "--json", "--since", "1h"]);
    let kinds: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
        .collect();
    assert_eq!(kinds.len(), 7, "{lines}");
    assert_eq!(kinds[3], "question.asked");
    let none = fixture.run_ok(&["log", "--since", "2999-01-01T00:00:00Z"]);
    assert!(none.starts_with("nothing happened since then"), "{none}");
    assert_eq!(
        fixture.run_refused(&["log", "--peer", "bob"]).0,
        "unknown_peer"
    );
    assert_eq!(fixture.run(&["log", "--since", "soon"]).code, Some(2));
}

#[test]
fn cli_log_follow_is_woken_by_the_doorbell() {
    let fixture = CliFixture::new();
    let mut following = fixture.start(&["log", "-f", "--json"]);
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let mut ada = fixture.peer("ada");
    let first = next();
    assert_eq!(
        (&first["seq"], &first["type"], &first["by"]),
        (&json!(1), &json!("peer.joined"), &json!("ada"))
    );
    let (me, project) = (ada.handle().clone(), fixture.world.project("ada"));
    let began = Instant::now();
    for number in 1..=CONSECUTIVE_EVENTS {
        let reported = ada
            .mesh()
            .emit(
                &me,
                &claude_mesh::mesh::ProjectEvent::of(&project, "project.step", &json!(number)),
            )
            .unwrap();
        // Before the first of them the follower registers.
        let line = (0..2)
            .map(|_| next())
            .find(|line| line["type"] == "project.step");
        let line = line.unwrap();
        assert_eq!(
            (&line["seq"], &line["data"]),
            (&json!(reported), &json!(number))
        );
    }
    assert!(began.elapsed() < WAIT_TIMEOUT, "no doorbell was written");
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn cli_log_forget_erases_the_question_from_all_files() {
    let fixture = CliFixture::new();
    let (mut ada, bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let id = CliFixture::question(&mut ada, "bo", "is the-leaked-word right?").to_string();
    answers(bo, "the-leaked-word it is").join().unwrap();
    let reported = fixture.run_ok(&["log", "--forget", &id]);
    assert!(
        reported.starts_with("removed from ~/.claude-mesh/mesh.db: the question of ada to bo with its text, its answer"),
        "{reported}"
    );
    drop(ada);
    let folder = fixture.database().parent().unwrap().to_path_buf();
    for file in std::fs::read_dir(folder).unwrap().flatten() {
        if file.path().is_file() {
            let content = std::fs::read(file.path()).unwrap();
            let found = content.windows(15).any(|bytes| bytes == b"the-leaked-word");
            assert!(!found, "{}", file.path().display());
        }
    }
    assert!(
        fixture
            .run_ok(&["log"])
            .contains("ada asked somebody (forgotten)  ")
    );
    assert_eq!(
        fixture.run_refused(&["log", "--forget", &id]).0,
        "not_found"
    );
}
