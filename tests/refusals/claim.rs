//! Claims that are refused, with the exact refusal.
use serde_json::json;

use super::{HINT_INVALID_ARGUMENT, HINT_SECRET, HINT_TOO_LARGE};
use crate::support::{Refusal, World, assert_refusals};

fn refusals() -> Vec<Refusal> {
    let secret = format!("ghp_{}", "aB3d".repeat(10));
    vec![
        (
            "claims",
            json!({ "resource": "it", "prefix": "i" }),
            "invalid_argument",
            "give \"resource\" or \"prefix\", not both",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "release",
            json!({}),
            "invalid_argument",
            "give either \"claim_id\" or \"resource\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "claim",
            json!({ "resource": "" }),
            "invalid_argument",
            "\"resource\" is empty",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "claim",
            json!({ "resource": "x".repeat(513) }),
            "too_large",
            "\"resource\" has 513 bytes; the limit is 512",
            HINT_TOO_LARGE,
        ),
        (
            "claim",
            json!({ "resource": "a\u{7}b" }),
            "invalid_argument",
            "\"resource\" must have no control characters",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "claim",
            json!({ "resource": "file:" }),
            "invalid_argument",
            "\"resource\" is \"file:\" without a path",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "claim",
            json!({ "resource": "a", "note": "y".repeat(501) }),
            "invalid_argument",
            "\"note\" may have 500 characters at most, got 501",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "claim",
            json!({ "resource": "a", "note": secret }),
            "secret",
            "\"note\" contains what looks like a GitHub token; nothing was stored",
            HINT_SECRET,
        ),
        (
            "claim",
            json!({ "resource": "a", "lease_seconds": 0 }),
            "invalid_argument",
            "\"lease_seconds\" must be from 1 to 86400, got 0",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "claim",
            json!({ "resource": "a", "lease_seconds": "2m" }),
            "invalid_argument",
            "\"lease_seconds\": wrong type: the text \"2m\", expected a whole number",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "claim",
            json!({ "resource": "a", "wait_seconds": 5 }),
            "invalid_argument",
            "\"wait_seconds\" needs \"wait\": \"queue\"",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "claim",
            json!({ "resource": "a", "mode": "sharde" }),
            "invalid_argument",
            "\"mode\": unknown value `sharde`, expected `exclusive` or `shared`",
            HINT_INVALID_ARGUMENT,
        ),
        (
            "claim",
            json!({ "resource": 7 }),
            "invalid_argument",
            "\"resource\": wrong type: the number `7`, expected a text",
            HINT_INVALID_ARGUMENT,
        ),
    ]
}

#[test]
fn invalid_claims_are_refused_and_not_stored() {
    let world = World::new();
    let ada = world.session("ada");
    assert_refusals(&ada, refusals());
    assert_eq!(ada.call("claims", json!({})), json!({ "claims": [] }));
}
