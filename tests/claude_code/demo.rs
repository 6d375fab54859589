//! `demo` with the real client: it shows what really happened and removes everything it made.
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::client::Lab;
use super::installed::version;

#[test]
fn real_demo_plays_its_scenarios_and_cleans_up() {
    let Some(lab) = Lab::new() else { return };
    let played = demo(&lab, &["--json"]).wait_with_output();
    let played = played.expect("the program was started");

    let said = String::from_utf8_lossy(&played.stdout);
    let reported: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{played:?}"));
    assert_eq!(reported["ok"], true, "{reported:#}");
    assert_eq!(reported["claude_code"], version());
    let wake: Vec<_> = steps(&reported["stories"][0]).collect();
    let [typed, asked, woken, answered, result] = wake[..] else {
        panic!("{reported:#}");
    };
    assert_eq!(
        typed,
        "frontend's user types: ask backend: which port does the API use?"
    );
    assert_eq!(
        asked,
        "frontend's Claude calls ask_peer: which port does the API use?"
    );
    assert!(
        woken.starts_with("backend starts a turn by itself: its model gets the question ("),
        "{woken}"
    );
    assert_eq!(answered, "backend's Claude calls reply_to_peer: 5433");
    assert!(
        result.starts_with("frontend's Claude gets \"5433\" as the result of its call ("),
        "{result}"
    );
    let quiet: Vec<_> = steps(&reported["stories"][1]).collect();
    assert!(
        quiet.iter().any(|it| it.contains("gets \"held\" at once")),
        "{quiet:#?}"
    );
    assert!(
        quiet
            .iter()
            .any(|it| it.starts_with("backend is woken and answers: ")),
        "{quiet:#?}"
    );
    assert_cleaned_up(&lab);
}

#[test]
fn stopped_real_demo_ends_its_clients_and_cleans_up() {
    let Some(lab) = Lab::new() else { return };
    let mut playing = demo(&lab, &[]);
    let mut reported = BufReader::new(playing.stdout.take().expect("the stream is piped"));
    let mut line = String::new();
    while !line.contains("frontend's user types") {
        line.clear();
        assert_ne!(
            reported.read_line(&mut line).expect("the output is text"),
            0,
            "it ended too early"
        );
    }

    let pid = playing.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.is_ok_and(|it| it.success()), "it runs");
    let mut complaint = String::new();
    let mut stderr = playing.stderr.take().expect("the stream is piped");
    stderr
        .read_to_string(&mut complaint)
        .expect("the output is text");

    assert_eq!(
        playing
            .wait()
            .expect("the process is a child of the test")
            .code(),
        Some(1)
    );
    assert!(
        complaint.contains("it was interrupted\nhint: its folder was removed"),
        "{complaint}"
    );
    assert_cleaned_up(&lab);
}

/// Starts the demo in a home of its own, with the pinned client on its path.
fn demo(lab: &Lab, arguments: &[&str]) -> Child {
    let empty = lab.path("new-home");
    fs::create_dir(&empty).expect("the folder is writable");
    Command::new(env!("CARGO_BIN_EXE_claude-mesh"))
        .args(["demo", "--real"])
        .args(arguments)
        .env_clear()
        .envs(lab.environment())
        .env("HOME", &empty)
        .current_dir(&empty)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is built")
}

fn steps(story: &Value) -> impl Iterator<Item = &str> {
    let steps = story["steps"].as_array().into_iter().flatten();
    steps.filter_map(Value::as_str)
}

#[track_caller]
fn assert_cleaned_up(lab: &Lab) {
    for folder in ["new-home", "tmp"] {
        let left = fs::read_dir(lab.path(folder)).expect("the folder was created before");
        let left: Vec<_> = left.flatten().map(|it| it.path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    // Each process of the demo has the path of its home in the environment.
    let place = lab.path("tmp").join("claude-mesh-demo-");
    let place = place.to_str().expect("the path is UTF-8").as_bytes();
    for process in fs::read_dir("/proc").expect("this is Linux").flatten() {
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        let ours = environment.windows(place.len()).any(|it| it == place);
        assert!(!ours, "{} runs still", program(&process.path()));
    }
}

fn program(process: &Path) -> String {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}
