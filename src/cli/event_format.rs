//! Words events as sentences for `claude-mesh log`. Only a person sees the texts of questions.
use owo_colors::OwoColorize;

use super::format::{bold_name, excerpt};
use crate::cli::context::CliContext;
use crate::model::Event;
use crate::platform::text;
use crate::store::Question;

/// Returns an event as a sentence; `question` is its question, with the names of asker and addressee.
pub(super) fn event_text(
    context: &CliContext,
    event: &Event,
    question: Option<&(Question, String, String)>,
) -> String {
    let by = bold_name(&text::one_line(&event.by));
    match event.kind.as_str() {
        "peer.rung" | "peer.not_woken" => wake_text(&by, event, &other_wake_reasons(event)),
        "peer.quieted" | "peer.resumed" => throttle_text(&by, event),
        kind if kind.starts_with("mesh.") => throttle_text(&by, event),
        kind if kind.starts_with("peer.") => peer_text(&by, event),
        kind if kind.starts_with("question.") => question_text(context, &by, event, question),
        "message.posted" => message_text(&by, event),
        "memory.changed" => memory_text(&by, event),
        "state.changed" => state_text(&by, event),
        kind if kind.starts_with("claim.") => claim_text(&by, event),
        kind if kind.starts_with("task.") => task_text(context, &by, event),
        kind if kind.starts_with("key.") => key_text(&by, event),
        _ => other_text(&by, event),
    }
}

/// Returns a text of the event's data on one line; empty if there is none.
fn data_text(event: &Event, key: &str) -> String {
    text::one_line(event.data[key].as_str().unwrap_or(""))
}

fn other_text(by: &str, event: &Event) -> String {
    format!(
        "{by} {} {}",
        text::one_line(&event.kind),
        text::one_line(&event.subject)
    )
}

fn peer_text(by: &str, event: &Event) -> String {
    match event.kind.as_str() {
        "peer.joined" => match data_text(event, "agent").as_str() {
            "" => format!("{by} joined"),
            agent => format!("{by} joined ({agent})"),
        },
        "peer.left" => format!("{by} left ({})", data_text(event, "reason")),
        "peer.died" => format!("{by} left: its process has ended"),
        "peer.renamed" => format!("{} was renamed to {by}", data_text(event, "was")),
        "peer.forgotten" => {
            let name = text::one_line(&event.subject);
            if data_text(event, "folder") == "gone" {
                return format!("the mailbox {name} was removed: its folder no longer exists");
            }
            format!("{by} removed the mailbox {name} with its questions")
        }
        "peer.spent" => format!(
            "peers have started {} turns of {by}, as many as they may until its person types",
            event.data["posted_turns"]
        ),
        _ => other_text(by, event),
    }
}

fn question_text(
    context: &CliContext,
    by: &str,
    event: &Event,
    question: Option<&(Question, String, String)>,
) -> String {
    let id = event.subject.dimmed().to_string();
    let (asker, target) = question.map_or(("somebody", "somebody"), |(_, asker, target)| {
        (asker.as_str(), target.as_str())
    });
    let to = addressee(event);
    // A model must not read the texts of questions between others.
    let quote = |text: Option<&str>| match text.filter(|_| context.is_person()) {
        Some(text) => format!(": {}", excerpt(text)),
        None => String::new(),
    };
    let question_quote = || quote(question.map(|(question, ..)| question.question.as_str()));
    let answer_quote = || quote(question.and_then(|(question, ..)| question.answer.as_deref()));
    match event.kind.as_str() {
        "question.asked" => format!("{by} asked {to}{}  {id}", question_quote()),
        "question.shown" => format!("{by} {}  {id}", delivery_text(event, asker)),
        "question.answered" => {
            let notes = answer_notes(event);
            format!("{by} answered {to}{notes}{}  {id}", answer_quote())
        }
        "question.declined" => format!("{by} declined to answer {to}{}  {id}", answer_quote()),
        "question.withdrawn" => format!("{by} withdrew its question to {target}  {id}"),
        "question.expired" => format!("{by} did not answer {asker} in time  {id}"),
        "question.forgotten" => format!("{by} removed the texts of a question  {id}"),
        "question.known" => {
            let count = event.data["answers"].as_u64().unwrap_or(0);
            let plural_suffix = if count == 1 { "" } else { "s" };
            let id = question.map_or(String::new(), |_| id);
            format!("{by} was given {count} earlier answer{plural_suffix} of {to}  {id}")
        }
        "question.held" => {
            let why = hold_reason_text(target, &data_text(event, "reason"));
            format!("the question of {asker} to {target} is held{why}  {id}")
        }
        "question.rung" | "question.queued" | "question.not_woken" => {
            let wake_text = wake_text(by, event, &format!("the question of {asker}"));
            format!("{wake_text}  {id}")
        }
        "question.forked" => format!("{by} lets a fork answer the question of {asker}  {id}"),
        "question.not_forked" => {
            format!("{by} gets the question of {asker}, which its fork did not answer  {id}")
        }
        _ => other_text(by, event),
    }
}

/// Returns the name of the peer that a question or message is for.
fn addressee(event: &Event) -> String {
    match (
        data_text(event, "to").as_str(),
        event.data["forgotten"] == true,
    ) {
        ("", true) => "somebody (forgotten)".to_owned(),
        ("", false) => bold_name("somebody"),
        (name, _) => bold_name(name),
    }
}

fn message_text(by: &str, event: &Event) -> String {
    let kind = match data_text(event, "type").as_str() {
        "text" => "a message".to_owned(),
        kind => format!("a message ({kind})"),
    };
    let (to, id) = (addressee(event), event.subject.dimmed());
    format!("{by} posted {kind} to {to}  {id}")
}

/// Returns how the question of `asker` was delivered.
fn delivery_text(event: &Event, asker: &str) -> String {
    let count = |key: &str| event.data[key].as_u64();
    if let Some(stops) = count("stops") {
        return format!("continued its turn for the question of {asker} ({stops} in a row)");
    }
    let turn = count("posted_turns").map_or_else(String::new, |turn_number| {
        format!(", turn {turn_number} by peers")
    });
    let way = text::one_line(event.data["way"].as_str().unwrap_or(""));
    format!("was shown the question of {asker} ({way}{turn})")
}

/// Returns notes on an answer in parentheses.
fn answer_notes(event: &Event) -> String {
    let usage = &event.data["usage"];
    let tokens = usage.as_object().into_iter().flatten();
    let tokens: u64 = tokens.filter_map(|(_, count)| count.as_u64()).sum();
    let by_fork = format!("by a fork, {tokens} tokens");
    let answer_notes = [
        ("by a person", event.data["by"] == "person"),
        (&by_fork, event.data["by"] == "fork"),
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

/// Returns the result of a wake attempt for `what`.
fn wake_text(by: &str, event: &Event, what: &str) -> String {
    let wake_up = match event.data["ring"].as_u64() {
        Some(2..) => "another wake-up",
        _ => "a wake-up",
    };
    let queued = event.kind == "question.queued";
    match (event.data["reason"].as_str(), event.data["rides"] == true) {
        (Some(reason), _) => format!("{by} was not woken for {what}: {}", text::one_line(reason)),
        (None, true) => format!("{what} is coalesced with the wake attempt under way for {by}"),
        (None, false) if queued => {
            format!("{by} was sent {wake_up} for {what}, and reads it with its next step")
        }
        (None, false) => format!("{by} was sent {wake_up} for {what}"),
    }
}

/// Returns what else than questions a session is woken for.
fn other_wake_reasons(event: &Event) -> String {
    let count = |key: &str| event.data[key].as_u64().unwrap_or(0);
    let mail = event.data["mail"].as_array().map_or(0, Vec::len);
    let parts = [
        (count("answers"), "a late answer"),
        (mail as u64, "a message"),
        (count("claims"), "a granted claim"),
    ];
    let present: Vec<&str> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(_, what)| *what)
        .collect();
    if present.is_empty() {
        "pending items".into()
    } else {
        present.join(", ")
    }
}

/// Returns why a question is held.
fn hold_reason_text(target: &str, reason: &str) -> String {
    match reason {
        "quiet" => format!(": {target} is quiet"),
        "paused" => ": the mesh is paused".into(),
        "wake_budget" => {
            format!(
                ": peers have started as many turns of {target} as they may until its person types"
            )
        }
        "person_budget" => format!(": sessions have asked {target} as often as they may for now"),
        _ => String::new(),
    }
}

fn throttle_text(by: &str, event: &Event) -> String {
    let peer = bold_name(&text::one_line(&event.subject));
    let until = match event.data["until"].as_str() {
        None | Some("forever") => "further notice".into(),
        Some(until) => text::one_line(until),
    };
    match event.kind.as_str() {
        "peer.quieted" if event.by == event.subject => format!("{by} is quiet until {until}"),
        "peer.quieted" => format!("{by} made {peer} quiet until {until}"),
        "peer.resumed" => format!("{by} ended quiet for {peer}"),
        "mesh.paused" => format!("{by} paused the whole mesh until {until}"),
        _ => format!("{by} ended the pause of the mesh"),
    }
}

fn claim_text(by: &str, event: &Event) -> String {
    let resource = text::one_line(&event.subject);
    let was_queued = event.data["was"] == "queued";
    match (event.kind.as_str(), was_queued) {
        ("claim.granted", _) => format!("{by} holds {resource} (fence {})", event.data["fence"]),
        ("claim.queued", _) => format!("{by} is queued for {resource}"),
        ("claim.reaped", false) if event.data["why"] == "lease" => {
            format!("{by} lost {resource}: its lease expired")
        }
        ("claim.reaped", false) => format!("{by} lost {resource}: its session has ended"),
        (_, true) => format!("{by} left the queue for {resource}"),
        _ => format!("{by} released {resource}"),
    }
}

fn task_text(context: &CliContext, by: &str, event: &Event) -> String {
    let data = |value: &serde_json::Value| {
        context.sanitize_foreign(&text::one_line(value.as_str().unwrap_or("")))
    };
    let (title, id) = (data(&event.data["title"]), event.subject.dimmed());
    let changes = &event.data["changes"];
    let status = data(&changes["status"]["to"]);
    let assigned = match event.kind.as_str() {
        "task.created" => data(&event.data["assigned_to"]),
        _ => data(&changes["assigned_to"]["to"]),
    };
    let assignee_note = match assigned.as_str() {
        "" => String::new(),
        name => format!(" for {}", bold_name(name)),
    };
    match event.kind.as_str() {
        "task.created" => format!("{by} created a task{assignee_note}: {title}  {id}"),
        "task.deleted" => format!("{by} deleted the task {title}  {id}"),
        _ if !status.is_empty() => {
            format!("{by} moved a task to {status}{assignee_note}: {title}  {id}")
        }
        _ => format!("{by} changed a task{assignee_note}: {title}  {id}"),
    }
}

fn key_text(by: &str, event: &Event) -> String {
    let (holder, name) = (data_text(event, "holder"), data_text(event, "name"));
    let holder = match holder.as_str() {
        "board" => "of a board".into(),
        _ => format!("of the {holder} {}", bold_name(&name)),
    };
    let (scope, id) = (data_text(event, "scope"), event.subject.dimmed());
    match event.kind.as_str() {
        "key.created" => format!("{by} created a key {holder}, scope {scope}  {id}"),
        "key.revoked" => format!("{by} revoked a key {holder}, scope {scope}  {id}"),
        _ => other_text(by, event),
    }
}

fn memory_text(by: &str, event: &Event) -> String {
    let what = match (
        data_text(event, "key").as_str(),
        data_text(event, "scope").as_str(),
    ) {
        ("", scope) => format!("a memory of the {scope}"),
        (key, scope) => format!("{key:?} of the {scope}"),
    };
    let verb = match (
        event.data["forgotten"] == true,
        event.data["version"].as_i64(),
    ) {
        (true, _) => "erased",
        (false, Some(2..)) => "replaced",
        _ => "remembered",
    };
    format!("{by} {verb} {what}  {}", event.subject.dimmed())
}

fn state_text(by: &str, event: &Event) -> String {
    let verb = if event.data["deleted"] == true {
        "deleted"
    } else {
        "set"
    };
    let key = text::one_line(&event.subject);
    format!("{by} {verb} {key}, version {}", event.data["version"])
}
