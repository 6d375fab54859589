//! `claim`, `release` and `claims`.
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{arguments, results};
use super::{Call, Effect, Entry};
use crate::mcp::blocking_wait::{ProgressReport, drive};
use crate::mcp::result_budget::ResultBudget;
use crate::mesh;
use crate::mesh::{
    BlockingWait, ClaimFilter, ClaimOutcome, ClaimRequest, ClaimSelector, InterruptReason,
    Interruption, Mesh, PollResult, QueryWait, SessionHandle, Ticket, WaitOutcome,
};
use crate::model::claim::{LEASE_SECONDS, LEASE_SECONDS_MAX};
use crate::model::{ClaimMode, Refusal, Result};
use crate::platform::id::ClaimId;
use crate::tools::output;

pub(super) const TOOLS: [Entry; 3] = [
    Entry {
        set: "claims",
        name: "claim",
        description: "Claims a resource (file:src/api.rs, \"deploy\") so that no other session uses it meanwhile. Returns granted (with a fence that only grows), denied with its holders, or with wait: queue a place in line; wait_seconds waits for the turn. Claim again to renew or rejoin. It ends with release, your session or its lease.",
        schema: arguments::schema::<Claim>,
        effect: Effect::Idempotent,
        always_load: false,
        large_result: true,
    },
    Entry {
        set: "claims",
        name: "release",
        description: "Gives back a claim or a place in line, by claim_id or resource; the next in line is told.",
        schema: arguments::schema::<Release>,
        effect: Effect::Idempotent,
        always_load: false,
        large_result: false,
    },
    Entry {
        set: "claims",
        name: "claims",
        description: "Lists who holds what, until when, and who stands in line for it.",
        schema: arguments::schema::<Claims>,
        effect: Effect::Reads,
        always_load: false,
        large_result: true,
    },
];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Claim {
    #[schemars(length(max = 512))]
    resource: String,
    /// default exclusive
    mode: Option<ModeParam>,
    /// default 120
    #[schemars(range(min = 1, max = 86_400))]
    lease_seconds: Option<u32>,
    wait: Option<WaitParam>,
    /// with queue; default 0
    #[schemars(range(max = 3600))]
    wait_seconds: Option<u32>,
    #[schemars(length(max = 500))]
    note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum ModeParam {
    Exclusive,
    Shared,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum WaitParam {
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
const ANSWER_FIRST_HINT: &str =
    "Answer these with reply_to_peer first, then call claim again: your place in line is kept.";
const DEADLOCK_HINT: &str = "You wait for each other in a circle. Answer what waits for you, or release what another of the chain waits for; then call claim again: your place in line is kept.";

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
    let lease = arguments::check_range(
        "lease_seconds",
        lease_seconds,
        1..=LEASE_SECONDS_MAX,
        LEASE_SECONDS,
    )?;
    let wait_seconds = arguments::check_range("wait_seconds", wait_seconds, 0..=3600, 0)?;
    let queue = wait == Some(WaitParam::Queue);
    if wait_seconds > 0 && !queue {
        return Err(Refusal::argument("\"wait_seconds\" needs \"wait\": \"queue\"").into());
    }
    let mode = match mode {
        None | Some(ModeParam::Exclusive) => ClaimMode::Exclusive,
        Some(ModeParam::Shared) => ClaimMode::Shared,
    };
    let claimed = call
        .verb(|at| {
            let resource = mesh::resource(&at.project.path, &resource)?;
            let wanted = ClaimRequest {
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
    let ClaimOutcome::Queued(ticket) = claimed else {
        return Ok(claim_result(call, &claimed));
    };
    wait_for_turn(call, ticket, Duration::from_secs(wait_seconds.into())).await
}

/// Waits in line, if the ticket has a call that waits.
async fn wait_for_turn(
    call: &Call<'_>,
    ticket: Ticket,
    max_wait: Duration,
) -> Result<CallToolResult> {
    let id = ticket.id;
    let Some(wait) = ticket.wait else {
        return Ok(claim_result(call, &ClaimOutcome::Queued(ticket)));
    };
    if let Some(chain) = ticket.cycle {
        let cycle_reason = InterruptReason::Cycle(chain);
        let interruption = call
            .shared
            .in_same_session(&call.client, |at| {
                at.mesh.interrupt(&at.me, wait, &cycle_reason)
            })
            .await?;
        if let Some(interruption) = interruption {
            return Ok(results::ok(&interrupted(id, &interruption).into()));
        }
    }
    let position = Mutex::new(String::new());
    let query = |mesh: &mut Mesh, me: &SessionHandle| {
        Ok(match mesh.queue_turn(me, id)? {
            Some(ClaimOutcome::Queued(ticket)) => {
                *lock(&position) = queue_position_message(&ticket);
                PollResult::Pending {
                    poll_after_ms: ticket.recheck_after_ms,
                }
            }
            claimed => PollResult::Done(claimed),
        })
    };
    let condition = QueryWait::new(wait, query);
    let mut wait = BlockingWait::new(condition, call.shared.now().monotonic_ms, max_wait);
    let outcome = drive(call, &mut wait, |_, _| ProgressReport {
        facts: lock(&position).clone(),
        message: lock(&position).clone(),
    })
    .await?;
    let interruption = match outcome {
        WaitOutcome::Done(Some(claimed)) => return Ok(claim_result(call, &claimed)),
        WaitOutcome::Done(None) => return Ok(cancelled_result(id)),
        WaitOutcome::Cancelled => {
            call.shared
                .in_same_session(&call.client, |at| at.mesh.cancel_ticket(&at.me, id))
                .await?;
            return Ok(cancelled_result(id));
        }
        WaitOutcome::Expired => None,
        WaitOutcome::Interrupted(interruption) => Some(interruption),
    };
    let final_turn = call
        .shared
        .in_same_session(&call.client, |at| at.mesh.final_queue_turn(&at.me, id))
        .await?;
    Ok(match (final_turn, interruption) {
        (None, None) => cancelled_result(id),
        (Some(claimed), None) => claim_result(call, &claimed),
        // The turn came in the moment of the question: both are told.
        (Some(ClaimOutcome::Granted(grant)), Some(interruption)) => {
            let mut result = output::claim(&ClaimOutcome::Granted(grant), &call.shared.now());
            let mut claim_result = interrupted(id, &interruption);
            claim_result.retain(|key, _| matches!(key.as_str(), "questions" | "truncated"));
            results::add(&mut result, claim_result);
            results::ok(&result)
        }
        (_, Some(interruption)) => results::ok(&interrupted(id, &interruption).into()),
    })
}

fn claim_result(call: &Call<'_>, claimed: &ClaimOutcome) -> CallToolResult {
    results::ok(&output::claim(claimed, &call.shared.now()))
}

/// The place in line was given up: by this call, or by another of the session.
fn cancelled_result(id: ClaimId) -> CallToolResult {
    results::ok(&json!({ "status": "cancelled", "claim_id": id }))
}

fn interrupted(id: ClaimId, interruption: &Interruption) -> Map<String, Value> {
    let mut result = Map::new();
    result.insert("status".into(), "interrupted".into());
    result.insert("claim_id".into(), json!(id));
    let hint = match interruption.reason {
        InterruptReason::IncomingQuestion => ANSWER_FIRST_HINT,
        InterruptReason::Cycle(_) => DEADLOCK_HINT,
    };
    result.extend(results::interruption(interruption, hint));
    result
}

fn lock(text: &Mutex<String>) -> MutexGuard<'_, String> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is said while the call waits.
fn queue_position_message(ticket: &Ticket) -> String {
    let mut holders: Vec<&str> = ticket
        .holders
        .iter()
        .map(|claim| claim.peer_name.as_str())
        .collect();
    holders.dedup();
    format!(
        "place {} in line, held by {}",
        ticket.position,
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
            (Some(id), _) => at.mesh.release(&at.me, ClaimSelector::Id(id))?,
            (None, name) => {
                let name = name.as_deref().unwrap_or_default();
                let resource = mesh::resource(&at.project.path, name)?;
                at.mesh
                    .release(&at.me, ClaimSelector::Resource(&resource))?
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
        let listed_claims = match (&resource, &prefix) {
            (Some(name), _) => {
                let resource = mesh::resource(folder, name)?;
                at.mesh.claims(ClaimFilter::Resource(&resource))?
            }
            (None, prefix) => {
                let prefix = mesh::prefix(folder, prefix.as_deref().unwrap_or_default())?;
                at.mesh.claims(ClaimFilter::Prefix(&prefix))?
            }
        };
        Ok(results::ok(&claims_body(
            &listed_claims,
            &at.me,
            &at.mesh.now(),
        )))
    })
    .await
}

/// Returns as many lines as a result carries.
fn claims_body(
    listed_claims: &[mesh::ClaimQueue],
    me: &SessionHandle,
    now: &crate::platform::Moment,
) -> Value {
    let listed_claims = listed_claims
        .iter()
        .map(|line| output::line(line, Some(me), now));
    let (mut shown, cut) = ResultBudget::new().take_prefix(listed_claims);
    // One alone may have a queue without end.
    let queue_cut = shown.len() == 1 && shorten_queue(&mut shown[0]);
    let mut body = json!({ "claims": shown });
    if cut {
        results::mark_truncated(&mut body, "Call claims with a prefix for the rest.");
    } else if queue_cut {
        let hint = "The end of the line is left out; `queue_length` counts all of it.";
        results::mark_truncated(&mut body, hint);
    }
    body
}

/// Leaves out the end of a queue that no result has room for. Returns whether it did.
fn shorten_queue(line: &mut Value) -> bool {
    let Value::Array(queue) = line["queue"].take() else {
        return false;
    };
    let length = queue.len();
    let (shown, cut) = ResultBudget::excluding(line).take_prefix(queue);
    line["queue"] = shown.into();
    if cut {
        line["queue_length"] = length.into();
    }
    cut
}
