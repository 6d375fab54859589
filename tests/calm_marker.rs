//! Calm markers: hooks of a session for which nothing is pending open no database, and none overlooks a question for that.
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use serde_json::json;

use crate::support::{Session, World, program, start_ask, wait_until};

/// Returns the link by which the hooks of a session find its marker, once there was one.
fn marker_link(world: &World, session: &Session) -> Option<PathBuf> {
    let folder = PathBuf::from(format!("{}.d/calm", world.database().display()));
    let prefix = format!("{}-", session.pid());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).find(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(&prefix)
    })
}

/// Returns whether a session has a marker.
fn has_marker(world: &World, session: &Session) -> bool {
    marker_link(world, session).is_some_and(|link| link.exists())
}

#[track_caller]
fn wait_for_marker(world: &World, session: &Session) {
    wait_until("the session has a marker", || has_marker(world, session));
}

#[test]
fn hooks_of_a_calm_session_open_no_database() {
    let world = World::new();
    let ada = world.session("ada");
    wait_for_marker(&world, &ada);
    let damage = world.make_unopenable();
    assert_eq!(ada.prompt("t1"), None);
    assert_eq!(ada.stop("t1", false), None);
    std::fs::remove_file(marker_link(&world, &ada).unwrap()).unwrap();
    ada.remove_delivery_socket();
    let said = ada.hook_with_fault("UserPromptSubmit", json!({ "prompt": "go on" }));
    assert_eq!(
        said, "",
        "without its marker and its server it tries to open the database"
    );
    drop(damage);
}

#[test]
fn calm_hooks_record_what_the_session_does() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    wait_for_marker(&world, &bo);
    let seen = || ada.call("list_peers", json!({}))["peers"][0].clone();
    bo.hook(
        "UserPromptSubmit",
        json!({ "prompt": "fix the login", "prompt_id": "t1" }),
    );
    assert!(has_marker(&world, &bo));
    assert_eq!(seen()["doing"], "asked: fix the login");
    assert_eq!(seen()["activity"], "busy");
    bo.stop("t1", false);
    assert_eq!(seen()["activity"], "idle");
    assert!(has_marker(&world, &bo));
}

#[test]
fn question_ends_the_calm_and_its_answer_restores_it() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    wait_for_marker(&world, &bo);
    let ask = start_ask(&ada, "bo", "which port?");
    let id = bo.next_question();
    assert!(
        !has_marker(&world, &bo),
        "it is gone before the question can be read"
    );
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
    bo.send_reply(&id, "5433");
    assert_eq!(ask.result()["answer"], "5433");
    assert_eq!(bo.stop("t1", false), None);
    // What was delivered counts until the turn after the next.
    assert_eq!(bo.prompt("t2"), None);
    wait_for_marker(&world, &bo);
    wait_for_marker(&world, &ada);
}

#[test]
fn late_answer_mail_and_topic_end_the_calm() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    bo.call("subscribe", json!({ "topics": ["builds"] }));
    let asked = json!({ "to": "bo", "question": "which port?", "timeout_seconds": 1 });
    let id = ada.call("ask_peer", asked)["question_id"]
        .as_str()
        .unwrap()
        .to_owned();
    wait_for_marker(&world, &ada);
    bo.send_reply(&id, "5433");
    assert!(ada.prompt("t1").unwrap().contains("5433"));

    bo.prompt("t1");
    bo.prompt("t2");
    wait_for_marker(&world, &bo);
    ada.call("post", json!({ "to": "bo", "body": "main is red" }));
    assert!(bo.prompt("t3").unwrap().contains("main is red"));
    bo.prompt("t4");
    wait_for_marker(&world, &bo);
    ada.call("post", json!({ "to": "#builds", "body": "main is green" }));
    assert!(bo.prompt("t5").unwrap().contains("main is green"));
}

#[test]
fn marker_of_a_killed_server_does_not_count() {
    let world = World::new();
    let ada = world.session("ada");
    wait_for_marker(&world, &ada);
    let server = rustix::process::Pid::from_raw(ada.server_pid().unwrap()).unwrap();
    rustix::process::kill_process(server, rustix::process::Signal::KILL).unwrap();
    wait_until("the server has ended", || ada.server_pid().is_none());
    assert!(has_marker(&world, &ada), "nobody has removed it");
    let said = ada.hook("UserPromptSubmit", json!({ "prompt": "go on" }));
    assert!(
        said["systemMessage"].as_str().unwrap().contains("Restart"),
        "{said}"
    );
}

#[test]
fn marker_of_another_database_does_not_count() {
    let world = World::new();
    let ada = world.session("ada");
    wait_for_marker(&world, &ada);
    let copy = world.home().join("copy.db");
    std::fs::copy(world.database(), &copy).unwrap();
    std::fs::rename(&copy, world.database()).unwrap();
    let damage = world.make_unopenable();
    let said = ada.hook_with_fault("UserPromptSubmit", json!({ "prompt": "go on" }));
    assert_eq!(said, "", "it tries to open the other database");
    drop(damage);
}

/// A server of an earlier version would store a question and leave the marker.
#[test]
fn no_marker_is_made_beside_an_earlier_version() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    wait_for_marker(&world, &ada);
    let set_version = |removes: i64| {
        let sql = "UPDATE session SET removes_markers = ?1 WHERE pid = ?2";
        let changed = world.rows().execute(sql, [removes, i64::from(bo.pid())]);
        assert_eq!(changed.unwrap(), 1);
    };
    set_version(0);
    std::fs::remove_file(std::fs::canonicalize(marker_link(&world, &ada).unwrap()).unwrap())
        .unwrap();
    assert_eq!(ada.prompt("t1"), None);
    ada.wait_until_idle();
    assert!(!has_marker(&world, &ada));
    set_version(1);
    assert_eq!(ada.prompt("t2"), None);
    wait_for_marker(&world, &ada);
}

/// The death of a session is no commit, so seat 1 has no marker while another seat has a question.
#[test]
fn question_of_an_abandoned_seat_reaches_seat_one() {
    let world = World::new();
    let (asker, first) = (world.session("ada"), world.session("bo"));
    let second = world.session("bo");
    wait_for_marker(&world, &first);
    let _ask = start_ask(&asker, &second.name(), "which port?");
    second.next_question();
    assert!(!has_marker(&world, &first), "seat 1 may have to answer it");
    first.prompt("t1");
    first.wait_until_idle();
    assert!(!has_marker(&world, &first));
    second.kill();
    assert!(first.prompt("t2").unwrap().contains("which port?"));
}

/// Runs `claude-mesh ask` in a process that is killed at a passage of a point. Returns false if it was not: there were fewer.
fn ask_and_be_killed(world: &World, point: &str, passage: usize) -> bool {
    let mut command = world.command(program("claude-mesh"), &world.project("cy"));
    command.env("CLAUDE_MESH_KILL_AT", format!("{point}@{passage}"));
    let arguments = ["ask", "bo", "which port?", "--timeout", "1s"];
    let output = command.args(arguments).output().unwrap();
    output.status.signal() == Some(9)
}

/// Whatever an asker leaves behind, the hook says what it would have read.
#[test]
fn no_kill_of_an_asker_hides_its_question() {
    let mut stored_by_killed = 0;
    for point in ["before-markers", "before-commit", "before-doorbells"] {
        for passage in 1.. {
            let world = World::new();
            let bo = world.session("bo");
            wait_for_marker(&world, &bo);
            if !ask_and_be_killed(&world, point, passage) {
                assert!(passage > 1, "{point} is not reached");
                break;
            }
            let sql = "SELECT count(*) FROM question";
            let stored: i64 = world.rows().query_row(sql, [], |row| row.get(0)).unwrap();
            let said = bo.stop("t1", false).unwrap_or_default();
            assert_eq!(
                said.contains("which port?"),
                stored > 0,
                "{point}@{passage}"
            );
            stored_by_killed += stored;
        }
    }
    assert!(
        stored_by_killed > 0,
        "none was killed after it had stored the question"
    );
}

#[test]
fn marker_of_a_server_killed_while_making_it_does_not_count() {
    for at in ["before-marker-is-named", "after-marker-is-named"] {
        let world = World::new();
        let ada = world.bare_session("ada", &[("CLAUDE_MESH_KILL_AT", at)]);
        ada.hook("SessionStart", json!({ "source": "startup" }));
        // It may be killed before it answers.
        let _call = ada.start("mesh_status", json!({}));
        wait_until("the server is killed", || ada.server_pid().is_none());
        let said = ada.hook("UserPromptSubmit", json!({ "prompt": "go on" }));
        assert!(
            said["systemMessage"].as_str().unwrap().contains("Restart"),
            "{at}: {said}"
        );
    }
}

/// What an earlier version stores for a session leaves the marker, and writes the doorbell.
#[test]
fn server_removes_its_marker_when_an_earlier_version_left_it() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    wait_for_marker(&world, &bo);
    let rows = world.rows();
    let id = |session: &Session, column: &str| -> String {
        let sql = format!("SELECT {column} FROM session WHERE pid = ?1");
        rows.query_row(&sql, [session.pid()], |row| row.get(0))
            .unwrap()
    };
    rows.execute(
        "INSERT INTO question (id, asker_peer, asker_session, target_peer, question, depth, state, asked_at_ms, expires_at_ms)
         VALUES ('01M8PBT7AM7KBFWHTCCSK5NTSS', ?1, ?2, ?3, 'which port?', 0, 'open', 0, 9000000000000)",
        [id(&ada, "peer_id"), id(&ada, "id"), id(&bo, "peer_id")],
    )
    .unwrap();
    assert_eq!(bo.prompt("t1"), None, "the marker still counts");
    let doorbells = PathBuf::from(format!("{}.d/bells", world.database().display()));
    let own = doorbells.join(id(&bo, "id"));
    std::fs::write(own.join("anything"), "!").unwrap();
    wait_until("the marker is removed", || !has_marker(&world, &bo));
    assert!(bo.prompt("t2").unwrap().contains("which port?"));
}
