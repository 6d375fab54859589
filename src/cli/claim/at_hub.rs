//! `claude-mesh claim`, `release` and `claims` in a folder whose mesh is at a hub.
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::{ClaimArgs, ClaimsArgs, ReleaseArgs};
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::hub_context::{HubCall, HubContext, not_at_hub, status_of, wait_seconds};
use crate::cli::hub_output::{print_line, print_questions, print_table, shown};
use crate::cli::print;
use crate::mesh::{canonical_prefix, canonical_resource};
use crate::platform::id::ClaimId;
use crate::platform::text;

pub(in crate::cli) fn claim(hub: &HubContext, args: &ClaimArgs) -> CommandResult {
    let resource = canonical_resource(&hub.working_directory, &args.resource)?;
    let queue = args.queue || args.wait.is_some();
    let wait = args.wait.map(|wait| wait_seconds("--wait", wait));
    let call = HubCall::new("claim", claimed)
        .with("resource", resource)
        .with("mode", if args.shared { "shared" } else { "exclusive" })
        .with("lease_seconds", args.lease.as_secs())
        .with("wait", if queue { "queue" } else { "no_wait" })
        .with_some("wait_seconds", wait.transpose()?)
        .with_some("note", args.note.as_deref());
    let Some(mut result) = hub.call(call)? else {
        return Ok(CommandStatus::NoAnswer);
    };
    let is_queued = result["status"] == "queued" && !args.queue;
    if is_queued && let Some(id) = result["claim_id"].as_str() {
        // Nobody would hear of the grant: the command ends.
        hub.call(HubCall::new("release", released).with("claim_id", id))?;
        result = json!({ "status": "denied", "holders": result["holders"] });
    }
    hub.print(&result, claimed)?;
    Ok(match result["status"].as_str() {
        Some("granted") => CommandStatus::Done,
        Some("queued") if args.wait.is_none() => CommandStatus::Done,
        Some("denied") if args.wait.is_none() => CommandStatus::Refused,
        _ => CommandStatus::NoAnswer,
    })
}

pub(in crate::cli) fn release(hub: &HubContext, args: &ReleaseArgs) -> CommandResult {
    let call = HubCall::new("release", released);
    let what = args.what.trim();
    if what.parse::<ClaimId>().is_ok() {
        return hub.run(call.with("claim_id", what));
    }
    let resource = canonical_resource(&hub.working_directory, what)?;
    hub.run(call.with("resource", resource))
}

pub(in crate::cli) fn claims(hub: &HubContext, args: &ClaimsArgs) -> CommandResult {
    if args.check_staged {
        return Err(not_at_hub("--check-staged"));
    }
    let folder = &hub.working_directory;
    let resource = args.resource.as_deref();
    let resource = resource.map(|name| canonical_resource(folder, name));
    let prefix = args.prefix.as_deref();
    let prefix = prefix.map(|name| canonical_prefix(folder, name));
    let call = HubCall::new("claims", listed)
        .with_some("resource", resource.transpose()?)
        .with_some("prefix", prefix.transpose()?);
    hub.run(call)
}

fn claimed(hub: &HubContext, result: &Value) -> CommandResult {
    let holders = || {
        let holders = result["holders"].as_array().cloned().unwrap_or_default();
        let names: Vec<String> = holders.iter().map(|one| shown(hub, &one["peer"])).collect();
        names.join(", ")
    };
    print::line(&match result["status"].as_str() {
        Some("granted") => format!(
            "granted until {}, fence {}  {}",
            shown(hub, &result["lease_expires_at"]),
            shown(hub, &result["fence"]),
            shown(hub, &result["claim_id"]).dimmed()
        ),
        Some("denied") => format!("denied: held by {}", holders()),
        Some("queued") => format!(
            "queued, place {}: held by {}",
            shown(hub, &result["queue_position"]),
            holders()
        ),
        other => text::one_line(other.unwrap_or_default()),
    })?;
    for other in result["other_clones"].as_array().into_iter().flatten() {
        let (peer, resource) = (shown(hub, &other["peer"]), shown(hub, &other["resource"]));
        print::line(&format!(
            "{peer} has the same file in another clone: {resource}"
        ))?;
    }
    print_questions(hub, &result["questions"])?;
    Ok(status_of(result))
}

fn released(hub: &HubContext, result: &Value) -> CommandResult {
    let next = match result["promoted"].as_array() {
        Some(names) if !names.is_empty() => {
            format!("; now held by {}", shown(hub, &result["promoted"]))
        }
        _ => String::new(),
    };
    print_line(&match result["was"].as_str() {
        Some("held") => format!("released{next}"),
        Some("queued") => format!("left the queue{next}"),
        _ => "nothing to release: you neither hold it nor are queued for it".to_owned(),
    })
}

fn listed(hub: &HubContext, result: &Value) -> CommandResult {
    let mut rows = Vec::new();
    for claim in result["claims"].as_array().into_iter().flatten() {
        for holder in claim["holders"].as_array().into_iter().flatten() {
            let mut row = holder.clone();
            row["resource"] = claim["resource"].clone();
            row["fence"] = claim["fence"].clone();
            row["queued"] = claim["queue"].as_array().map_or(0, Vec::len).into();
            rows.push(row);
        }
    }
    let columns = [
        ("RESOURCE", "resource"),
        ("PEER", "peer"),
        ("MODE", "mode"),
        ("UNTIL", "lease_expires_at"),
        ("FENCE", "fence"),
        ("QUEUED", "queued"),
        ("NOTE", "note"),
    ];
    print_table(hub, &rows.into(), &columns, "nothing is claimed")
}
