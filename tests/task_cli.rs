//! Tasks and their board as people type them, beside sessions that work on them.
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;

use crate::world::{World, program};

#[test]
fn a_person_creates_changes_shows_lists_and_deletes_a_task_by_the_end_of_its_id() {
    let world = World::new();
    let ada = world.session("ada");
    let types = |arguments: &[&str]| {
        let all: Vec<&str> = ["task"].iter().chain(arguments).copied().collect();
        world.cli(&ada.folder, &all)
    };
    let ran = types(&[
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
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out
            .starts_with("created: add a check (todo, for ada)  "),
        "{ran:?}"
    );
    let id = ran.out.trim_end().rsplit(' ').next().unwrap().to_owned();
    let end = id[20..].to_lowercase();
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
    let nothing = types(&["update", &end]);
    assert_eq!((nothing.code, nothing.out.as_str()), (Some(1), ""));
    assert!(
        nothing.err.contains("nothing to change is given"),
        "{nothing:?}"
    );
    let refused = types(&["update", &end, "--status", "done"]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
    assert!(
        refused.err.contains("it goes to in_progress or cancelled")
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
    let listed = types(&["list", "check", "--status", "todo"]).out;
    assert!(listed.contains(&id) && listed.contains("high"), "{listed}");
    assert_eq!(types(&["list", "nothing"]).out, "no such tasks\n");
    let json = types(&["list", "--json"]).json();
    assert_eq!(
        (&json["tasks"][0]["task_id"], &json["counts"]["todo"]),
        (&json!(id), &json!(1))
    );
    let log = world.cli(&ada.folder, &["log"]).out;
    for sentence in [
        "created a task for ada: add a check",
        "ada moved a task to in_progress: add a check",
        "moved a task to todo: add a check",
    ] {
        assert!(log.contains(sentence), "{sentence} in {log}");
    }
    assert_eq!(types(&["delete", &end]).out, format!("deleted: {id}\n"));
    let gone = types(&["show", &end]);
    assert!(
        gone.err.contains("hint: `claude-mesh task list`"),
        "{gone:?}"
    );
}

#[test]
fn a_person_that_begins_a_task_is_told_who_has_its_files() {
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
        "it is begun"
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
fn the_board_has_a_column_for_each_step_and_cleans_what_others_wrote() {
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

#[test]
fn a_watched_board_is_drawn_anew_when_a_task_changes_and_ends_when_told() {
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
