//! Events as sentences: what the log tells a person. Texts of questions are for persons only.
use owo_colors::OwoColorize;

use super::format::{bold_name, excerpt};
use crate::cli::context::CliContext;
use crate::model::Event;
use crate::platform::text;
use crate::store::Question;

/// Returns one event as a sentence; `question` is what it is about, with the names of asker and addressee.
pub(super) fn event_text(
    context: &CliContext,
    event: &Event,
    question: Option<&(Question, String, String)>,
) -> String {
    let by = bold_name(&text::one_line(&event.by));
    let data_str = |key: &str| text::one_line(event.data[key].as_str().unwrap_or(""));
    let id = event.subject.dimmed().to_string();
    let (asker, target) = question.map_or(("somebody", "somebody"), |(_, asker, target)| {
        (asker.as_str(), target.as_str())
    });
    let to = match (data_str("to").as_str(), event.data["forgotten"] == true) {
        ("", true) => "somebody (forgotten)".to_owned(),
        ("", false) => bold_name("somebody"),
        (name, _) => bold_name(name),
    };
    let text_for_person = |text: Option<&str>| match text.filter(|_| context.is_person()) {
        Some(text) => format!(": {}", excerpt(text)),
        None => String::new(),
    };
    let question_text = text_for_person(question.map(|(question, ..)| question.question.as_str()));
    let answer_text =
        text_for_person(question.and_then(|(question, ..)| question.answer.as_deref()));
    match event.kind.as_str() {
        "peer.joined" => match data_str("agent").as_str() {
            "" => format!("{by} sat down"),
            agent => format!("{by} sat down ({agent})"),
        },
        "peer.left" => format!("{by} left ({})", data_str("reason")),
        "peer.died" => format!("{by} is gone: its process has ended"),
        "peer.renamed" => format!("{} is called {by} now", data_str("was")),
        "peer.forgotten" => {
            let name = text::one_line(&event.subject);
            if data_str("folder") == "gone" {
                return format!("the mailbox {name} was removed: its folder is long gone");
            }
            format!("{by} removed the mailbox {name} with its questions")
        }
        "question.asked" => format!("{by} asked {to}{question_text}  {id}"),
        "peer.spent" => format!(
            "peers have started {} turns of {by}, as many as they may until its person types",
            event.data["posted_turns"]
        ),
        "question.shown" => format!("{by} was {}  {id}", delivery_text(event, asker)),
        "question.answered" => {
            format!(
                "{by} answered {to}{}{answer_text}  {id}",
                answer_notes(event)
            )
        }
        "question.declined" => {
            format!("{by} declined to answer {to}{answer_text}  {id}")
        }
        "question.withdrawn" => format!("{by} took its question to {target} back  {id}"),
        "question.expired" => format!("{by} did not answer {asker} in time  {id}"),
        "question.forgotten" => format!("{by} removed the texts of a question  {id}"),
        "question.known" => {
            let count = event.data["answers"].as_u64().unwrap_or(0);
            let plural_suffix = if count == 1 { "" } else { "s" };
            let id = question.map_or(String::new(), |_| id);
            format!("{by} was given {count} earlier answer{plural_suffix} of {to}  {id}")
        }
        "question.held" => {
            let why = hold_reason_text(target, &data_str("reason"));
            format!("the question of {asker} to {target} is held{why}  {id}")
        }
        "question.rung" | "question.queued" | "question.not_woken" => {
            let wake_text = wake_text(&by, event, &format!("the question of {asker}"));
            format!("{wake_text}  {id}")
        }
        "peer.rung" | "peer.not_woken" => wake_text(&by, event, &other_wake_reasons(event)),
        kind if kind.starts_with("mesh.") || matches!(kind, "peer.quieted" | "peer.resumed") => {
            throttle_text(&by, kind, event)
        }
        "message.posted" => {
            let kind = match data_str("type").as_str() {
                "text" => "a message".to_owned(),
                kind => format!("a message ({kind})"),
            };
            format!("{by} posted {kind} to {to}  {id}")
        }
        "memory.changed" => memory_text(&by, event),
        "state.changed" => state_text(&by, event),
        kind if kind.starts_with("claim.") => claim_text(&by, kind, event),
        kind if kind.starts_with("task.") => task_text(context, &by, kind, event),
        kind => format!(
            "{by} {} {}",
            text::one_line(kind),
            text::one_line(&event.subject)
        ),
    }
}

/// How somebody was shown the question of `asker`.
fn delivery_text(event: &Event, asker: &str) -> String {
    let count = |key: &str| event.data[key].as_u64();
    if let Some(stops) = count("stops") {
        return format!("kept in its turn by the question of {asker} ({stops} in a row)");
    }
    let turn = count("posted_turns").map_or_else(String::new, |turn_number| {
        format!(", turn {turn_number} by peers")
    });
    let way = text::one_line(event.data["way"].as_str().unwrap_or(""));
    format!("shown the question of {asker} ({way}{turn})")
}

/// What there is to say of an answer beside it.
fn answer_notes(event: &Event) -> String {
    let answer_notes = [
        ("by a person", event.data["by"] == "person"),
        ("late", event.data["late"] == true),
        ("corrected", event.data["corrects"] == true),
    ];
    let answer_notes: Vec<&str> = answer_notes
        .iter()
        .filter(|(_, applies)| *applies)
        .map(|(note, _)| *note)
        .collect();
    if answer_notes.is_empty() {
        String::new()
    } else {
        format!(" ({})", answer_notes.join(", "))
    }
}

/// What became of waking a session for something, as a sentence.
fn wake_text(by: &str, event: &Event, what: &str) -> String {
    let repeat_note = match event.data["ring"].as_u64() {
        Some(2..) => " once more",
        _ => "",
    };
    let queued = event.kind == "question.queued";
    match (event.data["reason"].as_str(), event.data["rides"] == true) {
        (Some(reason), _) => format!("{by} was not woken for {what}: {}", text::one_line(reason)),
        (None, true) => format!("{what} rides on the ring that is out for {by}"),
        (None, false) if queued => {
            format!("{by} is rung{repeat_note} for {what}, and reads it with its next step")
        }
        (None, false) => format!("{by} is rung{repeat_note} for {what}"),
    }
}

/// For what else than questions a session is rung.
fn other_wake_reasons(event: &Event) -> String {
    let count = |key: &str| event.data[key].as_u64().unwrap_or(0);
    let mail = event.data["mail"].as_array().map_or(0, Vec::len);
    let parts = [
        (count("answers"), "a late answer"),
        (mail as u64, "a message"),
        (count("claims"), "a claim that is its own now"),
    ];
    let present: Vec<&str> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(_, what)| *what)
        .collect();
    if present.is_empty() {
        "what waits for it".into()
    } else {
        present.join(", ")
    }
}

/// Why a question is held.
fn hold_reason_text(target: &str, reason: &str) -> String {
    match reason {
        "quiet" => format!(": {target} is quiet"),
        "paused" => ": the mesh is paused".into(),
        "wake_budget" => {
            format!(
                ": peers have started as many turns of {target} as they may until its person types"
            )
        }
        _ => String::new(),
    }
}

/// Which brake was put on or taken off, as a sentence.
fn throttle_text(by: &str, kind: &str, event: &Event) -> String {
    let peer = bold_name(&text::one_line(&event.subject));
    let until = match event.data["until"].as_str() {
        None | Some("forever") => "told otherwise".into(),
        Some(until) => text::one_line(until),
    };
    match kind {
        "peer.quieted" if event.by == event.subject => format!("{by} is quiet until {until}"),
        "peer.quieted" => format!("{by} made {peer} quiet until {until}"),
        "peer.resumed" => format!("{by} said that {peer} is not to be quiet any more"),
        "mesh.paused" => format!("{by} paused the whole mesh until {until}"),
        _ => format!("{by} ended the pause of the mesh"),
    }
}

/// What became of a claim, as a sentence.
fn claim_text(by: &str, kind: &str, event: &Event) -> String {
    let resource = text::one_line(&event.subject);
    let was_queued = event.data["was"] == "queued";
    match (kind, was_queued) {
        ("claim.granted", _) => format!("{by} holds {resource} (fence {})", event.data["fence"]),
        ("claim.queued", _) => format!("{by} stands in line for {resource}"),
        ("claim.reaped", false) if event.data["why"] == "lease" => {
            format!("{by} lost {resource}: its lease is over")
        }
        ("claim.reaped", false) => format!("{by} lost {resource}: its session has ended"),
        (_, true) => format!("{by} left the line for {resource}"),
        _ => format!("{by} gave {resource} back"),
    }
}

/// What became of a task, as a sentence.
fn task_text(context: &CliContext, by: &str, kind: &str, event: &Event) -> String {
    let data = |value: &serde_json::Value| {
        context.sanitize_foreign(&text::one_line(value.as_str().unwrap_or("")))
    };
    let (title, id) = (data(&event.data["title"]), event.subject.dimmed());
    let changes = &event.data["changes"];
    let status = data(&changes["status"]["to"]);
    let assigned = match kind {
        "task.created" => data(&event.data["assigned_to"]),
        _ => data(&changes["assigned_to"]["to"]),
    };
    let assignee_note = match assigned.as_str() {
        "" => String::new(),
        name => format!(" for {}", bold_name(name)),
    };
    match kind {
        "task.created" => format!("{by} created a task{assignee_note}: {title}  {id}"),
        "task.deleted" => format!("{by} deleted the task {title}  {id}"),
        _ if !status.is_empty() => {
            format!("{by} moved a task to {status}{assignee_note}: {title}  {id}")
        }
        _ => format!("{by} changed a task{assignee_note}: {title}  {id}"),
    }
}

/// What became of a memory, as a sentence.
fn memory_text(by: &str, event: &Event) -> String {
    let data_str = |key: &str| text::one_line(event.data[key].as_str().unwrap_or(""));
    let what = match (data_str("key").as_str(), data_str("scope").as_str()) {
        ("", scope) => format!("a memory of the {scope}"),
        (key, scope) => format!("{key:?} of the {scope}"),
    };
    let verb = match (
        event.data["forgotten"] == true,
        event.data["version"].as_i64(),
    ) {
        (true, _) => "forgot",
        (false, Some(2..)) => "replaced",
        _ => "remembered",
    };
    format!("{by} {verb} {what}  {}", event.subject.dimmed())
}

/// What became of an entry of the shared state, as a sentence.
fn state_text(by: &str, event: &Event) -> String {
    let verb = if event.data["deleted"] == true {
        "deleted"
    } else {
        "set"
    };
    let key = text::one_line(&event.subject);
    format!("{by} {verb} {key}, version {}", event.data["version"])
}
