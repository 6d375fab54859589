//! `claude-mesh post` and `claude-mesh messages` at the command line.
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{ProcessOutput, World, program};

fn piped(world: &World, arguments: &[&str], stdin: &[u8]) -> ProcessOutput {
    let mut child = world
        .command(program("claude-mesh"), &world.home())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may refuse before it has read all input.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    ProcessOutput::of(&child.wait_with_output().unwrap())
}

#[test]
fn person_posts_a_message_and_reads_the_reply() {
    let world = World::new();
    let bo = world.session("bo");
    let cli = |arguments: &[&str]| world.cli(&world.home(), arguments);
    assert_eq!(
        cli(&["messages"]).out.split(" for person@").next(),
        Some("no unread messages")
    );
    let posted = cli(&[
        "post",
        "bo",
        "the database moves",
        "--subject",
        "noon",
        "--json",
    ])
    .json();
    assert_eq!(
        (&posted["recipients"], &posted["offline"]),
        (&json!(1), &json!([]))
    );
    let message = &bo.call("list_messages", json!({}))["messages"][0];
    assert!(message["from"].as_str().unwrap().starts_with("person@"));
    let person = message["from"].clone();
    let posted = bo.call(
        "post",
        json!({ "to": person, "body": "fine\u{1b}[31m", "type": "alert", "subject": "re", "in_reply_to": message["message_id"] }),
    );
    assert_eq!(
        (&posted["recipients"], &posted["offline"]),
        (&json!(1), &json!([]))
    );
    let shown = cli(&["messages"]).out;
    let id = posted["message_id"].as_str().unwrap();
    assert_eq!(
        shown,
        format!(
            "{id}  bo, 0 s ago, alert: re\n  fine\nclaude-mesh messages --read {id} marks them as read\n"
        )
    );
    assert!(
        cli(&["inbox"])
            .out
            .contains("1 unread message: `claude-mesh messages` shows them")
    );
    let listed = cli(&["messages", "--json"]).json();
    assert_eq!(
        (&listed["unread"], &listed["cursor"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(listed["messages"][0]["in_reply_to"], message["message_id"]);
    assert_eq!(cli(&["messages", "--read", id]).out, "everything is read\n");
    assert!(
        cli(&["messages"])
            .out
            .starts_with("no unread messages for person@")
    );
    assert_eq!(
        cli(&["messages", "--all", "--json"]).json()["messages"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

// Requirement: Peers 4
#[test]
fn person_subscribes_to_topics_and_lists_them() {
    let world = World::new();
    let bo = world.session("bo");
    let cli = |arguments: &[&str]| world.cli(&world.home(), arguments);
    assert_eq!(
        cli(&["messages", "--topics"]).out,
        "no topic has a subscriber\n"
    );
    bo.call("subscribe", json!({ "topics": ["ops"] }));
    assert_eq!(cli(&["messages", "--topics"]).out, "#ops  bo\n");
    let topics = cli(&[
        "messages",
        "--subscribe",
        "ops",
        "--subscribe",
        "#alerts",
        "--json",
    ])
    .json();
    assert_eq!(
        topics["topics"][0]["subscribers"].as_array().unwrap().len(),
        2
    );
    bo.call("post", json!({ "to": "#alerts", "body": "disk full" }));
    assert!(
        cli(&["messages"])
            .out
            .contains("bo to #alerts, 0 s ago\n  disk full")
    );
    assert_eq!(
        cli(&["messages", "--unsubscribe", "alerts"]).out,
        "#alerts  nobody\n"
    );
    assert!(
        cli(&["messages", "--topic", "alerts"])
            .out
            .contains("disk full")
    );
    let posted = cli(&["post", "#nobody", "x"]).out;
    assert!(posted.starts_with("posted for nobody yet  01"), "{posted}");
}

#[test]
fn message_is_read_from_stdin_and_non_text_is_refused() {
    let world = World::new();
    let bo = world.session("bo");
    let posted = piped(&world, &["post", "bo"], b"two\nlines\n");
    assert_eq!(posted.code, Some(0), "{posted:?}");
    assert_eq!(
        bo.call("list_messages", json!({}))["messages"][0]["body"],
        "two\nlines"
    );
    let bad = piped(&world, &["post", "bo", "-"], b"\xff\xfe");
    assert_eq!((bad.code, bad.out.as_str()), (Some(1), ""));
    assert!(
        bad.err
            .contains("the message from stdin is not UTF-8\nhint: "),
        "{bad:?}"
    );
    let large = piped(&world, &["post", "bo", "-"], &vec![b'x'; 70_000]);
    assert_eq!(large.code, Some(1));
    assert!(large.err.contains("more than 65536 bytes"), "{large:?}");
    assert_eq!(bo.call("list_messages", json!({}))["unread"], 1);
}

#[test]
fn message_command_errors_are_at_most_two_lines() {
    let world = World::new();
    let _bo = world.session("bo");
    let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(4));
    for (arguments, code, says) in [
        (
            vec!["post", "bob", "x"],
            1,
            "no peer called \"bob\" in this mesh\nhint: nearest: bo",
        ),
        (
            vec!["post", "two words", "x"],
            1,
            "is no peer, no #topic and not *\nhint: ",
        ),
        (vec!["post", "bo", ""], 1, "\"body\" is empty"),
        (
            vec!["post", "bo", "{", "--type", "json"],
            1,
            "does not parse: EOF",
        ),
        (
            vec!["post", "bo", "x", "--reply-to", "soon"],
            1,
            "no message \"soon\" in this mesh\nhint: `claude-mesh messages --all`",
        ),
        (vec!["post", "bo", &token], 1, "looks like a GitHub token"),
        (vec!["post", "bo", "x", "--type", "alarm"], 2, "alarm"),
        (vec!["post", "bo", "x", "--ttl", "soon"], 2, "soon"),
        (vec!["post"], 2, "<TO>"),
        (
            vec!["messages", "--read", "01K00000000000000000000000"],
            1,
            "no message",
        ),
        (vec!["messages", "--after", "x"], 1, "no message \"x\""),
        (
            vec!["messages", "--from", "bob"],
            1,
            "no peer called \"bob\"",
        ),
        (vec!["messages", "--topic", "*"], 1, "a topic has 1 to 64"),
        (vec!["messages", "--limit", "0"], 2, "1..=100"),
        (
            vec!["messages", "--read", "x", "--topics"],
            2,
            "cannot be used with",
        ),
    ] {
        let ran = world.cli(&world.home(), &arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?} {ran:?}");
        assert!(ran.err.contains(says), "{arguments:?} {ran:?}");
    }
    let forced = world.cli(&world.home(), &["post", "bo", &token, "--force"]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
}

#[test]
fn listing_messages_creates_no_database() {
    let world = World::new();
    for arguments in [
        vec!["messages"],
        vec!["messages", "--topics"],
        vec!["post", "bo", "x"],
    ] {
        world.cli(&world.home(), &arguments);
        assert!(!world.database().exists(), "{arguments:?}");
    }
    assert_eq!(world.cli(&world.home(), &["messages"]).code, Some(0));
    assert_eq!(world.cli(&world.home(), &["post", "bo", "x"]).code, Some(1));
}

#[test]
fn gc_reports_the_number_of_removed_messages() {
    let world = World::new();
    let bo = world.session("bo");
    world.cli(&world.home(), &["post", "bo", "short", "--ttl", "1s"]);
    assert_eq!(bo.call("list_messages", json!({}))["unread"], 1);
    world
        .rows()
        .execute("UPDATE message SET expires_at_ms = 1", [])
        .unwrap();
    let reclaimed = world.cli(&world.home(), &["gc", "--json"]).json();
    assert_eq!(reclaimed["reclaimed"]["messages"], 1);
}
