//! Commands that a model runs in the shell of its session: they act as that session.
use std::io::Write;
use std::process::Stdio;

use claude_mesh::mesh::WaitOutcome;
use claude_mesh::model::peer::Address;

use super::fixture::CliFixture;
use crate::support::{ProcessOutput, WAIT_TIMEOUT, program};

#[test]
fn cli_in_a_session_shell_asks_as_that_session() {
    let fixture = CliFixture::new();
    let mut bo = fixture.peer("bo");
    let folder = fixture.world.project("ada");
    let script = format!(
        "read go; \"{}\" ask bo 'which port?' --timeout 20s; :",
        program("claude-mesh")
    );
    let mut shell = fixture
        .world
        .command("/bin/sh", &fixture.folder)
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    fixture.register(shell.id(), &folder);
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let inbox = bo.next_questions(WAIT_TIMEOUT).unwrap();
    assert_eq!(inbox.questions[0].from.as_str(), "ada");
    bo.answer(inbox.questions[0].delivery.question.id, "5433")
        .unwrap();
    assert_eq!(shell.wait_with_output().unwrap().stdout, b"5433\n");
}

#[test]
fn cli_in_a_session_shell_refuses_person_only_commands() {
    let fixture = CliFixture::new();
    let (mut ada, _bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let id = CliFixture::question(&mut ada, "bo", "the-private-text");
    let script = format!(
        "read go; for words in 'inbox --all' 'inbox --peer bo' 'log --question {id}' 'reply --force {id} x' 'log'; do \"{}\" $words; done; :",
        program("claude-mesh")
    );
    let mut shell = fixture
        .world
        .command("/bin/sh", &fixture.folder)
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    fixture.register(shell.id(), &fixture.world.project("cy"));
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let ran = ProcessOutput::of(&shell.wait_with_output().unwrap());
    assert_eq!(ran.err.matches("is for the person").count(), 4, "{ran:?}");
    assert!(!ran.out.contains("the-private-text"), "{ran:?}");
    assert!(ran.out.contains("ada asked bo"), "{ran:?}");
}

#[test]
fn cli_ask_keeps_waiting_when_a_question_arrives() {
    let fixture = CliFixture::new();
    let mut bo = fixture.peer("bo");
    let asking = fixture.start(&["ask", "bo", "which port?"]);
    let inbox = bo.next_questions(WAIT_TIMEOUT).unwrap();
    let person = inbox.questions[0].from.clone();
    let to = Address::parse(person.as_str()).unwrap();
    let (back, wait) = bo.ask(&to, "which host?", None).unwrap();
    let wait = wait.expect("the person can be asked while it waits");
    fixture.run_ok(&["reply", &back.question.to_string(), "this one"]);
    let (waited, _) = bo.wait(&wait, WAIT_TIMEOUT, |_| true).unwrap();
    assert!(matches!(waited, WaitOutcome::Done(_)), "{waited:?}");
    bo.answer(inbox.questions[0].delivery.question.id, "5433")
        .unwrap();
    let ran = ProcessOutput::of(&asking.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "5433\n"), "{ran:?}");
}
