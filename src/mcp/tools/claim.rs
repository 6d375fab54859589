//! `claim`, `release` and `claims`.
use std::time::Duration;

use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{arguments, results};
use super::{Call, Effect, Entry};
use crate::mcp::blocking_wait;
use crate::mcp::blocking_wait::{Came, Seen};
use crate::mcp::result_budget::Room;
use crate::mesh;
use crate::mesh::{
    ClaimFilter, Claimed, Claiming, Interruption, Sitting, Ticket, WaitReason, WhichClaim,
};
use crate::model::claim::{LEASE_SECONDS, LEASE_SECONDS_MAX};
use crate::model::{Mode, Refusal, Result};
use crate::platform::id::ClaimId;
use crate::tools::output;

pub(super) const TOOLS: [Entry; 3] = [
    Entry {
        set: "claims",
        name: "claim",
        description: "Claims a resource (file:src/api.rs, \"deploy\") so that no other session uses it meanwhile. Returns granted (with a fence that only grows), denied with its holders, or with wait: queue a place in line; wait_seconds waits for the turn. Claim again to renew or rejoin. It ends with release, your session or its lease.",
        schema: arguments::schema::<Claim>,
        effect: Effect::Idempotent,
        everyday: false,
        long: true,
    },
    Entry {
        set: "claims",
        name: "release",
        description: "Gives back a claim or a place in line, by claim_id or resource; the next in line is told.",
        schema: arguments::schema::<Release>,
        effect: Effect::Idempotent,
        everyday: false,
        long: false,
    },
    Entry {
        set: "claims",
        name: "claims",
        description: "Lists who holds what, until when, and who stands in line for it.",
        schema: arguments::schema::<Claims>,
        effect: Effect::Reads,
        everyday: false,
        long: true,
    },
];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Claim {
    #[schemars(length(max = 512))]
    resource: String,
    /// default exclusive
    mode: Option<ModeWord>,
    /// default 120
    #[schemars(range(min = 1, max = 86_400))]
    lease_seconds: Option<u32>,
    wait: Option<WaitWord>,
    /// with queue; default 0
    #[schemars(range(max = 3600))]
    wait_seconds: Option<u32>,
    #[schemars(length(max = 500))]
    note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum ModeWord {
    Exclusive,
    Shared,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum WaitWord {
    NoWait,
    Queue,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Release {
    claim_id: Option<String>,
    resource: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Claims {
    resource: Option<String>,
    /// such as `file:src/`
    prefix: Option<String>,
}

/// What to do after a claim's wait was interrupted.
const FIRST: &str =
    "Answer these with reply_to_peer first, then call claim again: your place in line is kept.";
const CIRCLE: &str = "You wait for each other in a circle. Answer what waits for you, or release what another of the chain waits for; then call claim again: your place in line is kept.";

pub(super) async fn claim(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let Claim {
        resource,
        mode,
        lease_seconds,
        wait,
        wait_seconds,
        note,
    } = arguments::read(arguments)?;
    let lease = arguments::within(
        "lease_seconds",
        lease_seconds,
        1..=LEASE_SECONDS_MAX,
        LEASE_SECONDS,
    )?;
    let wait_seconds = arguments::within("wait_seconds", wait_seconds, 0..=3600, 0)?;
    let queue = wait == Some(WaitWord::Queue);
    if wait_seconds > 0 && !queue {
        return Err(Refusal::argument("\"wait_seconds\" needs \"wait\": \"queue\"").into());
    }
    let mode = match mode {
        None | Some(ModeWord::Exclusive) => Mode::Exclusive,
        Some(ModeWord::Shared) => Mode::Shared,
    };
    let claimed = call
        .verb(|at| {
            let resource = mesh::resource(&at.project.path, &resource)?;
            let wanted = Claiming {
                resource: &resource,
                mode,
                lease_ms: i64::from(lease) * 1000,
                note: note.as_deref(),
                queue,
                wait: wait_seconds > 0,
            };
            at.mesh.claim(&at.me, &wanted)
        })
        .await?;
    let Claimed::Queued(ticket) = claimed else {
        return Ok(told(call, &claimed));
    };
    wait_for_turn(call, ticket, Duration::from_secs(wait_seconds.into())).await
}

/// Waits in line, if the ticket has a call that waits.
async fn wait_for_turn(
    call: &Call<'_>,
    ticket: Ticket,
    at_most: Duration,
) -> Result<CallToolResult> {
    let id = ticket.id;
    let Some(wait) = ticket.wait else {
        return Ok(told(call, &Claimed::Queued(ticket)));
    };
    if let Some(chain) = ticket.cycle {
        let circle = WaitReason::Cycle(chain);
        let interruption = call
            .shared
            .same_seat(&call.client, |at| at.mesh.interrupt(&at.me, wait, &circle))
            .await?;
        if let Some(interruption) = interruption {
            return Ok(results::ok(&interrupted(id, &interruption).into()));
        }
    }
    let came = blocking_wait::wait_for(call, wait, at_most, |at| {
        Ok(match at.mesh.turn(&at.me, id)? {
            Some(Claimed::Queued(ticket)) => match ticket.look_again_ms {
                Some(ms) => {
                    let again = Duration::from_millis(ms.unsigned_abs());
                    Seen::NotYetUntil(standing(&ticket), again)
                }
                None => Seen::NotYet(standing(&ticket)),
            },
            claimed => Seen::There(claimed),
        })
    })
    .await?;
    let interruption = match came {
        Came::There(Some(claimed)) => return Ok(told(call, &claimed)),
        Came::There(None) => return Ok(gone(id)),
        Came::Cancelled => {
            call.shared
                .same_seat(&call.client, |at| at.mesh.give_up(&at.me, id))
                .await?;
            return Ok(gone(id));
        }
        Came::TimedOut => None,
        Came::Interrupted(interruption) => Some(interruption),
    };
    let at_last = call
        .shared
        .same_seat(&call.client, |at| at.mesh.turn_at_last(&at.me, id))
        .await?;
    Ok(match (at_last, interruption) {
        (None, None) => gone(id),
        (Some(claimed), None) => told(call, &claimed),
        // The turn came in the moment of the question: both are told.
        (Some(Claimed::Granted(grant)), Some(interruption)) => {
            let mut result = output::claim(&Claimed::Granted(grant), &call.shared.now());
            let mut told = interrupted(id, &interruption);
            told.retain(|key, _| matches!(key.as_str(), "questions" | "truncated"));
            results::add(&mut result, told);
            results::ok(&result)
        }
        (_, Some(interruption)) => results::ok(&interrupted(id, &interruption).into()),
    })
}

fn told(call: &Call<'_>, claimed: &Claimed) -> CallToolResult {
    results::ok(&output::claim(claimed, &call.shared.now()))
}

/// The place in line was given up: by this call, or by another of the session.
fn gone(id: ClaimId) -> CallToolResult {
    results::ok(&json!({ "status": "cancelled", "claim_id": id }))
}

fn interrupted(id: ClaimId, interruption: &Interruption) -> Map<String, Value> {
    let mut result = Map::new();
    result.insert("status".into(), "interrupted".into());
    result.insert("claim_id".into(), json!(id));
    let hint = match interruption.reason {
        WaitReason::IncomingQuestion => FIRST,
        WaitReason::Cycle(_) => CIRCLE,
    };
    result.extend(results::interruption(interruption, hint));
    result
}

/// What is said while the call waits.
fn standing(ticket: &Ticket) -> String {
    let mut holders: Vec<&str> = ticket
        .holders
        .iter()
        .map(|claim| claim.peer_name.as_str())
        .collect();
    holders.dedup();
    format!(
        "place {} in line, held by {}",
        ticket.place,
        holders.join(", ")
    )
}

pub(super) async fn release(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let Release { claim_id, resource } = arguments::read(arguments)?;
    let id: Option<ClaimId> = claim_id
        .map(|id| arguments::id("claim_id", &id, "claim and claims"))
        .transpose()?;
    if id.is_some() == resource.is_some() {
        return Err(Refusal::argument("give either \"claim_id\" or \"resource\"").into());
    }
    call.verb(|at| {
        let released = match (id, &resource) {
            (Some(id), _) => at.mesh.release(&at.me, WhichClaim::Id(id))?,
            (None, name) => {
                let name = name.as_deref().unwrap_or_default();
                let resource = mesh::resource(&at.project.path, name)?;
                at.mesh.release(&at.me, WhichClaim::Resource(&resource))?
            }
        };
        Ok(results::ok(&output::released(&released)))
    })
    .await
}

pub(super) async fn claims(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let Claims { resource, prefix } = arguments::read(arguments)?;
    if resource.is_some() && prefix.is_some() {
        return Err(Refusal::argument("give \"resource\" or \"prefix\", not both").into());
    }
    call.verb(|at| {
        let folder = &at.project.path;
        let lines = match (&resource, &prefix) {
            (Some(name), _) => {
                let resource = mesh::resource(folder, name)?;
                at.mesh.claims(ClaimFilter::Resource(&resource))?
            }
            (None, prefix) => {
                let prefix = mesh::prefix(folder, prefix.as_deref().unwrap_or_default())?;
                at.mesh.claims(ClaimFilter::Prefix(&prefix))?
            }
        };
        Ok(results::ok(&listed(&lines, &at.me, &at.mesh.now())))
    })
    .await
}

/// Returns as many lines as a result carries.
fn listed(lines: &[mesh::ClaimLine], me: &Sitting, now: &crate::platform::Moment) -> Value {
    let lines = lines.iter().map(|line| output::line(line, Some(me), now));
    let (mut shown, cut) = Room::new().fill(lines);
    // One alone may have a queue without end.
    let queue_cut = shown.len() == 1 && shorten_queue(&mut shown[0]);
    let mut body = json!({ "claims": shown });
    if cut {
        results::say_truncated(&mut body, "Call claims with a prefix for the rest.");
    } else if queue_cut {
        let hint = "The end of the line is left out; `queue_length` counts all of it.";
        results::say_truncated(&mut body, hint);
    }
    body
}

/// Leaves out the end of a queue that no result has room for. Returns whether it did.
fn shorten_queue(line: &mut Value) -> bool {
    let Value::Array(queue) = line["queue"].take() else {
        return false;
    };
    let length = queue.len();
    let (shown, cut) = Room::beside(line).fill(queue);
    line["queue"] = shown.into();
    if cut {
        line["queue_length"] = length.into();
    }
    cut
}
