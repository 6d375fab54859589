//! Memories that are refused, with the exact refusal.
use serde_json::json;

use crate::support::{Refusal, World, assert_refusals};

fn refusals() -> Vec<Refusal> {
    let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(4));
    let seventeen: Vec<String> = (0..17).map(|number| format!("t{number}")).collect();
    vec![
        ("remember", json!({}), "", "", ""),
        ("remember", json!({ "text": " " }), "", "", ""),
        (
            "remember",
            json!({ "text": "x".repeat(65_537) }),
            "",
            "",
            "",
        ),
        ("remember", json!({ "text": token }), "", "", ""),
        ("remember", json!({ "text": "x", "key": token }), "", "", ""),
        (
            "remember",
            json!({ "text": "x", "tags": [token] }),
            "",
            "",
            "",
        ),
        ("remember", json!({ "text": "x", "key": "" }), "", "", ""),
        (
            "remember",
            json!({ "text": "x", "key": "a\nb" }),
            "",
            "",
            "",
        ),
        (
            "remember",
            json!({ "text": "x", "key": "k".repeat(257) }),
            "",
            "",
            "",
        ),
        (
            "remember",
            json!({ "text": "x", "tags": ["t".repeat(65)] }),
            "",
            "",
            "",
        ),
        (
            "remember",
            json!({ "text": "x", "tags": ["*"] }),
            "",
            "",
            "",
        ),
        (
            "remember",
            json!({ "text": "x", "tags": seventeen }),
            "",
            "",
            "",
        ),
        (
            "remember",
            json!({ "text": "x", "ttl_seconds": 0 }),
            "",
            "",
            "",
        ),
        (
            "remember",
            json!({ "text": "x", "scope": "both" }),
            "",
            "",
            "",
        ),
        (
            "remember",
            json!({ "text": "x", "priority": 1 }),
            "",
            "",
            "",
        ),
        ("recall", json!({ "limit": 51 }), "", "", ""),
        ("recall", json!({ "query": "a ".repeat(2_000) }), "", "", ""),
        ("recall", json!({ "scope": "all" }), "", "", ""),
        ("recall", json!({ "tags": [""] }), "", "", ""),
        ("forget", json!({}), "", "", ""),
        (
            "forget",
            json!({ "key": "a", "memory_id": "b" }),
            "",
            "",
            "",
        ),
        ("forget", json!({ "memory_id": "b" }), "", "", ""),
    ]
}

#[test]
fn invalid_memory_input_is_refused_by_name_and_not_stored() {
    let world = World::new();
    let ada = world.session("ada");
    assert_refusals(&ada, refusals());
    assert_eq!(ada.call("mesh_status", json!({}))["memories"], 0);
}
