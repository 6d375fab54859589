//! Tasks and their board at the command line, beside sessions that work on them.
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use pty_process::blocking::Pty;
use serde_json::json;

use crate::support::{ProcessOutput, Session, World, program, wait_until};

fn run_task_command(world: &World, session: &Session, arguments: &[&str]) -> ProcessOutput {
    let all: Vec<&str> = ["task"].iter().chain(arguments).copied().collect();
    world.cli(&session.folder, &all)
}

/// Creates a task for `ada`. Returns its id and the last characters of it in lower case.
fn create_task_by_command(world: &World, session: &Session) -> (String, String) {
    let arguments = [
        "create",
        "add a check",
        "--assign",
        "ada",
        "--priority",
        "high",
        "--file",
        "a.rs",
        "--description",
        "all\nof it",
    ];
    let ran = run_task_command(world, session, &arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out
            .starts_with("created: add a check (todo, for ada)  "),
        "{ran:?}"
    );
    let id = ran.out.trim_end().rsplit(' ').next().unwrap().to_owned();
    let end = id[20..].to_lowercase();
    (id, end)
}

// Requirement: Tasks 1
#[test]
fn person_creates_a_task_and_shows_it_by_the_suffix_of_its_id() {
    let world = World::new();
    let ada = world.session("ada");
    let types = |arguments: &[&str]| run_task_command(&world, &ada, arguments);
    let (id, end) = create_task_by_command(&world, &ada);
    let again = types(&["create", "Add a CHECK"]);
    assert!(
        again
            .out
            .starts_with("there is such a task already: add a check"),
        "{again:?}"
    );
    let waiting = ada.call("poll_inbox", json!({}))["tasks"].clone();
    assert_eq!(waiting[0]["task_id"], json!(id));
    let shown = types(&["show", &end]).out;
    for line in [
        "add a check",
        "high",
        "~/ada/a.rs",
        "all\nof it",
        "version 1",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
}

// Requirement: Tasks 1
#[test]
fn task_update_command_changes_only_what_is_allowed() {
    let world = World::new();
    let ada = world.session("ada");
    let types = |arguments: &[&str]| run_task_command(&world, &ada, arguments);
    let (id, end) = create_task_by_command(&world, &ada);
    let nothing = types(&["update", &end]);
    assert_eq!((nothing.code, nothing.out.as_str()), (Some(1), ""));
    assert!(
        nothing.err.contains("nothing to change is given"),
        "{nothing:?}"
    );
    let refused = types(&["update", &end, "--status", "done"]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
    assert!(
        refused
            .err
            .contains("it can become in_progress or cancelled")
            && refused.err.contains("hint: `claude-mesh task show"),
        "{refused:?}"
    );
    ada.call(
        "update_task",
        json!({ "task_id": id, "status": "in_progress" }),
    );
    ada.call(
        "update_task",
        json!({ "task_id": id, "status": "in_review" }),
    );
    let ran = types(&["update", &end, "--status", "todo", "--reason", "no test"]);
    assert!(
        ran.out.starts_with("add a check (todo, for ada)"),
        "{ran:?}"
    );
    let log = world.cli(&ada.folder, &["log"]).out;
    for sentence in [
        "created a task for ada: add a check",
        "ada moved a task to in_progress: add a check",
        "moved a task to todo: add a check",
    ] {
        assert!(log.contains(sentence), "{sentence} in {log}");
    }
}

// Requirement: Tasks 1
#[test]
fn person_lists_and_deletes_a_task() {
    let world = World::new();
    let ada = world.session("ada");
    let types = |arguments: &[&str]| run_task_command(&world, &ada, arguments);
    let (id, end) = create_task_by_command(&world, &ada);
    let listed = types(&["list", "check", "--status", "todo"]).out;
    assert!(listed.contains(&id) && listed.contains("high"), "{listed}");
    assert_eq!(types(&["list", "nothing"]).out, "no such tasks\n");
    let json = types(&["list", "--json"]).json();
    assert_eq!(
        (&json["tasks"][0]["task_id"], &json["counts"]["todo"]),
        (&json!(id), &json!(1))
    );
    assert_eq!(types(&["delete", &end]).out, format!("deleted: {id}\n"));
    let gone = types(&["show", &end]);
    assert!(
        gone.err.contains("hint: `claude-mesh task list`"),
        "{gone:?}"
    );
}

#[test]
fn person_starting_a_task_sees_who_holds_its_files() {
    let world = World::new();
    let ada = world.session("ada");
    ada.call("claim", json!({ "resource": "file:b.rs" }));
    let created = world.cli(
        &ada.folder,
        &[
            "task", "create", "one", "--file", "a.rs", "--file", "b.rs", "--json",
        ],
    );
    let id = created.json()["task"]["task_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let ran = world.cli(
        &ada.folder,
        &["task", "update", &id, "--status", "in_progress"],
    );
    assert!(
        ran.out
            .contains("~/ada/a.rs: claimed for you\n~/ada/b.rs: held by ada\n"),
        "{ran:?}"
    );
    let ran = world.cli(&ada.folder, &["task", "cancel-stale", "--older-than", "0s"]);
    assert_eq!(
        ran.out, "no todo task of this project is that old\n",
        "the task is in progress"
    );
    let ran = world.cli(
        &ada.folder,
        &["task", "update", &id, "--status", "cancelled"],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let claims = world.cli(&ada.folder, &["claims"]).out;
    assert!(
        !claims.contains("a.rs") && claims.contains("b.rs"),
        "{claims}"
    );
}

#[test]
fn board_has_a_column_per_status_and_cleans_foreign_text() {
    let world = World::new();
    let ada = world.session("ada");
    let empty = world.cli(&world.home(), &["task", "board"]);
    assert_eq!(empty.code, Some(0), "{empty:?}");
    let create = |title: &str| {
        let created = ada.call("create_task", json!({ "title": title }));
        created["task"]["task_id"].as_str().unwrap().to_owned()
    };
    let long = "z".repeat(400);
    let (first, second, third) = (
        create("first \u{202e}work"),
        create("second"),
        create(&long),
    );
    ada.call(
        "update_task",
        json!({ "task_id": second, "status": "in_progress" }),
    );
    ada.call(
        "update_task",
        json!({ "task_id": third, "status": "cancelled" }),
    );
    create(&format!("a{long}"));
    let board = world.cli(&ada.folder, &["task", "board"]).out;
    let lines: Vec<&str> = board.lines().collect();
    let head = lines[0];
    let columns: Vec<usize> = ["TODO 2", "IN PROGRESS 1", "IN REVIEW 0", "DONE 0"]
        .iter()
        .map(|word| {
            head.find(word)
                .unwrap_or_else(|| panic!("{word} in {board}"))
        })
        .collect();
    assert!(columns.is_sorted(), "{head}");
    assert!(lines[1].starts_with("first work"), "{board}");
    assert_eq!(lines[1].find("second"), Some(columns[1]), "{board}");
    assert!(lines[2].starts_with(&first[20..]), "{board}");
    assert!(!board.contains('\u{202e}'), "{board}");
    assert!(
        board.contains("zz…") && lines.iter().all(|line| line.chars().count() <= 120),
        "{board}"
    );
    assert_eq!(lines.last(), Some(&"1 cancelled"), "{board}");
    let json = world.cli(&ada.folder, &["task", "board", "--json"]).json();
    assert_eq!(json["counts"]["cancelled"], 1);
}

// Requirement: Tasks 11
#[test]
fn watched_board_redraws_on_task_changes_until_stopped() {
    let world = World::new();
    let ada = world.session("ada");
    let mut child = world
        .command(program("claude-mesh"), &ada.folder)
        .args(["task", "board", "--watch", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["tasks"], json!([]));
    ada.call("create_task", json!({ "title": "one" }));
    let drawn = next();
    assert_eq!(drawn["tasks"][0]["title"], "one");
    let id = drawn["tasks"][0]["task_id"].clone();
    ada.call(
        "update_task",
        json!({ "task_id": id, "status": "in_progress" }),
    );
    assert_eq!(next()["counts"]["in_progress"], 1);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(lines.next().is_none());
}

#[test]
fn bulk_command_changes_tasks_and_reports_each_refusal() {
    let world = World::new();
    let ada = world.session("ada");
    let create = |title: &str| {
        let task = ada.call("create_task", json!({ "title": title }));
        task["task"]["task_id"].as_str().unwrap().to_owned()
    };
    let [first, second] = ["one", "two"].map(create);
    let types = |arguments: &[&str]| run_bulk_update(&world, &ada, arguments);
    let end = |id: &str| id[18..].to_lowercase();
    let (one, two) = (end(&first), end(&second));
    let ran = types(&[
        &one,
        &two,
        "zzzzzz",
        "--priority",
        "high",
        "--assign",
        "ada",
    ]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let reported: Vec<&str> = ran.out.lines().collect();
    assert!(reported[0].starts_with("one (todo, for ada)  ") && reported[0].ends_with(&first));
    assert!(
        reported[1].starts_with("two (todo, for ada)  ") && reported.len() == 2,
        "{reported:?}"
    );
    assert!(ran.err.starts_with("claude-mesh: zzzzzz: ") && ran.err.lines().count() == 1);
    let ran = types(&[&first, &second, "--status", "cancelled", "--reason", "gone"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let nothing = types(&[&first]);
    assert!(nothing.code == Some(1) && nothing.err.contains("nothing to change"));
}

#[test]
fn bulk_command_reads_changes_from_a_file() {
    let world = World::new();
    let ada = world.session("ada");
    let create = |title: &str| {
        let task = ada.call("create_task", json!({ "title": title }));
        task["task"]["task_id"].as_str().unwrap().to_owned()
    };
    let [first, third] = ["one", "three"].map(create);
    let types = |arguments: &[&str]| run_bulk_update(&world, &ada, arguments);

    let changes = json!([
        { "task_id": third[18..].to_lowercase(), "status": "in_progress", "expected_version": 1 },
        { "task_id": first, "status": "done" },
        { "task_id": "zzzzzz", "title": "x" },
    ]);
    world.write("changes.json", &changes.to_string());
    let file = world.home().join("changes.json");
    let ran = types(&["--from", file.to_str().unwrap(), "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let reported = ran.json();
    assert_eq!(reported["updated"].as_array().unwrap().len(), 1);
    assert_eq!(reported["updated"][0]["task_id"], third.as_str());
    assert_eq!(reported["updated"][0]["status"], "in_progress");
    assert_eq!(reported["refused"][0]["task_id"], first.as_str());
    assert_eq!(reported["refused"][1]["task_id"], "zzzzzz");

    world.write("changes.json", r#"[{ "task_id": "x", "stauts": "done" }]"#);
    let refused = types(&["--from", file.to_str().unwrap()]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
    assert!(refused.err.contains("stauts") && refused.err.contains("nothing was changed"));
    for wrong in [
        &[][..],
        &[&third, "--from", "-"][..],
        &[&third, "--reason", "x"][..],
    ] {
        assert_eq!(types(wrong).code, Some(2), "{wrong:?}");
    }
}

fn run_bulk_update(world: &World, session: &Session, arguments: &[&str]) -> ProcessOutput {
    run_task_command(world, session, &[&["bulk-update"], arguments].concat())
}

/// A terminal of 100 columns in which one command runs.
struct CommandTerminal {
    keys: Arc<Pty>,
    child: Child,
    printed: Arc<Mutex<Vec<u8>>>,
}

impl CommandTerminal {
    fn start(world: &World, session: &Session, arguments: &[&str]) -> Self {
        let (terminal, pty_end) = pty_process::blocking::open().unwrap();
        terminal.resize(pty_process::Size::new(30, 100)).unwrap();
        let child = pty_process::blocking::Command::new(program("claude-mesh"))
            .args(arguments)
            .env_clear()
            .env("HOME", world.home())
            .env("TERM", "xterm-256color")
            .current_dir(&session.folder)
            .spawn(pty_end)
            .unwrap();
        let (keys, printed) = (Arc::new(terminal), Arc::new(Mutex::new(Vec::new())));
        let (reading, shown) = (Arc::clone(&keys), Arc::clone(&printed));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = (&*reading).read(&mut bytes) {
                shown.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self {
            keys,
            child,
            printed,
        }
    }

    /// Returns the successive screens without colours.
    fn screens(&self) -> Vec<String> {
        let printed = String::from_utf8_lossy(&self.printed.lock().unwrap()).into_owned();
        let screens = printed.split("\u{1b}[H\u{1b}[2J").skip(1);
        screens
            .map(|screen| {
                let mut pieces = screen.split("\u{1b}[");
                let first = pieces.next().unwrap_or_default().to_owned();
                pieces.fold(first, |text, piece| {
                    text + piece.split_once('m').map_or("", |(_, rest)| rest)
                })
            })
            .collect()
    }

    /// Waits until the screen shows a board with all these texts, and returns it.
    #[track_caller]
    fn wait_for_screen(&self, words: &[&str]) -> String {
        let mut last = String::new();
        wait_until(&format!("the screen shows {words:?}"), || {
            last = self.screens().pop().unwrap_or_default();
            words.iter().all(|word| last.contains(word))
        });
        last
    }
}

// Requirement: Tasks 1
#[test]
fn terminal_board_redraws_in_place_until_ctrl_c() {
    let world = World::new();
    let ada = world.session("ada");
    let mut terminal = CommandTerminal::start(&world, &ada, &["task", "board", "--watch"]);
    terminal.wait_for_screen(&["TODO 0", "IN PROGRESS 0", "IN REVIEW 0", "DONE 0"]);
    let created = ada.call("create_task", json!({ "title": "write the importer" }));
    let board = terminal.wait_for_screen(&["TODO 1", "write the importer"]);
    assert!(
        board.lines().all(|line| line.chars().count() <= 100),
        "as wide as the terminal: {board}"
    );
    let id = &created["task"]["task_id"];
    let change = json!({ "task_id": id, "status": "in_progress" });
    ada.call("update_task", change);
    let board = terminal.wait_for_screen(&["TODO 0", "IN PROGRESS 1", "ada"]);
    let line = |word: &str| {
        let lines = board.lines();
        lines.into_iter().find_map(|line| line.find(word)).unwrap()
    };
    assert_eq!(
        line("write the importer"),
        line("IN PROGRESS"),
        "in its column: {board}"
    );
    // An event that does not change the board redraws nothing.
    let before = terminal.screens().len();
    ada.call("post", json!({ "to": "*", "body": "unread" }));
    ada.call("create_task", json!({ "title": "next" }));
    terminal.wait_for_screen(&["TODO 1", "next"]);
    assert_eq!(terminal.screens().len(), before + 1);
    (&*terminal.keys).write_all(b"\x03").unwrap();
    assert!(terminal.child.wait().unwrap().success());
}

#[test]
fn watched_board_without_a_terminal_is_appended_as_text() {
    let world = World::new();
    let ada = world.session("ada");
    let mut child = world
        .command(program("claude-mesh"), &ada.folder)
        .args(["task", "board", "--watch"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = |wanted: &str| {
        let line = lines.find(|line| line.as_ref().unwrap().contains(wanted));
        let line = line.unwrap_or_else(|| panic!("no {wanted:?}")).unwrap();
        assert!(!line.contains('\u{1b}'), "{line:?}");
    };
    next("TODO 0");
    ada.call("create_task", json!({ "title": "write the importer" }));
    next("TODO 1");
    next("write the importer");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
}
