//! Calls of tools that many tests make.
use serde_json::{Value, json};

use super::{InFlight, Session, World};

/// Starts a call of `ask_peer`.
pub(crate) fn start_ask<'a>(asker: &'a Session, to: &str, question: &str) -> InFlight<'a> {
    asker.start("ask_peer", json!({ "to": to, "question": question }))
}

/// One session asks another and receives this answer. Returns the id of the question.
#[track_caller]
pub(crate) fn ask_and_answer(
    asker: &Session,
    peer: &Session,
    question: &str,
    answer: &str,
) -> String {
    let ask = start_ask(asker, &peer.name(), question);
    ask.wait_for_progress("stored");
    peer.send_reply(&peer.next_question(), answer);
    let result = ask.result();
    assert_eq!(result["answer"], answer, "{question}: {result}");
    result["question_id"].as_str().unwrap().to_owned()
}

/// Returns the id of the first question in a text of a hook.
#[track_caller]
pub(crate) fn question_id_in(text: &str) -> &str {
    &text[text.find("id=\"").expect("a question in the text") + 4..][..26]
}

/// Returns the context that the output of a hook adds for the model.
#[track_caller]
pub(crate) fn attached_context(output: &Value) -> &str {
    output["hookSpecificOutput"]["additionalContext"]
        .as_str()
        .unwrap_or_else(|| panic!("{output}"))
}

/// Posts a message and returns its id.
#[track_caller]
pub(crate) fn post(from: &Session, message: Value) -> String {
    let posted = from.call("post", message);
    let id = posted["message_id"].as_str();
    id.unwrap_or_else(|| panic!("{posted}")).to_owned()
}

/// Posts a text and returns the id of the message.
#[track_caller]
pub(crate) fn post_message(from: &Session, to: &str, body: &str) -> String {
    post(from, json!({ "to": to, "body": body }))
}

/// Creates a task with these fields and returns its id.
#[track_caller]
pub(crate) fn create_task(session: &Session, title: &str, fields: Value) -> String {
    let created = session.call("create_task", merged(json!({ "title": title }), fields));
    assert_eq!(created["created"], true, "{created}");
    created["task"]["task_id"].as_str().unwrap().to_owned()
}

/// Calls `update_task` with these fields and returns its result.
pub(crate) fn update(session: &Session, id: &str, fields: Value) -> Value {
    session.call("update_task", merged(json!({ "task_id": id }), fields))
}

/// Updates a task, which must be allowed, and returns the task.
#[track_caller]
pub(crate) fn updated(session: &Session, id: &str, fields: Value) -> Value {
    let result = update(session, id, fields);
    assert!(result["task"].is_object(), "{result}");
    result["task"].clone()
}

/// Sets the status of a task, which must be allowed, and returns the task.
#[track_caller]
pub(crate) fn set_status(session: &Session, id: &str, status: &str) -> Value {
    updated(session, id, json!({ "status": status }))
}

/// Returns an object with the fields of two.
pub(crate) fn merged(mut object: Value, more: Value) -> Value {
    let all = object.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    object
}

/// Returns the delivery of the only open question while its asker waits.
#[track_caller]
pub(crate) fn open_question_delivery(world: &World) -> Value {
    let open = world
        .cli(&world.home(), &["inbox", "--all", "--json"])
        .json();
    let [question] = open["questions"].as_array().unwrap().as_slice() else {
        panic!("{open}");
    };
    question["delivery"].clone()
}
