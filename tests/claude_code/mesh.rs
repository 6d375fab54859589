//! claude-mesh installed into a lab, and its command line there.
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{Lab, WAIT_TIMEOUT};

/// The mesh of one home. A scripted model can use it to decide what to do.
#[derive(Clone)]
pub(crate) struct Mesh {
    environment: Vec<(&'static str, String)>,
}

impl Mesh {
    /// Returns the mesh of a lab, in which nothing is installed yet.
    pub(crate) fn of(lab: &Lab) -> Mesh {
        let environment = lab.environment();
        Mesh { environment }
    }

    /// Installs the built programs for the user of the lab.
    #[track_caller]
    pub(crate) fn install(lab: &Lab) -> Mesh {
        let mesh = Mesh::of(lab);
        mesh.run(&["install"]);
        mesh
    }

    /// Returns what `claude-mesh peers --json` lists.
    #[track_caller]
    pub(crate) fn peers(&self) -> Vec<Value> {
        let said = self.run(&["peers", "--json"]);
        let listed: Value =
            serde_json::from_str(&said).unwrap_or_else(|_| panic!("no JSON: {said}"));
        let peers = listed["peers"].as_array();
        peers.unwrap_or_else(|| panic!("no peers: {said}")).clone()
    }

    /// Waits until a session is registered at `name`.
    #[track_caller]
    pub(crate) fn wait_for_peer(&self, name: &str) {
        self.wait_until(|peer| peer["peer"] == name && peer["askable"] == true);
    }

    /// Waits until a question is stored for `name`.
    #[track_caller]
    pub(crate) fn wait_for_question(&self, name: &str) {
        let waits = |peer: &Value| peer["questions_waiting"].as_u64().is_some_and(|it| it > 0);
        self.wait_until(|peer| peer["peer"] == name && waits(peer));
    }

    /// Waits until the session at `name` does what `activity` says.
    #[track_caller]
    pub(crate) fn wait_for_activity(&self, name: &str, activity: &str) {
        self.wait_until(|peer| peer["peer"] == name && peer["activity"] == activity);
    }

    /// Returns all open questions with their delivery.
    #[track_caller]
    pub(crate) fn open_questions(&self) -> Vec<Value> {
        let said = self.run(&["inbox", "--all", "--json"]);
        let listed: Value =
            serde_json::from_str(&said).unwrap_or_else(|_| panic!("no JSON: {said}"));
        let questions = listed["questions"].as_array();
        questions
            .unwrap_or_else(|| panic!("no questions: {said}"))
            .clone()
    }

    /// Waits until an open question satisfies `found`, and returns it.
    #[track_caller]
    pub(crate) fn wait_for_open_question(&self, found: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + WAIT_TIMEOUT / 2;
        loop {
            let open = self.open_questions();
            if let Some(question) = open.iter().find(|it| found(it)) {
                return question.clone();
            }
            assert!(Instant::now() < deadline, "not in time: {open:#?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a claim satisfies `found`.
    #[track_caller]
    pub(crate) fn wait_for_claim(&self, found: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + WAIT_TIMEOUT / 2;
        loop {
            let said = self.run(&["claims", "--json"]);
            let listed: Value =
                serde_json::from_str(&said).unwrap_or_else(|_| panic!("no JSON: {said}"));
            if listed["claims"]
                .as_array()
                .is_some_and(|lines| lines.iter().any(&found))
            {
                return;
            }
            assert!(Instant::now() < deadline, "not in time: {listed:#}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns the event log, oldest first.
    #[track_caller]
    pub(crate) fn log(&self) -> Vec<Value> {
        let said = self.run(&["log", "--json"]);
        let events = said.lines().map(serde_json::from_str);
        events
            .collect::<Result<_, _>>()
            .unwrap_or_else(|_| panic!("no JSON: {said}"))
    }

    /// Waits until a peer satisfies `found`.
    #[track_caller]
    pub(crate) fn wait_until(&self, found: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + WAIT_TIMEOUT / 2;
        while !self.peers().iter().any(&found) {
            assert!(
                Instant::now() < deadline,
                "not in time: {:#?}",
                self.peers()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs the command line and returns what it prints.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let home = self.environment.iter().find(|(name, _)| *name == "HOME");
        let home = &home.expect("every lab has one").1;
        let output = Command::new(env!("CARGO_BIN_EXE_claude-mesh"))
            .args(arguments)
            .env_clear()
            .envs(self.environment.clone())
            .current_dir(home)
            .output()
            .expect("the program is built");
        assert!(output.status.success(), "{arguments:?} failed: {output:#?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
