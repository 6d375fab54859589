//! What Claude Code sends with every request, and what a tool returns.
use serde_json::{Value, json};

/// Returns the metadata of a request.
pub(crate) fn request_metadata() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "claude-code", "version": "2.1.329" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// Returns the JSON object in the result of a tool.
#[track_caller]
pub(crate) fn result(answer: &Value) -> Value {
    let content = answer["result"]["content"].as_array();
    let [content] = content.map_or(&[][..], Vec::as_slice) else {
        panic!("not one content block: {answer}");
    };
    let text = content["text"].as_str().unwrap();
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}
