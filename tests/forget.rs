//! Stories of forgetting: who may remove what, what is left of it, and what the log tells.
use serde_json::{Value, json};

use crate::world::{Session, World, program};

/// A session whose shell types what it is given, beside nothing else.
struct Shell {
    session: Session,
    typed: usize,
}

impl Shell {
    fn open(world: &World, project: &str) -> Self {
        let mesh = [("MESH", program("claude-mesh"))];
        let script =
            "while read -r typed; do eval \"\\\"$MESH\\\" $typed --json\" > said; echo $?; done";
        let session = world.window_of(project, &mesh, "/bin/sh", script);
        session.register("busy");
        Self { session, typed: 0 }
    }

    /// Types a command. Returns what it printed.
    fn types(&mut self, command: &str) -> Value {
        self.session.line(command);
        assert!(self.session.line_after(self.typed).is_some());
        self.typed += 1;
        let said = std::fs::read_to_string(self.session.folder.join("said")).unwrap();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error} in {said:?}"))
    }

    #[track_caller]
    fn is_refused(&mut self, command: &str) {
        let said = self.types(command);
        assert_eq!(said["error"]["code"], "not_yours", "{command}: {said}");
    }
}

/// The newest entry of the log of one type, as a person reads it.
fn last_event(world: &World, kind: &str) -> Value {
    let log = world.cli(&world.home(), &["log", "--json"]).out;
    let mut events = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let found: Option<Value> = events.rfind(|event: &Value| event["type"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {log}"))
}

#[test]
fn in_a_sessions_shell_only_its_own_question_is_forgotten_and_the_log_tells_who_did() {
    let world = World::new();
    let cy = world.session("cy");
    drop(world.session("bo"));
    let asks = json!({ "to": "bo", "question": "is the-leaked-word right?" });
    let between_others = cy.call("ask_peer", asks)["question_id"].clone();
    let between_others = between_others.as_str().unwrap();
    let mut ada = Shell::open(&world, "ada");
    let own = ada.types("ask bo the-leaked-word")["question_id"].clone();
    let own = own.as_str().unwrap();
    ada.is_refused(&format!("log --forget {between_others}"));
    assert_eq!(ada.types(&format!("log --forget {own}"))["forgotten"], true);
    let told = last_event(&world, "question.forgotten");
    assert_eq!(
        (&told["by"], &told["subject"]),
        (&json!("ada"), &json!(own))
    );
    assert_eq!(told["data"], json!({}));
    let person = world.cli(&world.home(), &["log", "--forget", between_others]);
    assert_eq!(person.code, Some(0), "{person:?}");
    let told = last_event(&world, "question.forgotten");
    assert!(
        told["by"].as_str().unwrap().starts_with("person@"),
        "{told}"
    );
    assert_eq!(told["subject"], between_others);
    let log = world.cli(&world.home(), &["log"]).out;
    assert!(log.contains("ada removed the texts of a question"), "{log}");
    assert!(!log.contains("leaked"), "{log}");
}

#[test]
fn in_a_sessions_shell_no_mailbox_is_removed_and_no_other_session_made_quiet() {
    let world = World::new();
    drop(world.session("bo"));
    let mut ada = Shell::open(&world, "ada");
    ada.is_refused("peers --forget bo");
    ada.is_refused("quiet bo");
    assert_eq!(ada.types("quiet")["peer"], "ada");
    assert_eq!(ada.types("quiet Ada")["peer"], "ada");
    let person = world.cli(&world.home(), &["peers", "--forget", "bo"]);
    assert_eq!(person.code, Some(0), "{person:?}");
    let told = last_event(&world, "peer.forgotten");
    assert!(
        told["by"].as_str().unwrap().starts_with("person@"),
        "{told}"
    );
    assert_eq!(told["subject"], "bo");
    let log = world.cli(&world.home(), &["log"]).out;
    assert!(
        log.contains("removed the mailbox bo with its questions"),
        "{log}"
    );
}

/// Returns whether the files of the database have these bytes, wherever.
fn files_hold(world: &World, text: &str) -> bool {
    ["db", "db-wal"].iter().any(|end| {
        let bytes = std::fs::read(world.database().with_extension(end)).unwrap_or_default();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    })
}

#[test]
fn what_somebodys_long_look_keeps_in_the_log_is_told_and_taken_out_afterwards() {
    let world = World::new();
    let ada = world.session("ada");
    drop(world.session("bo"));
    let asks = json!({ "to": "bo", "question": "is xyzzyquestion right?" });
    let id = ada.call("ask_peer", asks)["question_id"].clone();
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
    let types = |arguments: &[&str]| {
        let ran = world.cli(&world.home(), arguments);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    };
    let told = types(&["log", "--forget", id.as_str().unwrap(), "--json"]).json();
    assert_eq!(told["traces_left"], true, "{told}");
    let told = types(&["memory", "forget", "one"]).out;
    assert!(
        told.contains("traces stay in the files of the database until"),
        "{told}"
    );
    let told = ada.call("forget", json!({ "key": "two" }));
    assert_eq!(
        (&told["forgotten"], &told["traces_left"]),
        (&json!(1), &json!(true))
    );
    for word in ["xyzzyquestion", "xyzzyone", "xyzzytwo"] {
        assert!(
            files_hold(&world, word),
            "{word} was not in the log, which this is about"
        );
    }
    rows.execute_batch("COMMIT").unwrap();
    types(&["gc"]);
    for word in ["xyzzyquestion", "xyzzyone", "xyzzytwo"] {
        assert!(!files_hold(&world, word), "{word} is still in the files");
    }
    ada.call(
        "remember",
        json!({ "text": "xyzzythree", "key": "three", "scope": "mesh" }),
    );
    let told = types(&["memory", "forget", "three", "--json"]).json();
    assert_eq!(
        (&told["traces_left"], &told["copies"]),
        (&json!(false), &json!([]))
    );
}

#[test]
fn copies_from_before_an_update_are_named_where_they_may_have_what_was_forgotten() {
    let world = World::new();
    let ada = world.session("ada");
    let copy = |version: u32| {
        let name = format!(".claude-mesh/mesh.db.schema-{version}-20261120T150000Z.bak");
        world.write(&name, "")
    };
    let (first, third) = (copy(1), copy(3));
    world.write(".claude-mesh/mesh.db.schema-of-mine", "");
    drop(world.session("bo"));
    let asks = json!({ "to": "bo", "question": "which port?" });
    let id = ada.call("ask_peer", asks)["question_id"].clone();
    let told = world.cli(
        &world.home(),
        &["log", "--forget", id.as_str().unwrap(), "--json"],
    );
    assert_eq!(told.json()["copies"], json!([first, third]));
    for key in ["one", "two"] {
        ada.call(
            "remember",
            json!({ "text": "5433", "key": key, "scope": "mesh" }),
        );
    }
    let told = ada.call("forget", json!({ "key": "one" }));
    assert_eq!(
        told["copies"],
        json!([third]),
        "no memory is in the first version"
    );
    let told = world.cli(&world.home(), &["memory", "forget", "two"]).out;
    let line =
        "this copy from before an update may still hold it: ~/.claude-mesh/mesh.db.schema-3-";
    assert!(told.contains(line), "{told}");
    assert!(!told.contains("schema-1"), "{told}");
}
