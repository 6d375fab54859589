//! A model on loopback for Codex CLI and Gemini CLI: a closure answers each request of a conversation.
//!
//! It serves what both ask for in a turn: the Responses API of `OpenAI` and the Gemini API, each as one event stream. Each
//! connection carries one exchange. Everything else gets an empty object.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// What the model says at one request.
pub(crate) enum Reply {
    Say(String),
    /// A call of a tool of claude-mesh.
    Call(&'static str, Value),
}

/// One request of a conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The texts after the last words of the model: of the user, of hooks, and results of tools.
    pub(crate) new_text: String,
    /// The results of tools among them.
    pub(crate) results: String,
}

/// Writes a reply as the event stream of an API.
type Events = fn(Reply) -> String;

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// A model that listens until the test program ends.
pub(crate) struct ScriptedModel {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl ScriptedModel {
    pub(crate) fn listen(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (script, requests): (Arc<Script>, _) = (Arc::new(script), Arc::default());
        let model = Self {
            url,
            requests: Arc::clone(&requests),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, requests) = (Arc::clone(&script), Arc::clone(&requests));
                // An error means that the client closed the connection, which it may do.
                thread::spawn(move || answer(&stream, &*script, &requests).ok());
            }
        });
        model
    }

    /// Returns the requests of the conversation so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(
    stream: &TcpStream,
    script: &Script,
    requests: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let (path, body) = read_request(stream)?;
    let read: Option<(Request, Events)> = if path.ends_with("/responses") {
        Some((responses_request(&body), responses_events))
    } else if path.contains(":streamGenerateContent") {
        Some((gemini_request(&body), gemini_events))
    } else {
        None
    };
    let (kind, content) = match read {
        Some((request, events)) => {
            requests.lock().unwrap().push(request.clone());
            ("text/event-stream", events(script(&request)))
        }
        None => ("application/json", "{}".to_owned()),
    };
    let mut to_client = stream;
    write!(
        to_client,
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{content}",
        content.len()
    )?;
    to_client.flush()
}

fn read_request(stream: &TcpStream) -> std::io::Result<(String, Value)> {
    let mut from_client = BufReader::new(stream);
    let mut line = String::new();
    from_client.read_line(&mut line)?;
    let target = line.split_whitespace().nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        from_client.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    from_client.read_exact(&mut body)?;
    Ok((path, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

fn items<'a>(body: &'a Value, key: &str) -> &'a [Value] {
    body[key].as_array().map_or(&[], Vec::as_slice)
}

/// Returns all strings in a value, one a line.
fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(values) => values.iter().map(texts).collect(),
        Value::Object(fields) => fields.values().map(texts).collect(),
        _ => String::new(),
    }
}

fn new_items(items: &[Value], is_of_model: impl Fn(&Value) -> bool) -> &[Value] {
    let last = items.iter().rposition(is_of_model);
    &items[last.map_or(0, |at| at + 1)..]
}

fn responses_request(body: &Value) -> Request {
    let is_result = |item: &&Value| item["type"] == "function_call_output";
    let new = new_items(items(body, "input"), |item| {
        item["role"] == "assistant" || item["type"] == "function_call"
    });
    let results = new.iter().filter(is_result).map(|it| texts(&it["output"]));
    Request {
        new_text: new.iter().map(texts).collect(),
        results: results.collect(),
    }
}

fn responses_events(reply: Reply) -> String {
    let item = match reply {
        Reply::Say(text) => json!({
            "type": "message", "role": "assistant", "id": "m",
            "content": [{ "type": "output_text", "text": text }],
        }),
        Reply::Call(tool, arguments) => json!({
            "type": "function_call", "id": "f", "call_id": "call", "namespace": "mcp__claude_mesh", "name": tool,
            "arguments": arguments.to_string(),
        }),
    };
    let usage = json!({ "input_tokens": 1, "output_tokens": 1, "total_tokens": 2 });
    let events = [
        json!({ "type": "response.created", "response": { "id": "r" } }),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": item }),
        json!({ "type": "response.completed", "response": { "id": "r", "usage": usage } }),
    ];
    let mut stream = String::new();
    for event in events {
        let name = event["type"].as_str().unwrap();
        stream += &["event: ", name, "\ndata: ", &event.to_string(), "\n\n"].concat();
    }
    stream
}

fn gemini_request(body: &Value) -> Request {
    let new = new_items(items(body, "contents"), |item| item["role"] == "model");
    let parts = || new.iter().flat_map(|content| items(content, "parts"));
    let results = parts().map(|part| texts(&part["functionResponse"]["response"]));
    Request {
        new_text: parts().map(texts).collect(),
        results: results.collect(),
    }
}

fn gemini_events(reply: Reply) -> String {
    let part = match reply {
        Reply::Say(text) => json!({ "text": text }),
        Reply::Call(tool, arguments) => {
            let name = format!("mcp_claude-mesh_{tool}");
            json!({ "functionCall": { "name": name, "args": arguments } })
        }
    };
    let response = json!({
        "candidates": [{
            "content": { "role": "model", "parts": [part] }, "finishReason": "STOP", "index": 0,
        }],
        "usageMetadata": { "promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2 },
    });
    format!("data: {response}\r\n\r\n")
}
