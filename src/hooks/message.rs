//! Mentions new mail at a prompt: each message once, and its text only if it is short. `list_messages` has the rest.
use super::budgeted_text::BudgetedText;
use super::hook_mesh::HookMesh;
use super::quoted_block::message_block;
use crate::mesh::{Inbox, SessionHandle};
use crate::model::Error;
use crate::store::Message;

/// Reads the mail to mention into the inbox, if there is any. Returns how much of it there is in all.
pub(super) fn load_unmentioned<M: HookMesh>(
    mesh: &mut M,
    me: &SessionHandle,
    inbox: &mut Inbox,
) -> Result<u32, Error> {
    if !inbox.has_new_mail {
        return Ok(0);
    }
    let found = mesh.unmentioned_mail(me)?;
    inbox.mail = found.messages;
    Ok(found.count)
}

/// Adds the messages that fit, oldest first; `count` is the number of all new ones. Returns those that were added.
pub(super) fn append_messages(
    text: &mut BudgetedText,
    mail: Vec<Message>,
    count: u32,
    now_ms: i64,
) -> Vec<Message> {
    let mut mentioned = Vec::new();
    if mail.is_empty() || !text.push_block(&heading(count)) {
        return mentioned;
    }
    for message in mail {
        // A message that does not fit stays new, and later ones must not overtake it.
        if !text.push_block(&message_block(&message, now_ms)) {
            break;
        }
        mentioned.push(message);
    }
    let rest = count.saturating_sub(u32::try_from(mentioned.len()).unwrap_or(count));
    if rest > 0 {
        text.push(&format!("\n{rest} more did not fit here.\n"));
    }
    if let Some(last) = mentioned.last() {
        text.push(&format!(
            "\nlist_messages shows them in full; call mark_read (up_to \"{}\") when you are done with them.",
            last.id
        ));
    }
    mentioned
}

fn heading(count: u32) -> String {
    match count {
        1 => "\nclaude-mesh: 1 new message from another session.\n".into(),
        _ => format!("\nclaude-mesh: {count} new messages from other sessions.\n"),
    }
}
