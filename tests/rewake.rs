//! The hook that waits beside an idle session: when it wakes the session, when it leaves, and who stands back for it.
use std::process::Child;
use std::time::{Duration, Instant};

use claude_mesh::wake::Bells;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::ring::{Rung, asks, attached};
use crate::world::{PATIENCE, Ran, Session, World, within};

/// A hook that waits; it is killed if the test ends before it.
struct Waiter(Option<Child>);

impl Waiter {
    /// Starts it at the end of a turn and returns once it waits.
    #[track_caller]
    fn of(world: &World, session: &Session) -> Self {
        let waiter = Self::start(session, "Stop");
        within("a hook waits", || waits(world, session));
        waiter
    }

    fn start(session: &Session, event: &str) -> Self {
        let id = session.client_session.lock().unwrap().clone();
        let event = json!({ "hook_event_name": event, "session_id": id });
        let child = session.start_hook("claude-mesh-inbox-wait", event.to_string().as_bytes());
        Self(Some(child))
    }

    /// Waits for its end and returns what it said.
    #[track_caller]
    fn ends(mut self) -> Ran {
        let mut child = self.0.take().unwrap();
        let until = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("it still waits");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ran::of(&child.wait_with_output().unwrap())
    }

    #[track_caller]
    fn leaves_without_a_word(self) {
        let ran = self.ends();
        let said = (ran.out.as_str(), ran.err.as_str(), ran.code);
        assert_eq!(said, ("", "", Some(0)));
    }

    /// Waits until it wakes its session and returns the text it does that with.
    #[track_caller]
    fn wakes(self) -> String {
        let ran = self.ends();
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)), "{ran:?}");
        ran.err
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.as_ref().unwrap().id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    #[track_caller]
    fn still_waits(&mut self) {
        let ended = self.0.as_mut().unwrap().try_wait().unwrap();
        assert_eq!(ended, None);
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns whether a hook waits beside a session.
fn waits(world: &World, session: &Session) -> bool {
    let ids: Vec<String> = world
        .rows()
        .prepare("SELECT id FROM session WHERE pid = ?1 AND ended_at_ms IS NULL")
        .unwrap()
        .query_map([session.pid()], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let bells = Bells::of(&world.database());
    ids.iter().any(|id| bells.has_waiter(id.parse().unwrap()))
}

/// Opens a session that sits at its prompt, has no inbox, and beside which a hook waits.
fn idle(world: &World, project: &str) -> (Session, Waiter) {
    let session = world.session(project);
    session.register("idle");
    let waiter = Waiter::of(world, &session);
    (session, waiter)
}

/// The client starts a turn with what a waiting hook has said. Returns what the prompt hook adds.
fn notified(session: &Session, text: &str, turn: &str) -> Value {
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
fn a_question_ends_the_wait_and_its_text_wakes_the_session() {
    let world = World::new();
    let ada = world.session("ada");
    let (bo, waiter) = idle(&world, "bo");
    let ask = asks(&ada, "bo", "which port?");
    let text = waiter.wakes();
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
        notified(&bo, &text, "t1"),
        Value::Null,
        "one copy is enough"
    );
    let kept = bo.stop("t1", true).unwrap();
    assert!(kept.contains("which port?"), "{kept}");
    bo.replies(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

#[test]
fn a_long_question_that_woke_the_session_is_only_recalled_at_the_end_of_that_turn() {
    let world = World::new();
    let ada = world.session("ada");
    let (bo, waiter) = idle(&world, "bo");
    let question = format!("which port? {}", "long ".repeat(3_000));
    let _ask = asks(&ada, "bo", &question);
    let text = waiter.wakes();
    let units = text.encode_utf16().count();
    assert!((5_000..=9_500).contains(&units), "{units}");
    notified(&bo, &text, "t1");
    let kept = bo.stop("t1", true).unwrap();
    assert!(kept.contains("which port?") && kept.len() < 2_000, "{kept}");
}

#[test]
fn a_late_answer_wakes_its_asker_as_well() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ada.register("idle");
    let asked = ada.call(
        "ask_peer",
        json!({ "to": "bo", "question": "which port?", "timeout_seconds": 1 }),
    );
    assert_eq!(asked["status"], "timed_out");
    let waiter = Waiter::of(&world, &ada);
    bo.replies(&bo.next_question(), "5433");
    let text = waiter.wakes();
    assert!(
        text.contains("<peer-answer") && text.contains("5433"),
        "{text}"
    );
    assert_eq!(notified(&ada, &text, "t1"), Value::Null);
}

#[test]
fn one_hook_waits_beside_a_session_and_further_ones_leave() {
    let world = World::new();
    let ada = world.session("ada");
    let (bo, mut first) = idle(&world, "bo");
    let (_cy, mut beside) = idle(&world, "cy");
    for event in ["Stop", "SessionStart", "Stop"] {
        Waiter::start(&bo, event).leaves_without_a_word();
    }
    first.still_waits();
    let _ask = asks(&ada, "bo", "which port?");
    assert!(first.wakes().contains("which port?"));
    beside.still_waits();
    drop(Waiter::of(&world, &bo));
}

#[test]
fn nothing_waits_in_a_run_a_switched_off_project_or_at_another_event() {
    let world = World::new();
    world.write("out/.claude-mesh.json", r#"{ "enabled": false }"#);
    let run = [("CLAUDE_CODE_ENTRYPOINT", "sdk-cli")];
    let answering = [run[0], ("CLAUDE_MESH_ANSWER", "1")];
    for session in [
        world.window("run", &run),
        world.window("run", &answering),
        world.window("off", &[("CLAUDE_MESH", "off")]),
        world.window("out", &[]),
    ] {
        for event in ["SessionStart", "Stop"] {
            Waiter::start(&session, event).leaves_without_a_word();
        }
    }
    let other = world.window("ada", &[]);
    for event in ["UserPromptSubmit", "SessionEnd", "SubagentStop"] {
        Waiter::start(&other, event).leaves_without_a_word();
    }
    assert!(!world.database().exists());
}

#[test]
fn it_ends_with_its_client_however_that_ends() {
    let world = World::new();
    let (mut bo, waiter) = idle(&world, "bo");
    let (cy, beside) = idle(&world, "cy");
    bo.kill_client();
    waiter.leaves_without_a_word();
    cy.kill();
    beside.leaves_without_a_word();
}

#[test]
fn it_leaves_with_its_session_and_stays_when_the_client_goes_on() {
    let world = World::new();
    let ada = world.session("ada");
    let (bo, mut waiter) = idle(&world, "bo");
    bo.hook("SessionEnd", json!({ "reason": "clear" }));
    *bo.client_session.lock().unwrap() = "00000000-0000-4000-9000-000000000001".into();
    bo.hook("SessionStart", json!({ "source": "clear" }));
    Waiter::start(&bo, "SessionStart").leaves_without_a_word();
    waiter.still_waits();
    let _ask = asks(&ada, "bo", "which port?");
    assert!(waiter.wakes().contains("which port?"));

    let (cy, waiter) = idle(&world, "cy");
    cy.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    waiter.leaves_without_a_word();
}

#[test]
fn one_that_was_ended_from_outside_makes_room_for_the_next() {
    let world = World::new();
    let ada = world.session("ada");
    let (bo, waiter) = idle(&world, "bo");
    waiter.signal(Signal::TERM);
    let ran = waiter.ends();
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    assert_ne!(ran.code, Some(2));
    let next = Waiter::of(&world, &bo);
    let _ask = asks(&ada, "bo", "which port?");
    assert!(next.wakes().contains("which port?"));
}

#[test]
fn a_session_at_work_is_not_woken_before_it_is_idle() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = Rung::open(&world, "bo", "busy");
    let mut waiter = Waiter::of(&world, &bo.session);
    let ask = asks(&ada, "bo", "which port?");
    let told = ask.wait_for_progress("bo: stored");
    assert!(told.ends_with("not shown yet, working"), "{told}");
    bo.stays_silent(Duration::from_millis(300));
    waiter.still_waits();
    bo.session.register("idle");
    assert!(waiter.wakes().contains("which port?"));
    bo.stays_silent(Duration::from_millis(300));
}

#[test]
fn a_call_that_waits_is_the_better_way() {
    let world = World::new();
    let (ada, _cy) = (world.session("ada"), world.session("cy"));
    let (bo, mut waiter) = idle(&world, "bo");
    let waits = asks(&bo, "cy", "which schema?");
    waits.wait_for_progress("cy: ");
    let _ask = asks(&ada, "bo", "which port?");
    assert_eq!(waits.result()["status"], "interrupted");
    waiter.still_waits();
}

#[test]
fn a_quiet_session_is_woken_when_quiet_ends() {
    let world = World::new();
    let ada = world.session("ada");
    let (_bo, mut waiter) = idle(&world, "bo");
    assert_eq!(world.cli(&world.home(), &["quiet", "bo"]).code, Some(0));
    assert_eq!(asks(&ada, "bo", "which port?").result()["reason"], "quiet");
    waiter.still_waits();
    let off = world.cli(&world.home(), &["quiet", "bo", "--off"]);
    assert_eq!(off.code, Some(0));
    assert!(waiter.wakes().contains("which port?"));
}

#[test]
fn a_wake_spends_one_of_the_turns_that_peers_may_start() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "2");
    let ada = world.session("ada");
    let (bo, first) = idle(&world, "bo");
    let mut waiter = first;
    for turn in ["t1", "t2"] {
        let ask = asks(&ada, "bo", &format!("question {turn}"));
        notified(&bo, &waiter.wakes(), turn);
        bo.replies(&bo.next_question(), "yes");
        assert_eq!(ask.result()["status"], "answered");
        bo.register("idle");
        waiter = Waiter::of(&world, &bo);
    }
    let held = asks(&ada, "bo", "once more?").result();
    assert_eq!(
        (&held["status"], &held["reason"]),
        (&json!("held"), &json!("wake_budget"))
    );
    waiter.still_waits();
    assert!(bo.prompt("t3").unwrap().contains("once more?"));
}

#[test]
fn the_server_leaves_the_ringing_to_a_hook_that_waits() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = Rung::open(&world, "bo", "idle");
    let waiter = Waiter::of(&world, &bo.session);
    let ask = asks(&ada, "bo", "which port?");
    let text = waiter.wakes();
    assert_eq!(notified(&bo.session, &text, "t1"), Value::Null);
    bo.session.replies(&bo.session.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
    bo.stays_silent(Duration::from_millis(300));
}

#[test]
fn a_hook_that_hangs_or_dies_is_made_up_for_by_the_bell() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = Rung::open(&world, "bo", "idle");
    let waiter = Waiter::of(&world, &bo.session);
    waiter.signal(Signal::STOP);
    let ask = asks(&ada, "bo", "which port?");
    bo.stays_silent(Duration::from_secs(1));
    let line = bo.bell();
    ask.wait_for_progress("bo: stored");
    assert!(attached(&bo.reads(&line, "t1")).contains("which port?"));
    bo.session.replies(&bo.session.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");

    drop(waiter);
    bo.session.register("idle");
    let ask = asks(&ada, "bo", "which schema?");
    assert!(attached(&bo.reads(&bo.bell(), "t2")).contains("which schema?"));
    ask.wait_for_progress("bo: shown");
}

#[test]
fn a_session_that_neither_hook_nor_line_wakes_is_told_as_not_woken() {
    let world = World::new();
    let ada = world.session("ada");
    let (_bo, waiter) = idle(&world, "bo");
    waiter.signal(Signal::STOP);
    let told = asks(&ada, "bo", "which port?").wait_for_progress("not woken");
    assert!(told.contains("no inbox socket"), "{told}");
}

#[test]
fn a_question_that_no_line_could_bring_wakes_the_session_as_soon_as_a_hook_waits() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    bo.register("idle");
    let ask = asks(&ada, "bo", "which port?");
    ask.wait_for_progress("not woken");
    let waiter = Waiter::start(&bo, "SessionStart");
    assert!(waiter.wakes().contains("which port?"));
    ask.wait_for_progress("bo: shown");
}

#[test]
fn a_session_that_has_just_started_is_woken_for_what_waited_for_it() {
    let world = World::new();
    let ada = world.session("ada");
    drop(world.session("bo"));
    within("bo is gone", || {
        ada.call("ask_peer", json!({ "to": "bo", "question": "x" }))["status"] == "offline"
    });
    let bo = world.window("bo", &[]);
    bo.register("idle");
    let waiter = Waiter::start(&bo, "SessionStart");
    within("it waits before there is a server", || waits(&world, &bo));
    bo.discover();
    bo.call("mesh_status", json!({}));
    assert!(waiter.wakes().contains("from=\"ada\""));
}

#[test]
fn where_there_is_no_watcher_it_looks_now_and_then() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE", "polling");
    let ada = world.session("ada");
    let (mut bo, waiter) = idle(&world, "bo");
    let _ask = asks(&ada, "bo", "which port?");
    assert!(waiter.wakes().contains("which port?"));
    let next = Waiter::of(&world, &bo);
    bo.kill_client();
    next.leaves_without_a_word();
}

#[test]
fn bad_input_wakes_nobody() {
    let world = World::new();
    let ada = world.session("ada");
    for input in [b"".as_slice(), b"{", b"null", b"{\"hook_event_name\": 7}"] {
        let child = ada.start_hook("claude-mesh-inbox-wait", input);
        let ran = Waiter(Some(child)).ends();
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(0)), "{ran:?}");
        assert!(ran.err.starts_with("claude-mesh-inbox-wait: "), "{ran:?}");
    }
}
