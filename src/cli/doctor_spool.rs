//! Says for `doctor` which replies were kept because a hub was out of reach, and why they were not sent since.
use crate::cli::context::shown;
use crate::cli::finding::{finding_from_fault, note, problem};
use crate::model::key_text::id_of_key_text;
use crate::platform::clock::rfc3339;
use crate::platform::{Settings, file, isolation, text};
use crate::remote::{SpooledReplies, spooled_replies};
use crate::setup::Finding;

/// The most that is read of a key, in bytes.
const KEY_BYTES_MAX: u64 = 4 * 1024;

/// Returns a finding for each hub with replies that wait.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    match spooled_replies(&settings.mesh_home) {
        Ok(all) => all
            .iter()
            .flat_map(|replies| to_findings(settings, replies))
            .collect(),
        Err(fault) => vec![finding_from_fault(&fault)],
    }
}

fn to_findings(settings: &Settings, replies: &SpooledReplies) -> Vec<Finding> {
    let unreadable = replies.unreadable.iter().map(|path| {
        let place = shown(path, &settings.home);
        problem(
            format!("{place} is no reply of claude-mesh, so it is not sent"),
            "look what it holds, then remove it",
        )
    });
    let mut findings: Vec<Finding> = unreadable.collect();
    if replies.count > 0 {
        findings.push(waiting_replies(settings, replies));
    }
    findings
}

fn waiting_replies(settings: &Settings, replies: &SpooledReplies) -> Finding {
    let SpooledReplies { count, url, .. } = replies;
    let folder = shown(&replies.folder, &settings.home);
    let oldest = rfc3339(replies.oldest_at_ms);
    let what = match count {
        1 => format!("1 reply to {url} waits in {folder}, since {oldest}"),
        _ => format!("{count} replies to {url} wait in {folder}, the oldest since {oldest}"),
    };
    let by_hand = "read them in the files, and remove those files";
    match key_id(settings, url) {
        None => problem(
            format!("{what}, and there is no key for that hub any more"),
            &format!("claude-mesh join {url}, or {by_hand}"),
        ),
        Some(id) if replies.key_ids.iter().any(|other| *other != id) => problem(
            format!(
                "{what}; they were written under another key than the one that is stored now, and are not sent"
            ),
            by_hand,
        ),
        Some(_) => match &replies.refusal {
            Some(refusal) => problem(
                format!("{what}; the hub refuses them: {}", text::one_line(refusal)),
                by_hand,
            ),
            None => note(
                what,
                "they are sent when the hub answers and a session of this machine runs; after 7 days they are removed",
            ),
        },
    }
}

/// Returns the id of the key that is stored for a hub.
fn key_id(settings: &Settings, url: &str) -> Option<String> {
    let hubs = isolation::hubs(settings).ok()?;
    let hub = hubs.iter().find(|hub| hub.url == url)?;
    let key = file::read(&hub.key_file, KEY_BYTES_MAX).ok()?;
    let id = id_of_key_text(std::str::from_utf8(&key).ok()?.trim())?;
    Some(id.to_string())
}
