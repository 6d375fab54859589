//! Status and garbage collection at the command line.
use std::sync::Arc;

use claude_mesh::mesh::{JoinRequest, Mesh};
use claude_mesh::platform::clock::{Clock, ManualClock, SystemClock};
use serde_json::{Value, json};

use super::fixture::CliFixture;

#[test]
fn cli_status_and_gc_report_counts() {
    let fixture = CliFixture::new();
    let (mut ada, bo) = (fixture.peer("ada"), fixture.peer("bo"));
    CliFixture::question(&mut ada, "bo", "which port?");
    drop(bo);
    let status: Value = serde_json::from_str(&fixture.run_ok(&["status", "--json"])).unwrap();
    assert_eq!(status["status"], "ok");
    assert_eq!(
        status["peers"],
        json!({ "alive": 1, "stale": 0, "dead": 1 })
    );
    assert_eq!(status["questions"]["open"], 1);
    assert!(
        fixture
            .run_ok(&["status"])
            .contains("questions  1 open, 0 answered, 0 expired")
    );
    let text = fixture.run_ok(&["status"]);
    let in_one_row = [
        "status",
        "path",
        "bytes",
        "wal_bytes",
        "schema",
        "paused_until",
    ];
    for key in status.as_object().unwrap().keys() {
        let row = |line: &str| line.split_whitespace().next() == Some(key);
        let is_shown = text.lines().any(row) || in_one_row.contains(&key.as_str());
        assert!(is_shown, "{key} is not in {text}");
    }
    let reclaimed: Value = serde_json::from_str(&fixture.run_ok(&["gc", "--json"])).unwrap();
    assert_eq!(reclaimed["reclaimed"]["questions"], 0);
    let nothing: Value =
        serde_json::from_str(&CliFixture::new().run_ok(&["gc", "--json"])).unwrap();
    assert_eq!(nothing, reclaimed, "without a mesh the same keys");
    assert!(
        fixture.run_ok(&["inbox", "--all"]).contains("which port?"),
        "open questions are kept"
    );
}

// Requirement: Mesh 15
#[test]
fn cli_gc_removes_expired_questions_and_shrinks_the_file() {
    let fixture = CliFixture::new();
    let now_ms = SystemClock::new().now().wall_ms;
    let clock = Arc::new(ManualClock::at(now_ms - 60 * 24 * 3600 * 1000));
    let mesh = || Mesh::open(&fixture.database(), clock.clone()).unwrap();
    let request = |name: &str, number| {
        let request = JoinRequest::here(&fixture.world.project(name)).unwrap();
        request.instance(number)
    };
    let mut ada = mesh().join(&request("ada", 901)).unwrap();
    let mut bo = mesh().join(&request("bo", 902)).unwrap();
    for number in 0..40 {
        let text = format!("{number} {}", "x".repeat(60_000));
        let id = CliFixture::question(&mut ada, "bo", &text);
        bo.answer(id, "yes").unwrap();
    }
    drop((ada, bo));
    let reclaimed: Value = serde_json::from_str(&fixture.run_ok(&["gc", "--json"])).unwrap();
    assert_eq!(reclaimed["reclaimed"]["questions"], 40);
    assert!(
        reclaimed["reclaimed"]["bytes"].as_u64().unwrap() > 2_000_000,
        "{reclaimed}"
    );
    assert!(fixture.database().metadata().unwrap().len() < 400_000);
}
