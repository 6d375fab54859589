//! Shared state: two or three named peers, real servers, and the command line beside them.
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::refused;
use crate::support::{ProcessOutput, Session, World, program};

fn set(session: &Session, key: &str, value: Value) -> Value {
    session.call(
        "state",
        json!({ "action": "set", "key": key, "value": value }),
    )
}

fn get(session: &Session, key: &str) -> Value {
    session.call("state", json!({ "action": "get", "key": key }))
}

fn keys(listed: &Value) -> Vec<&str> {
    let entries = listed["entries"].as_array().unwrap();
    let keys = entries.iter().map(|entry| entry["key"].as_str().unwrap());
    keys.collect()
}

// Requirement: Sharing 5
#[test]
fn sessions_of_one_project_share_state() {
    let world = World::new();
    let (first, second) = (world.session("api"), world.session("api"));
    let none = get(&second, "port");
    assert_eq!(
        (&none["value"], &none["version"]),
        (&Value::Null, &json!(0))
    );
    let put = set(&first, "port", json!(5433));
    assert_eq!(
        (&put["version"], &put["updated_by"]),
        (&json!(1), &json!("api"))
    );
    assert_eq!(get(&second, "port"), put);
    let deleted = second.call("state", json!({ "action": "delete", "key": "port" }));
    assert_eq!(deleted["deleted"], true);
    assert_eq!(get(&first, "port")["version"], 0);
    let again = second.call("state", json!({ "action": "delete", "key": "port" }));
    assert_eq!(again["deleted"], false);
}

#[test]
fn any_json_value_round_trips_including_null() {
    let world = World::new();
    let ada = world.session("ada");
    let values = [
        json!(null),
        json!(false),
        json!(-1.5),
        json!("5433"),
        json!(""),
        json!([1, [null], { "b": 1, "a": "ä\n\"" }]),
        json!({}),
    ];
    for (at, value) in values.iter().enumerate() {
        let key = format!("k{at}");
        set(&ada, &key, value.clone());
        let found = get(&ada, &key);
        assert_eq!(
            (&found["value"], &found["version"]),
            (value, &json!(1)),
            "{key}"
        );
    }
    let listed = ada.call("state", json!({ "action": "list", "prefix": "k0" }));
    assert_eq!(
        keys(&listed),
        ["k0"],
        "an entry with the value null is listed"
    );
}

// Requirement: Sharing 5
#[test]
fn project_keys_are_separate_and_shared_keys_are_global() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    set(&ada, "port", json!(1));
    let place = |session: &Session, action: &str, namespace: &str| {
        let mut call = json!({ "action": action, "key": "port", "namespace": namespace });
        if action == "set" {
            call["value"] = session.name().into();
        }
        session.call("state", call)["value"].clone()
    };
    assert_eq!(
        get(&bo, "port")["version"],
        0,
        "an entry of another project is not found"
    );
    place(&ada, "set", "shared");
    assert_eq!(place(&bo, "get", "shared"), "ada");
    place(&ada, "set", "build");
    assert_eq!(
        place(&bo, "get", "build"),
        Value::Null,
        "a folder in the project has the namespace of the project"
    );
    assert_eq!(
        place(&ada, "get", "default"),
        1,
        "the name of the project selects its namespace"
    );
    let of_ada = world.home().join("ada").display().to_string();
    for spoofed in [
        of_ada.clone(),
        json!([of_ada, "default"]).to_string(),
        format!("{of_ada}\",\"default"),
        "../ada".into(),
    ] {
        assert_eq!(place(&bo, "get", &spoofed), Value::Null, "{spoofed}");
    }
}

// Requirement: Beyond 8
#[test]
fn compare_and_set_refuses_a_stale_version_with_the_current() {
    let world = World::new();
    let (ada, bo) = (world.session("api"), world.session("api"));
    let claim = |session: &Session, version: u32, value: &str| {
        session.call(
            "state",
            json!({ "action": "set", "key": "lead", "value": value, "expected_version": version }),
        )
    };
    assert_eq!(claim(&ada, 0, "ada")["version"], 1);
    let slower = claim(&bo, 0, "bo");
    assert_eq!(slower["error"]["code"], "conflict");
    assert_eq!(slower["error"]["current"], get(&bo, "lead"));
    assert_eq!(slower["error"]["current"]["value"], "ada");
    assert_eq!(claim(&bo, 1, "bo")["version"], 2);
    let stale = json!({ "action": "delete", "key": "lead", "expected_version": 1 });
    assert_eq!(refused(&ada.call("state", stale)).0, "conflict");
    assert_eq!(
        get(&ada, "lead")["value"],
        "bo",
        "a refused write changes nothing"
    );
    let absent = json!({ "action": "set", "key": "x", "value": 1, "expected_version": 3 });
    let refusal = ada.call("state", absent);
    assert_eq!(refusal["error"]["current"]["version"], 0);
}

// Requirement: Beyond 8
#[test]
fn state_versions_increase_and_never_restart() {
    let world = World::new();
    let ada = world.session("ada");
    let version = |value: i64| set(&ada, "port", json!(value))["version"].clone();
    assert_eq!([version(1), version(2)], [json!(1), json!(2)]);
    let gone = ada.call(
        "state",
        json!({ "action": "delete", "key": "port", "expected_version": 2 }),
    );
    assert_eq!(gone["version"], 3);
    let reset = json!({ "action": "set", "key": "port", "value": 3, "expected_version": 0 });
    assert_eq!(ada.call("state", reset)["version"], 4);
    let stale = json!({ "action": "set", "key": "port", "value": 9, "expected_version": 2 });
    assert_eq!(
        refused(&ada.call("state", stale)).0,
        "conflict",
        "a write with an old version conflicts"
    );
}

// Requirement: Sharing 5
#[test]
fn state_list_is_sorted_filtered_by_prefix_and_resumable() {
    let world = World::new();
    let ada = world.session("ada");
    for key in ["b/2", "b/1", "a", "b", "c", "b/ü", "b0"] {
        set(&ada, key, json!(key));
    }
    let list = |more: Value| {
        let mut call = json!({ "action": "list" });
        call.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        ada.call("state", call)
    };
    assert_eq!(
        keys(&list(json!({}))),
        ["a", "b", "b/1", "b/2", "b/ü", "b0", "c"]
    );
    assert_eq!(
        keys(&list(json!({ "prefix": "b/" }))),
        ["b/1", "b/2", "b/ü"]
    );
    assert_eq!(
        keys(&list(json!({ "prefix": "b/", "after": "b/1" }))),
        ["b/2", "b/ü"]
    );
    assert_eq!(keys(&list(json!({ "prefix": "x" }))), [""; 0]);
    for number in 0..5 {
        set(&ada, &format!("long/{number}"), json!("x".repeat(40_000)));
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let listed = list(json!({ "prefix": "long/", "after": after }));
        assert!(listed.to_string().len() <= 200_000);
        seen.extend(keys(&listed).iter().map(|key| (*key).to_owned()));
        if listed["truncated"] == false {
            break;
        }
        after.clone_from(seen.last().unwrap());
    }
    assert_eq!(seen, ["long/0", "long/1", "long/2", "long/3", "long/4"]);
}

#[test]
fn event_log_records_a_state_change_without_its_value() {
    let world = World::new();
    let ada = world.session("ada");
    set(&ada, "port", json!("the-value"));
    ada.call("state", json!({ "action": "delete", "key": "port" }));
    let reported = ada.call("events", json!({ "types": ["state.*"] }));
    let data: Vec<Value> = reported["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["data"].clone())
        .collect();
    let project = world.home().join("ada");
    let change = |version: i64, deleted: bool| json!({ "namespace": "default", "project": project, "key": "port", "version": version, "deleted": deleted });
    assert_eq!(data, [change(1, false), change(2, true)]);
    assert!(!reported.to_string().contains("the-value"));
}

// Requirement: Beyond 8
#[test]
fn two_processes_lose_no_increment_with_compare_and_set() {
    let world = World::new();
    let sessions = [world.session("api"), world.session("api")];
    set(&sessions[0], "count", json!(0));
    let conflicts: Vec<u32> = std::thread::scope(|scope| {
        let count = |session| {
            move || {
                let (mut done, mut conflicts) = (0, 0);
                let mut seen = get(session, "count");
                while done < 500 {
                    let value = seen["value"].as_i64().unwrap() + 1;
                    let put = session.call(
                        "state",
                        json!({
                            "action": "set",
                            "key": "count",
                            "value": value,
                            "expected_version": seen["version"],
                        }),
                    );
                    if put["error"].is_null() {
                        done += 1;
                        seen = put;
                    } else {
                        conflicts += 1;
                        seen = put["error"]["current"].clone();
                    }
                }
                conflicts
            }
        };
        let threads = sessions
            .each_ref()
            .map(|session| scope.spawn(count(session)));
        threads.map(|thread| thread.join().unwrap()).to_vec()
    });
    let end = get(&sessions[0], "count");
    assert_eq!(
        (&end["value"], &end["version"]),
        (&json!(1000), &json!(1001))
    );
    assert!(
        conflicts.iter().sum::<u32>() > 0,
        "concurrent writes conflict"
    );
}

/// Runs the command line with a text on its stdin.
fn run_cli(world: &World, arguments: &[&str], stdin: &[u8]) -> ProcessOutput {
    let mut child = world
        .command(program("claude-mesh"), &world.project("ada"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin);
    ProcessOutput::of(&child.wait_with_output().unwrap())
}

// Requirement: Sharing 5
#[test]
fn person_reads_and_writes_the_state_of_the_folder() {
    let world = World::new();
    let run_state_command =
        |arguments: &[&str]| run_cli(&world, &[&["state"], arguments].concat(), b"");
    let none = run_state_command(&["get", "port"]);
    assert_eq!((none.code, none.out.as_str()), (Some(3), ""), "{none:?}");
    assert!(
        none.err.starts_with("claude-mesh: no entry \"port\""),
        "{none:?}"
    );
    assert!(!world.database().exists(), "reading creates no database");
    assert_eq!(
        run_state_command(&["set", "port", "5433"]).out,
        "port is set, version 1\n"
    );
    let ada = world.session("ada");
    assert_eq!(
        get(&ada, "port")["value"],
        5433,
        "a JSON argument is stored as JSON"
    );
    run_state_command(&["set", "port", "five {"]);
    assert_eq!(get(&ada, "port")["value"], "five {");
    run_state_command(&["set", "port", "5433", "--text"]);
    assert_eq!(run_state_command(&["get", "port"]).out, "5433\n");
    let seen = run_state_command(&["get", "port", "--json"]).json();
    assert_eq!(seen, get(&ada, "port"));
    assert!(seen["updated_by"].as_str().unwrap().starts_with("person@"));
    let stale = run_state_command(&["set", "port", "-1", "--expected-version", "1", "--json"]);
    assert_eq!(stale.code, Some(1));
    assert_eq!(stale.json()["error"]["current"], seen);
    assert_eq!(
        run_state_command(&["delete", "port"]).out,
        "port is deleted\n"
    );
    assert_eq!(
        run_state_command(&["get", "port", "--json"]).json()["version"],
        0
    );
    let piped = run_cli(
        &world,
        &["state", "set", "notes", "-"],
        "two\nlines\n".as_bytes(),
    );
    assert_eq!(piped.code, Some(0), "{piped:?}");
    assert_eq!(get(&ada, "notes")["value"], "two\nlines");
    assert!(run_state_command(&["list"]).out.contains("notes"));
    assert_eq!(
        keys(&run_state_command(&["list", "--json"]).json()),
        ["notes"]
    );
}

#[test]
fn invalid_state_command_is_reported_and_stores_nothing() {
    let world = World::new();
    let refused = |arguments: &[&str], stdin: &[u8]| {
        let ran = run_cli(
            &world,
            &[&["state"], arguments, &["--json"]].concat(),
            stdin,
        );
        assert_eq!(ran.code, Some(1), "{ran:?}");
        ran.json()["error"]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused(&["set", "k", "-"], b"\xff\xfe"), "invalid_argument");
    assert_eq!(
        refused(&["set", "k", "-"], &vec![b'x'; 70_000]),
        "too_large"
    );
    assert_eq!(refused(&["set", "", "1"], b""), "invalid_argument");
    assert_eq!(
        refused(&["set", "k", "1", "--ttl", "400d"], b""),
        "invalid_argument"
    );
    let key = format!("glpat-{}", "aB3dE5gH7jK9".repeat(2));
    assert_eq!(refused(&["set", "k", &key], b""), "secret");
    assert_eq!(run_cli(&world, &["state", "put", "k"], b"").code, Some(2));
    assert_eq!(run_cli(&world, &["state", "get", "k"], b"").code, Some(3));
}
