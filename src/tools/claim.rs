//! The tools `claim`, `release` and `claims`: claim a resource or join its claim queue, release it, list the holders.
//!
//! A `claim` with `wait_seconds` waits for the grant of its ticket, unless that would close a cycle of waits.
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::mesh;
use crate::mesh::{
    ClaimFilter, ClaimOutcome, ClaimRequest, ClaimSelector, InterruptReason, Interruption, Mesh,
    PollResult, QueryWait, SessionHandle, StopReason, Ticket, WaitOutcome, WaitQuery, WaitStep,
};
use crate::model::claim::{LEASE_SECONDS, LEASE_SECONDS_MAX};
use crate::model::{ClaimMode, Refusal, Result};
use crate::platform::Moment;
use crate::platform::id::{ClaimId, WaitId};
use crate::tools::call::{
    CallContext, Operation, ProgressReport, Step, StoppableWait, ToolCall, single_step,
};
use crate::tools::entry::{Effect, JsonObject, ToolEntry};
use crate::tools::parameters::OneOf;
use crate::tools::result_budget::ResultBudget;
use crate::tools::{arguments, output, results, schema};

pub(super) const TOOLS: [ToolEntry; 3] = [
    ToolEntry {
        set: "claims",
        name: "claim",
        description: "Claims a resource (file:src/api.rs, \"deploy\") so that no other session uses it meanwhile. Returns granted (with an increasing `fence`), denied with its holders, or with wait: queue a ticket; wait_seconds waits for the grant. Claim again to renew or rejoin. It ends with release, your session or its lease.",
        schema: schema::schema_of::<ClaimParams>,
        handler: claim,
        effect: Effect::Idempotent,
        always_load: false,
        large_result: true,
    },
    ToolEntry {
        set: "claims",
        name: "release",
        description: "Releases a claim or leaves its queue, by claim_id or resource; the next in the queue is granted.",
        schema: schema::schema_of::<ReleaseParams>,
        handler: release,
        effect: Effect::Idempotent,
        always_load: false,
        large_result: false,
    },
    ToolEntry {
        set: "claims",
        name: "claims",
        description: "Lists who holds what, until when, and who is queued for it.",
        schema: schema::schema_of::<ClaimsParams>,
        handler: claims,
        effect: Effect::Reads,
        always_load: false,
        large_result: true,
    },
];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ClaimParams {
    #[schemars(length(max = 512))]
    resource: String,
    /// default exclusive
    mode: Option<OneOf<ClaimMode>>,
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
enum WaitParam {
    NoWait,
    Queue,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReleaseParams {
    claim_id: Option<String>,
    resource: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ClaimsParams {
    resource: Option<String>,
    /// such as `file:src/`
    prefix: Option<String>,
}

/// The next step after the wait of a claim was interrupted.
const ANSWER_FIRST_HINT: &str =
    "Answer these with reply_to_peer first, then call claim again: your ticket is kept.";
const DEADLOCK_HINT: &str = "You wait for each other (deadlock). Answer what waits for you, or release what another of the chain waits for; then call claim again: your ticket is kept.";

fn claim(arguments: JsonObject) -> Result<Operation> {
    let ClaimParams {
        resource,
        mode,
        lease_seconds,
        wait,
        wait_seconds,
        note,
    } = arguments::read(arguments)?;
    let lease_seconds = arguments::check_range(
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
    Ok(Box::new(ClaimCall {
        resource,
        mode: mode.map_or(ClaimMode::Exclusive, |OneOf(mode)| mode),
        lease_seconds,
        queue,
        wait_seconds,
        note,
        phase: ClaimPhase::Begin,
    }))
}

/// A call that claims, and waits for the grant if the caller wants that.
struct ClaimCall {
    resource: String,
    mode: ClaimMode,
    lease_seconds: u32,
    queue: bool,
    wait_seconds: u32,
    note: Option<String>,
    phase: ClaimPhase,
}

enum ClaimPhase {
    Begin,
    /// Waiting would close this cycle of waits.
    Deadlock {
        ticket: ClaimId,
        row: Option<WaitId>,
        reason: InterruptReason,
    },
    Waiting(StoppableWait<QueryWait<Turn>>),
    Ended {
        ticket: ClaimId,
        outcome: WaitOutcome<Option<ClaimOutcome>>,
        row: Option<WaitId>,
    },
}

/// The query of a waiting ticket.
struct Turn {
    ticket: ClaimId,
    progress_message: String,
}

impl WaitQuery for Turn {
    /// `None`: the ticket does not exist any more.
    type Output = Option<ClaimOutcome>;

    fn poll(
        &mut self,
        mesh: &mut Mesh,
        me: &SessionHandle,
    ) -> Result<PollResult<Option<ClaimOutcome>>> {
        Ok(match mesh.queue_turn(me, self.ticket)? {
            Some(ClaimOutcome::Queued(ticket)) => {
                self.progress_message = queue_position_message(&ticket);
                PollResult::Pending {
                    poll_after_ms: ticket.recheck_after_ms,
                }
            }
            claimed => PollResult::Done(claimed),
        })
    }
}

impl ToolCall for ClaimCall {
    fn step(&mut self, call: &mut CallContext<'_>) -> Result<Step> {
        match &mut self.phase {
            ClaimPhase::Begin => self.begin(call),
            ClaimPhase::Deadlock {
                ticket,
                row,
                reason,
            } => {
                let (ticket, Some(id)) = (*ticket, *row) else {
                    return Ok(Step::Again);
                };
                if let Some(interruption) = call.mesh.interrupt(&call.me, id, reason)? {
                    *row = None;
                    return Ok(Step::Done(interrupted(ticket, &interruption).into()));
                }
                Ok(self.wait(call, ticket, id))
            }
            ClaimPhase::Waiting(wait) => Ok(match wait.step(call)? {
                WaitStep::PendingUntil { monotonic_ms } => Step::PendingUntil { monotonic_ms },
                WaitStep::Ended(outcome) => {
                    self.phase = ClaimPhase::Ended {
                        ticket: wait.condition().query().ticket,
                        outcome,
                        row: wait.row(),
                    };
                    Step::WaitEnded
                }
            }),
            ClaimPhase::Ended {
                ticket,
                outcome,
                row,
            } => {
                *row = None;
                Ok(Step::Done(ended_result(call, *ticket, outcome)?))
            }
        }
    }

    fn stop(&mut self, reason: StopReason) {
        if let ClaimPhase::Waiting(wait) = &mut self.phase {
            wait.stop(reason);
        }
    }

    fn wait_deadline(&self) -> Option<i64> {
        match &self.phase {
            ClaimPhase::Waiting(wait) => wait.deadline(),
            ClaimPhase::Begin | ClaimPhase::Deadlock { .. } | ClaimPhase::Ended { .. } => None,
        }
    }

    fn progress(&self, _: &Moment) -> Option<ProgressReport> {
        let ClaimPhase::Waiting(wait) = &self.phase else {
            return None;
        };
        Some(ProgressReport::of(
            &wait.condition().query().progress_message,
        ))
    }

    fn wait_row(&self) -> Option<WaitId> {
        match &self.phase {
            ClaimPhase::Begin => None,
            ClaimPhase::Waiting(wait) => wait.row(),
            ClaimPhase::Deadlock { row, .. } | ClaimPhase::Ended { row, .. } => *row,
        }
    }
}

impl ClaimCall {
    fn begin(&mut self, call: &mut CallContext<'_>) -> Result<Step> {
        let resource = mesh::canonical_resource(&call.project.path, &self.resource)?;
        let request = ClaimRequest {
            resource: &resource,
            mode: self.mode,
            lease_ms: i64::from(self.lease_seconds) * 1000,
            note: self.note.as_deref(),
            queue: self.queue,
            wait: self.wait_seconds > 0,
        };
        let claimed = call.mesh.claim(&call.me, &request)?;
        let ClaimOutcome::Queued(Ticket {
            id,
            wait: Some(row),
            cycle,
            ..
        }) = claimed
        else {
            return Ok(Step::Done(output::claim(&claimed, &call.mesh.now())));
        };
        Ok(match cycle {
            Some(chain) => {
                self.phase = ClaimPhase::Deadlock {
                    ticket: id,
                    row: Some(row),
                    reason: InterruptReason::Cycle(chain),
                };
                Step::Again
            }
            None => self.wait(call, id, row),
        })
    }

    fn wait(&mut self, call: &CallContext<'_>, ticket: ClaimId, row: WaitId) -> Step {
        let turn = Turn {
            ticket,
            progress_message: String::new(),
        };
        let wait = StoppableWait::new(QueryWait::new(row, turn), call, self.wait_seconds);
        self.phase = ClaimPhase::Waiting(wait);
        Step::Again
    }
}

/// Returns the result of a call that waited, with a grant that came at the last moment.
fn ended_result(
    call: &mut CallContext<'_>,
    ticket: ClaimId,
    outcome: &WaitOutcome<Option<ClaimOutcome>>,
) -> Result<Value> {
    let interruption = match outcome {
        WaitOutcome::Done(Some(claimed)) => return Ok(output::claim(claimed, &call.mesh.now())),
        WaitOutcome::Done(None) => return Ok(cancelled(ticket)),
        WaitOutcome::Cancelled => {
            call.mesh.cancel_ticket(&call.me, ticket)?;
            return Ok(cancelled(ticket));
        }
        WaitOutcome::Expired => None,
        WaitOutcome::Interrupted(interruption) => Some(interruption),
    };
    let final_turn = call.mesh.final_queue_turn(&call.me, ticket)?;
    let now = call.mesh.now();
    Ok(match (final_turn, interruption) {
        (None, None) => cancelled(ticket),
        (Some(claimed), None) => output::claim(&claimed, &now),
        // The grant and the question came at the same time: the result has both.
        (Some(granted @ ClaimOutcome::Granted(_)), Some(interruption)) => {
            let mut result = output::claim(&granted, &now);
            let mut questions = interrupted(ticket, interruption);
            questions.retain(|key, _| matches!(key.as_str(), "questions" | "truncated"));
            results::add(&mut result, questions);
            result
        }
        (_, Some(interruption)) => interrupted(ticket, interruption).into(),
    })
}

/// Returns the result when the ticket was withdrawn, by this call or by another call of the session.
fn cancelled(ticket: ClaimId) -> Value {
    json!({ "status": "cancelled", "claim_id": ticket })
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

/// Returns the progress message of a waiting call.
fn queue_position_message(ticket: &Ticket) -> String {
    let mut holders: Vec<&str> = ticket
        .holders
        .iter()
        .map(|claim| claim.peer_name.as_str())
        .collect();
    holders.dedup();
    format!(
        "position {} in the queue, held by {}",
        ticket.position,
        holders.join(", ")
    )
}

fn release(arguments: JsonObject) -> Result<Operation> {
    let ReleaseParams { claim_id, resource } = arguments::read(arguments)?;
    let id: Option<ClaimId> = claim_id
        .map(|id| arguments::id("claim_id", &id, "claim and claims"))
        .transpose()?;
    if id.is_some() == resource.is_some() {
        return Err(Refusal::argument("give either \"claim_id\" or \"resource\"").into());
    }
    Ok(single_step(move |call| {
        let released = match (id, &resource) {
            (Some(id), _) => call.mesh.release(&call.me, ClaimSelector::Id(id))?,
            (None, name) => {
                let name = name.as_deref().unwrap_or_default();
                let resource = mesh::canonical_resource(&call.project.path, name)?;
                call.mesh
                    .release(&call.me, ClaimSelector::Resource(&resource))?
            }
        };
        Ok(output::released(&released))
    }))
}

fn claims(arguments: JsonObject) -> Result<Operation> {
    let ClaimsParams { resource, prefix } = arguments::read(arguments)?;
    if resource.is_some() && prefix.is_some() {
        return Err(Refusal::argument("give \"resource\" or \"prefix\", not both").into());
    }
    Ok(single_step(move |call| {
        let folder = &call.project.path;
        let queues = match (&resource, &prefix) {
            (Some(name), _) => {
                let resource = mesh::canonical_resource(folder, name)?;
                call.mesh.claims(ClaimFilter::Resource(&resource))?
            }
            (None, prefix) => {
                let prefix = mesh::canonical_prefix(folder, prefix.as_deref().unwrap_or_default())?;
                call.mesh.claims(ClaimFilter::Prefix(&prefix))?
            }
        };
        Ok(claims_body(&queues, &call.me, &call.mesh.now()))
    }))
}

/// Returns as many claim queues as a result carries.
fn claims_body(queues: &[mesh::ClaimQueue], me: &SessionHandle, now: &Moment) -> Value {
    let queues = queues
        .iter()
        .map(|queue| output::claim_queue(queue, Some(me), now));
    let (mut shown, cut) = ResultBudget::new().take_prefix(queues);
    // A single queue may be longer than the budget.
    let queue_cut = shown.len() == 1 && shorten_queue(&mut shown[0]);
    let mut body = json!({ "claims": shown });
    if cut {
        results::mark_truncated(&mut body, "Call claims with a prefix for the rest.");
    } else if queue_cut {
        let hint = "The end of the queue is left out; `queue_length` counts all of it.";
        results::mark_truncated(&mut body, hint);
    }
    body
}

/// Leaves out the end of a queue that is over the budget. Returns whether it did.
fn shorten_queue(claim: &mut Value) -> bool {
    let Value::Array(queue) = claim["queue"].take() else {
        return false;
    };
    let length = queue.len();
    let (shown, cut) = ResultBudget::excluding(claim).take_prefix(queue);
    claim["queue"] = shown.into();
    if cut {
        claim["queue_length"] = length.into();
    }
    cut
}
