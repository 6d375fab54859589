//! The person as a peer: asked by name, notified by a terminal, a board or a program, within a budget, and answering.
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout};
use std::sync::Arc;

use claude_mesh::mesh::{JoinRequest, Member, Mesh};
use claude_mesh::model::PeerKind;
use claude_mesh::platform::{SystemClock, process};
use serde_json::{Value, json};

use crate::support::{BackgroundProcess, Session, World, start_ask, start_command, wait_until};

/// A terminal of the person that follows the inbox with `--json`.
struct Follower {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Follower {
    /// Starts the command and waits until sessions see the person.
    fn start(world: &World, observer: &Session) -> Self {
        let mut process = start_command(world, &world.home(), &["inbox", "--follow", "--json"]);
        let lines = BufReader::new(process.stdout.take().unwrap());
        wait_until("the person is reachable by a terminal", || {
            ways(observer).contains(&json!("terminal"))
        });
        Self { process, lines }
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.process.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the person as `list_peers` shows them.
fn listed_person(observer: &Session) -> Option<Value> {
    let listed = observer.call("list_peers", json!({}));
    let mut peers = listed["peers"].as_array().unwrap().clone().into_iter();
    peers.find(|peer| peer["peer"].as_str().unwrap().starts_with("person@"))
}

/// Returns by what the person is reachable.
fn ways(observer: &Session) -> Vec<Value> {
    let person = listed_person(observer);
    person.map_or_else(Vec::new, |person| {
        person["reachable_by"].as_array().unwrap().clone()
    })
}

fn person_name(world: &World) -> String {
    let listed = world.cli(&world.home(), &["peers", "--json"]).json();
    listed["you"].as_str().unwrap().to_owned()
}

fn answer(world: &World, question: &Value, text: &str) {
    let id = question["question_id"].as_str().unwrap();
    let replied = world.cli(&world.home(), &["reply", id, text]);
    assert_eq!(replied.code, Some(0), "{replied:?}");
}

fn ask_briefly(asker: &Session, question: &str) -> Value {
    let arguments = json!({ "to": "person", "question": question, "timeout_seconds": 1 });
    asker.call("ask_peer", arguments)
}

/// Opens a session of the person as the hub does for an open board.
fn open_board(world: &World) -> Member {
    let mesh = Mesh::open(&world.database(), Arc::new(SystemClock::new())).unwrap();
    let mut request = JoinRequest::of(process::this_process(), PeerKind::Person, None);
    request.agent = Some("board".into());
    mesh.join(&request).unwrap()
}

/// Sets a notification command that writes what it gets into a file of its own for each question. Returns their folder.
fn set_notify_command(world: &mut World) -> PathBuf {
    let folder = world.project("notified");
    let content = format!(
        "#!/bin/sh\ncd {}\n{{ echo \"$CLAUDE_MESH_PEER|$CLAUDE_MESH_REASON|$#\"; cat; }} >$$ && mv $$ \"got-$CLAUDE_MESH_QUESTION-$$\"\n",
        folder.display()
    );
    let script = world.executable("notify", content.as_bytes());
    world.set("CLAUDE_MESH_NOTIFY_CMD", script.to_str().unwrap());
    folder
}

/// Returns the names and contents of the notifications so far.
fn notifications(folder: &PathBuf) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let got = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("got-"));
    got.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read_to_string(entry.path()).unwrap())
    })
    .collect()
}

fn fault_log(world: &World) -> String {
    let path = world.home().join(".claude-mesh/faults.log");
    std::fs::read_to_string(path).unwrap_or_default()
}

// Requirement: Beyond 20
#[test]
fn person_answers_a_question_that_the_terminal_shows() {
    let world = World::new();
    let ada = world.session("ada");
    let mut follower = Follower::start(&world, &ada);
    let ask = start_ask(&ada, "person", "may I drop the table?");
    let shown = follower.next();
    assert_eq!(
        (
            &shown["kind"],
            &shown["from"],
            &shown["question"],
            &shown["asker_waiting"]
        ),
        (
            &json!("question"),
            &json!("ada"),
            &json!("may I drop the table?"),
            &json!(true)
        )
    );
    ask.wait_for_progress("shown");
    answer(&world, &shown, "no");
    let result = ask.result();
    let expected = json!(["answered", "person", "no", person_name(&world)]);
    let got = ["status", "by", "answer", "from"].map(|key| result[key].clone());
    assert_eq!(json!(got), expected);
}

#[test]
fn person_without_terminal_board_or_program_is_offline() {
    let world = World::new();
    let ada = world.session("ada");
    assert_eq!(listed_person(&ada), None);
    let result = ask_briefly(&ada, "which port?");
    assert_eq!(result["status"], "offline", "{result}");
    let hint = result["hint"].as_str().unwrap();
    for way in [
        "board",
        "claude-mesh inbox --follow",
        "CLAUDE_MESH_NOTIFY_CMD",
    ] {
        assert!(hint.contains(way), "{hint}");
    }
    let inbox = world.cli(&world.home(), &["inbox", "--json"]).json();
    assert_eq!(inbox["questions"][0]["question"], "which port?");
    let mut follower = Follower::start(&world, &ada);
    assert_eq!(follower.next()["question"], "which port?");
}

// Requirement: Beyond 20
#[test]
fn notify_command_gets_each_question_once_on_stdin() {
    let mut world = World::new();
    let folder = set_notify_command(&mut world);
    let ada = world.session("ada");
    assert_eq!(ways(&ada), [json!("notify")]);
    let text = "which $(port)?\nand `host`?";
    let ask = start_ask(&ada, "person", text);
    wait_until("the program has run", || !notifications(&folder).is_empty());
    let (name, content) = notifications(&folder).remove(0);
    assert_eq!(content, format!("ada|a session asks you|0\n{text}"));
    assert!(ask.is_open(), "it waits, because the person is notified");
    let inbox = world.cli(&world.home(), &["inbox", "--json"]).json();
    let question = &inbox["questions"][0];
    assert!(name.contains(question["question_id"].as_str().unwrap()));
    assert_eq!(ask_briefly(&ada, text)["status"], "timed_out");
    answer(&world, question, "5433");
    assert_eq!(ask.result()["by"], "person");
    assert_eq!(notifications(&folder).len(), 1, "joining notifies nobody");
}

#[test]
fn failing_notify_program_is_logged_and_fails_no_ask() {
    let mut world = World::new();
    let script = world.executable("notify", b"#!/bin/sh\nexit 7\n");
    world.set("CLAUDE_MESH_NOTIFY_CMD", script.to_str().unwrap());
    let ada = world.session("ada");
    assert_eq!(ask_briefly(&ada, "which port?")["status"], "timed_out");
    wait_until("the fault is logged", || {
        fault_log(&world).contains("exit status: 7")
    });
    std::fs::remove_file(&script).unwrap();
    assert_eq!(ask_briefly(&ada, "which host?")["status"], "timed_out");
    wait_until("the fault is logged", || {
        fault_log(&world).contains("No such file")
    });
}

#[cfg(target_os = "linux")]
#[test]
fn desktop_notification_is_left_to_the_command_line() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_NOTIFY", "desktop");
    world.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let ada = world.session("ada");
    assert_eq!(ways(&ada), [json!("notify")]);
    assert_eq!(ask_briefly(&ada, "which port?")["status"], "timed_out");
    wait_until("the missing desktop is logged", || {
        fault_log(&world).contains("claude-mesh: ended with exit status: 1")
    });
    let folder = world.home();
    let shown = world.cli(
        &folder,
        &["notify", "--from", "bo", "--question", "1", "--json"],
    );
    assert!(shown.out.contains("CLAUDE_MESH_NOTIFY_CMD"), "{shown:?}");
}

#[test]
fn fourth_question_of_a_session_within_an_hour_is_held() {
    let mut world = World::new();
    let folder = set_notify_command(&mut world);
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    for question in ["1?", "2?", "3?"] {
        assert_eq!(ask_briefly(&ada, question)["status"], "timed_out");
    }
    let held = ask_briefly(&ada, "4?");
    assert_eq!(
        (&held["status"], &held["reason"]),
        (&json!("held"), &json!("person_budget"))
    );
    assert!(held["until"].as_str().unwrap().ends_with('Z'), "{held}");
    assert_eq!(
        ask_briefly(&bo, "5?")["status"],
        "timed_out",
        "another session may"
    );
    wait_until("four questions are notified", || {
        notifications(&folder).len() == 4
    });
    let inbox = world.cli(&world.home(), &["inbox", "--json"]).json();
    let shown = inbox["questions"].as_array().unwrap();
    assert!(
        shown.iter().any(|question| question["question"] == "4?"),
        "{inbox}"
    );
}

#[test]
fn held_question_notifies_when_asked_again_after_an_hour() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_PERSON_BUDGET", "1");
    let folder = set_notify_command(&mut world);
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    assert_eq!(ask_briefly(&ada, "1?")["status"], "timed_out");
    for _ in 0..2 {
        let held = ask_briefly(&bo, "2?");
        assert_eq!(held["reason"], "person_budget", "{held}");
    }
    let an_hour_earlier = "UPDATE question SET asked_at_ms = asked_at_ms - 3600001";
    world.rows().execute(an_hour_earlier, []).unwrap();
    assert_eq!(ask_briefly(&bo, "2?")["status"], "timed_out");
    wait_until("both are notified", || notifications(&folder).len() == 2);
    assert_eq!(
        ask_briefly(&ada, "3?")["status"],
        "held",
        "it counts from now on"
    );
}

#[test]
fn person_budget_of_zero_holds_all_questions() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_PERSON_BUDGET", "0");
    let ada = world.session("ada");
    let mut follower = Follower::start(&world, &ada);
    let held = ask_briefly(&ada, "which port?");
    assert_eq!(
        (&held["status"], &held["until"]),
        (&json!("held"), &json!(null))
    );
    let posted = world.cli(&world.project("bo"), &["post", "person", "hello"]);
    assert_eq!(
        posted.code,
        Some(1),
        "the person writes to themselves: {posted:?}"
    );
    ada.call("post", json!({ "to": "person", "body": "no question" }));
    assert_eq!(
        follower.next()["kind"],
        "message",
        "the held question is not shown"
    );
}

#[test]
fn killed_terminal_ends_the_ask_as_offline() {
    let world = World::new();
    let ada = world.session("ada");
    let mut follower = Follower::start(&world, &ada);
    let ask = start_ask(&ada, "person", "which port?");
    let shown = follower.next();
    follower.signal(rustix::process::Signal::KILL);
    assert_eq!(ask.result()["status"], "offline");
    wait_until("the process has ended", || listed_person(&ada).is_none());
    answer(&world, &shown, "5433");
    let id = shown["question_id"].as_str().unwrap();
    let late = ada.call("await_reply", json!({ "question_id": id }));
    assert_eq!(
        (&late["answer"], &late["by"]),
        (&json!("5433"), &json!("person"))
    );
}

#[test]
fn ctrl_c_ends_the_terminal_and_unregisters_the_person() {
    let world = World::new();
    let ada = world.session("ada");
    let mut follower = Follower::start(&world, &ada);
    // What it prints shows that it handles signals now.
    ada.call("post", json!({ "to": "person", "body": "all done" }));
    assert_eq!(follower.next()["body"], "all done");
    follower.signal(rustix::process::Signal::INT);
    assert_eq!(follower.process.wait().unwrap().code(), Some(0));
    assert_eq!(listed_person(&ada), None);
}

#[test]
fn board_and_terminal_both_show_a_question() {
    let world = World::new();
    let ada = world.session("ada");
    let mut follower = Follower::start(&world, &ada);
    let mut board = open_board(&world);
    assert_eq!(ways(&ada), [json!("board"), json!("terminal")]);
    let ask = start_ask(&ada, "person", "which port?");
    assert_eq!(follower.next()["question"], "which port?");
    let on_board = board.next_questions(crate::support::WAIT_TIMEOUT).unwrap();
    let question = on_board.questions[0].delivery.question.id;
    board.answer(question, "5433").unwrap();
    assert_eq!(ask.result()["by"], "person");
    drop(follower);
    wait_until("the board alone is left", || ways(&ada) == [json!("board")]);
}

#[test]
fn short_command_of_the_person_hides_no_terminal() {
    let world = World::new();
    let ada = world.session("ada");
    let _follower = Follower::start(&world, &ada);
    let mesh = Mesh::open(&world.database(), Arc::new(SystemClock::new())).unwrap();
    let request = JoinRequest::of(process::this_process(), PeerKind::Person, None);
    // A registered session without its lock, as of a command that ends at once.
    let mut mesh = mesh;
    mesh.register(&request).unwrap();
    assert_eq!(ways(&ada), [json!("terminal")]);
    assert_eq!(ask_briefly(&ada, "which port?")["status"], "timed_out");
}

#[test]
fn late_answer_and_mail_come_to_the_terminal() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let asked = world.cli(
        &world.home(),
        &["ask", "bo", "which port?", "--timeout", "1s", "--json"],
    );
    assert_eq!(asked.json()["status"], "timed_out");
    let mut follower = Follower::start(&world, &ada);
    bo.send_reply(&bo.next_question(), "5433");
    let late = follower.next();
    assert_eq!(
        (&late["kind"], &late["answer"]),
        (&json!("answer"), &json!("5433"))
    );
    ada.call("post", json!({ "to": "person", "body": "all done" }));
    let mail = follower.next();
    assert_eq!(
        (&mail["kind"], &mail["body"]),
        (&json!("message"), &json!("all done"))
    );
}

#[test]
fn peer_named_person_keeps_its_name() {
    let world = World::new();
    let (ada, other) = (world.session("ada"), world.session("person"));
    let mut follower = Follower::start(&world, &ada);
    let ask = start_ask(&ada, "person", "which port?");
    other.send_reply(&other.next_question(), "5433");
    assert_eq!(ask.result()["by"], "session");
    let name = person_name(&world);
    let ask = start_ask(&ada, &name, "which host?");
    answer(&world, &follower.next(), "localhost");
    assert_eq!(ask.result()["from"], name.as_str());
}

#[test]
fn person_of_another_host_is_not_notified_here() {
    let mut world = World::new();
    let folder = set_notify_command(&mut world);
    let ada = world.session("ada");
    let asks = |to: &str| {
        let arguments = json!({ "to": to, "question": "which port?", "timeout_seconds": 1 });
        ada.call("ask_peer", arguments)
    };
    assert_eq!(asks("person@elsewhere")["error"]["code"], "unknown_peer");
    let copy = "INSERT INTO peer (id, kind, name, wanted, ttl_ms, epoch, last_seen_at_ms, created_at_ms)
        SELECT '01K0000000000000000000000A', kind, 'person@elsewhere', 'person@elsewhere', ttl_ms, 1, 0, 0
        FROM peer WHERE kind = 'person'";
    world.rows().execute(copy, []).unwrap();
    assert_eq!(asks("person@elsewhere")["status"], "offline");
    assert_eq!(asks("person")["from"], person_name(&world).as_str());
    wait_until("the person here is notified", || {
        notifications(&folder).len() == 1
    });
}

#[test]
fn command_in_a_session_shell_asks_the_person() {
    let world = World::new();
    let (observer, folder) = (world.session("bo"), world.project("ada"));
    let words = "ask person 'which port?' --json >answer";
    let script = BackgroundProcess::background_cli_script(&world, &folder, words);
    let ada = world.bare_session_with_script("ada", &[], "/bin/sh", &script);
    ada.register("idle");
    ada.hook("SessionStart", json!({ "source": "startup" }));
    ada.discover();
    let mut follower = Follower::start(&world, &observer);
    let _asking = BackgroundProcess::release(&folder);
    let shown = follower.next();
    assert_eq!(shown["from"], "ada");
    answer(&world, &shown, "5433");
    let printed = || std::fs::read_to_string(folder.join("answer")).unwrap_or_default();
    wait_until("the answer is printed", || printed().ends_with("}\n"));
    let result: Value = serde_json::from_str(&printed()).unwrap();
    assert_eq!(
        (&result["by"], &result["answer"]),
        (&json!("person"), &json!("5433"))
    );
}

#[test]
fn person_cannot_ask_themselves() {
    let world = World::new();
    let ada = world.session("ada");
    let _follower = Follower::start(&world, &ada);
    let asked = world.cli(&world.home(), &["ask", "person", "which port?"]);
    assert_eq!(asked.code, Some(1), "{asked:?}");
    assert!(asked.err.contains("is yourself"), "{asked:?}");
}

#[test]
fn terminal_text_is_readable_and_names_the_command_to_answer() {
    let world = World::new();
    let ada = world.session("ada");
    let mut process = start_command(&world, &world.home(), &["inbox", "--follow"]);
    wait_until("the person is reachable", || !ways(&ada).is_empty());
    let ask = start_ask(&ada, "person", "red\u{1b}[31m?");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().contains("ada asks, "));
    assert_eq!(next(), "  red?");
    assert!(next().trim().starts_with("claude-mesh reply "));
    ask.cancel();
    let peers = world.cli(&world.home(), &["peers"]);
    assert!(peers.out.contains("by terminal"), "{peers:?}");
    process.kill().unwrap();
    process.wait().unwrap();
}
