//! The doorbell into a session's own inbox, against a scripted socket: who is rung, when, and what the asker is told.
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use claude_mesh::mesh::{IfOffline, JoinRequest, Mesh, QuestionDraft};
use claude_mesh::model::peer::Address;
use claude_mesh::platform::clock::{Clock, ManualClock, SystemClock};
use serde_json::{Value, json};

use crate::support::{InFlight, Session, WAIT_TIMEOUT, World};

/// The script of a client that starts its server and waits for it.
pub(crate) const SERVER_SCRIPT: &str = "\"$SERVER\"; :";

/// A session with an inbox that the test reads.
pub(crate) struct InboxSession {
    pub(crate) session: Session,
    lines: Receiver<Value>,
}

impl InboxSession {
    pub(crate) fn open(world: &World, project: &str, status: &str) -> Self {
        Self::open_with(world, project, status, &[])
    }

    pub(crate) fn open_with(
        world: &World,
        project: &str,
        status: &str,
        more: &[(&str, &str)],
    ) -> Self {
        Self::open_with_script(world, project, status, more, SERVER_SCRIPT, || true)
    }

    /// The client is a shell with this script, which starts `$SERVER_SCRIPT` where it likes, and it drops a line without a word where
    /// `takes` is false.
    pub(crate) fn open_with_script(
        world: &World,
        project: &str,
        status: &str,
        more: &[(&str, &str)],
        script: &str,
        mut accepts_line: impl FnMut() -> bool + Send + 'static,
    ) -> Self {
        let path = world
            .home()
            .join(format!("{}.sock", project.replace('/', "-")));
        let (say, lines) = channel();
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let taken = accepts_line();
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let line = serde_json::from_str(&line).unwrap();
                    let _ = taken.then(|| say.send(line));
                }
            }
        });
        let socket = path.to_string_lossy().into_owned();
        let inbox = [
            ("CLAUDE_CODE_MESSAGING_SOCKET", socket.as_str()),
            ("CLAUDE_CODE_MESSAGING_TOKEN", "word"),
        ];
        let session =
            world.bare_session_with_script(project, &[&inbox, more].concat(), "/bin/sh", script);
        session.register(status);
        session.hook("SessionStart", json!({ "source": "startup" }));
        session.discover();
        session.call("mesh_status", json!({}));
        Self { session, lines }
    }

    /// Returns the text of the next line, after the word that opens the socket.
    #[track_caller]
    pub(crate) fn next_wake_line(&self) -> String {
        let auth = self.lines.recv_timeout(WAIT_TIMEOUT).expect("it rings");
        assert_eq!(auth, json!({ "type": "auth", "token": "word" }));
        let line = self.lines.recv_timeout(WAIT_TIMEOUT).unwrap();
        assert_eq!(line["priority"], "next");
        line["message"]["content"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn assert_no_line(&self, duration: Duration) {
        assert_eq!(
            self.lines.recv_timeout(duration),
            Err(RecvTimeoutError::Timeout)
        );
    }

    /// The client reads the line: it calls itself busy and the hook runs with it, as Claude Code does. Returns what the hook says.
    #[track_caller]
    pub(crate) fn read_wake_line(&self, line: &str, turn: &str) -> Value {
        self.session.register("busy");
        self.session.hook(
            "UserPromptSubmit",
            json!({ "prompt": line, "prompt_id": turn }),
        )
    }
}

pub(crate) fn attached_context(said: &Value) -> &str {
    said["hookSpecificOutput"]["additionalContext"]
        .as_str()
        .unwrap_or_else(|| panic!("{said}"))
}

pub(crate) fn start_ask<'a>(asker: &'a Session, to: &str, question: &str) -> InFlight<'a> {
    asker.start("ask_peer", json!({ "to": to, "question": question }))
}

/// Asks as somebody who died between commit and ring, some seconds ago: the question is there, and no bell has rung. It
/// comes to the file by another name, beside which nobody's bell hangs.
fn ask_without_doorbell(world: &World, to: &str, question: &str) {
    let other_path = world.project("elsewhere").join("mesh.db");
    let _ = std::os::unix::fs::symlink(world.database(), &other_path);
    let then = ManualClock::at(SystemClock::new().now().wall_ms - 3_000);
    let mut mesh = Mesh::open(&other_path, Arc::new(then)).unwrap();
    let ada = JoinRequest::here(&world.project("ada")).unwrap();
    let ada = mesh.register(&ada).unwrap();
    let to = [Address::parse(to).unwrap()];
    mesh.ask(
        &ada,
        &to,
        &QuestionDraft {
            question,
            context: None,
            if_offline: IfOffline::Queue,
        },
    )
    .unwrap();
}

#[test]
fn idle_session_gets_a_wake_line_and_its_hook_the_question() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    assert!(
        line.starts_with("<cross-session-message from-name=\"ada\">\nclaude-mesh doorbell "),
        "{line}"
    );
    assert!(
        line.contains("reply_to_peer") && line.ends_with("</cross-session-message>"),
        "{line}"
    );
    ask.wait_for_progress("bo: stored 0 s ago, rung");
    let said = bo.read_wake_line(&line, "t1");
    assert!(attached_context(&said).contains("which port?"));
    ask.wait_for_progress("bo: shown");
    bo.session.send_reply(&bo.session.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

#[test]
fn later_questions_coalesce_into_the_open_wake_attempt() {
    let world = World::new();
    let (ada, cy) = (world.session("ada"), world.session("cy"));
    let bo = InboxSession::open(&world, "bo", "busy");
    let first = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    first.wait_for_progress("will be read with its next step");
    let second = start_ask(&cy, "bo", "which schema?");
    second.wait_for_progress("will be read with its next step");
    bo.assert_no_line(Duration::from_millis(300));
    let said = bo.read_wake_line(&line, "t1");
    assert!(
        attached_context(&said).contains("which port?")
            && attached_context(&said).contains("which schema?"),
        "{said}"
    );
}

#[test]
fn unresponsive_session_is_reported_failed_after_two_wakes() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let ask = start_ask(&ada, "bo", "which port?");
    let (first, second) = (bo.next_wake_line(), bo.next_wake_line());
    assert_ne!(first, second, "an identical line would be dropped");
    let told = ask.wait_for_progress("not woken");
    assert!(told.contains("rung twice"), "{told}");
    bo.assert_no_line(Duration::from_millis(300));
    // Not lost: the next prompt brings it.
    assert!(bo.session.prompt("t1").unwrap().contains("which port?"));
}

#[test]
fn session_without_an_inbox_is_reported_not_woken() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = world.session("bo");
    bo.register("idle");
    let ask = start_ask(&ada, "bo", "which port?");
    let told = ask.wait_for_progress("not woken");
    assert!(told.contains("no inbox socket"), "{told}");
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

#[test]
fn blocking_call_receives_the_question_without_a_wake_line() {
    let world = World::new();
    let (ada, cy) = (world.session("ada"), world.session("cy"));
    let bo = InboxSession::open(&world, "bo", "busy");
    let waits = start_ask(&bo.session, "cy", "which schema?");
    waits.wait_for_progress("cy: ");
    start_ask(&ada, "bo", "which port?");
    assert_eq!(waits.result()["status"], "interrupted");
    bo.assert_no_line(Duration::from_millis(300));
    drop(cy);
}

#[test]
fn wake_line_for_an_answered_question_starts_no_turn() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    bo.session.send_reply(&bo.session.next_question(), "5433");
    ask.result();
    let said = bo.read_wake_line(&line, "t1");
    assert_eq!(said["decision"], "block");
    assert!(
        said["reason"]
            .as_str()
            .unwrap()
            .contains("settled meanwhile")
    );
}

#[test]
fn new_session_with_pending_questions_is_woken_once_idle() {
    let world = World::new();
    let ada = world.session("ada");
    drop(InboxSession::open(&world, "bo", "idle"));
    crate::support::wait_until("bo is gone", || {
        ada.call("ask_peer", json!({ "to": "bo", "question": "x" }))["status"] == "offline"
    });
    std::fs::remove_file(world.home().join("bo.sock")).unwrap();
    let bo = InboxSession::open(&world, "bo", "idle");
    let line = bo.next_wake_line();
    assert!(attached_context(&bo.read_wake_line(&line, "t1")).contains('x'));
}

#[test]
fn late_answer_wakes_its_asker() {
    let world = World::new();
    let ada = InboxSession::open(&world, "ada", "idle");
    let bo = world.session("bo");
    let asked = ada.session.call(
        "ask_peer",
        json!({ "to": "bo", "question": "which port?", "timeout_seconds": 1 }),
    );
    assert_eq!(asked["status"], "timed_out");
    bo.send_reply(&bo.next_question(), "5433");
    let line = ada.next_wake_line();
    assert!(line.contains("reply to a question of yours"), "{line}");
    assert!(attached_context(&ada.read_wake_line(&line, "t1")).contains("5433"));
}

#[test]
fn corrected_answer_wakes_its_asker() {
    let world = World::new();
    let ada = InboxSession::open(&world, "ada", "busy");
    let bo = world.session("bo");
    let ask = start_ask(&ada.session, "bo", "which port?");
    let id = bo.next_question();
    bo.send_reply(&id, "5432");
    assert_eq!(ask.result()["answer"], "5432");
    ada.session.register("idle");
    let corrected = json!({ "question_id": id, "answer": "5433", "corrects": true });
    bo.call("reply_to_peer", corrected);
    let line = ada.next_wake_line();
    assert!(line.contains("reply to a question of yours"), "{line}");
    assert!(attached_context(&ada.read_wake_line(&line, "t1")).contains("5433"));
}

#[test]
fn wake_budget_limits_turns_until_the_person_types() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "2");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    for turn in ["t1", "t2"] {
        bo.session.register("idle");
        let ask = start_ask(&ada, "bo", &format!("question {turn}"));
        let said = bo.read_wake_line(&bo.next_wake_line(), turn);
        assert!(attached_context(&said).contains(turn));
        bo.session.send_reply(&bo.session.next_question(), "yes");
        assert_eq!(ask.result()["status"], "answered");
    }
    let held = start_ask(&ada, "bo", "once more?").result();
    assert_eq!(held["status"], "held");
    assert_eq!(
        (&held["reason"], &held["until"]),
        (&json!("wake_budget"), &Value::Null)
    );
    bo.assert_no_line(Duration::from_millis(300));
    assert_eq!(
        bo.session.stop("t2", false),
        None,
        "a held question keeps nobody"
    );
    assert_eq!(bo.session.call("poll_inbox", json!({}))["held"], 1);
    assert!(
        bo.session.prompt("t3").unwrap().contains("once more?"),
        "a typed prompt brings it"
    );
    let after = start_ask(&ada, "bo", "and now?");
    bo.next_wake_line();
    after.wait_for_progress("bo: ");
}

#[test]
fn wake_lines_read_in_one_turn_spend_one_turn_of_the_budget() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "2");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    for (turn, question) in [("t1", "a?"), ("t1", "b?"), ("t2", "c?")] {
        let ask = start_ask(&ada, "bo", question);
        assert!(
            attached_context(&bo.read_wake_line(&bo.next_wake_line(), turn)).contains(question)
        );
        bo.session.send_reply(&bo.session.next_question(), "yes");
        assert_eq!(ask.result()["status"], "answered");
    }
    assert_eq!(start_ask(&ada, "bo", "d?").result()["status"], "held");
}

#[test]
fn wake_budget_setting_of_the_asked_session_applies() {
    let world = World::new();
    let ada = InboxSession::open(&world, "ada", "idle");
    let bo = InboxSession::open_with(&world, "bo", "idle", &[("CLAUDE_MESH_WAKE_BUDGET", "1")]);
    let (from_bo, from_ada) = (
        |question| start_ask(&bo.session, "ada", question),
        |question| start_ask(&ada.session, "bo", question),
    );
    for (turn, question) in [("t1", "a?"), ("t2", "b?")] {
        let ask = from_bo(question);
        assert!(
            attached_context(&ada.read_wake_line(&ada.next_wake_line(), turn)).contains(question)
        );
        ada.session.send_reply(&ada.session.next_question(), "yes");
        assert_eq!(ask.result()["status"], "answered");
    }
    let ask = from_ada("c?");
    assert!(attached_context(&bo.read_wake_line(&bo.next_wake_line(), "t1")).contains("c?"));
    bo.session.send_reply(&bo.session.next_question(), "yes");
    assert_eq!(ask.result()["status"], "answered");
    let held = from_ada("d?").result();
    assert_eq!(
        (&held["status"], &held["reason"]),
        (&json!("held"), &json!("wake_budget"))
    );
    let seen = ada.session.call("list_peers", json!({}))["peers"][0].clone();
    assert_eq!(seen["held"], "wake_budget", "whatever ada's own budget is");
}

#[test]
fn wake_line_does_not_repeat_a_question_from_a_call() {
    let world = World::new();
    let (ada, _cy) = (world.session("ada"), world.session("cy"));
    let bo = InboxSession::open(&world, "bo", "busy");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    ask.wait_for_progress("will be read with its next step");
    let interrupted = start_ask(&bo.session, "cy", "which schema?").result();
    assert_eq!(interrupted["questions"][0]["question"], "which port?");
    assert_eq!(bo.read_wake_line(&line, "t1")["decision"], "block");
    assert!(
        bo.session
            .stop("t1", false)
            .unwrap()
            .contains("which port?"),
        "it is not forgotten"
    );
}

#[test]
fn wake_line_for_an_answer_omits_a_question_from_a_call() {
    let world = World::new();
    let (ada, cy) = (world.session("ada"), world.session("cy"));
    let bo = InboxSession::open(&world, "bo", "busy");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    ask.wait_for_progress("will be read with its next step");
    let interrupted = start_ask(&bo.session, "cy", "which schema?").result();
    assert_eq!(interrupted["questions"][0]["question"], "which port?");
    cy.send_reply(&cy.next_question(), "public");
    let said = bo.read_wake_line(&line, "t1");
    assert!(attached_context(&said).contains("public"), "{said}");
    assert!(!attached_context(&said).contains("which port?"), "{said}");
}

#[test]
fn quiet_session_is_not_woken_until_quiet_ends() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let folder = world.home();
    assert_eq!(
        world.cli(&folder, &["quiet", "bo", "--for", "1h"]).code,
        Some(0)
    );
    // At once: the call would wait for an hour.
    let patient = json!({ "to": "bo", "question": "which port?", "timeout_seconds": 3600 });
    let held = ada.call("ask_peer", patient);
    assert_eq!(
        (&held["status"], &held["reason"]),
        (&json!("held"), &json!("quiet"))
    );
    assert!(held["until"].as_str().unwrap().ends_with('Z'));
    assert!(ada.call("list_peers", json!({}))["peers"][0]["quiet_until"].is_string());
    assert!(
        world
            .cli(&folder, &["peers"])
            .out
            .contains("idle, is quiet until 2")
    );
    assert_eq!(bo.session.stop("t1", false), None);
    bo.assert_no_line(Duration::from_millis(300));
    assert_eq!(world.cli(&folder, &["quiet", "bo", "--off"]).code, Some(0));
    let line = bo.next_wake_line();
    assert!(attached_context(&bo.read_wake_line(&line, "t2")).contains("which port?"));
}

#[test]
fn pause_holds_the_whole_mesh_and_drops_posted_wake_lines() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    assert_eq!(world.cli(&world.home(), &["pause"]).code, Some(0));
    let said = bo.read_wake_line(&line, "t1");
    assert_eq!(said["decision"], "block");
    assert_eq!(ask.result()["reason"], "paused");
    assert!(
        world
            .cli(&world.home(), &["status"])
            .out
            .starts_with("paused until forever")
    );
    assert_eq!(world.cli(&world.home(), &["pause", "--off"]).code, Some(0));
    assert!(
        attached_context(&bo.read_wake_line(&bo.next_wake_line(), "t2")).contains("which port?")
    );
}

#[test]
fn pause_before_the_first_session_holds_later_sessions() {
    let world = World::new();
    let off = world
        .cli(&world.home(), &["pause", "--off", "--json"])
        .json();
    assert_eq!(
        off,
        json!({ "peer": "this mesh", "paused": false, "until": null })
    );
    assert!(
        !world.database().exists(),
        "ending what is not makes nothing"
    );
    for arguments in [&["quiet", "bo"][..], &["quiet", "bo", "--off"]] {
        let ran = world.cli(&world.home(), arguments);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains("no peer called \"bo\""), "{ran:?}");
    }
    assert!(!world.database().exists());
    let on = world.cli(&world.home(), &["pause", "--json"]).json();
    assert_eq!(
        on,
        json!({ "peer": "this mesh", "paused": true, "until": null })
    );
    let (ada, _bo) = (world.session("ada"), world.session("bo"));
    assert_eq!(
        start_ask(&ada, "bo", "which port?").result()["reason"],
        "paused"
    );
    let ran = world.cli(&world.home(), &["quiet", "nobody"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn person_is_notified_when_a_session_waits_at_a_dialog() {
    let mut world = World::new();
    let told = world.home().join("told");
    let content = format!(
        "#!/bin/sh\nprintf '%s|%s' \"$CLAUDE_MESH_PEER\" \"$CLAUDE_MESH_REASON\" > {0}.new && mv {0}.new {0}\n",
        told.display()
    );
    let script = world.executable("notify", content.as_bytes());
    world.set("CLAUDE_MESH_NOTIFY_CMD", script.to_str().unwrap());
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "waiting");
    let ask = start_ask(&ada, "bo", "which port?");
    bo.next_wake_line();
    ask.wait_for_progress("waits at a dialog for its person");
    crate::support::wait_until("the person is told", || told.exists());
    let text = std::fs::read_to_string(PathBuf::from(&told)).unwrap();
    assert!(text.starts_with("bo|a session waits at a dialog"), "{text}");
}

#[test]
fn question_unseen_by_a_killed_session_reaches_the_next_one() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "busy");
    let ask = start_ask(&ada, "bo", "which port?");
    bo.next_wake_line();
    bo.session.kill();
    let gone = ask.result();
    assert_eq!(gone["status"], "offline");
    let delivery = &gone["delivery"];
    assert_eq!(
        (
            &delivery["wake"],
            &delivery["shown_times"],
            &delivery["peer_activity"]
        ),
        (&json!("queued"), &json!(0), &json!("offline"))
    );
    std::fs::remove_file(world.home().join("bo.sock")).unwrap();
    let bo = InboxSession::open(&world, "bo", "idle");
    assert!(
        attached_context(&bo.read_wake_line(&bo.next_wake_line(), "t1")).contains("which port?")
    );
}

#[test]
fn person_asking_a_quiet_session_is_informed_at_once() {
    let world = World::new();
    let bo = InboxSession::open(&world, "bo", "idle");
    let folder = world.home();
    assert_eq!(world.cli(&folder, &["quiet", "bo"]).code, Some(0));
    let asked = world.cli(&folder, &["ask", "bo", "which port?"]);
    assert_eq!(asked.code, Some(3));
    assert!(
        asked
            .err
            .starts_with("claude-mesh: bo is quiet\nhint: question "),
        "{asked:?}"
    );
    let asked = world.cli(&folder, &["ask", "bo", "which schema?", "--json"]);
    assert_eq!(asked.json()["status"], "held");
    let delivery = &asked.json()["delivery"];
    assert_eq!(
        (&delivery["wake"], &delivery["peer_activity"]),
        (&json!("none"), &json!("idle"))
    );
    bo.assert_no_line(Duration::from_millis(200));
}

#[test]
fn question_that_woke_no_session_wakes_the_next_one() {
    let world = World::new();
    let ada = world.session("ada");
    let deaf = world.session("bo");
    let ask = start_ask(&ada, "bo", "which port?");
    ask.wait_for_progress("not woken");
    deaf.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    drop(deaf);
    assert_eq!(ask.result()["status"], "offline");
    let bo = InboxSession::open(&world, "bo", "idle");
    let line = bo.next_wake_line();
    assert!(attached_context(&bo.read_wake_line(&line, "t1")).contains("which port?"));
}

#[test]
fn any_call_sends_a_missing_wake_for_a_pending_question() {
    let world = World::new();
    let (ada, cy) = (world.session("ada"), world.session("cy"));
    let verbs: [(&str, &dyn Fn()); 7] = [
        ("list", &|| drop(cy.call("list_peers", json!({})))),
        ("poll", &|| drop(cy.call("poll_inbox", json!({})))),
        ("register", &|| drop(cy.call("register", json!({})))),
        ("prompt", &|| drop(cy.prompt("t1"))),
        ("stop", &|| drop(cy.stop("t1", false))),
        ("peers", &|| drop(world.cli(&world.home(), &["peers"]))),
        ("ask", &|| {
            drop(start_ask(&cy, "ada", "ready?").wait_for_progress("ada: stored"));
        }),
    ];
    let asked: Vec<InboxSession> = verbs
        .iter()
        .map(|(name, _)| InboxSession::open(&world, name, "idle"))
        .collect();
    for session in asked.iter().map(|bo| &bo.session).chain([&ada, &cy]) {
        session.wait_until_idle();
    }
    for ((name, verb), bo) in verbs.iter().zip(&asked) {
        ask_without_doorbell(&world, name, "which port?");
        bo.assert_no_line(Duration::from_millis(100));
        verb();
        assert!(
            attached_context(&bo.read_wake_line(&bo.next_wake_line(), "t1"))
                .contains("which port?")
        );
        bo.session.send_reply(&bo.session.next_question(), "5433");
    }
}

#[test]
fn listing_does_not_block_when_it_cannot_wake_others() {
    let world = World::new();
    let cy = world.session("cy");
    let bo = InboxSession::open(&world, "bo", "idle");
    bo.session.wait_until_idle();
    ask_without_doorbell(&world, "bo", "which port?");
    let holder = world.rows();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(cy.call("list_peers", json!({}))["you"], "cy");
    holder.execute_batch("ROLLBACK").unwrap();
    bo.assert_no_line(Duration::from_millis(100));
    cy.call("list_peers", json!({}));
    bo.next_wake_line();
}
