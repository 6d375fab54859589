//! Peers at the command line: the list, its scope and order, forgetting a name.
use std::io::{BufRead, BufReader};

use claude_mesh::mesh::JoinRequest;
use serde_json::{Value, json};

use super::fixture::CliFixture;

#[test]
fn cli_peers_prints_a_table_headed_by_mesh_and_own_name() {
    let fixture = CliFixture::new();
    let (mut ada, bo) = (fixture.peer("ada"), fixture.peer("bo"));
    CliFixture::question(&mut ada, "bo", "which port?");
    let table = fixture.run_ok(&["peers"]);
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(
        table.starts_with("mesh default (~/.claude-mesh/mesh.db), you are person@"),
        "{table}"
    );
    assert_eq!(
        lines[1..],
        [
            vec!["NAME", "ACTIVITY", "ROLE", "PROJECT", "WAITING", "ASKABLE"],
            vec!["ada", "unknown", "-", "~/ada", "0", "yes"],
            vec!["bo", "unknown", "-", "~/bo", "1", "yes"],
        ]
    );
    assert!(!table.contains('\u{1b}'), "no colours off a terminal");
    let json: Value = serde_json::from_str(&fixture.run_ok(&["peers", "--json"])).unwrap();
    assert_eq!(json["peers"][1]["peer"], "bo");
    assert_eq!(json["peers"][1]["questions_waiting"], 1);
    assert!(json["you"].as_str().unwrap().starts_with("person@"));
    drop(bo);
    assert!(!fixture.run_ok(&["peers"]).contains("bo"));
    assert!(
        fixture
            .run_ok(&["peers", "--all"])
            .contains("offline, seen ")
    );
}

#[test]
fn cli_peers_sorts_waiting_then_needs_restart_then_busy() {
    let fixture = CliFixture::new();
    let ada = fixture.world.session("ada");
    ada.register("busy");
    let request = JoinRequest::here(&fixture.world.project("moe")).unwrap();
    fixture.open().register(&request.instance(99)).unwrap();
    let zoe = fixture.world.session("zoe");
    zoe.register("waiting");
    let table = fixture.run_ok(&["peers"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().take(2).collect())
        .filter(|row: &Vec<&str>| ["ada", "moe", "zoe"].contains(row.first().unwrap_or(&"")))
        .collect();
    assert_eq!(
        rows,
        [
            ["zoe", "waiting"],
            ["moe", "needs_restart"],
            ["ada", "busy"]
        ],
        "{table}"
    );
}

// Requirement: Sharing 1
#[test]
fn cli_peers_scope_filters_by_repository_and_directory() {
    let fixture = CliFixture::new();
    fixture
        .world
        .write("shop/.git/HEAD", "ref: refs/heads/main\n");
    let (_ada, _api) = (fixture.peer("ada"), fixture.peer("shop/api"));
    let shop = fixture.world.home().join("shop");
    let names = |scope| {
        let ran = fixture
            .world
            .cli(&shop, &["peers", "--json", "--scope", scope]);
        let peers = ran.json()["peers"].as_array().unwrap().clone();
        peers
            .iter()
            .map(|peer| peer["peer"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("machine"), ["ada", "api"]);
    assert_eq!(names("repo"), ["api"]);
    assert_eq!(names("directory"), ["api"]);
}

#[test]
fn cli_peers_forget_frees_only_an_unoccupied_name() {
    let fixture = CliFixture::new();
    let ada = fixture.peer("ada");
    assert_eq!(
        fixture.run_refused(&["peers", "--forget", "ada"]).0,
        "conflict"
    );
    drop(ada);
    assert!(
        fixture
            .run_ok(&["peers", "--forget", "Ada"])
            .contains("the name is free")
    );
    assert_eq!(
        fixture.run_refused(&["peers", "--forget", "ada"]).0,
        "unknown_peer"
    );
}

#[test]
fn cli_peers_watch_reprints_the_list_on_change() {
    let fixture = CliFixture::new();
    let mut watching = fixture.start(&["peers", "--watch", "--json"]);
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next(), json!({ "peers": [] }));
    let mut until = |names: &[&str]| {
        let mut seen = Value::Null;
        // The output on the way differs in times and activities.
        for _ in 0..20 {
            seen = next()["peers"].clone();
            let peers = seen.as_array().unwrap().iter();
            if peers
                .map(|peer| peer["peer"].as_str().unwrap())
                .eq(names.iter().copied())
            {
                return;
            }
        }
        panic!("never just {names:?}: {seen}");
    };
    let ada = fixture.peer("ada");
    until(&["ada"]);
    let _bo = fixture.peer("bo");
    until(&["ada", "bo"]);
    drop(ada);
    until(&["bo"]);
    watching.kill().unwrap();
    watching.wait().unwrap();
}
