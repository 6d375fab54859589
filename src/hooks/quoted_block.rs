//! Encloses foreign text in a quoted block for the context of a model: questions, answers and messages of other sessions.
//!
//! A block has a tag of its own, and the text in it is escaped so that it cannot close the tag: a peer can ask, it cannot
//! instruct.
use crate::mesh::{LateAnswer, PendingQuestion};
use crate::model::QuestionState;
use crate::model::elapsed::format_ago;
use crate::model::message::SentTo;
use crate::platform::foreign_text::escape_reserved_tags;
use crate::platform::id::QuestionId;
use crate::platform::text::{cut_utf16, utf16_len};
use crate::store::Message;

/// Of a foreign text this many times its budget is escaped: what escaping removes leaves space for more.
const PRE_SANITIZE_FACTOR: usize = 4;

/// Shown in place of the answer to an expired question.
const EXPIRED_ANSWER_TEXT: &str = "(nobody answered within 7 days)";

/// Returns the block of a question, with the context of the asker.
pub(super) fn question_block(pending: &PendingQuestion, budget: usize, now_ms: i64) -> String {
    let question = &pending.delivery.question;
    let (mut body, mut is_complete) = sanitized_prefix(&question.question, budget);
    if let Some(context) = question
        .context
        .as_deref()
        .filter(|context| !context.is_empty())
    {
        body += "\n\nContext from the asker:\n";
        let (context, context_is_complete) = sanitized_prefix(context, budget);
        body += &context;
        is_complete &= context_is_complete;
    }
    let for_attribute = pending
        .on_behalf_of
        .as_ref()
        .map_or(String::new(), |peer| format!(" for=\"{peer}\""));
    format!(
        "\n<peer-question id=\"{}\" from=\"{}\"{for_attribute} asked=\"{}\" waiting=\"{}\">\n{}\n</peer-question>\n",
        question.id,
        pending.from,
        format_ago(now_ms - question.asked_at_ms),
        if pending.asker_waiting { "yes" } else { "no" },
        truncate_with_hint(&body, is_complete, budget, question.id),
    )
}

/// Returns the block of an answer that came while no call waited.
pub(super) fn answer_block(late: &LateAnswer, budget: usize, now_ms: i64) -> String {
    let question = &late.question;
    let answer = question.answer.as_deref().unwrap_or(EXPIRED_ANSWER_TEXT);
    let (answer, is_complete) = sanitized_prefix(answer, budget);
    let (kind, ended) = match question.state {
        QuestionState::Declined => ("declined", "was declined"),
        QuestionState::Expired => ("expired", "expired"),
        _ => ("answered", "was answered"),
    };
    format!(
        "\nclaude-mesh: a question you asked earlier {ended}.\n\n<peer-answer id=\"{}\" from=\"{}\" {kind}=\"{}\" to=\"{}\">\n{}\n</peer-answer>\n",
        question.id,
        late.from,
        format_ago(now_ms - question.answered_at_ms.unwrap_or(now_ms)),
        sanitize_attribute(cut_utf16(&question.question, 120)),
        truncate_with_hint(&answer, is_complete, budget, question.id),
    )
}

/// Returns the block of a message; a long body is left to `list_messages`.
pub(super) fn message_block(message: &Message, now_ms: i64) -> String {
    let to = match &message.to {
        SentTo::Peer(_) => String::new(),
        to => format!(" to=\"{to}\""),
    };
    let subject = message.subject.as_ref().map_or(String::new(), |text| {
        format!(" subject=\"{}\"", sanitize_attribute(text))
    });
    let body = message.short_body().map_or_else(
        || format!("({} bytes: list_messages shows them)", message.bytes),
        escape_reserved_tags,
    );
    format!(
        "\n<peer-message id=\"{}\" from=\"{}\"{to} type=\"{}\"{subject} posted=\"{}\">\n{body}\n</peer-message>\n",
        message.id,
        message.from,
        message.kind.as_str(),
        format_ago(now_ms - message.posted_at_ms),
    )
}

/// Returns foreign text in a form that is safe in an attribute of a tag.
fn sanitize_attribute(text: &str) -> String {
    escape_reserved_tags(text)
        .replace('"', "'")
        .replace(['\n', '\t'], " ")
}

/// Returns a prefix of a foreign text, sanitized, and whether it is the whole text. A user waits at the prompt meanwhile, so
/// what is cut off anyway is not sanitized.
fn sanitized_prefix(text: &str, budget: usize) -> (String, bool) {
    let head = cut_utf16(text, PRE_SANITIZE_FACTOR * budget);
    (escape_reserved_tags(head), head.len() == text.len())
}

fn truncate_with_hint(text: &str, is_complete: bool, budget: usize, id: QuestionId) -> String {
    if is_complete && utf16_len(text) <= budget {
        return text.to_owned();
    }
    format!(
        "{}\n[cut here; all of it: poll_inbox {{\"question_id\": \"{id}\"}}]",
        cut_utf16(text, budget.saturating_sub(80))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_question_text_says_where_to_read_the_rest() {
        let id: QuestionId = "01K00000000000000000000000".parse().unwrap();
        let shown = |text: &str| {
            let (safe, is_complete) = sanitized_prefix(text, 100);
            truncate_with_hint(&safe, is_complete, 100, id)
        };
        assert_eq!(shown("short"), "short");
        let invisible = "\u{1}".repeat(64 * 1024) + "the end";
        for long in [invisible, "word ".repeat(100)] {
            let shown = shown(&long);
            assert!(
                shown.contains("poll_inbox {\"question_id\": \"01K0"),
                "{shown}"
            );
            assert!(
                !shown.contains("the end") && utf16_len(&shown) <= 120,
                "{shown}"
            );
        }
    }
}
