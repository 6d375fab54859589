//! An MCP client over HTTP that says exactly what the test tells it, and reads the stream of a call event by event.
use std::io::{BufRead, BufReader, Read};

use serde_json::{Value, json};
use ureq::http;

use super::shared::{request_metadata, result};
use super::{Hub, WAIT_TIMEOUT};

/// A client with one key that speaks one revision of the protocol.
pub(crate) struct McpClient {
    url: String,
    key: String,
    revision: &'static str,
    agent: ureq::Agent,
}

/// The response to a POST, of which only the head was read.
pub(crate) struct McpStream {
    pub(crate) status: u16,
    headers: http::HeaderMap,
    body: BufReader<Box<dyn Read>>,
}

impl McpClient {
    pub(crate) fn new(hub: &Hub, key: &str, revision: &'static str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(4 * WAIT_TIMEOUT))
            .build();
        Self {
            url: format!("{}/mcp", hub.url()),
            key: key.to_owned(),
            revision,
            agent: config.into(),
        }
    }

    /// Adds a query to the address.
    pub(crate) fn with_query(mut self, query: &str) -> Self {
        self.url.push_str(query);
        self
    }

    /// Sends a message, and returns when the head of the response is there.
    #[track_caller]
    pub(crate) fn send(&self, message: &Value) -> McpStream {
        let method = message["method"].as_str().unwrap_or_default();
        let mut headers = vec![("MCP-Protocol-Version", self.revision)];
        if method == "initialize" {
            headers.clear();
        }
        if self.revision == "2026-07-28" {
            headers.push(("Mcp-Method", method));
            headers.extend(
                message["params"]["name"]
                    .as_str()
                    .map(|it| ("Mcp-Name", it)),
            );
        }
        self.post(&headers, message.to_string().as_bytes())
    }

    /// Sends a body with further headers, each in place of the usual one of that name.
    #[track_caller]
    pub(crate) fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> McpStream {
        let mut request = http::Request::builder().method("POST").uri(&self.url);
        let own = request.headers_mut().unwrap();
        let authorization = format!("Bearer {}", self.key);
        let usual = [
            ("Authorization", &*authorization),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        for (name, value) in usual.iter().chain(headers) {
            let name: http::HeaderName = name.parse().unwrap();
            own.insert(name, value.parse().unwrap());
        }
        McpStream::begin(
            self.agent
                .run(request.body(body.to_vec()).unwrap())
                .unwrap(),
        )
    }

    /// Returns the head of a request of the current revision, as it is sent.
    pub(crate) fn head(&self, method: &str, name: &str, length: usize) -> String {
        let lines = [
            "POST /mcp HTTP/1.1".to_owned(),
            format!(
                "Host: {}",
                self.url
                    .trim_start_matches("http://")
                    .trim_end_matches("/mcp")
            ),
            format!("Authorization: Bearer {}", self.key),
            "Content-Type: application/json".to_owned(),
            "Accept: application/json, text/event-stream".to_owned(),
            format!("MCP-Protocol-Version: {}", self.revision),
            format!("Mcp-Method: {method}"),
            format!("Mcp-Name: {name}"),
            format!("Content-Length: {length}"),
        ];
        lines.join("\r\n") + "\r\n\r\n"
    }

    /// Sends a request with the metadata of its revision, and returns when the head of the response is there.
    #[track_caller]
    pub(crate) fn start(&self, id: i64, method: &str, mut params: Value) -> McpStream {
        if self.revision == "2026-07-28" {
            params["_meta"] = request_metadata();
        }
        params["_meta"]["progressToken"] = id.into();
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
    }

    /// Sends a request and returns the answer to it.
    #[track_caller]
    pub(crate) fn request(&self, method: &str, params: Value) -> Value {
        self.start(1, method, params).answer()
    }

    /// Starts a call of a tool.
    #[track_caller]
    pub(crate) fn start_call(&self, id: i64, tool: &str, arguments: Value) -> McpStream {
        let params = json!({ "name": tool, "arguments": arguments });
        self.start(id, "tools/call", params)
    }

    /// Calls a tool and returns the JSON object in its result.
    #[track_caller]
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Value {
        result(&self.start_call(1, tool, arguments).answer())
    }
}

impl McpStream {
    fn begin(response: http::Response<ureq::Body>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: BufReader::new(Box::new(body.into_reader())),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }

    /// Returns the next message; `None` at the end. A body that is no stream of events is one message.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Value> {
        if self.header("content-type") != "text/event-stream" {
            let text = self.text();
            return (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap());
        }
        loop {
            let mut line = String::new();
            if self.body.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(data) = line.strip_prefix("data:") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }

    /// Returns the rest as text.
    #[track_caller]
    pub(crate) fn text(&mut self) -> String {
        let mut text = String::new();
        self.body.read_to_string(&mut text).unwrap();
        text
    }

    /// Reads to the last message, the answer.
    #[track_caller]
    pub(crate) fn answer(mut self) -> Value {
        let mut last = None;
        while let Some(message) = self.next() {
            last = Some(message);
        }
        last.expect("there is an answer")
    }

    /// Reads to the result of a call, and returns the JSON object in it.
    #[track_caller]
    pub(crate) fn result(self) -> Value {
        result(&self.answer())
    }

    /// Reads to the next progress notification that contains `text`, and returns its message.
    #[track_caller]
    pub(crate) fn wait_for_progress(&mut self, text: &str) -> String {
        let mut others = Vec::new();
        while let Some(message) = self.next() {
            let progress = message["params"]["message"].as_str().unwrap_or_default();
            if message["method"] == "notifications/progress" && progress.contains(text) {
                return progress.to_owned();
            }
            others.push(message);
        }
        panic!("no progress with {text:?}: {others:?}")
    }
}
