//! Recovers an invalid JSON-RPC line: the message after a repair, or the error reply with the id of the request.
use rmcp::RoleServer;
use rmcp::model::{ErrorData, RequestId};
use rmcp::service::RxJsonRpcMessage;
use serde_json::Value;

use crate::platform::text::without_bom;

/// The longest id that a reply repeats, in bytes as written.
const TOKEN_MAX_BYTES: usize = 256;

/// An error, and the id of the request it answers. Without an id the key is left out, as in revision 2026-07-28.
#[derive(Debug, PartialEq)]
pub(crate) struct ErrorReply {
    pub(crate) id: Option<RequestId>,
    pub(crate) error: ErrorData,
}

/// A message, nothing, or the error reply to the line.
pub(crate) type ParsedLine = Result<Option<RxJsonRpcMessage<RoleServer>>, Box<ErrorReply>>;

/// Reads a line. `None`: the line needs no reply, because it is empty or an unknown notification.
pub(crate) fn read(line: &[u8]) -> ParsedLine {
    let line = strip_line_end(line);
    if line.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(line) {
        Ok(message) => Ok(Some(message)),
        Err(error) => match replace_lone_surrogates(line) {
            Some(repaired) => serde_json::from_slice(&repaired)
                .map(Some)
                .or_else(|error| error_reply(&repaired, &error)),
            None => error_reply(line, &error),
        },
    }
}

fn strip_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    without_bom(line)
}

fn error_reply(line: &[u8], error: &serde_json::Error) -> ParsedLine {
    let error = if let Ok(value) = serde_json::from_slice::<Value>(line) {
        if value["method"].is_string() && value.get("id").is_none() {
            return Ok(None);
        }
        ErrorData::invalid_request("Invalid request", None)
    } else {
        let problem = format!("the line is no JSON that can be read ({error}); nothing was done");
        ErrorData::parse_error(problem, None)
    };
    let mut finder = IdFinder::default();
    finder.read(line);
    let id = finder.request_id();
    Err(Box::new(ErrorReply { id, error }))
}

/// Returns the line with each lone surrogate replaced by U+FFFD; JavaScript writes one when it has cut a character in two.
/// `None` if the line has no lone surrogate.
pub(crate) fn replace_lone_surrogates(line: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    let mut repaired = false;
    while let Some(first) = rest.first() {
        // A backslash occurs only in strings, and escapes the character after it.
        let consumed = match (first, escaped_utf16_unit(rest)) {
            (_, Some(0xd800..=0xdbff))
                if matches!(escaped_utf16_unit(&rest[6..]), Some(0xdc00..=0xdfff)) =>
            {
                12
            }
            (_, Some(0xd800..=0xdfff)) => {
                out.extend_from_slice(b"\\ufffd");
                repaired = true;
                rest = &rest[6..];
                continue;
            }
            (b'\\', _) => rest.len().min(2),
            _ => 1,
        };
        out.extend_from_slice(&rest[..consumed]);
        rest = &rest[consumed..];
    }
    repaired.then_some(out)
}

/// Returns the UTF-16 unit of a `\uXXXX` at the start of the text.
fn escaped_utf16_unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Finds the id of a request in a line that is invalid or too long to be kept: it takes the line in pieces and keeps only
/// the current token.
#[derive(Debug, Default)]
pub(super) struct IdFinder {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// The current or last string, number or keyword at the top level.
    token: Vec<u8>,
    /// The key of the current value.
    key: Vec<u8>,
    id: Option<RequestId>,
    is_response: bool,
}

impl IdFinder {
    /// Reads the next piece.
    pub(super) fn read(&mut self, chunk: &[u8]) {
        for byte in chunk {
            if self.in_string {
                self.read_string_byte(*byte);
            } else {
                self.read_structural_byte(*byte);
            }
        }
    }

    /// Returns the id, unless the line is a response: its id names a request of this server.
    pub(super) fn request_id(self) -> Option<RequestId> {
        self.id.filter(|_| !self.is_response)
    }

    fn read_string_byte(&mut self, byte: u8) {
        self.push_token_byte(byte);
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }

    fn read_structural_byte(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.in_string = true;
                self.begin_token();
                self.push_token_byte(byte);
            }
            b'{' | b'[' => {
                self.begin_token();
                self.depth += 1;
            }
            b'}' | b']' => {
                self.end_value();
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 1 => {
                self.key = std::mem::take(&mut self.token);
                self.is_response |= self.key == b"\"result\"" || self.key == b"\"error\"";
            }
            b',' => self.end_value(),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.push_token_byte(byte),
        }
    }

    fn begin_token(&mut self) {
        if self.depth == 1 {
            self.token.clear();
        }
    }

    fn end_value(&mut self) {
        if self.depth != 1 {
            return;
        }
        if self.key == b"\"id\"" {
            self.id = serde_json::from_slice(&self.token).ok();
        }
        self.key.clear();
        self.token.clear();
    }

    /// A longer id is cut off, which makes it invalid.
    fn push_token_byte(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() < TOKEN_MAX_BYTES {
            self.token.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(line: &str) -> Option<Value> {
        // The size of the pieces must not matter.
        let request_id: Vec<_> = (1..=line.len())
            .map(|size| {
                let mut finder = IdFinder::default();
                line.as_bytes()
                    .chunks(size)
                    .for_each(|chunk| finder.read(chunk));
                finder.request_id().map(RequestId::into_json_value)
            })
            .collect();
        assert!(
            request_id.iter().all(|id| *id == request_id[0]),
            "{request_id:?}"
        );
        request_id[0].clone()
    }

    #[test]
    fn request_id_is_found_anywhere_at_the_top_level_only() {
        assert_eq!(id_of(r#"{"id":7,"x"#), Some(7.into()));
        assert_eq!(
            id_of(r#"{"method":"m","params":{"id":1,"x":[{"id":2}]},"jsonrpc":"2.0" , "id" : 8 }"#),
            Some(8.into())
        );
        assert_eq!(
            id_of(r#"{"a":"\",\"id\":3","b":"x\\","id":"q-\"1","c":1e400}"#),
            Some(r#"q-"1"#.into())
        );
        assert_eq!(id_of(r#"{"a":"id","b":1}"#), None);
        assert_eq!(id_of(r#"{"id":4"#), None, "there may be more of it");
        assert_eq!(id_of(r#"[{"id":5}]"#), None);
        assert_eq!(id_of(r#"{"id":null,"a":1}"#), None);
        assert_eq!(id_of(r#"{"id":{"id":6},"a":1}"#), None);
        assert_eq!(id_of(r#"{"id":9,"result":1e400}"#), None);
        assert_eq!(id_of("]]}},{\"id\":1"), None);
        let long = format!("{{\"id\":\"{}\",\"a\":1}}", "y".repeat(TOKEN_MAX_BYTES));
        assert_eq!(id_of(&long), None);
    }

    #[test]
    fn only_lone_surrogate_escapes_are_replaced() {
        let repaired = |line: &str| {
            replace_lone_surrogates(line.as_bytes()).map(|line| String::from_utf8(line).unwrap())
        };
        assert_eq!(repaired(r#""\ud83d""#).unwrap(), r#""\ufffd""#);
        assert_eq!(repaired(r#""\uDE00\uD83D""#).unwrap(), r#""\ufffd\ufffd""#);
        assert_eq!(
            repaired(r#""\ud83d\ud83d\ude00""#).unwrap(),
            r#""\ufffd\ud83d\ude00""#
        );
        assert_eq!(repaired(r#""\\\ud83d\n""#).unwrap(), r#""\\\ufffd\n""#);
        for whole in [
            r#""\ud83d\ude00""#,
            r#""\\ud83d""#,
            r#""ä\u00e4\"""#,
            r#""\u12"#,
            "\"\\",
            "",
        ] {
            assert_eq!(repaired(whole), None, "{whole}");
        }
    }
}
