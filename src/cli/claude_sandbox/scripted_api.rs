//! A Messages API on loopback whose model is a closure: it sees what Claude Code sends and says what comes next.
//!
//! One API stands behind one session, so "who asked" needs no bookkeeping. Only the conversation reaches the closure; the
//! client's side errands (titles, token counts, model lists) get a stock answer.
//! Every connection carries one exchange. Not here: images, thinking, usage limits, errors on purpose.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::claude_sandbox::scripted_response;
use crate::cli::claude_sandbox::scripted_response::{Block, say};
use crate::platform::{Clock, SystemClock};

/// A session's model and what it has been sent so far.
#[derive(Clone)]
pub struct ScriptedApi {
    port: u16,
    state: Arc<ApiState>,
}

/// One HTTP request; `body` is null where there is none.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    path: String,
    /// Claude Code's id of the session that sent it.
    pub session_id: Option<String>,
    /// What was sent.
    pub body: Value,
    /// When it had come, in wall milliseconds.
    pub received_at_ms: i64,
}

type Script = dyn Fn(&Request) -> Result<Vec<Block>, String> + Send + Sync;

struct ApiState {
    script: Box<Script>,
    request_log: Mutex<RequestLog>,
    changed: Condvar,
}

#[derive(Default)]
struct RequestLog {
    requests: Vec<Request>,
    /// What a script complained about; the session and everyone who waits end with it.
    script_error: Option<String>,
}

impl ScriptedApi {
    /// Listens in the network of the calling thread; the threads end with the program.
    pub fn listen(
        script: impl Fn(&Request) -> Result<Vec<Block>, String> + Send + Sync + 'static,
    ) -> std::io::Result<ScriptedApi> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let api = ScriptedApi {
            port: listener.local_addr()?.port(),
            state: Arc::new(ApiState {
                script: Box::new(script),
                request_log: Mutex::default(),
                changed: Condvar::new(),
            }),
        };
        let state = Arc::clone(&api.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                // A client that hangs up in the middle is its own business.
                thread::spawn(move || state.handle_connection(&stream).ok());
            }
        });
        Ok(api)
    }

    /// Returns where the client finds it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns what the model has been sent so far, side errands left out.
    pub fn conversation(&self) -> Vec<Request> {
        let request_log = self.state.request_log.lock().expect("no holder panics");
        request_log.conversation()
    }

    /// Waits until `found` finds something in the conversation; `None` when it has not in time, an error when the script
    /// has complained.
    pub fn wait_until<T>(
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
    /// Returns how often the model has spoken before.
    pub fn turn(&self) -> usize {
        let messages = self.messages().iter();
        messages
            .filter(|message| message["role"] == "assistant")
            .count()
    }

    /// Returns the texts that came since the model last spoke, whoever they are from.
    pub fn new_text(&self) -> String {
        let texts = self.new_blocks();
        let texts = texts.iter().filter(|block| block["type"] == "text");
        let texts: Vec<_> = texts.filter_map(|block| block["text"].as_str()).collect();
        texts.join("\n")
    }

    /// Returns the results of the calls the model made when it last spoke.
    pub fn tool_results(&self) -> Vec<String> {
        let blocks = self.new_blocks();
        let results = blocks.iter().filter(|block| block["type"] == "tool_result");
        results
            .map(|result| joined_text(&result["content"]))
            .collect()
    }

    /// Returns the id of the first question another session put into the news.
    pub fn peer_question_id(&self) -> Option<String> {
        let new_text = self.new_text();
        let (_, id) = new_text.split_once("<peer-question id=\"")?;
        let (id, _) = id.split_once('"')?;
        Some(id.to_owned())
    }

    /// Returns how often a text stands in the whole conversation.
    pub fn count(&self, text: &str) -> usize {
        let blocks = self.messages().iter();
        let blocks = blocks.flat_map(|message| blocks_of(&message["content"]));
        blocks
            .map(|block| match block["type"].as_str() {
                Some("tool_result") => joined_text(&block["content"]).matches(text).count(),
                _ => block["text"].as_str().unwrap_or("").matches(text).count(),
            })
            .sum()
    }

    fn new_blocks(&self) -> Vec<Value> {
        let messages = self.messages();
        let last_assistant = messages.iter().rposition(|it| it["role"] == "assistant");
        let new = &messages[last_assistant.map_or(0, |index| index + 1)..];
        new.iter()
            .flat_map(|it| blocks_of(&it["content"]))
            .collect()
    }

    fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The conversation comes with the full set of tools, side errands with none or one.
    fn is_conversation(&self) -> bool {
        let tools = self.body["tools"].as_array().map_or(0, Vec::len);
        self.path == "/v1/messages" && tools > 2
    }
}

fn blocks_of(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        Value::Array(blocks) => blocks.clone(),
        _ => Vec::new(),
    }
}

fn joined_text(content: &Value) -> String {
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
        let request = read_request(stream)?;
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
            // The client tries again, the script need not.
            return self.script_error(&reason);
        }
        let scripted_response = if request.is_conversation() {
            (self.script)(request)
        } else {
            Ok(say("an errand"))
        };
        match scripted_response {
            Ok(blocks) if request.body["stream"] == true => (
                200,
                "text/event-stream",
                scripted_response::events(&scripted_response::message(request, number, &blocks)),
            ),
            Ok(blocks) => (
                200,
                JSON,
                scripted_response::message(request, number, &blocks).to_string(),
            ),
            Err(reason) => self.script_error(&reason),
        }
    }

    /// Ends the session, and everyone who waits for it, with what a script complained about.
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

fn read_request(stream: &TcpStream) -> std::io::Result<Request> {
    let mut from_client = BufReader::new(stream);
    let mut line = String::new();
    from_client.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();

    let (mut length, mut session_id) = (0, None);
    loop {
        line.clear();
        from_client.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "x-claude-code-session-id" => session_id = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    from_client.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Request {
        method,
        path,
        session_id,
        body,
        received_at_ms: SystemClock::new().now().wall_ms,
    })
}

fn models() -> Value {
    let model = json!({"type": "model", "id": "claude-sonnet-5", "display_name": "scripted", "created_at": "2026-01-01T00:00:00Z"});
    json!({"data": [model], "has_more": false, "first_id": "claude-sonnet-5", "last_id": "claude-sonnet-5"})
}

fn error_body(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}
