//! Runs a tool call to what its caller reads: the result or an error object, and what has become of earlier calls.
use serde_json::Value;

use crate::remote::call::{CallOutcome, ToolCall};
use crate::remote::undelivered;

/// Runs a call. Its result also says what has become of earlier calls, if that was not known. An error is an error object.
pub(super) async fn run(call: &ToolCall<'_>) -> Result<Value, Value> {
    let link = call.link;
    for note in undelivered::look_up(link).await {
        link.add_note(note);
    }
    let mut result = match call.run().await {
        CallOutcome::Result(body) => Ok(body),
        CallOutcome::Refused(body) => Err(body),
        CallOutcome::Undelivered(undelivered) => Err(undelivered::error_of(call, undelivered)),
    };
    let notes = link.take_notes();
    if let (Ok(Value::Object(body)) | Err(Value::Object(body)), false) =
        (&mut result, notes.is_empty())
    {
        body.insert("notes".into(), notes.into());
    }
    result
}
