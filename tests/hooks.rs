//! The hooks as programs: what they print for each input, when they continue a turn, and that they never fail.
use serde_json::{Value, json};

use crate::support::World;
use crate::support::{question_id_in, start_ask};

fn payload(name: &str) -> String {
    let path = format!("{}/tests/payloads/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

// Requirement: Ask 8
#[test]
fn session_start_hook_prints_own_name_and_active_peers() {
    let world = World::new();
    let ada = world.bare_session("ada", &[]);
    let ran = ada.raw_hook("SessionStart", payload("session_start.startup").as_bytes());
    let output = ran.json();
    assert_eq!(
        output,
        json!({ "hookSpecificOutput": {
            "hookEventName": "SessionStart",
            "additionalContext": "claude-mesh: you are \"ada\" among the Claude Code sessions of this mesh. Nobody else is here now.",
        }})
    );
    ada.discover();
    ada.call("mesh_status", json!({}));
    let bo = world.bare_session("bo", &[]);
    let ran = bo.raw_hook("SessionStart", payload("session_start.resume").as_bytes());
    let output = ran.json();
    let text = output["hookSpecificOutput"]["additionalContext"]
        .as_str()
        .unwrap();
    assert!(
        text.contains("you are \"bo\"") && text.contains("Here now: ada ("),
        "{text}"
    );
    assert!(text.lines().count() <= 3);
}

#[test]
fn hooks_ignore_a_plain_headless_run() {
    let world = World::new();
    let run = world.bare_session("ada", &[("CLAUDE_CODE_ENTRYPOINT", "sdk-cli")]);
    for (event, name) in [
        ("SessionStart", "session_start.startup"),
        ("UserPromptSubmit", "user_prompt_submit.typed"),
        ("Stop", "stop"),
        ("SessionEnd", "session_end.other"),
    ] {
        let ran = run.raw_hook(event, payload(name).as_bytes());
        assert_eq!(
            (ran.out.as_str(), ran.err.as_str(), ran.code),
            ("", "", Some(0)),
            "{event}"
        );
    }
    assert!(!world.database().exists());
}

// Requirement: Ask 10
#[test]
fn hooks_log_invalid_input_and_print_nothing() {
    let world = World::new();
    let ada = world.session("ada");
    let inputs: [&[u8]; 6] = [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe{}",
        b"{\"hook_event_name\": 7}",
        b"null",
    ];
    for input in inputs {
        for event in ["SessionStart", "UserPromptSubmit", "Stop", "SessionEnd"] {
            let ran = ada.raw_hook(event, input);
            assert_eq!(
                (ran.out.as_str(), ran.code),
                ("", Some(0)),
                "{event} {input:?}"
            );
            assert!(ran.err.starts_with("claude-mesh-"), "{ran:?}");
        }
    }
    let log = std::fs::read_to_string(world.home().join(".claude-mesh/faults.log")).unwrap();
    assert_eq!(log.lines().count(), 24);
    assert!(!log.contains("struct"), "{log}");
    assert!(
        log.contains("claude-mesh-inbox-poll stdin is not an event of Claude Code"),
        "{log}"
    );
    assert_eq!(ada.name(), "ada", "the session is still registered");
}

#[test]
fn hooks_ignore_unknown_events_and_fields() {
    let world = World::new();
    let ada = world.session("ada");
    for event in ["SubagentStop", "PreCompact", "Notification", "Tomorrow"] {
        let output = ada.hook(event, json!({ "new_field": { "deep": [1, 2, 3] } }));
        assert_eq!(output, Value::Null, "{event}");
    }
    assert_eq!(ada.stop("t1", false), None);
}

#[test]
fn prompt_hook_attaches_nothing_while_a_call_waits() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let bo_asks = bo.start(
        "ask_peer",
        json!({ "to": "ada", "question": "which schema?" }),
    );
    bo_asks.wait_for_progress("ada: stored");
    let ada_asks = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    assert_eq!(ada_asks.result()["status"], "interrupted");
    assert_eq!(bo_asks.result()["status"], "interrupted");
    let waits = bo.start(
        "await_reply",
        json!({ "question_id": bo_asks.result()["question_id"] }),
    );
    waits.wait_for_progress("ada");
    assert_eq!(bo.prompt("t1"), None);
    waits.cancel();
    crate::support::wait_until("the call has ended", || bo.prompt("t2").is_some());
}

#[test]
fn prompt_hook_attaches_questions_to_a_notification() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    let output = bo.raw_hook(
        "UserPromptSubmit",
        payload("user_prompt_submit.notification").as_bytes(),
    );
    assert!(output.out.contains("which port?"), "{output:?}");
}

// Requirement: Beyond 12
#[test]
fn prompt_hook_limits_its_text_and_counts_omitted_questions() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let mut open = Vec::new();
    for number in 0..10 {
        let question = format!("{number} {}", "long ".repeat(2_000));
        let ask = ada.start("ask_peer", json!({ "to": "bo", "question": question }));
        ask.wait_for_progress("bo: stored");
        open.push(ask);
    }
    let attached = bo.prompt("t1").unwrap();
    assert!(
        attached.encode_utf16().count() <= 9_500,
        "{}",
        attached.encode_utf16().count()
    );
    assert!(
        attached.contains("10 questions from other sessions"),
        "{attached}"
    );
    assert!(attached.contains("more did not fit here"), "{attached}");
    let shown = attached.matches("<peer-question ").count();
    let counted = bo
        .questions()
        .iter()
        .filter(|question| question["shown_times"] == 2)
        .count();
    assert!(shown >= 2);
    assert_eq!(shown, counted, "only what was in the text counts as shown");
}

// Requirement: Ask 8
#[test]
fn stop_hook_blocks_while_a_question_is_unanswered() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    assert_eq!(bo.stop("t1", false), None);
    let ask = start_ask(&ada, "bo", "which port?");
    ask.wait_for_progress("bo: stored");
    let kept = bo.stop("t1", false).unwrap();
    assert!(kept.contains("which port?"), "{kept}");
    assert!(kept.contains("waiting=\"yes\""), "{kept}");
    ask.wait_for_progress("bo: shown");
    bo.send_reply(question_id_in(&kept), "5433");
    assert_eq!(ask.result()["answer"], "5433");
    assert_eq!(bo.stop("t1", true), None);
}

// Requirement: Beyond 11
#[test]
fn stop_hook_blocks_twice_per_turn_and_three_times_per_question() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = start_ask(&ada, "bo", "which port?");
    ask.wait_for_progress("bo: stored");
    assert!(bo.stop("t1", false).is_some());
    let repeat = bo.hook(
        "Stop",
        json!({ "prompt_id": "t1", "stop_hook_active": true }),
    );
    assert_eq!(repeat["decision"], "block");
    assert_eq!(bo.stop("t1", true), None);
    let prompt = bo.prompt("t2").unwrap();
    assert!(prompt.contains("which port?"), "{prompt}");
    assert!(bo.stop("t2", false).is_some());
    assert_eq!(bo.stop("t2", true), None);
    let prompt = bo.prompt("t3").unwrap();
    assert!(!prompt.contains("which port?"), "worn out: {prompt}");
    assert!(prompt.contains("still unanswered"), "{prompt}");
    assert_eq!(bo.stop("t3", false), None);
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

// Requirement: Beyond 11
#[test]
fn stop_hook_blocks_one_turn_at_most_five_times() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let mut kept = 0;
    let mut open = Vec::new();
    for number in 0..8 {
        let ask = start_ask(&ada, "bo", &format!("question {number}?"));
        ask.wait_for_progress("bo: stored");
        open.push(ask);
        kept += usize::from(bo.stop("t1", number > 0).is_some());
    }
    assert_eq!(kept, 5);
    assert_eq!(bo.questions().len(), 8);
}

// Requirement: Ask 8, Beyond 12
#[test]
fn prompt_hook_attaches_an_open_question_in_each_turn() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    assert_eq!(bo.prompt("t1"), None);
    let ask = start_ask(&ada, "bo", "which port?");
    ask.wait_for_progress("bo: stored");
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
    assert!(bo.prompt("t2").unwrap().contains("which port?"));
    let shown = ask.wait_for_progress("bo: shown");
    assert!(shown.contains("ago"), "{shown}");
}
