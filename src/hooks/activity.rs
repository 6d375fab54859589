//! Records what a session works on, for others who look for a peer to ask: the last typed prompt and the last text of the
//! model.
//!
//! Inbox lines and notifications are not typed, and a slash command says little to others; neither is recorded.
use super::call::HookCall;
use super::hook_mesh::HookMesh;
use crate::claude_code::HookEvent;
use crate::mesh::SessionHandle;
use crate::model::activity_summary::{ActivitySummary, excerpt};
use crate::platform::id::SessionId;
use crate::platform::{Clock, Fault, SystemClock, fault_log};
use crate::wake::Doorbells;

/// Records what this event shows of the work. A fault goes to the fault log and does not fail the hook.
pub(crate) fn record<M: HookMesh>(call: &HookCall, mesh: &mut M, me: &SessionHandle) {
    if !call.settings.keeps_activity {
        return mesh.clear_activity_summary(me);
    }
    let now_ms = mesh.now().wall_ms;
    let recorded =
        mesh.update_activity_summary(me, |previous| next_activity(&call.event, previous, now_ms));
    log_fault(call, recorded);
}

/// Does the same for a session whose mesh is not open.
pub(super) fn record_of_calm(call: &HookCall, doorbells: &Doorbells, session: SessionId) {
    let now_ms = SystemClock::new().now().wall_ms;
    let next = |previous| next_activity(&call.event, previous, now_ms);
    log_fault(call, doorbells.update_activity_summary(session, next));
}

fn log_fault(call: &HookCall, recorded: Result<(), Fault>) {
    if let Err(fault) = recorded {
        let program = "claude-mesh-inbox-poll";
        fault_log::append(&call.settings.mesh_home, program, &fault.message);
    }
}

fn next_activity(event: &HookEvent, previous: ActivitySummary, now_ms: i64) -> ActivitySummary {
    match event {
        HookEvent::Prompted { prompt, .. } => ActivitySummary {
            asked: if prompt.typed && !is_slash_command(&prompt.text) {
                excerpt(&prompt.text)
            } else {
                previous.asked
            },
            stopped_at_ms: None,
            ..previous
        },
        HookEvent::Stopping { said, .. } => ActivitySummary {
            said: said.as_deref().map_or(previous.said, excerpt),
            stopped_at_ms: Some(now_ms),
            ..previous
        },
        HookEvent::Started { .. }
        | HookEvent::Ended { .. }
        | HookEvent::Editing { .. }
        | HookEvent::ChangingWorkingTrees { .. } => previous,
    }
}

/// Returns whether the prompt is a command like `/compact` or `/fix-issue 12`; `/etc/hosts is wrong` is not.
fn is_slash_command(prompt: &str) -> bool {
    let first = prompt.split_whitespace().next().unwrap_or_default();
    first
        .strip_prefix('/')
        .is_some_and(|name| !name.is_empty() && !name.contains(['/', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude_code::Prompt;

    fn previous_activity() -> ActivitySummary {
        ActivitySummary {
            asked: Some("fix the login".into()),
            said: Some("fixed".into()),
            stopped_at_ms: Some(5),
        }
    }

    fn prompted(text: &str, typed: bool) -> HookEvent {
        let prompt = Prompt {
            typed,
            text: text.into(),
            wake_line_nonce: None,
            turn: None,
        };
        HookEvent::Prompted {
            session: None,
            prompt,
        }
    }

    #[test]
    fn only_typed_prose_prompts_update_the_activity() {
        let asked = |text: &str, typed| {
            next_activity(&prompted(text, typed), previous_activity(), 9)
                .asked
                .unwrap()
        };
        assert_eq!(asked("now the\nlogout", true), "now the logout");
        assert_eq!(asked("<task-notification>", false), "fix the login");
        assert_eq!(asked("/compact", true), "fix the login");
        assert_eq!(asked(" /team:fix-issue 12", true), "fix the login");
        assert_eq!(asked("/etc/hosts is wrong", true), "/etc/hosts is wrong");
        assert_eq!(
            next_activity(&prompted("go on", true), previous_activity(), 9).stopped_at_ms,
            None
        );
    }

    #[test]
    fn unstorable_activity_text_clears_the_previous_one() {
        let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(3));
        assert_eq!(
            next_activity(&prompted(&token, true), previous_activity(), 9).asked,
            None
        );
        let stopping = |said: Option<&str>| HookEvent::Stopping {
            session: None,
            turn: None,
            already_blocked: false,
            said: said.map(str::to_owned),
        };
        assert_eq!(
            next_activity(&stopping(Some(&token)), previous_activity(), 9).said,
            None
        );
        let without_message = next_activity(&stopping(None), previous_activity(), 9);
        assert_eq!(without_message.said.as_deref(), Some("fixed"));
        assert_eq!(without_message.stopped_at_ms, Some(9));
    }
}
