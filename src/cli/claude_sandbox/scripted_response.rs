//! Builds the responses of a scripted model in the format of the Messages API: one message, or a stream of events.
use serde_json::{Value, json};

/// One content block of a response.
#[derive(Debug)]
pub(crate) enum Block {
    Text(String),
    Call {
        tool: String,
        input: Value,
    },
    /// The API refuses the request, with this message.
    #[allow(dead_code, reason = "only tests with the real client let the API fail")]
    Refusal(String),
}

/// Returns a response of one text.
pub(crate) fn say(text: impl Into<String>) -> Vec<Block> {
    vec![Block::Text(text.into())]
}

/// Returns a response of one tool call.
pub(crate) fn call(tool: &str, input: Value) -> Vec<Block> {
    let tool = tool.to_owned();
    vec![Block::Call { tool, input }]
}

/// Returns the message with which the API refuses a request, if this response says so.
pub(super) fn refusal(blocks: &[Block]) -> Option<&str> {
    blocks.iter().find_map(|block| match block {
        Block::Refusal(message) => Some(message.as_str()),
        Block::Text(_) | Block::Call { .. } => None,
    })
}

/// Returns the response as one message of the API; `number` makes its ids unique.
pub(super) fn message(model: &Value, number: usize, blocks: &[Block]) -> Value {
    let content: Vec<_> = blocks
        .iter()
        .zip(0..)
        .map(|block| content(number, block))
        .collect();
    let calls = blocks
        .iter()
        .any(|block| matches!(block, Block::Call { .. }));
    json!({
        "id": format!("msg_{number}"), "type": "message", "role": "assistant", "model": model,
        "content": content, "stop_reason": if calls { "tool_use" } else { "end_turn" }, "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
    })
}

fn content(number: usize, (block, index): (&Block, usize)) -> Value {
    match block {
        Block::Text(text) | Block::Refusal(text) => json!({"type": "text", "text": text}),
        Block::Call { tool, input } => {
            json!({"type": "tool_use", "id": format!("toolu_{number}_{index}"), "name": tool, "input": input})
        }
    }
}

/// Returns `message` as the stream of server-sent events that Claude Code reads, with one delta for each block.
pub(super) fn events(message: &Value) -> String {
    let mut start = message.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    let mut events = vec![json!({"type": "message_start", "message": start})];
    let blocks = message["content"].as_array().into_iter().flatten();
    for (index, block) in blocks.enumerate() {
        let (mut empty, delta) = (block.clone(), delta(block));
        if block["type"] == "text" {
            empty["text"] = json!("");
        } else {
            empty["input"] = json!({});
        }
        events.push(json!({"type": "content_block_start", "index": index, "content_block": empty}));
        events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({
        "type": "message_delta", "usage": {"output_tokens": 10},
        "delta": {"stop_reason": message["stop_reason"], "stop_sequence": null},
    }));
    events.push(json!({"type": "message_stop"}));
    let lines = events.iter().map(|event| {
        let name = event["type"].as_str().unwrap_or_default();
        format!("event: {name}\ndata: {event}\n\n")
    });
    lines.collect()
}

fn delta(block: &Value) -> Value {
    if block["type"] == "text" {
        json!({"type": "text_delta", "text": block["text"]})
    } else {
        json!({"type": "input_json_delta", "partial_json": block["input"].to_string()})
    }
}
