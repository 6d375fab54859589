//! Claims and lines as JSON.
use serde_json::{Value, json};

use crate::mesh::{ClaimLine, Claimed, Grant, Granted, Released, Sitting, Ticket};
use crate::platform::Moment;
use crate::platform::clock::rfc3339;
use crate::store::Claim;

/// Returns a claim whose turn came while nobody waited.
pub fn granted(granted: &Granted) -> Value {
    let mut value = claimed(&granted.claim);
    value["claim_id"] = json!(granted.claim.id);
    value["lease_expires_at"] = rfc3339(granted.until_ms).into();
    value
}

/// Returns what came of asking for a claim.
pub fn claim(claimed: &Claimed, now: &Moment) -> Value {
    let holders = |claims: &[Claim]| -> Vec<Value> {
        claims.iter().map(|claim| holder(claim, now)).collect()
    };
    match claimed {
        Claimed::Granted(Grant { claim, renewed }) => json!({
            "status": "granted",
            "claim_id": claim.id,
            "fence": claim.fence,
            "mode": claim.mode,
            "lease_expires_at": rfc3339(expires_ms(claim, now)),
            "renewed": renewed,
        }),
        Claimed::Denied { holders: held } => {
            json!({ "status": "denied", "holders": holders(held) })
        }
        Claimed::Queued(Ticket {
            id,
            place,
            holders: held,
            ..
        }) => json!({
            "status": "queued",
            "claim_id": id,
            "queue_position": place,
            "holders": holders(held),
        }),
    }
}

/// Returns what came of giving a claim back.
pub fn released(released: &Released) -> Value {
    let was = released
        .was
        .map_or("gone", crate::model::ClaimState::as_str);
    json!({ "released": released.was.is_some(), "was": was, "promoted": released.promoted })
}

/// Returns who holds a resource and who stands in line for it. One's own claims carry their ids.
pub fn line(line: &ClaimLine, me: Option<&Sitting>, now: &Moment) -> Value {
    let own = |mut value: Value, claim: &Claim| {
        if ClaimLine::is_own(claim, me) {
            value["claim_id"] = json!(claim.id);
        }
        value
    };
    let holders = line.holders.iter().map(|claim| {
        let mut value = holder(claim, now);
        value["fence"] = json!(claim.fence);
        own(value, claim)
    });
    let queue = line.queue.iter().enumerate().map(|(place, claim)| {
        let value = json!({
            "queue_position": place + 1,
            "peer": claim.peer_name,
            "mode": claim.mode,
            "note": claim.note,
            "claimed_at": rfc3339(claim.claimed_at_ms),
        });
        own(value, claim)
    });
    json!({
        "resource": line.resource,
        "holders": holders.collect::<Vec<_>>(),
        "queue": queue.collect::<Vec<_>>(),
        "fence": line.fence,
    })
}

/// Returns when a lease ends, in wall milliseconds; a lapsed one that is still honoured has ended.
///
/// Two clocks are never read in the same instant, so what they are apart varies by a millisecond from look to look. As long as
/// they go on together since the lease began, its end is told by their readings of that time, and is the same for all.
pub fn expires_ms(claim: &Claim, now: &Moment) -> i64 {
    const TOGETHER_MS: i64 = 1_000;
    let apart_now_ms = now.wall_ms - now.monotonic_ms;
    let apart_then_ms = claim.began_at_ms - claim.lease.claimed_ms;
    let same_boot = claim.boot == *now.boot;
    let together = same_boot && (apart_now_ms - apart_then_ms).abs() < TOGETHER_MS;
    let apart_ms = if together {
        apart_then_ms
    } else {
        apart_now_ms
    };
    claim.lease.until_ms + apart_ms
}

fn holder(claim: &Claim, now: &Moment) -> Value {
    json!({
        "peer": claim.peer_name,
        "mode": claim.mode,
        "note": claim.note,
        "lease_expires_at": rfc3339(expires_ms(claim, now)),
    })
}

pub(super) fn claimed(claim: &Claim) -> Value {
    json!({ "resource": claim.resource, "mode": claim.mode, "fence": claim.fence })
}
