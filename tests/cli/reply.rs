//! Answering at the command line, and the inbox of a person.
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use super::fixture::{CliFixture, answers, mask_numbers};
use crate::support::{ProcessOutput, program};

#[test]
fn cli_inbox_shows_the_late_answer_of_an_offline_peer() {
    let fixture = CliFixture::new();
    drop(fixture.peer("bo"));
    let ran = fixture.run(&["ask", "bo", "which port?"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert!(
        ran.err
            .starts_with("claude-mesh: no session at bo can be asked now"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("`claude-mesh inbox` shows the answer"),
        "{}",
        ran.err
    );
    assert!(
        fixture
            .run_ok(&["inbox"])
            .contains("you asked bo: which port?")
    );
    answers(fixture.peer("bo"), "5433\u{1b}[31m")
        .join()
        .unwrap();
    let inbox = fixture.run_ok(&["inbox"]);
    assert!(
        mask_numbers(&inbox).contains("bo answered, * s ago (to: which port?)\n  5433\n"),
        "{inbox}"
    );
    let json: Value = serde_json::from_str(&fixture.run_ok(&["inbox", "--json"])).unwrap();
    assert_eq!(json["answers"][0]["from"], "bo");
    assert_eq!(json["answers"][0]["late"], true);
    assert_eq!(json["questions"], json!([]));
}

#[test]
fn cli_reply_is_marked_as_given_by_a_person() {
    let fixture = CliFixture::new();
    let (mut ada, _bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let id = CliFixture::question(&mut ada, "bo", "which port?");
    let open = fixture.run_ok(&["inbox", "--peer", "bo"]);
    assert!(
        mask_numbers(&open).contains(&format!(
            "{id}  ada asks bo, * s ago\n  which port?\n  bo: stored * s ago, not shown yet, "
        )),
        "{open}"
    );
    let open = fixture.run(&["inbox", "--all", "--json"]).json();
    assert_eq!(open["questions"][0]["delivery"]["wake"], "none", "{open}");
    let id = id.to_string();
    let reported = fixture.run_ok(&["reply", &id, "5433"]);
    assert!(
        reported.starts_with("answered ada: it no longer waits"),
        "{reported}"
    );
    assert_eq!(
        fixture.run_ok(&["reply", &id, "5433"]),
        reported,
        "the same text again changes nothing"
    );
    let (code, refused) = fixture.run_refused(&["reply", &id, "5434"]);
    assert_eq!(code, "conflict");
    assert!(
        refused.contains("hint: `claude-mesh reply --corrects"),
        "{refused}"
    );
    fixture.run_ok(&["reply", &id, "5434", "--corrects"]);
    let me = ada.handle().clone();
    let late = &ada.mesh().inbox(&me).unwrap().answers[0].question;
    assert_eq!(late.answer.as_deref(), Some("5434"));
    assert_eq!(
        late.answered_by,
        Some(claude_mesh::model::AnsweredBy::Person)
    );
}

#[test]
fn cli_reply_explains_why_it_is_refused() {
    let fixture = CliFixture::new();
    let (mut ada, _bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let id = CliFixture::question(&mut ada, "bo", "which token?").to_string();
    assert_eq!(
        fixture.run_refused(&["reply", "nonsense", "x"]).0,
        "not_found"
    );
    assert_eq!(
        fixture.run_refused(&["reply", &"0".repeat(26), "x"]).0,
        "not_found"
    );
    let token = format!("gh{}{}", "p_", "aB3dE5gH7jK9".repeat(3));
    let (code, reported) = fixture.run_refused(&["reply", &id, &token]);
    assert_eq!(code, "secret");
    assert!(reported.contains("--force"), "{reported}");
    assert!(!reported.contains(&token), "{reported}");
    fixture.run_ok(&["reply", &id, &token, "--force"]);
}

#[test]
fn cli_reply_reads_the_answer_from_stdin() {
    let fixture = CliFixture::new();
    let (mut ada, _bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let id = CliFixture::question(&mut ada, "bo", "which port?").to_string();
    let mut reply = fixture
        .world
        .command(program("claude-mesh"), &fixture.folder)
        .args(["reply", &id, "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    reply.stdin.take().unwrap().write_all(b"54\n33\n").unwrap();
    let ran = ProcessOutput::of(&reply.wait_with_output().unwrap());
    assert_eq!(ran.json()["to"], "ada");
    let shown: Value =
        serde_json::from_str(&fixture.run_ok(&["log", "--question", &id, "--json"])).unwrap();
    assert_eq!(shown["answer"], "54\n33");
    assert_eq!(shown["by"], "person");
}
