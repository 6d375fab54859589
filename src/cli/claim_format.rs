//! Formats claims for a terminal: their holders, the end of their lease, the resource.
use std::path::Path;

use crate::cli::context::CliContext;
use crate::mesh::lease_expires_at_ms;
use crate::model::elapsed::{format_ago, format_duration};
use crate::platform::clock::rfc3339;
use crate::platform::{Moment, text};
use crate::store;

/// Returns the names of the holders; claims of one peer that follow each other give one name.
pub(super) fn holder_names(claims: &[store::Claim]) -> String {
    let mut names: Vec<&str> = claims
        .iter()
        .map(|claim| claim.peer_name.as_str())
        .collect();
    names.dedup();
    names.join(", ")
}

pub(super) fn format_holders(claims: &[store::Claim], now: &Moment) -> String {
    match claims.first() {
        // Free, but an earlier ticket comes first.
        None => "free, but others are before you in the queue".into(),
        Some(first) => format!(
            "held by {} until {}",
            holder_names(claims),
            lease_end_text(first, now)
        ),
    }
}

pub(super) fn lease_end_text(claim: &store::Claim, now: &Moment) -> String {
    let at = rfc3339(lease_expires_at_ms(claim, now));
    let remaining_ms = claim.lease.expires_at_monotonic_ms - now.monotonic_ms;
    if remaining_ms > 0 {
        format!("{at}, {} from now", format_duration(remaining_ms))
    } else {
        format!(
            "{at}, {}, but its session is still active",
            format_ago(-remaining_ms)
        )
    }
}

/// Returns a resource as people write it.
pub(super) fn shown(context: &CliContext, resource: &str) -> String {
    match resource.strip_prefix("file:") {
        Some(path) => format!("file:{}", context.shown(Path::new(path))),
        None => text::one_line(&context.sanitize_foreign(resource)),
    }
}
