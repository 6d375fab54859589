//! Commands in a folder whose mesh is at a hub: as the person at that machine, and in the shell of a session as that session.
use std::process::Child;

use serde_json::json;

use crate::support::{
    Hub, ProcessOutput, Session, World, far_host, program, start_command, wait_until,
};

/// A hub, the laptop of a person, and a session on another machine.
struct Team {
    _world: World,
    hub: Hub,
    laptop: World,
    desk: World,
}

impl Team {
    fn start() -> Self {
        let world = World::new();
        let hub = Hub::start(&world);
        let (laptop, desk) = (far_host(&hub, "laptop"), far_host(&hub, "desk"));
        Self {
            _world: world,
            hub,
            laptop,
            desk,
        }
    }

    /// Runs a command of the person at the laptop.
    fn run(&self, arguments: &[&str]) -> ProcessOutput {
        self.laptop.cli(&self.laptop.project("own"), arguments)
    }

    /// Starts a command of the person at the laptop and returns at once.
    fn spawn(&self, arguments: &[&str]) -> Child {
        start_command(&self.laptop, &self.laptop.project("own"), arguments)
    }

    #[track_caller]
    fn run_ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        ran.out
    }
}

#[test]
fn person_at_a_laptop_asks_a_far_session() {
    let team = Team::start();
    let bo = team.desk.session("bo");
    assert!(team.run_ok(&["peers"]).contains("bo"));
    let asking = team.spawn(&["ask", "bo", "which port?"]);
    let question = bo.next_question();
    assert_eq!(bo.questions()[0]["from"], "person@laptop");
    bo.send_reply(&question, "5433");
    let ran = ProcessOutput::of(&asking.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "5433\n"), "{ran:?}");
}

#[test]
fn stopped_far_ask_stays_open_and_its_answer_comes_to_the_inbox() {
    let team = Team::start();
    let bo = team.desk.session("bo");
    let asking = team.spawn(&["ask", "bo", "which port?"]);
    let question = bo.next_question();
    let ran = interrupt(asking);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("stays open"), "{ran:?}");
    let replied = bo.send_reply(&question, "5433");
    assert_eq!(replied["asker_waiting"], false, "{replied}");
    let inbox = team.run_ok(&["inbox"]);
    assert!(inbox.contains("bo answered:\n  5433"), "{inbox}");
}

/// Ends a command as Ctrl-C does. Returns what it printed.
fn interrupt(command: Child) -> ProcessOutput {
    let pid = rustix::process::Pid::from_child(&command);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    ProcessOutput::of(&command.wait_with_output().unwrap())
}

#[test]
fn stopped_far_ask_keeps_a_question_that_nobody_has_seen() {
    let team = Team::start();
    let bo = team.desk.session("bo");
    let asking = team.spawn(&["ask", "bo", "which port?", "--json"]);
    wait_until("it is stored", || team.hub.count_rows("question") == 1);
    let ran = interrupt(asking);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.json(), json!({ "status": "cancelled" }));
    bo.send_reply(&bo.next_question(), "5433");
    assert!(team.run_ok(&["inbox"]).contains("5433"));
}

#[test]
fn far_claim_that_is_not_granted_in_time_leaves_the_queue() {
    let team = Team::start();
    let ada = team.desk.session("ada");
    ada.call("claim", json!({ "resource": "port:5433" }));
    let queue = || {
        let claims = ada.call("claims", json!({ "resource": "port:5433" }));
        claims["claims"][0]["queue"].clone()
    };
    let ran = team.run(&["claim", "port:5433", "--wait", "1s"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.out, "denied: held by ada\n");
    assert_eq!(queue(), json!([]));
    let ran = team.run(&["claim", "port:5433"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        team.run_ok(&["claim", "port:5433", "--queue"])
            .starts_with("queued, place 1")
    );
    assert_eq!(queue()[0]["peer"], "person@laptop");
}

#[test]
fn person_at_a_laptop_answers_and_has_mail_of_their_own() {
    let team = Team::start();
    let bo = team.desk.session("bo");
    assert_eq!(team.run_ok(&["inbox"]), "nothing waits for you\n");
    let ask = bo.start(
        "ask_peer",
        json!({ "to": "person@laptop", "question": "may I deploy?", "if_offline": "wait" }),
    );
    let mut inbox = String::new();
    wait_until("the question is in the inbox", || {
        inbox = team.run_ok(&["inbox"]);
        inbox.contains("may I deploy?")
    });
    assert!(inbox.contains("bo asks you"), "{inbox}");
    let id = inbox.split_whitespace().next().unwrap();
    assert!(
        team.run_ok(&["reply", id, "yes"])
            .starts_with("answered bo")
    );
    let answered = ask.result();
    assert_eq!(answered["answer"], "yes", "{answered}");
    assert_eq!(answered["by"], "person", "{answered}");
    bo.call(
        "post",
        json!({ "to": "person@laptop", "body": "it is out" }),
    );
    assert!(team.run_ok(&["messages"]).contains("it is out"));
}

#[test]
fn person_at_a_laptop_uses_claims_state_memory_and_tasks() {
    let team = Team::start();
    let bo = team.desk.session("bo");
    assert!(
        team.run_ok(&["claim", "port:5433"])
            .starts_with("granted until")
    );
    let denied = bo.call("claim", json!({ "resource": "port:5433" }));
    assert_eq!(denied["holders"][0]["peer"], "person@laptop", "{denied}");
    assert!(team.run_ok(&["claims"]).contains("person@laptop"));
    assert_eq!(team.run_ok(&["release", "port:5433"]), "released\n");
    team.run_ok(&["state", "set", "mode", "canary", "--namespace", "shared"]);
    let got = team.run_ok(&["state", "get", "mode", "--namespace", "shared"]);
    assert_eq!(got, "canary\n");
    team.run_ok(&[
        "memory",
        "remember",
        "the vault has the password",
        "--scope",
        "mesh",
    ]);
    assert!(
        team.run_ok(&["memory", "recall", "vault"])
            .contains("the vault has")
    );
    team.run_ok(&["post", "bo", "the build is green"]);
    let mail = bo.call("list_messages", json!({}));
    assert_eq!(mail["messages"][0]["from"], "person@laptop", "{mail}");
    let created = team.run_ok(&["task", "create", "add a health check", "--json"]);
    let created: serde_json::Value = serde_json::from_str(&created).unwrap();
    let id = created["task"]["task_id"].as_str().unwrap();
    team.run_ok(&["task", "update", id, "--status", "in_progress"]);
    assert!(team.run_ok(&["task", "list"]).contains("in_progress"));
    assert!(
        team.run_ok(&["events", "--types", "task.*"])
            .contains("task.created")
    );
}

#[test]
fn person_of_another_machine_acts_only_on_what_is_theirs() {
    let team = Team::start();
    let (ada, bo) = (team.desk.session("ada"), team.desk.session("bo"));
    let held = ada.call("claim", json!({ "resource": "port:5433" }));
    let claim = held["claim_id"].as_str().unwrap();
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let question = bo.next_question();
    for arguments in [vec!["release", claim], vec!["reply", &question, "1234"]] {
        let ran = team.run(&arguments);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let reported = team.run(&[&arguments[..], &["--json"]].concat()).json();
        assert_eq!(reported["error"]["code"], "not_yours", "{reported}");
        assert_ne!(reported["error"]["hint"], "", "{reported}");
    }
    bo.send_reply(&question, "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

#[test]
fn what_needs_the_file_of_the_mesh_is_refused_at_a_hub() {
    let team = Team::start();
    for arguments in [
        &["log"][..],
        &["peers", "--watch"],
        &["inbox", "--all"],
        &["state", "list", "--after", "a"],
        &["events", "--follow"],
        &["quiet", "1h"],
    ] {
        let ran = team.run(&[arguments, &["--json"]].concat());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert_eq!(ran.json()["error"]["code"], "unsupported", "{ran:?}");
    }
    for (arguments, code) in [
        (&["ask", "nobody", "hello?"][..], "unknown_peer"),
        (
            &["ask", "nobody", "hello?", "--timeout", "2h"],
            "invalid_argument",
        ),
        (&["reply", "01JZZZZZZZZZZZZZZZZZZZZZZZ", "yes"], "not_found"),
        (&["post", "*", "x", "--type", "json"], "invalid_argument"),
    ] {
        let refused = team.run(&[arguments, &["--json"]].concat()).json();
        assert_eq!(refused["error"]["code"], code, "{refused}");
        assert_ne!(refused["error"]["hint"], "", "{refused}");
    }
    let url = team.hub.url().to_owned();
    let Team { hub, laptop, .. } = team;
    hub.kill();
    let away = laptop.cli(&laptop.project("own"), &["peers"]);
    assert_eq!(away.code, Some(1), "{away:?}");
    assert!(away.err.contains(&url), "{away:?}");
    assert!(away.err.contains("hint"), "{away:?}");
    assert!(!away.err.contains("tell your user"), "{away:?}");
}

/// Opens a session whose shell runs the command that is written to a file.
fn session_with_shell(world: &World, name: &str) -> Session {
    let script = r#"
        exec 3<&0
        "$SERVER" <&3 &
        while [ ! -e go ]; do sleep 0.02; done
        sh go > out 2> err; echo $? > code.new; mv code.new code
        wait
    "#;
    let session = world.bare_session_with_script(name, &[], "/bin/sh", script);
    session.register("busy");
    session.hook("SessionStart", json!({ "source": "startup" }));
    session.discover();
    session.call("mesh_status", json!({}));
    session
}

#[test]
fn command_in_the_shell_of_a_far_session_acts_as_the_session() {
    let team = Team::start();
    let bo = team.desk.session("bo");
    let ada = session_with_shell(&team.laptop, "ada");
    let new = ada.folder.join("go.new");
    let command = format!("exec {} ask bo 'which port?'\n", program("claude-mesh"));
    std::fs::write(&new, command).unwrap();
    std::fs::rename(new, ada.folder.join("go")).unwrap();
    let question = bo.next_question();
    assert_eq!(bo.questions()[0]["from"], "ada");
    bo.send_reply(&question, "5433");
    let read = |name: &str| std::fs::read_to_string(ada.folder.join(name)).unwrap_or_default();
    wait_until("the command has ended", || !read("code").is_empty());
    assert_eq!((read("out"), read("err")), ("5433\n".into(), String::new()));
}
