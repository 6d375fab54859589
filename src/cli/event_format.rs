//! Events as sentences: what the log tells a person. Texts of questions are for persons only.
use owo_colors::OwoColorize;

use super::inbox::one_line;
use super::peer::strong;
use crate::cli::context::Desk;
use crate::model::Event;
use crate::platform::text;
use crate::store::Question;

/// Returns one event as a sentence; `question` is what it is about, with the names of asker and addressee.
pub(super) fn words(
    desk: &Desk,
    event: &Event,
    question: Option<&(Question, String, String)>,
) -> String {
    let by = strong(&text::one_line(&event.by));
    let datum = |key: &str| text::one_line(event.data[key].as_str().unwrap_or(""));
    let id = event.subject.dimmed().to_string();
    let (asker, target) = question.map_or(("somebody", "somebody"), |(_, asker, target)| {
        (asker.as_str(), target.as_str())
    });
    let to = match (datum("to").as_str(), event.data["forgotten"] == true) {
        ("", true) => "somebody (forgotten)".to_owned(),
        ("", false) => strong("somebody"),
        (name, _) => strong(name),
    };
    let told = |text: Option<&str>| match text.filter(|_| desk.is_person()) {
        Some(text) => format!(": {}", one_line(text)),
        None => String::new(),
    };
    let question_text = told(question.map(|(question, ..)| question.question.as_str()));
    let answer_text = told(question.and_then(|(question, ..)| question.answer.as_deref()));
    match event.kind.as_str() {
        "peer.joined" => match datum("agent").as_str() {
            "" => format!("{by} sat down"),
            agent => format!("{by} sat down ({agent})"),
        },
        "peer.left" => format!("{by} left ({})", datum("reason")),
        "peer.died" => format!("{by} is gone: its process has ended"),
        "peer.renamed" => format!("{} is called {by} now", datum("was")),
        "peer.forgotten" => {
            let name = text::one_line(&event.subject);
            if datum("folder") == "gone" {
                return format!("the mailbox {name} was removed: its folder is long gone");
            }
            format!("{by} removed the mailbox {name} with its questions")
        }
        "question.asked" => format!("{by} asked {to}{question_text}  {id}"),
        "peer.spent" => format!(
            "peers have started {} turns of {by}, as many as they may until its person types",
            event.data["posted_turns"]
        ),
        "question.shown" => format!("{by} was {}  {id}", shown(event, asker)),
        "question.answered" => {
            format!("{by} answered {to}{}{answer_text}  {id}", notes(event))
        }
        "question.declined" => {
            format!("{by} declined to answer {to}{answer_text}  {id}")
        }
        "question.withdrawn" => format!("{by} took its question to {target} back  {id}"),
        "question.expired" => format!("{by} did not answer {asker} in time  {id}"),
        "question.forgotten" => format!("{by} removed the texts of a question  {id}"),
        "question.known" => {
            let count = event.data["answers"].as_u64().unwrap_or(0);
            let many = if count == 1 { "" } else { "s" };
            let id = question.map_or(String::new(), |_| id);
            format!("{by} was given {count} earlier answer{many} of {to}  {id}")
        }
        "question.held" => {
            let why = held(target, &datum("reason"));
            format!("the question of {asker} to {target} is held{why}  {id}")
        }
        "question.rung" | "question.queued" | "question.not_woken" => {
            let woken = woken(&by, event, &format!("the question of {asker}"));
            format!("{woken}  {id}")
        }
        "peer.rung" | "peer.not_woken" => woken(&by, event, &others(event)),
        kind if kind.starts_with("mesh.") || matches!(kind, "peer.quieted" | "peer.resumed") => {
            braked(&by, kind, event)
        }
        "message.posted" => {
            let kind = match datum("type").as_str() {
                "text" => "a message".to_owned(),
                kind => format!("a message ({kind})"),
            };
            format!("{by} posted {kind} to {to}  {id}")
        }
        "memory.changed" => remembered(&by, event),
        "state.changed" => set(&by, event),
        kind if kind.starts_with("claim.") => claimed(&by, kind, event),
        kind if kind.starts_with("task.") => task_changed(desk, &by, kind, event),
        kind => format!(
            "{by} {} {}",
            text::one_line(kind),
            text::one_line(&event.subject)
        ),
    }
}

/// How somebody was shown the question of `asker`.
fn shown(event: &Event, asker: &str) -> String {
    let count = |key: &str| event.data[key].as_u64();
    if let Some(stops) = count("stops") {
        return format!("kept in its turn by the question of {asker} ({stops} in a row)");
    }
    let turn = count("posted_turns").map_or_else(String::new, |it| format!(", turn {it} by peers"));
    let way = text::one_line(event.data["way"].as_str().unwrap_or(""));
    format!("shown the question of {asker} ({way}{turn})")
}

/// What there is to say of an answer beside it.
fn notes(event: &Event) -> String {
    let notes = [
        ("by a person", event.data["by"] == "person"),
        ("late", event.data["late"] == true),
        ("corrected", event.data["corrects"] == true),
    ];
    let notes: Vec<&str> = notes
        .iter()
        .filter(|(_, is_so)| *is_so)
        .map(|(note, _)| *note)
        .collect();
    if notes.is_empty() {
        String::new()
    } else {
        format!(" ({})", notes.join(", "))
    }
}

/// What became of waking a session for something, as a sentence.
fn woken(by: &str, event: &Event, what: &str) -> String {
    let again = match event.data["ring"].as_u64() {
        Some(2..) => " once more",
        _ => "",
    };
    let queued = event.kind == "question.queued";
    match (event.data["reason"].as_str(), event.data["rides"] == true) {
        (Some(reason), _) => format!("{by} was not woken for {what}: {}", text::one_line(reason)),
        (None, true) => format!("{what} rides on the ring that is out for {by}"),
        (None, false) if queued => {
            format!("{by} is rung{again} for {what}, and reads it with its next step")
        }
        (None, false) => format!("{by} is rung{again} for {what}"),
    }
}

/// For what else than questions a session is rung.
fn others(event: &Event) -> String {
    let count = |key: &str| event.data[key].as_u64().unwrap_or(0);
    let mail = event.data["mail"].as_array().map_or(0, Vec::len);
    let parts = [
        (count("answers"), "a late answer"),
        (mail as u64, "a message"),
        (count("claims"), "a claim that is its own now"),
    ];
    let some: Vec<&str> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(_, what)| *what)
        .collect();
    if some.is_empty() {
        "what waits for it".into()
    } else {
        some.join(", ")
    }
}

/// Why a question is held.
fn held(target: &str, reason: &str) -> String {
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
fn braked(by: &str, kind: &str, event: &Event) -> String {
    let peer = strong(&text::one_line(&event.subject));
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
fn claimed(by: &str, kind: &str, event: &Event) -> String {
    let resource = text::one_line(&event.subject);
    let in_line = event.data["was"] == "queued";
    match (kind, in_line) {
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
fn task_changed(desk: &Desk, by: &str, kind: &str, event: &Event) -> String {
    let data =
        |value: &serde_json::Value| desk.foreign(&text::one_line(value.as_str().unwrap_or("")));
    let (title, id) = (data(&event.data["title"]), event.subject.dimmed());
    let changes = &event.data["changes"];
    let status = data(&changes["status"]["to"]);
    let assigned = match kind {
        "task.created" => data(&event.data["assigned_to"]),
        _ => data(&changes["assigned_to"]["to"]),
    };
    let whose = match assigned.as_str() {
        "" => String::new(),
        name => format!(" for {}", strong(name)),
    };
    match kind {
        "task.created" => format!("{by} created a task{whose}: {title}  {id}"),
        "task.deleted" => format!("{by} deleted the task {title}  {id}"),
        _ if !status.is_empty() => format!("{by} moved a task to {status}{whose}: {title}  {id}"),
        _ => format!("{by} changed a task{whose}: {title}  {id}"),
    }
}

/// What became of a memory, as a sentence.
fn remembered(by: &str, event: &Event) -> String {
    let datum = |key: &str| text::one_line(event.data[key].as_str().unwrap_or(""));
    let what = match (datum("key").as_str(), datum("scope").as_str()) {
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
fn set(by: &str, event: &Event) -> String {
    let verb = if event.data["deleted"] == true {
        "deleted"
    } else {
        "set"
    };
    let key = text::one_line(&event.subject);
    format!("{by} {verb} {key}, version {}", event.data["version"])
}
