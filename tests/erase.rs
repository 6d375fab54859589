//! Erasing: who may remove what, what is left in the files, and what the event log records.
use serde_json::{Value, json};

use crate::support::{Session, World, program};

/// A session whose shell runs given commands.
struct Shell {
    session: Session,
    commands_run: usize,
}

impl Shell {
    fn open(world: &World, project: &str) -> Self {
        let mesh = [("MESH", program("claude-mesh"))];
        let script =
            "while read -r typed; do eval \"\\\"$MESH\\\" $typed --json\" > said; echo $?; done";
        let session = world.bare_session_with_script(project, &mesh, "/bin/sh", script);
        session.register("busy");
        Self {
            session,
            commands_run: 0,
        }
    }

    /// Runs a command. Returns its output.
    fn run(&mut self, command: &str) -> Value {
        self.session.line(command);
        assert!(self.session.line_after(self.commands_run).is_some());
        self.commands_run += 1;
        let output = std::fs::read_to_string(self.session.folder.join("said")).unwrap();
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error} in {output:?}"))
    }

    #[track_caller]
    fn assert_refused(&mut self, command: &str) {
        let output = self.run(command);
        assert_eq!(output["error"]["code"], "not_yours", "{command}: {output}");
    }
}

/// Returns the newest event of a type as the command line prints it.
fn last_event(world: &World, kind: &str) -> Value {
    let log = world.cli(&world.home(), &["log", "--json"]).out;
    let mut events = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let found: Option<Value> = events.rfind(|event: &Value| event["type"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {log}"))
}

#[test]
fn session_shell_may_erase_only_its_own_question() {
    let world = World::new();
    let cy = world.session("cy");
    drop(world.session("bo"));
    let arguments = json!({ "to": "bo", "question": "is the-leaked-word right?" });
    let between_others = cy.call("ask_peer", arguments)["question_id"].clone();
    let between_others = between_others.as_str().unwrap();
    let mut ada = Shell::open(&world, "ada");
    let own = ada.run("ask bo the-leaked-word")["question_id"].clone();
    let own = own.as_str().unwrap();
    ada.assert_refused(&format!("log --forget {between_others}"));
    assert_eq!(ada.run(&format!("log --forget {own}"))["forgotten"], true);
    let reported = last_event(&world, "question.forgotten");
    assert_eq!(
        (&reported["by"], &reported["subject"]),
        (&json!("ada"), &json!(own))
    );
    assert_eq!(reported["data"], json!({}));
    let person = world.cli(&world.home(), &["log", "--forget", between_others]);
    assert_eq!(person.code, Some(0), "{person:?}");
    let reported = last_event(&world, "question.forgotten");
    assert!(
        reported["by"].as_str().unwrap().starts_with("person@"),
        "{reported}"
    );
    assert_eq!(reported["subject"], between_others);
    let log = world.cli(&world.home(), &["log"]).out;
    assert!(log.contains("ada removed the texts of a question"), "{log}");
    assert!(!log.contains("leaked"), "{log}");
}

#[test]
fn session_shell_may_not_remove_or_quiet_other_peers() {
    let world = World::new();
    drop(world.session("bo"));
    let mut ada = Shell::open(&world, "ada");
    ada.assert_refused("peers --forget bo");
    ada.assert_refused("quiet bo");
    assert_eq!(ada.run("quiet")["peer"], "ada");
    assert_eq!(ada.run("quiet Ada")["peer"], "ada");
    let person = world.cli(&world.home(), &["peers", "--forget", "bo"]);
    assert_eq!(person.code, Some(0), "{person:?}");
    let reported = last_event(&world, "peer.forgotten");
    assert!(
        reported["by"].as_str().unwrap().starts_with("person@"),
        "{reported}"
    );
    assert_eq!(reported["subject"], "bo");
    let log = world.cli(&world.home(), &["log"]).out;
    assert!(
        log.contains("removed the mailbox bo with its questions"),
        "{log}"
    );
}

/// Returns whether the files of the database contain these bytes.
fn database_files_contain(world: &World, text: &str) -> bool {
    ["db", "db-wal"].iter().any(|end| {
        let bytes = std::fs::read(world.database().with_extension(end)).unwrap_or_default();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    })
}

#[test]
fn residue_kept_by_a_long_reader_is_reported_then_erased() {
    let world = World::new();
    let ada = world.session("ada");
    drop(world.session("bo"));
    let arguments = json!({ "to": "bo", "question": "is xyzzyquestion right?" });
    let id = ada.call("ask_peer", arguments)["question_id"].clone();
    for key in ["one", "two"] {
        let text = format!("xyzzy{key} was leaked");
        ada.call(
            "remember",
            json!({ "text": text, "key": key, "scope": "mesh" }),
        );
    }
    let rows = world.rows();
    rows.execute_batch("BEGIN; SELECT count(*) FROM question")
        .unwrap();
    let run = |arguments: &[&str]| {
        let ran = world.cli(&world.home(), arguments);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    };
    let reported = run(&["log", "--forget", id.as_str().unwrap(), "--json"]).json();
    assert_eq!(reported["traces_left"], true, "{reported}");
    let reported = run(&["memory", "forget", "one"]).out;
    assert!(
        reported.contains("the text remains in the database files while"),
        "{reported}"
    );
    let reported = ada.call("forget", json!({ "key": "two" }));
    assert_eq!(
        (&reported["forgotten"], &reported["traces_left"]),
        (&json!(1), &json!(true))
    );
    for word in ["xyzzyquestion", "xyzzyone", "xyzzytwo"] {
        assert!(
            database_files_contain(&world, word),
            "{word} was not in the WAL, which this test needs"
        );
    }
    rows.execute_batch("COMMIT").unwrap();
    run(&["gc"]);
    for word in ["xyzzyquestion", "xyzzyone", "xyzzytwo"] {
        assert!(
            !database_files_contain(&world, word),
            "{word} is still in the files"
        );
    }
    ada.call(
        "remember",
        json!({ "text": "xyzzythree", "key": "three", "scope": "mesh" }),
    );
    let reported = run(&["memory", "forget", "three", "--json"]).json();
    assert_eq!(
        (&reported["traces_left"], &reported["copies"]),
        (&json!(false), &json!([]))
    );
}

#[test]
fn erasing_names_backups_that_may_still_hold_the_text() {
    let world = World::new();
    let ada = world.session("ada");
    let copy = |version: u32| {
        let name = format!(".claude-mesh/mesh.db.schema-{version}-20261120T150000Z.bak");
        world.write(&name, "")
    };
    let (first, third) = (copy(1), copy(3));
    world.write(".claude-mesh/mesh.db.schema-of-mine", "");
    drop(world.session("bo"));
    let arguments = json!({ "to": "bo", "question": "which port?" });
    let id = ada.call("ask_peer", arguments)["question_id"].clone();
    let reported = world.cli(
        &world.home(),
        &["log", "--forget", id.as_str().unwrap(), "--json"],
    );
    assert_eq!(reported.json()["copies"], json!([first, third]));
    for key in ["one", "two"] {
        ada.call(
            "remember",
            json!({ "text": "5433", "key": key, "scope": "mesh" }),
        );
    }
    let reported = ada.call("forget", json!({ "key": "one" }));
    assert_eq!(
        reported["copies"],
        json!([third]),
        "no memory is in the first version"
    );
    let reported = world.cli(&world.home(), &["memory", "forget", "two"]).out;
    let line =
        "this backup from before an update may still contain it: ~/.claude-mesh/mesh.db.schema-3-";
    assert!(reported.contains(line), "{reported}");
    assert!(!reported.contains("schema-1"), "{reported}");
}
