//! Claims and claim queues as JSON.
use serde_json::{Value, json};

use crate::mesh::{
    ClaimOutcome, ClaimQueue, Grant, Granted, ReleaseOutcome, SessionHandle, Ticket,
    lease_expires_at_ms,
};
use crate::platform::Moment;
use crate::platform::clock::rfc3339;
use crate::store::Claim;

/// Returns a claim that was granted while no call waited.
pub fn granted(granted: &Granted) -> Value {
    let mut value = claimed(&granted.claim);
    value["claim_id"] = json!(granted.claim.id);
    value["lease_expires_at"] = rfc3339(granted.until_ms).into();
    value
}

/// Returns the result of claiming.
pub fn claim(claimed: &ClaimOutcome, now: &Moment) -> Value {
    let holders = |claims: &[Claim]| -> Vec<Value> {
        claims.iter().map(|claim| holder(claim, now)).collect()
    };
    match claimed {
        ClaimOutcome::Granted(grant) => grant_result(grant, now),
        ClaimOutcome::Denied { holders: held } => {
            json!({ "status": "denied", "holders": holders(held) })
        }
        ClaimOutcome::Queued(Ticket {
            id,
            position,
            holders: held,
            ..
        }) => json!({
            "status": "queued",
            "claim_id": id,
            "queue_position": position,
            "holders": holders(held),
        }),
    }
}

fn grant_result(grant: &Grant, now: &Moment) -> Value {
    let Grant {
        claim,
        renewed,
        other_clones,
    } = grant;
    let mut result = json!({
        "status": "granted",
        "claim_id": claim.id,
        "fence": claim.fencing_token,
        "mode": claim.mode,
        "lease_expires_at": rfc3339(lease_expires_at_ms(claim, now)),
        "renewed": renewed,
    });
    if !other_clones.is_empty() {
        let others = other_clones.iter().map(|other| {
            let mut value = holder(other, now);
            value["resource"] = json!(other.resource);
            value
        });
        result["other_clones"] = others.collect();
        result["hint"] =
            "The same file is claimed in another clone of this repository; agree with its holder before you push.".into();
    }
    result
}

/// Returns the result of a release.
pub fn released(released: &ReleaseOutcome) -> Value {
    let was = released
        .was
        .map_or("gone", crate::model::ClaimState::as_str);
    json!({ "released": released.was.is_some(), "was": was, "promoted": released.promoted })
}

/// Returns the holders and the queue of a resource. The claims of `me` have their ids.
pub fn claim_queue(queue: &ClaimQueue, me: Option<&SessionHandle>, now: &Moment) -> Value {
    let own = |mut value: Value, claim: &Claim| {
        if ClaimQueue::is_own(claim, me) {
            value["claim_id"] = json!(claim.id);
        }
        value
    };
    let holders = queue.holders.iter().map(|claim| {
        let mut value = holder(claim, now);
        value["fence"] = json!(claim.fencing_token);
        own(value, claim)
    });
    let tickets = queue.queue.iter().enumerate().map(|(position, claim)| {
        let value = json!({
            "queue_position": position + 1,
            "peer": claim.peer_name,
            "mode": claim.mode,
            "note": claim.note,
            "claimed_at": rfc3339(claim.claimed_at_ms),
        });
        own(value, claim)
    });
    json!({
        "resource": queue.resource,
        "holders": holders.collect::<Vec<_>>(),
        "queue": tickets.collect::<Vec<_>>(),
        "fence": queue.fencing_token,
    })
}

fn holder(claim: &Claim, now: &Moment) -> Value {
    json!({
        "peer": claim.peer_name,
        "mode": claim.mode,
        "note": claim.note,
        "lease_expires_at": rfc3339(lease_expires_at_ms(claim, now)),
    })
}

pub(super) fn claimed(claim: &Claim) -> Value {
    json!({ "resource": claim.resource, "mode": claim.mode, "fence": claim.fencing_token })
}
