//! Asking at the command line: the answer on stdout, everything else on stderr, and exit codes.
use std::path::Path;

use super::fixture::{CliFixture, answers, declines, mask_numbers};
use crate::support::{ProcessOutput, WAIT_TIMEOUT};

#[test]
fn cli_ask_prints_only_the_answer_on_stdout() {
    let fixture = CliFixture::new();
    let bo = answers(fixture.peer("bo"), "5433\nor 5434");
    let ran = fixture.run(&["ask", "bo", "which port?"]);
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (Some(0), "5433\nor 5434\n", "")
    );
    let bo = answers(bo.join().unwrap(), "again");
    let json = fixture.run(&["ask", "bo", "and now?", "--json"]).json();
    assert_eq!(json["status"], "answered");
    assert_eq!(json["answer"], "again");
    assert_eq!(json["from"], "bo");
    assert_eq!(json["by"], "session");
    bo.join().unwrap();
}

#[test]
fn cli_ask_prints_the_decline_reason_and_fails() {
    let fixture = CliFixture::new();
    let bo = declines(fixture.peer("bo"), "ask cy");
    let ran = fixture.run(&["ask", "bo", "which port?"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert_eq!(ran.err, "claude-mesh: bo declined: ask cy\n");
    bo.join().unwrap();
}

#[test]
fn cli_ask_delivers_a_context_file() {
    let fixture = CliFixture::new();
    let mut bo = fixture.peer("bo");
    let context = fixture.world.write("build.log", "error: no port\n");
    let asking = fixture.start(&["ask", "bo", "why?", "--context", context.to_str().unwrap()]);
    let inbox = bo.next_questions(WAIT_TIMEOUT).unwrap();
    let question = &inbox.questions[0].delivery.question;
    assert_eq!(question.context.as_deref(), Some("error: no port\n"));
    assert!(inbox.questions[0].from.as_str().starts_with("person@"));
    bo.answer(question.id, "because").unwrap();
    assert_eq!(asking.wait_with_output().unwrap().stdout, b"because\n");
}

#[test]
fn cli_ask_refuses_an_invalid_context_before_asking() {
    let fixture = CliFixture::new();
    let _bo = fixture.peer("bo");
    let large = fixture.world.write("large", &"x".repeat(70_000));
    let bytes = fixture.world.home().join("bytes");
    std::fs::write(&bytes, [0xff, 0xfe]).unwrap();
    let refused = |path: &Path| {
        fixture.run_refused(&["ask", "bo", "why?", "--context", path.to_str().unwrap()])
    };
    assert_eq!(refused(&large).0, "too_large");
    assert!(refused(&bytes).1.contains("is not UTF-8"));
    assert!(refused(Path::new("/nowhere")).1.contains("No such file"));
    assert_eq!(
        fixture.run_refused(&["ask", "bo", " "]).0,
        "invalid_argument"
    );
    assert_eq!(
        fixture.run_refused(&["ask", "two words", "why?"]).0,
        "invalid_argument"
    );
    assert_eq!(fixture.run_ok(&["inbox", "--all"]), "no open questions\n");
}

#[test]
fn cli_ask_suggests_the_nearest_peer_name() {
    let fixture = CliFixture::new();
    let (_ada, _backend) = (fixture.peer("ada"), fixture.peer("backend"));
    let (code, reported) = fixture.run_refused(&["ask", "bakend", "why?"]);
    assert_eq!(code, "unknown_peer");
    assert_eq!(
        reported,
        "claude-mesh: no peer called \"bakend\" in this mesh\nhint: nearest: backend; here now: ada, backend\n"
    );
    assert_eq!(
        fixture.run_refused(&["inbox", "--peer", "bakend"]).1,
        reported
    );
}

#[test]
fn cli_ask_timeout_reports_delivery_and_keeps_the_question_open() {
    let fixture = CliFixture::new();
    let _bo = fixture.peer("bo");
    let ran = fixture.run(&["ask", "bo", "which port?", "--timeout", "1s"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert!(ran.err.contains("no answer within "), "{}", ran.err);
    assert!(
        mask_numbers(&ran.err).contains("bo: stored * s ago, not shown yet"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("stays open"), "{}", ran.err);
    let json = fixture.run(&["ask", "bo", "and now?", "--timeout", "1s", "--json"]);
    assert_eq!(json.code, Some(3));
    assert_eq!(json.json()["status"], "timed_out");
    assert_eq!(json.json()["delivery"]["wake"], "none");
}

#[test]
fn cli_ask_interrupt_exits_and_names_the_open_question() {
    let fixture = CliFixture::new();
    let mut bo = fixture.peer("bo");
    let asking = fixture.start(&["ask", "bo", "which port?"]);
    let inbox = bo.next_questions(WAIT_TIMEOUT).unwrap();
    let id = inbox.questions[0].delivery.question.id;
    let pid = rustix::process::Pid::from_child(&asking);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran = ProcessOutput::of(&asking.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.err.starts_with("claude-mesh: stopped; bo: shown"),
        "{ran:?}"
    );
    assert!(
        ran.err.contains(&format!("question {id} stays open")),
        "{ran:?}"
    );
    bo.answer(id, "5433").unwrap();
    assert!(fixture.run_ok(&["inbox"]).contains("5433"));

    let asking = fixture.start(&["ask", "bo", "which host?", "--json"]);
    bo.next_questions(WAIT_TIMEOUT).unwrap();
    let pid = rustix::process::Pid::from_child(&asking);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ran = ProcessOutput::of(&asking.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.json()["status"], "cancelled");
    assert_eq!(ran.json()["withdrawn"], false);
}

#[test]
fn cli_ask_all_lists_the_peers_before_their_answers() {
    let fixture = CliFixture::new();
    let (ada, bo) = (fixture.peer("ada"), fixture.peer("bo"));
    let (ada, bo) = (answers(ada, "yes"), declines(bo, "not my\nbranch"));
    let ran = fixture.run(&["ask", "--all", "may I push?"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let mut lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.remove(0), "asking 2: ada, bo");
    assert!(lines.pop().unwrap().starts_with("2 of 2 replied after"));
    lines.sort_unstable();
    assert_eq!(lines, ["     branch", "ada  yes", "bo   declined: not my"]);
    let (ada, _bo) = (ada.join().unwrap(), bo.join().unwrap());
    let ada = answers(ada, "no");
    let ran = fixture.run(&["ask", "--all", "and now?", "--timeout", "2s", "--json"]);
    assert_eq!(ran.code, Some(3));
    let json = ran.json();
    assert_eq!(json["status"], "partial");
    assert_eq!(json["answers"][0]["answer"], "no");
    assert_eq!(json["answers"][1]["status"], "timed_out");
    ada.join().unwrap();
}

#[test]
fn cli_ask_repo_asks_only_peers_of_the_repository() {
    let fixture = CliFixture::new();
    fixture
        .world
        .write("shop/.git/HEAD", "ref: refs/heads/main\n");
    let (_ada, api) = (
        fixture.peer("ada"),
        answers(fixture.peer("shop/api"), "yes"),
    );
    let ran = fixture.world.cli(
        &fixture.world.home().join("shop"),
        &["ask", "--repo", "may I push?"],
    );
    assert!(ran.out.starts_with("asking 1: api\napi  yes\n"), "{ran:?}");
    api.join().unwrap();
    assert_eq!(
        fixture.run_refused(&["ask", "--repo", "may I?"]).0,
        "unknown_peer"
    );
}
