//! The figures of a mesh as JSON.
use serde_json::{Map, Value, json};

use crate::mesh::Status;

/// Returns the figures that are the same for every session.
pub fn status(status: &Status) -> Map<String, Value> {
    let [alive, stale, dead] = status.peers;
    let [open, answered, expired] = status.questions;
    let counts = json!({
        "peers": { "alive": alive, "stale": stale, "dead": dead },
        "questions": { "open": open, "answered": answered, "expired": expired },
        "messages": status.messages,
        "claims": status.claims,
        "tasks": status.tasks,
        "memories": status.memories,
        "events": status.events,
        "engine": status.engine,
        "brakes": {
            "wake_budget": status.wake_budget,
            "posted_turns": status.posted_turns,
            "spent": status.over_budget,
            "held": status.held,
            "stops": status.stops,
        },
        "forks": status.forks,
    });
    match counts {
        Value::Object(counts) => counts,
        _ => Map::new(),
    }
}
