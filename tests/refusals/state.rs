//! Calls of the `state` tool that are refused, with the exact refusal.
use serde_json::json;

use crate::support::{Refusal, World, assert_refusals};

fn refusals() -> Vec<Refusal> {
    vec![
        ("state", json!({}), "", "", ""),
        ("state", json!({ "action": "put" }), "", "", ""),
        ("state", json!({ "action": "get" }), "", "", ""),
        ("state", json!({ "action": "get", "key": 5 }), "", "", ""),
        ("state", json!({ "action": "get", "key": "" }), "", "", ""),
        (
            "state",
            json!({ "action": "get", "key": "a\nb" }),
            "",
            "",
            "",
        ),
        (
            "state",
            json!({ "action": "get", "key": "x".repeat(257) }),
            "",
            "",
            "",
        ),
        (
            "state",
            json!({ "action": "get", "key": "k", "value": null }),
            "",
            "",
            "",
        ),
        (
            "state",
            json!({ "action": "get", "key": "k", "prefix": "p" }),
            "",
            "",
            "",
        ),
        ("state", json!({ "action": "list", "key": "k" }), "", "", ""),
        (
            "state",
            json!({ "action": "delete", "key": "k", "ttl_seconds": 5 }),
            "",
            "",
            "",
        ),
        ("state", json!({ "action": "set", "key": "k" }), "", "", ""),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": 1, "ttl_seconds": 0 }),
            "",
            "",
            "",
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": 1, "expected_version": -1 }),
            "",
            "",
            "",
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": 1, "namespace": "" }),
            "",
            "",
            "",
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": 1, "namespace": "n".repeat(129) }),
            "",
            "",
            "",
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": 1, "scope": "x" }),
            "",
            "",
            "",
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": "x".repeat(65_535) }),
            "",
            "",
            "",
        ),
        (
            "state",
            json!({ "action": "set", "key": "k", "value": { "t": format!("ghp_{}", "aB3dE5gH7jK9".repeat(3)) } }),
            "",
            "",
            "",
        ),
    ]
}

#[test]
fn invalid_state_calls_are_refused_by_name_and_store_nothing() {
    let world = World::new();
    let ada = world.session("ada");
    assert_refusals(&ada, refusals());
    let count: i64 = world
        .rows()
        .query_row("SELECT count(*) FROM state", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 0);
    let largest = json!({ "action": "set", "key": "k", "value": "x".repeat(65_534) });
    assert_eq!(
        ada.call("state", largest)["version"],
        1,
        "the largest value"
    );
}
