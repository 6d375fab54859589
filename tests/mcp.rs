//! Plays every file in `tests/transcripts`: lines that are sent to a real server, and the lines that it must return.
//!
//! A line `-> …` is sent as it is; `<- {…}` is the next line that must come. A name before the arrow (`bo -> …`) is the
//! server of that project, no name is `ada`'s. Other lines are for the reader. At the end of a file every server must still
//! answer. A new case is a new file.
//!
//! Sent: `$META` is what revision 2026-07-28 puts into every request, `$FF` a byte that is not UTF-8, `$LONG` five million
//! characters, `$HUGE` seventeen million, `$DEEP` 130 nested lists. Expected: `…` matches anything; in a text any part of
//! it, as a key any further keys, at the end of a list any further items. `$TIME` is a time, `$ID` and `$ID_NAME` are ids,
//! and a name means the same id from its first occurrence on, also in lines that are sent. An expected object where a text
//! comes is compared with the JSON in that text.
use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::support::{Session, World};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"some-client","version":"1.0"},"io.modelcontextprotocol/clientCapabilities":{},"progressToken":"p"}"#;
const LONG: usize = 5_000_000;
const HUGE: usize = 17_000_000;

// Requirement: Mesh 16
#[test]
fn every_transcript_replays_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "the folder has the transcripts");
    let wrong: Vec<String> = files
        .iter()
        .filter_map(|file| play_transcript(file).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn transcript_comparison_detects_every_mismatch() {
    let is_match = |expected: &str, actual: &str| {
        let (expected, actual) = (
            serde_json::from_str(expected).unwrap(),
            serde_json::from_str(actual).unwrap(),
        );
        compare(&expected, &actual, &mut Ids::new(), "line").is_ok()
    };
    assert!(is_match(r#"{"a":1}"#, r#"{"a":1}"#));
    assert!(!is_match(r#"{"a":1}"#, r#"{"a":1,"b":2}"#));
    assert!(!is_match(r#"{"a":1,"b":2}"#, r#"{"a":1}"#));
    assert!(is_match(r#"{"a":1,"…":"…"}"#, r#"{"a":1,"b":2}"#));
    assert!(
        is_match(r#"[1,"…"]"#, "[1,2,3]") && !is_match("[1]", "[1,2]") && !is_match("[1,2]", "[1]")
    );
    assert!(is_match(r#""a…c""#, r#""abc""#) && !is_match(r#""a…d""#, r#""abc""#));
    assert!(!is_match(r#""ab…bc""#, r#""abc""#));
    assert!(is_match(r#"{"a":1}"#, r#""{\"a\":1}""#) && !is_match(r#"{"a":1}"#, r#""{\"a\":2}""#));
    assert!(
        is_match(r#""$TIME""#, r#""2026-01-02T03:04:05.678Z""#)
            && !is_match(r#""$TIME""#, r#""soon""#)
    );
    let id = "01K00000000000000000000000";
    assert!(is_match(r#""$ID""#, &format!("{id:?}")) && !is_match(r#""$ID""#, r#""one""#));
    let other = "01K00000000000000000000001";
    let twice = |second: &str| is_match(r#"["$ID_A","$ID_A"]"#, &format!("[{id:?},{second:?}]"));
    assert!(twice(id) && !twice(other));
}

/// The ids by name.
type Ids = HashMap<String, String>;

/// A server and the number of its lines that were read.
struct ServerSession {
    session: Session,
    read: usize,
}

fn play_transcript(file: &Path) -> Result<(), String> {
    let world = World::new();
    let text = std::fs::read_to_string(file).unwrap();
    let mut servers: HashMap<&str, ServerSession> = HashMap::new();
    let mut ids = Ids::new();
    for (number, line) in text.lines().enumerate() {
        let Some((name, arrow, rest)) = parts(line) else {
            continue;
        };
        let server = servers.entry(name).or_insert_with(|| ServerSession {
            session: world.bare_session(name, &[]),
            read: 0,
        });
        if arrow == "->" {
            server.session.bytes(&bytes_of(rest, &ids));
        } else {
            server
                .expect_line(rest, &mut ids)
                .map_err(|problem| format!("{}:{}: {problem}", file.display(), number + 1))?;
        }
    }
    for (name, mut server) in servers {
        let last = r#"{"jsonrpc":"2.0","id":"last","method":"tools/list","params":{$META}}"#;
        server.session.bytes(&bytes_of(last, &ids));
        let listed = r#"{"id":"last","result":{"tools":["…"],"…":"…"},"…":"…"}"#;
        server
            .expect_line(listed, &mut ids)
            .map_err(|problem| format!("{}: at its end {name}: {problem}", file.display()))?;
    }
    Ok(())
}

impl ServerSession {
    /// Compares the next line of the server with what is expected.
    fn expect_line(&mut self, expected: &str, ids: &mut Ids) -> Result<(), String> {
        let expected = serde_json::from_str(expected).map_err(|error| error.to_string())?;
        let Some(actual) = self.session.line_after(self.read) else {
            return Err(format!("it said no more after {} lines", self.read));
        };
        self.read += 1;
        compare(&expected, &actual, ids, "line").map_err(|problem| {
            let actual = actual.to_string();
            format!(
                "{problem}\nit said {}",
                actual.chars().take(2_000).collect::<String>()
            )
        })
    }
}

/// Returns server, direction and content; `None` for a line that is for the reader.
fn parts(line: &str) -> Option<(&str, &'static str, &str)> {
    let arrows = ["->", "<-"].into_iter();
    let (at, arrow) = arrows
        .filter_map(|arrow| Some((line.find(arrow)?, arrow)))
        .min()?;
    let (name, rest) = (line[..at].trim_end(), &line[at + arrow.len()..]);
    let name = if name.is_empty() { "ada" } else { name };
    name.bytes()
        .all(|byte| byte.is_ascii_lowercase())
        .then(|| (name, arrow, rest.strip_prefix(' ').unwrap_or(rest)))
}

fn bytes_of(text: &str, ids: &Ids) -> Vec<u8> {
    let mut text = text
        .replace("$META", META)
        .replace("$LONG", &"y".repeat(LONG))
        .replace("$HUGE", &"y".repeat(HUGE))
        .replace("$DEEP", &format!("{}{}", "[".repeat(130), "]".repeat(130)));
    // Longer names first, because one may be a prefix of another.
    let mut names: Vec<_> = ids.iter().collect();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, id) in names {
        text = text.replace(name, id);
    }
    let mut bytes = Vec::with_capacity(text.len() + 1);
    for (at, piece) in text.split("$FF").enumerate() {
        if at > 0 {
            bytes.push(0xff);
        }
        bytes.extend_from_slice(piece.as_bytes());
    }
    bytes.push(b'\n');
    bytes
}

fn compare(expected: &Value, actual: &Value, ids: &mut Ids, at: &str) -> Result<(), String> {
    match (expected, actual) {
        (Value::String(pattern), _) if pattern == "…" => Ok(()),
        (Value::String(pattern), Value::String(text)) => compare_text(pattern, text, ids, at),
        (Value::Object(expected), Value::Object(actual)) => {
            compare_objects(expected, actual, ids, at)
        }
        (Value::Object(_), Value::String(text)) => {
            let inner = serde_json::from_str(text).map_err(|_| differs(at, expected, actual))?;
            compare(expected, &inner, ids, at)
        }
        (Value::Array(expected), Value::Array(actual)) => compare_lists(expected, actual, ids, at),
        _ if expected == actual => Ok(()),
        _ => Err(differs(at, expected, actual)),
    }
}

fn compare_text(pattern: &str, text: &str, ids: &mut Ids, at: &str) -> Result<(), String> {
    let good = if pattern == "$TIME" {
        text.len() == 24 && text.parse::<jiff::Timestamp>().is_ok()
    } else if pattern.starts_with("$ID") {
        let known = ids.entry(pattern.to_owned()).or_insert(text.to_owned());
        known == text && text.parse::<ulid::Ulid>().is_ok()
    } else {
        has_pieces(pattern, text)
    };
    good.then_some(())
        .ok_or_else(|| differs(at, &pattern.into(), &text.into()))
}

/// Returns whether the text matches the pattern, where `…` matches anything.
fn has_pieces(pattern: &str, text: &str) -> bool {
    let Some((first, others)) = pattern.split_once('…') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = others.rsplit_once('…').unwrap_or(("", others));
    for piece in middle.split('…') {
        match rest.find(piece) {
            Some(found) => rest = &rest[found + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn compare_objects(
    expected: &Map<String, Value>,
    actual: &Map<String, Value>,
    ids: &mut Ids,
    at: &str,
) -> Result<(), String> {
    for (key, value) in expected.iter().filter(|(key, _)| *key != "…") {
        let at = format!("{at}.{key}");
        let actual = actual.get(key).ok_or_else(|| format!("{at} is missing"))?;
        compare(value, actual, ids, &at)?;
    }
    match actual.keys().find(|key| !expected.contains_key(*key)) {
        Some(key) if !expected.contains_key("…") => Err(format!("{at}.{key} was not expected")),
        _ => Ok(()),
    }
}

fn compare_lists(
    expected: &[Value],
    actual: &[Value],
    ids: &mut Ids,
    at: &str,
) -> Result<(), String> {
    let open = expected.last().is_some_and(|last| last == "…");
    let items = &expected[..expected.len() - usize::from(open)];
    if actual.len() < items.len() || (actual.len() > items.len() && !open) {
        return Err(format!("{at} has {} items", actual.len()));
    }
    for (number, (item, actual)) in items.iter().zip(actual).enumerate() {
        compare(item, actual, ids, &format!("{at}[{number}]"))?;
    }
    Ok(())
}

fn differs(at: &str, expected: &Value, actual: &Value) -> String {
    format!("{at}: expected {expected}, got {actual}")
}
