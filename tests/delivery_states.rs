//! The delivery states of a question, reported correctly whatever fails: `delivery`, progress, event log.
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;
use std::time::Instant;

use claude_mesh::mesh::{InboxSocketState, Member, WakeAction};
use claude_mesh::model::peer::Address;
use claude_mesh::model::throttle::PersonAlert;
use claude_mesh::model::{Activity, WakeState};
use claude_mesh::platform::id::QuestionId;
use claude_mesh::platform::process;
use serde_json::{Value, json};

use crate::support::{
    InboxClient, InboxSession, attached_context, open_question_delivery, start_ask,
};
use crate::support::{MeshFixture, set_session_activity};
use crate::support::{Session, World, program, wait_until};
use crate::wake_attempts::{delivery, next_wake_action, rest_for, wake_attempts};

/// One member asks another without waiting.
#[track_caller]
pub(crate) fn asked(from: &mut Member, to: &str, text: &str) -> QuestionId {
    let to = Address::parse(to).unwrap();
    from.ask(&to, text, None).unwrap().0.question
}

#[test]
fn interrupted_ask_in_a_session_shell_reports_its_delivery() {
    let world = World::new();
    let (bo, _cy) = (world.session("bo"), world.session("cy"));
    let folder = world.project("ada");
    let made = world.command("mkfifo", &folder).arg("go").status();
    assert!(made.unwrap().success());
    let script = format!(
        "(read go < go; exec \"{}\" ask cy 'which schema?' --json > asked) & \"$SERVER\"; :",
        program("claude-mesh")
    );
    let ada = world.bare_session_with_script("ada", &[], "/bin/sh", &script);
    ada.register("busy");
    ada.hook("SessionStart", json!({ "source": "startup" }));
    ada.discover();
    ada.call("mesh_status", json!({}));
    std::fs::write(folder.join("go"), "go\n").unwrap();
    wait_until("the question is stored", || {
        let open = "SELECT count(*) FROM wait_question";
        let count: i64 = world.rows().query_row(open, [], |row| row.get(0)).unwrap();
        count == 1
    });
    let _asks = start_ask(&bo, "ada", "which port?");
    let asked = || std::fs::read_to_string(folder.join("asked")).unwrap();
    wait_until("the ask is interrupted", || asked().ends_with("}\n"));
    let interrupted: Value = serde_json::from_str(&asked()).unwrap();
    assert_eq!(interrupted["status"], "interrupted", "{interrupted}");
    assert_eq!(interrupted["questions"][0]["question"], "which port?");
    let delivery = &interrupted["answers"][0]["delivery"];
    assert!(delivery["stored_at"].is_string(), "{interrupted}");
    assert_eq!(delivery["shown_times"], 0);
}

#[test]
fn interrupted_wait_reports_delivery_of_its_own_questions() {
    let world = World::new();
    let [ada, bo, cy, dee] = ["ada", "bo", "cy", "dee"].map(|name| world.session(name));
    let waits = start_ask(&ada, "cy", "which schema?");
    waits.wait_for_progress("cy: stored");
    assert!(cy.prompt("t1").unwrap().contains("which schema?"));
    waits.wait_for_progress("cy: shown");
    let _asks = start_ask(&bo, "ada", "which port?");
    let interrupted = waits.result();
    assert_eq!(interrupted["status"], "interrupted");
    let delivery = &interrupted["delivery"];
    assert_eq!(
        (&delivery["wake"], &delivery["shown_times"]),
        (&json!("hook"), &json!(1)),
        "{interrupted}"
    );
    assert!(delivery["stored_at"].is_string() && delivery["shown_at"].is_string());
    ada.send_reply(&ada.next_question(), "5433");

    let question = json!({ "to": ["cy", "dee"], "question": "which table?" });
    let waits = ada.start("ask_peer", question);
    waits.wait_for_progress("dee: stored");
    let _asks = start_ask(&bo, "ada", "which host?");
    let interrupted = waits.result();
    assert_eq!(interrupted["status"], "interrupted");
    let shown: Vec<&Value> = interrupted["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["delivery"]["shown_times"])
        .collect();
    assert_eq!(shown, [&json!(0), &json!(0)], "{interrupted}");
    drop((cy, dee));
}

/// Asks an idle session that no line reaches. Returns the reason in progress and result.
#[track_caller]
fn why_not_woken(ada: &Session, to: &str) -> String {
    let ask = ada.start(
        "ask_peer",
        json!({ "to": to, "question": "which port?", "timeout_seconds": 1 }),
    );
    let reported = ask.wait_for_progress("not woken");
    let delivery = &ask.result()["delivery"];
    assert_eq!(delivery["wake"], "failed");
    assert_eq!(delivery["shown_times"], 0);
    let problem = delivery["wake_problem"].as_str().unwrap().to_owned();
    assert!(reported.contains(&problem), "{reported}: {problem}");
    problem
}

#[test]
fn asker_is_informed_that_peer_settings_refuse_lines() {
    let world = World::new();
    let ada = world.session("ada");
    let socket = world.home().join("bo.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let socket = ("CLAUDE_CODE_MESSAGING_SOCKET", socket.to_str().unwrap());
    let bo = world.session_with("bo", &[socket]);
    bo.register("idle");
    let problem = why_not_woken(&ada, "bo");
    assert!(
        problem.starts_with("its inbox socket refused the line: ") && !problem.contains("likely"),
        "{problem}"
    );
    drop(bo);

    let refusing = r#"{ "crossSessionInbound": "refuse" }"#;
    let settings = world.write("bo/.claude/settings.json", refusing);
    let bo = world.session_with("bo", &[socket]);
    bo.register("idle");
    let problem = why_not_woken(&ada, "bo");
    let likely = format!(
        "; likely because crossSessionInbound is \"refuse\" in {}",
        settings.display()
    );
    assert!(problem.ends_with(&likely), "{problem}");
}

#[test]
fn asker_is_informed_that_the_peer_client_is_too_old_to_wake() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    bo.register_with("idle", json!({ "version": "2.1.200" }));
    let problem = why_not_woken(&ada, "bo");
    assert!(problem.contains("no inbox socket"), "{problem}");
    let likely = "; likely because its Claude Code is 2.1.200, older than 2.1.224";
    assert!(problem.ends_with(likely), "{problem}");
}

#[test]
fn session_refusing_lines_is_notified_after_the_second_wake() {
    let fixture = MeshFixture::new();
    let home = fixture.place.path().join("home");
    let mut ada = fixture.member("ada", 1);
    let mut bo = fixture.member_with("bo", 2, Some(home.clone()));
    let own = process::stat(process::own_pid()).unwrap().key;
    let entry = json!({ "procStart": own.started.to_string(), "status": "idle" });
    std::fs::create_dir_all(home.join("sessions")).unwrap();
    let file = home.join(format!("sessions/{}.json", own.pid));
    std::fs::write(file, entry.to_string()).unwrap();
    let settings = home.join("settings.json");
    std::fs::write(&settings, r#"{ "crossSessionInbound": "refuse" }"#).unwrap();
    let id = asked(&mut ada, "bo", "which port?");
    for _ in 0..2 {
        wake_attempts(&mut bo);
        fixture.clock.advance_ms(3_000);
    }
    next_wake_action(&mut bo);
    let problem = format!(
        "the session was rung twice and did not start a turn; likely because crossSessionInbound is \"refuse\" in {}",
        settings.display()
    );
    assert_eq!(delivery(&mut ada, id).wake_problem, Some(problem));
}

#[test]
fn dropped_wake_line_is_reposted_and_never_reported_failed() {
    let world = World::new();
    let ada = world.session("ada");
    let mut first = true;
    let client = InboxClient::new("bo", "idle");
    let bo = InboxSession::open_client(&world, &client, move || {
        !std::mem::replace(&mut first, false)
    });
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    assert!(attached_context(&bo.read_wake_line(&line, "t1")).contains("which port?"));
    ask.wait_for_progress("bo: shown");
    let reported = ada.progress(ask.id);
    assert!(
        !reported.iter().any(|it| it.contains("not woken")),
        "{reported:?}"
    );
    let log = world.cli(&world.home(), &["log"]).out;
    assert!(log.contains("bo was sent another wake-up"), "{log}");
}

#[test]
fn wake_lines_respect_the_inbox_rate_limit() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "1000");
    let ada = world.session("ada");
    let (mut space, mut then) = (25.5_f64, Instant::now());
    let client = InboxClient::new("bo", "idle");
    let bo = InboxSession::open_client(&world, &client, move || {
        space = (space + then.elapsed().as_secs_f64() * 0.5).min(25.5) - 1.0;
        then = Instant::now();
        space >= 0.0
    });
    for turn in 1..=27 {
        bo.session.register("idle");
        let ask = start_ask(&ada, "bo", &format!("question {turn}"));
        let line = bo.next_wake_line();
        assert!(
            attached_context(&bo.read_wake_line(&line, &format!("t{turn}"))).contains("question")
        );
        bo.session.send_reply(&bo.session.next_question(), "yes");
        assert_eq!(ask.result()["status"], "answered");
    }
    let read = json!({ "types": ["question.rung", "question.not_woken"], "after": 0 });
    let wake_attempts = ada.call("events", read);
    let wake_attempts = wake_attempts["events"].as_array().unwrap();
    assert_eq!(wake_attempts.len(), 27);
    assert!(
        wake_attempts.iter().all(|it| it["data"]["ring"] == 1),
        "{wake_attempts:?}"
    );
}

#[test]
fn full_inbox_delays_the_wake_line_without_reporting_a_wake() {
    let fixture = MeshFixture::new();
    let (mut ada, mut bo) = (fixture.member("ada", 1), fixture.member("bo", 2));
    set_session_activity(&mut bo, "idle");
    let id = asked(&mut ada, "bo", "which port?");
    let me = bo.handle().clone();
    let full = |for_ms| move || InboxSocketState::Full { for_ms };
    for for_ms in [2_000, 1_000] {
        let waits = rest_for(Some(for_ms));
        assert_eq!(
            bo.mesh().next_wake_action(&me, full(for_ms)).unwrap(),
            waits
        );
        assert_eq!(delivery(&mut ada, id).wake, WakeState::None);
        fixture.clock.advance_ms(60_000);
    }
    wake_attempts(&mut bo);
    fixture.clock.advance_ms(60_000);
    bo.mesh().next_wake_action(&me, full(2_000)).unwrap();
    assert_eq!(delivery(&mut ada, id).wake, WakeState::Inbox);
    wake_attempts(&mut bo);
    fixture.clock.advance_ms(3_000);
    next_wake_action(&mut bo);
    assert_eq!(delivery(&mut ada, id).wake, WakeState::Failed);
}

#[test]
fn busy_session_without_an_inbox_fails_only_once_idle() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    bo.register("busy");
    let ask = start_ask(&ada, "bo", "which port?");
    let reported = ask.wait_for_progress("bo: ");
    assert!(reported.ends_with("not shown yet, working"), "{reported}");
    bo.register("idle");
    ask.wait_for_progress("not woken: its Claude Code has no inbox socket");
    let log = world.cli(&world.home(), &["log"]).out;
    assert!(!log.contains("was sent"), "{log}");
}

#[test]
fn newer_of_two_calls_is_interrupted_and_the_other_answered() {
    let world = World::new();
    let [ada, bo, cy] = ["ada", "bo", "cy"].map(|name| world.session(name));
    let older = start_ask(&ada, "cy", "which schema?");
    older.wait_for_progress("cy: stored");
    let newer = start_ask(&ada, "cy", "which table?");
    newer.wait_for_progress("cy: stored");
    let asked = start_ask(&bo, "ada", "which port?");
    let interrupted = newer.result();
    assert_eq!(interrupted["status"], "interrupted");
    assert_eq!(interrupted["questions"][0]["question"], "which port?");
    asked.wait_for_progress("ada: shown");
    assert!(older.is_open());
    ada.send_reply(&ada.next_question(), "5433");
    assert_eq!(asked.result()["answer"], "5433");
    for question in cy.questions() {
        cy.send_reply(question["question_id"].as_str().unwrap(), "public");
    }
    assert_eq!(older.result()["answer"], "public");
    let id = interrupted["question_id"].clone();
    let await_reply = json!({ "question_id": id });
    assert_eq!(ada.call("await_reply", await_reply)["answer"], "public");
}

// Requirement: Beyond 7
#[test]
fn busy_or_dialog_session_is_never_reported_failed() {
    for activity in ["busy", "waiting"] {
        let fixture = MeshFixture::new();
        let (mut ada, mut bo) = (fixture.member("ada", 1), fixture.member("bo", 2));
        set_session_activity(&mut bo, activity);
        let id = asked(&mut ada, "bo", "which port?");
        wake_attempts(&mut bo);
        for _ in 0..30 {
            fixture.clock.advance_ms(2_000);
            let waits = WakeAction::Wait {
                after_ms: Some(2_000),
                alert: (activity == "waiting").then_some(PersonAlert::Dialog),
            };
            assert_eq!(next_wake_action(&mut bo), waits, "one wake line is enough");
            let reported = delivery(&mut ada, id);
            assert_eq!(
                (reported.wake, reported.shown_at_ms),
                (WakeState::Queued, None)
            );
            assert_eq!(reported.peer_activity, Activity::of(activity));
        }
        // Its turn has ended without reading the line: now the attempt counts.
        set_session_activity(&mut bo, "idle");
        wake_attempts(&mut bo);
        assert_eq!(delivery(&mut ada, id).wake, WakeState::Inbox);
    }
}

#[test]
fn question_survives_a_hook_killed_before_its_output_is_read() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    bo.register("busy");
    bo.remove_delivery_socket();
    let ask = start_ask(&ada, "bo", "which port?");
    ask.wait_for_progress("bo: stored");
    // The output of the hook is not read: it blocks after its commit.
    let (_reader, mut full) = UnixStream::pair().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.write(&[0; 4096]).is_ok() {}
    full.set_nonblocking(false).unwrap();
    let mut hook = bo
        .hook_command("claude-mesh-inbox-poll")
        .stdin(Stdio::piped())
        .stdout(OwnedFd::from(full))
        .spawn()
        .unwrap();
    let id = bo.client_session.lock().unwrap().clone();
    let prompt = json!({
        "hook_event_name": "UserPromptSubmit", "session_id": id, "prompt": "go on", "prompt_id": "t1",
    });
    let mut stdin = hook.stdin.take().unwrap();
    stdin.write_all(prompt.to_string().as_bytes()).unwrap();
    drop(stdin);
    wait_until("the question is committed", || {
        open_question_delivery(&world)["shown_times"] == 1
    });
    hook.kill().unwrap();
    hook.wait().unwrap();

    let reported = open_question_delivery(&world);
    assert_eq!(
        (&reported["wake"], &reported["shown_times"]),
        (&json!("hook"), &json!(1))
    );
    assert!(ask.is_open());
    let kept = bo.stop("t1", false).unwrap();
    assert!(kept.contains("which port?"), "the end of that turn: {kept}");
    assert_eq!(open_question_delivery(&world)["shown_times"], 2);
    let brought = bo.prompt("t2").unwrap();
    assert!(brought.contains("which port?"), "the next turn: {brought}");
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

#[test]
fn ignored_question_is_reported_only_as_shown() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    assert_eq!(
        (
            &open_question_delivery(&world)["wake"],
            &open_question_delivery(&world)["shown_times"]
        ),
        (&json!("inbox"), &json!(0))
    );
    bo.read_wake_line(&line, "t1");
    let is_shown = |way_of: &str, times: u32| {
        let reported = open_question_delivery(&world);
        let (wake, shown) = (&reported["wake"], &reported["shown_times"]);
        assert_eq!((wake, shown), (&json!(way_of), &json!(times)));
        assert_eq!(reported["wake_problem"], Value::Null);
        assert!(ask.is_open());
    };
    is_shown("inbox", 1);
    assert!(bo.session.stop("t1", false).is_some());
    is_shown("hook", 2);
    assert!(bo.session.stop("t1", true).is_some());
    is_shown("hook", 3);
    assert_eq!(
        bo.session.stop("t1", true),
        None,
        "the turn ends at the limit"
    );
    bo.session.register("idle");
    assert!(bo.session.prompt("t2").unwrap().contains("which port?"));
    is_shown("hook", 4);
    assert!(bo.session.stop("t2", false).is_some());
    is_shown("hook", 5);
    assert_eq!(bo.session.stop("t2", true), None);
    let recalled = bo.session.prompt("t3").unwrap();
    assert!(recalled.contains("01"), "a line of it: {recalled}");
    let reported = ask.wait_for_progress("bo: shown");
    assert!(reported.starts_with("bo: shown "), "{reported}");
    bo.session.send_reply(&bo.session.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}
