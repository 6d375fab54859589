//! Claims that are refused, with the exact refusal.
use serde_json::json;

use crate::support::{Refusal, World, assert_refusals};

fn refusals() -> Vec<Refusal> {
    let secret = format!("ghp_{}", "aB3d".repeat(10));
    vec![
        (
            "claims",
            json!({ "resource": "it", "prefix": "i" }),
            "",
            "",
            "",
        ),
        ("release", json!({}), "", "", ""),
        ("claim", json!({ "resource": "" }), "", "", ""),
        ("claim", json!({ "resource": "x".repeat(513) }), "", "", ""),
        ("claim", json!({ "resource": "a\u{7}b" }), "", "", ""),
        ("claim", json!({ "resource": "file:" }), "", "", ""),
        (
            "claim",
            json!({ "resource": "a", "note": "y".repeat(501) }),
            "",
            "",
            "",
        ),
        (
            "claim",
            json!({ "resource": "a", "note": secret }),
            "",
            "",
            "",
        ),
        (
            "claim",
            json!({ "resource": "a", "lease_seconds": 0 }),
            "",
            "",
            "",
        ),
        (
            "claim",
            json!({ "resource": "a", "lease_seconds": "2m" }),
            "",
            "",
            "",
        ),
        (
            "claim",
            json!({ "resource": "a", "wait_seconds": 5 }),
            "",
            "",
            "",
        ),
        (
            "claim",
            json!({ "resource": "a", "mode": "sharde" }),
            "",
            "",
            "",
        ),
        ("claim", json!({ "resource": 7 }), "", "", ""),
    ]
}

#[test]
fn invalid_claims_are_refused_and_not_stored() {
    let world = World::new();
    let ada = world.session("ada");
    assert_refusals(&ada, refusals());
    assert_eq!(ada.call("claims", json!({})), json!({ "claims": [] }));
}
