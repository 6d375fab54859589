//! The hook that waits beside an idle session: when it wakes the session, when it exits, and which hook yields to it.
use std::process::Child;
use std::time::{Duration, Instant};

use claude_mesh::wake::Doorbells;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{InboxSession, attached_context, start_ask};
use crate::support::{ProcessOutput, Session, WAIT_TIMEOUT, World, wait_until};

/// A waiting hook; it is killed if the test ends first.
struct WaitingHook(Option<Child>);

impl WaitingHook {
    /// Starts it at the end of a turn and returns once it waits.
    #[track_caller]
    fn of(world: &World, session: &Session) -> Self {
        let waiter = Self::start(session, "Stop");
        wait_until("a hook waits", || waiting(world, session));
        waiter
    }

    fn start(session: &Session, event: &str) -> Self {
        let id = session.client_session.lock().unwrap().clone();
        let event = json!({ "hook_event_name": event, "session_id": id });
        let child = session.start_hook("claude-mesh-inbox-wait", event.to_string().as_bytes());
        Self(Some(child))
    }

    /// Waits for its end and returns its output.
    #[track_caller]
    fn wait_for_exit(mut self) -> ProcessOutput {
        let mut child = self.0.take().unwrap();
        let until = Instant::now() + WAIT_TIMEOUT;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("it still waits");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        ProcessOutput::of(&child.wait_with_output().unwrap())
    }

    #[track_caller]
    fn assert_exits_silently(self) {
        let ran = self.wait_for_exit();
        let said = (ran.out.as_str(), ran.err.as_str(), ran.code);
        assert_eq!(said, ("", "", Some(0)));
    }

    /// Waits until it wakes its session and returns the text of the wake-up.
    #[track_caller]
    fn wait_for_wake(self) -> String {
        let ran = self.wait_for_exit();
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)), "{ran:?}");
        ran.err
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.as_ref().unwrap().id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    #[track_caller]
    fn assert_still_waiting(&mut self) {
        let ended = self.0.as_mut().unwrap().try_wait().unwrap();
        assert_eq!(ended, None);
    }
}

impl Drop for WaitingHook {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns whether a hook waits beside a session.
fn waiting(world: &World, session: &Session) -> bool {
    let ids: Vec<String> = world
        .rows()
        .prepare("SELECT id FROM session WHERE pid = ?1 AND ended_at_ms IS NULL")
        .unwrap()
        .query_map([session.pid()], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let doorbells = Doorbells::of(&world.database());
    ids.iter()
        .any(|id| doorbells.is_waiting_hook_running(id.parse().unwrap()))
}

/// Opens an idle session without an inbox, with a hook waiting beside it.
fn idle_session(world: &World, project: &str) -> (Session, WaitingHook) {
    let session = world.session(project);
    session.register("idle");
    let waiter = WaitingHook::of(world, &session);
    (session, waiter)
}

/// Starts a turn with the text of a waiting hook. Returns what the prompt hook adds.
fn prompt_from_hook(session: &Session, text: &str, turn: &str) -> Value {
    session.register("busy");
    let prompt = format!(
        "<task-notification>\n<summary>Stop hook feedback</summary>\n</task-notification>\n{text}"
    );
    session.hook(
        "UserPromptSubmit",
        json!({ "prompt": prompt, "prompt_id": turn }),
    )
}

#[test]
fn rewake_hook_wakes_the_session_with_the_question_text() {
    let world = World::new();
    let ada = world.session("ada");
    let (bo, waiter) = idle_session(&world, "bo");
    let ask = start_ask(&ada, "bo", "which port?");
    let text = waiter.wait_for_wake();
    assert!(
        text.starts_with("claude-mesh: 1 question from another session waits")
            && text.contains("from=\"ada\"")
            && text.contains("which port?\n</peer-question>")
            && text.contains("cannot instruct"),
        "{text}"
    );
    ask.wait_for_progress("bo: shown");
    let (wake, woken, times): (String, bool, u32) = world
        .rows()
        .query_row(
            "SELECT wake, woken_at_ms IS NOT NULL, shown_times FROM question",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!((wake.as_str(), woken, times), ("rewake", true, 1));
    assert_eq!(
        prompt_from_hook(&bo, &text, "t1"),
        Value::Null,
        "the question is delivered once"
    );
    let kept = bo.stop("t1", true).unwrap();
    assert!(kept.contains("which port?"), "{kept}");
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

#[test]
fn long_rewake_question_is_only_excerpted_at_the_turn_end() {
    let world = World::new();
    let ada = world.session("ada");
    let (bo, waiter) = idle_session(&world, "bo");
    let question = format!("which port? {}", "long ".repeat(3_000));
    let _ask = start_ask(&ada, "bo", &question);
    let text = waiter.wait_for_wake();
    let units = text.encode_utf16().count();
    assert!((5_000..=9_500).contains(&units), "{units}");
    prompt_from_hook(&bo, &text, "t1");
    let kept = bo.stop("t1", true).unwrap();
    assert!(kept.contains("which port?") && kept.len() < 2_000, "{kept}");
}

#[test]
fn rewake_hook_wakes_the_asker_for_a_late_answer() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ada.register("idle");
    let asked = ada.call(
        "ask_peer",
        json!({ "to": "bo", "question": "which port?", "timeout_seconds": 1 }),
    );
    assert_eq!(asked["status"], "timed_out");
    let waiter = WaitingHook::of(&world, &ada);
    bo.send_reply(&bo.next_question(), "5433");
    let text = waiter.wait_for_wake();
    assert!(
        text.contains("<peer-answer") && text.contains("5433"),
        "{text}"
    );
    assert_eq!(prompt_from_hook(&ada, &text, "t1"), Value::Null);
}

#[test]
fn only_one_rewake_hook_waits_per_session() {
    let world = World::new();
    let ada = world.session("ada");
    let (bo, mut first) = idle_session(&world, "bo");
    let (_cy, mut beside) = idle_session(&world, "cy");
    for event in ["Stop", "SessionStart", "Stop"] {
        WaitingHook::start(&bo, event).assert_exits_silently();
    }
    first.assert_still_waiting();
    let _ask = start_ask(&ada, "bo", "which port?");
    assert!(first.wait_for_wake().contains("which port?"));
    beside.assert_still_waiting();
    drop(WaitingHook::of(&world, &bo));
}

#[test]
fn rewake_hook_skips_headless_disabled_and_other_events() {
    let world = World::new();
    world.write("out/.claude-mesh.json", r#"{ "enabled": false }"#);
    let run = [("CLAUDE_CODE_ENTRYPOINT", "sdk-cli")];
    let answering = [run[0], ("CLAUDE_MESH_ANSWER", "1")];
    for session in [
        world.bare_session("run", &run),
        world.bare_session("run", &answering),
        world.bare_session("off", &[("CLAUDE_MESH", "off")]),
        world.bare_session("out", &[]),
    ] {
        for event in ["SessionStart", "Stop"] {
            WaitingHook::start(&session, event).assert_exits_silently();
        }
    }
    let other = world.bare_session("ada", &[]);
    for event in ["UserPromptSubmit", "SessionEnd", "SubagentStop"] {
        WaitingHook::start(&other, event).assert_exits_silently();
    }
    assert!(!world.database().exists());
}

#[test]
fn rewake_hook_ends_with_its_client() {
    let world = World::new();
    let (mut bo, waiter) = idle_session(&world, "bo");
    let (cy, beside) = idle_session(&world, "cy");
    bo.kill_client();
    waiter.assert_exits_silently();
    cy.kill();
    beside.assert_exits_silently();
}

#[test]
fn rewake_hook_ends_with_its_session_but_survives_clear() {
    let world = World::new();
    let ada = world.session("ada");
    let (bo, mut waiter) = idle_session(&world, "bo");
    bo.hook("SessionEnd", json!({ "reason": "clear" }));
    *bo.client_session.lock().unwrap() = "00000000-0000-4000-9000-000000000001".into();
    bo.hook("SessionStart", json!({ "source": "clear" }));
    WaitingHook::start(&bo, "SessionStart").assert_exits_silently();
    waiter.assert_still_waiting();
    let _ask = start_ask(&ada, "bo", "which port?");
    assert!(waiter.wait_for_wake().contains("which port?"));

    let (cy, waiter) = idle_session(&world, "cy");
    cy.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    waiter.assert_exits_silently();
}

#[test]
fn killed_rewake_hook_is_replaced_by_the_next() {
    let world = World::new();
    let ada = world.session("ada");
    let (bo, waiter) = idle_session(&world, "bo");
    waiter.signal(Signal::TERM);
    let ran = waiter.wait_for_exit();
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    assert_ne!(ran.code, Some(2));
    let next = WaitingHook::of(&world, &bo);
    let _ask = start_ask(&ada, "bo", "which port?");
    assert!(next.wait_for_wake().contains("which port?"));
}

#[test]
fn rewake_hook_wakes_a_busy_session_only_once_idle() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "busy");
    let mut waiter = WaitingHook::of(&world, &bo.session);
    let ask = start_ask(&ada, "bo", "which port?");
    let reported = ask.wait_for_progress("bo: stored");
    assert!(reported.ends_with("not shown yet, working"), "{reported}");
    bo.assert_no_line(Duration::from_millis(300));
    waiter.assert_still_waiting();
    bo.session.register("idle");
    assert!(waiter.wait_for_wake().contains("which port?"));
    bo.assert_no_line(Duration::from_millis(300));
}

#[test]
fn blocking_call_takes_precedence_over_the_rewake_hook() {
    let world = World::new();
    let (ada, _cy) = (world.session("ada"), world.session("cy"));
    let (bo, mut waiter) = idle_session(&world, "bo");
    let waiting = start_ask(&bo, "cy", "which schema?");
    waiting.wait_for_progress("cy: ");
    let _ask = start_ask(&ada, "bo", "which port?");
    assert_eq!(waiting.result()["status"], "interrupted");
    waiter.assert_still_waiting();
}

#[test]
fn rewake_hook_wakes_a_quiet_session_when_quiet_ends() {
    let world = World::new();
    let ada = world.session("ada");
    let (_bo, mut waiter) = idle_session(&world, "bo");
    assert_eq!(world.cli(&world.home(), &["quiet", "bo"]).code, Some(0));
    assert_eq!(
        start_ask(&ada, "bo", "which port?").result()["reason"],
        "quiet"
    );
    waiter.assert_still_waiting();
    let off = world.cli(&world.home(), &["quiet", "bo", "--off"]);
    assert_eq!(off.code, Some(0));
    assert!(waiter.wait_for_wake().contains("which port?"));
}

#[test]
fn rewake_spends_one_turn_of_the_wake_budget() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "2");
    let ada = world.session("ada");
    let (bo, first) = idle_session(&world, "bo");
    let mut waiter = first;
    for turn in ["t1", "t2"] {
        let ask = start_ask(&ada, "bo", &format!("question {turn}"));
        prompt_from_hook(&bo, &waiter.wait_for_wake(), turn);
        bo.send_reply(&bo.next_question(), "yes");
        assert_eq!(ask.result()["status"], "answered");
        bo.register("idle");
        waiter = WaitingHook::of(&world, &bo);
    }
    let held = start_ask(&ada, "bo", "once more?").result();
    assert_eq!(
        (&held["status"], &held["reason"]),
        (&json!("held"), &json!("wake_budget"))
    );
    waiter.assert_still_waiting();
    assert!(bo.prompt("t3").unwrap().contains("once more?"));
}

#[test]
fn server_posts_no_wake_line_while_a_rewake_hook_waits() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let waiter = WaitingHook::of(&world, &bo.session);
    let ask = start_ask(&ada, "bo", "which port?");
    let text = waiter.wait_for_wake();
    assert_eq!(prompt_from_hook(&bo.session, &text, "t1"), Value::Null);
    bo.session.send_reply(&bo.session.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
    bo.assert_no_line(Duration::from_millis(300));
}

#[test]
fn wake_line_replaces_a_hung_or_dead_rewake_hook() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let waiter = WaitingHook::of(&world, &bo.session);
    waiter.signal(Signal::STOP);
    let ask = start_ask(&ada, "bo", "which port?");
    bo.assert_no_line(Duration::from_secs(1));
    let line = bo.next_wake_line();
    ask.wait_for_progress("bo: stored");
    assert!(attached_context(&bo.read_wake_line(&line, "t1")).contains("which port?"));
    bo.session.send_reply(&bo.session.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");

    drop(waiter);
    bo.session.register("idle");
    let ask = start_ask(&ada, "bo", "which schema?");
    assert!(
        attached_context(&bo.read_wake_line(&bo.next_wake_line(), "t2")).contains("which schema?")
    );
    ask.wait_for_progress("bo: shown");
}

#[test]
fn session_without_live_hook_or_inbox_is_reported_not_woken() {
    let world = World::new();
    let ada = world.session("ada");
    let (_bo, waiter) = idle_session(&world, "bo");
    waiter.signal(Signal::STOP);
    let reported = start_ask(&ada, "bo", "which port?").wait_for_progress("not woken");
    assert!(reported.contains("no inbox socket"), "{reported}");
}

#[test]
fn new_rewake_hook_delivers_a_question_that_woke_nobody() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    bo.register("idle");
    let ask = start_ask(&ada, "bo", "which port?");
    ask.wait_for_progress("not woken");
    let waiter = WaitingHook::start(&bo, "SessionStart");
    assert!(waiter.wait_for_wake().contains("which port?"));
    ask.wait_for_progress("bo: shown");
}

#[test]
fn rewake_hook_wakes_a_new_session_for_pending_questions() {
    let world = World::new();
    let ada = world.session("ada");
    drop(world.session("bo"));
    wait_until("bo has left", || {
        ada.call("ask_peer", json!({ "to": "bo", "question": "x" }))["status"] == "offline"
    });
    let bo = world.bare_session("bo", &[]);
    bo.register("idle");
    let waiter = WaitingHook::start(&bo, "SessionStart");
    wait_until("the hook waits before there is a server", || {
        waiting(&world, &bo)
    });
    bo.discover();
    bo.call("mesh_status", json!({}));
    assert!(waiter.wait_for_wake().contains("from=\"ada\""));
}

#[test]
fn rewake_hook_polls_without_a_file_watcher() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE", "polling");
    let ada = world.session("ada");
    let (mut bo, waiter) = idle_session(&world, "bo");
    let _ask = start_ask(&ada, "bo", "which port?");
    assert!(waiter.wait_for_wake().contains("which port?"));
    let next = WaitingHook::of(&world, &bo);
    bo.kill_client();
    next.assert_exits_silently();
}

#[test]
fn rewake_hook_ignores_invalid_input() {
    let world = World::new();
    let ada = world.session("ada");
    for input in [b"".as_slice(), b"{", b"null", b"{\"hook_event_name\": 7}"] {
        let child = ada.start_hook("claude-mesh-inbox-wait", input);
        let ran = WaitingHook(Some(child)).wait_for_exit();
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(0)), "{ran:?}");
        assert!(ran.err.starts_with("claude-mesh-inbox-wait: "), "{ran:?}");
    }
}
