//! Serves the Messages API on loopback for one session; a closure is the model.
//!
//! Each session has an API of its own, so the closure always knows who sent a request. It gets only the requests of the
//! conversation; auxiliary requests (titles, token counts, model lists) get a fixed response.
//! Each connection carries one exchange. Not supported: images, thinking, usage limits.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::scripted_response;
use super::scripted_response::{Block, say};

/// The model of a session, with the requests received so far.
#[derive(Clone)]
pub(crate) struct ScriptedApi {
    port: u16,
    state: Arc<ApiState>,
}

/// One HTTP request; `body` is null where there is none.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Value,
    pub(crate) received_at_ms: i64,
}

type Script = dyn Fn(&Request) -> Result<Vec<Block>, String> + Send + Sync;

struct ApiState {
    script: Box<Script>,
    /// Returns the wall time in milliseconds.
    now_ms: fn() -> i64,
    request_log: Mutex<RequestLog>,
    changed: Condvar,
}

#[derive(Default)]
struct RequestLog {
    requests: Vec<Request>,
    /// The first error of the script. It ends the session and every wait.
    script_error: Option<String>,
}

impl ScriptedApi {
    /// Listens in the network namespace of the calling thread. The threads end with the program.
    pub(crate) fn listen(
        script: impl Fn(&Request) -> Result<Vec<Block>, String> + Send + Sync + 'static,
        now_ms: fn() -> i64,
    ) -> std::io::Result<ScriptedApi> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let api = ScriptedApi {
            port: listener.local_addr()?.port(),
            state: Arc::new(ApiState {
                script: Box::new(script),
                now_ms,
                request_log: Mutex::default(),
                changed: Condvar::new(),
            }),
        };
        let state = Arc::clone(&api.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                // An error here means that the client closed the connection, which it may do.
                thread::spawn(move || state.handle_connection(&stream).ok());
            }
        });
        Ok(api)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the requests of the conversation so far, without auxiliary requests.
    pub(crate) fn conversation(&self) -> Vec<Request> {
        let request_log = self.state.request_log.lock().expect("no holder panics");
        request_log.conversation()
    }

    /// Waits until `found` returns something for the conversation. Returns `None` at the timeout, and the error of the
    /// script if it has failed.
    pub(crate) fn wait_until<T>(
        &self,
        timeout: Duration,
        mut found: impl FnMut(&[Request]) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let mut answer = None;
        let request_log = self.state.request_log.lock().expect("no holder panics");
        let (request_log, _) = self
            .state
            .changed
            .wait_timeout_while(request_log, timeout, |request_log| {
                answer = found(&request_log.conversation());
                answer.is_none() && request_log.script_error.is_none()
            })
            .expect("no holder panics");
        match &request_log.script_error {
            Some(reason) => Err(reason.clone()),
            None => Ok(answer),
        }
    }
}

impl Request {
    /// Returns the texts after the last response of the model, of the user and of hooks.
    pub(crate) fn new_text(&self) -> String {
        let texts = self.new_blocks();
        let texts = texts.iter().filter(|block| block["type"] == "text");
        let texts: Vec<_> = texts.filter_map(|block| block["text"].as_str()).collect();
        texts.join("\n")
    }

    /// Returns the results of the tool calls in the last response of the model.
    pub(crate) fn tool_results(&self) -> Vec<String> {
        let blocks = self.new_blocks();
        let results = blocks.iter().filter(|block| block["type"] == "tool_result");
        results
            .map(|result| joined_text(&result["content"]))
            .collect()
    }

    /// Returns the id of the first question of a peer in the new texts.
    pub(crate) fn peer_question_id(&self) -> Option<String> {
        let new_text = self.new_text();
        let (_, id) = new_text.split_once("<peer-question id=\"")?;
        let (id, _) = id.split_once('"')?;
        Some(id.to_owned())
    }

    fn new_blocks(&self) -> Vec<Value> {
        let messages = self.messages();
        let last_assistant = messages.iter().rposition(|it| it["role"] == "assistant");
        let new = &messages[last_assistant.map_or(0, |index| index + 1)..];
        new.iter()
            .flat_map(|it| blocks_of(&it["content"]))
            .collect()
    }

    pub(crate) fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Returns the value of a header; `name` in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    /// Requests of the conversation have the full set of tools, auxiliary ones have none or one.
    fn is_conversation(&self) -> bool {
        let tools = self.body["tools"].as_array().map_or(0, Vec::len);
        self.path == "/v1/messages" && tools > 2
    }
}

pub(crate) fn blocks_of(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        Value::Array(blocks) => blocks.clone(),
        _ => Vec::new(),
    }
}

pub(crate) fn joined_text(content: &Value) -> String {
    let blocks = blocks_of(content);
    let texts: Vec<_> = blocks.iter().filter_map(|it| it["text"].as_str()).collect();
    texts.join("\n")
}

impl RequestLog {
    fn conversation(&self) -> Vec<Request> {
        let requests = self.requests.iter();
        requests
            .filter(|it| it.is_conversation())
            .cloned()
            .collect()
    }
}

impl ApiState {
    fn handle_connection(&self, stream: &TcpStream) -> std::io::Result<()> {
        let request = read_request(stream, self.now_ms)?;
        let number = self.record_request(&request);
        let (status, kind, body) = match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/messages") => self.message(&request, number),
            ("POST", "/v1/messages/count_tokens") => {
                (200, JSON, json!({"input_tokens": 1}).to_string())
            }
            ("GET" | "HEAD", "/v1/models") => (200, JSON, models().to_string()),
            _ => (
                404,
                JSON,
                error_body("not_found_error", "no such page").to_string(),
            ),
        };
        let mut to_client = stream;
        write!(
            to_client,
            "HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nrequest-id: req_{number}\r\nconnection: close\r\n\r\n",
            body.len()
        )?;
        if request.method != "HEAD" {
            to_client.write_all(body.as_bytes())?;
        }
        to_client.flush()
    }

    fn message(&self, request: &Request, number: usize) -> (u16, &'static str, String) {
        let script_error = self
            .request_log
            .lock()
            .expect("no holder panics")
            .script_error
            .clone();
        if let Some(reason) = script_error {
            // The client retries; the script is not called again.
            return self.script_error(&reason);
        }
        let scripted_response = if request.is_conversation() {
            (self.script)(request)
        } else {
            Ok(say("auxiliary"))
        };
        let refusal = scripted_response.as_deref().ok();
        if let Some(message) = refusal.and_then(scripted_response::refusal) {
            let body = error_body("invalid_request_error", message);
            return (400, JSON, body.to_string());
        }
        match scripted_response {
            Ok(blocks) if request.body["stream"] == true => (
                200,
                "text/event-stream",
                scripted_response::events(&scripted_response::message(
                    &request.body["model"],
                    number,
                    &blocks,
                )),
            ),
            Ok(blocks) => (
                200,
                JSON,
                scripted_response::message(&request.body["model"], number, &blocks).to_string(),
            ),
            Err(reason) => self.script_error(&reason),
        }
    }

    /// Ends the session and every wait for it with an error of the script.
    fn script_error(&self, reason: &str) -> (u16, &'static str, String) {
        self.request_log
            .lock()
            .expect("no holder panics")
            .script_error = Some(reason.to_owned());
        self.changed.notify_all();
        let error_body = error_body("invalid_request_error", reason);
        (400, JSON, error_body.to_string())
    }

    fn record_request(&self, request: &Request) -> usize {
        let mut request_log = self.request_log.lock().expect("no holder panics");
        request_log.requests.push(request.clone());
        self.changed.notify_all();
        request_log.requests.len()
    }
}

const JSON: &str = "application/json";

fn read_request(stream: &TcpStream, now_ms: fn() -> i64) -> std::io::Result<Request> {
    let mut from_client = BufReader::new(stream);
    let mut line = String::new();
    from_client.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();

    let mut headers = Vec::new();
    loop {
        line.clear();
        from_client.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method,
        path,
        headers,
        body: Value::Null,
        received_at_ms: 0,
    };
    let length = request.header("content-length");
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    from_client.read_exact(&mut body)?;
    request.body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    request.received_at_ms = now_ms();
    Ok(request)
}

fn models() -> Value {
    let model = json!({"type": "model", "id": "claude-sonnet-5", "display_name": "scripted", "created_at": "2026-01-01T00:00:00Z"});
    json!({"data": [model], "has_more": false, "first_id": "claude-sonnet-5", "last_id": "claude-sonnet-5"})
}

fn error_body(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}
