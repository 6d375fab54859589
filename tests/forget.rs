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
    let events = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let found: Option<Value> = events.filter(|event: &Value| event["type"] == kind).last();
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
