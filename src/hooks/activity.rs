//! What the session is at is kept for those who look for whom to ask: what its person has just typed, what it said last.
//!
//! Only what a person typed in words counts: lines of other sessions and notifications are none of theirs, and a slash
//! command says little to others.
use super::{Call, Event};
use crate::mesh::{Mesh, Sitting};
use crate::model::activity::{Doing, part};
use crate::platform::fault_log;

/// Notes what a prompt or the end of a turn shows. It never fails the hook, and never waits for another program.
pub(super) fn note(call: &Call, mesh: &Mesh, me: &Sitting) {
    if !call.settings.doing {
        return mesh.forget_doing(me);
    }
    let now_ms = mesh.now().wall_ms;
    let noted = mesh.note_doing(me, |before| after(&call.event, before, now_ms));
    if let Err(fault) = noted {
        let program = "claude-mesh-inbox-poll";
        fault_log::write(&call.settings.mesh_home, program, &fault.message);
    }
}

fn after(event: &Event, before: Doing, now_ms: i64) -> Doing {
    match event {
        Event::Prompted { prompt, .. } => Doing {
            asked: if prompt.typed && !is_command(&prompt.text) {
                part(&prompt.text)
            } else {
                before.asked
            },
            stopped_at_ms: None,
            ..before
        },
        Event::Stopping { said, .. } => Doing {
            said: said.as_deref().map_or(before.said, part),
            stopped_at_ms: Some(now_ms),
            ..before
        },
        Event::Started { .. } | Event::Ended { .. } | Event::Editing { .. } => before,
    }
}

/// `/compact` and `/fix-issue 12` are commands; `/etc/hosts is wrong` is not.
fn is_command(prompt: &str) -> bool {
    let first = prompt.split_whitespace().next().unwrap_or_default();
    first
        .strip_prefix('/')
        .is_some_and(|name| !name.is_empty() && !name.contains(['/', '.']))
}

#[cfg(test)]
mod tests {
    use super::super::event::Prompt;
    use super::*;

    fn known() -> Doing {
        Doing {
            asked: Some("fix the login".into()),
            said: Some("fixed".into()),
            stopped_at_ms: Some(5),
        }
    }

    fn prompted(text: &str, typed: bool) -> Event {
        let prompt = Prompt {
            typed,
            text: text.into(),
            doorbell: None,
            turn: None,
        };
        Event::Prompted {
            session: None,
            prompt,
        }
    }

    #[test]
    fn only_what_a_person_typed_in_words_counts() {
        let asked = |text: &str, typed| after(&prompted(text, typed), known(), 9).asked.unwrap();
        assert_eq!(asked("now the\nlogout", true), "now the logout");
        assert_eq!(asked("<task-notification>", false), "fix the login");
        assert_eq!(asked("/compact", true), "fix the login");
        assert_eq!(asked(" /team:fix-issue 12", true), "fix the login");
        assert_eq!(asked("/etc/hosts is wrong", true), "/etc/hosts is wrong");
        assert_eq!(
            after(&prompted("go on", true), known(), 9).stopped_at_ms,
            None
        );
    }

    #[test]
    fn what_cannot_be_kept_does_not_leave_an_older_text_in_its_place() {
        let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(3));
        assert_eq!(after(&prompted(&token, true), known(), 9).asked, None);
        let stopping = |said: Option<&str>| Event::Stopping {
            session: None,
            turn: None,
            kept_before: false,
            said: said.map(str::to_owned),
        };
        assert_eq!(after(&stopping(Some(&token)), known(), 9).said, None);
        let silent = after(&stopping(None), known(), 9);
        assert_eq!(silent.said.as_deref(), Some("fixed"));
        assert_eq!(silent.stopped_at_ms, Some(9));
    }
}
