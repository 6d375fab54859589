//! A JSON file as text: single values are set, added and taken out, every other byte stays.
//!
//! The parser is `serde_json`, which says what strict JSON is and where a file leaves it; `RawValue` tells where
//! a value lies in the text. A parsed tree written out again would lose blank lines, odd indentation and the
//! halves of surrogate pairs that Claude Code leaves in `~/.claude.json` when it cuts a text inside an emoji.
use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::layout;
use crate::setup::parse_error::Flaw;

const BOM: &str = "\u{feff}";

/// The text of one JSON file whose top level is an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonText {
    bom: bool,
    text: String,
}

/// One step on the way from the top level to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    At(usize),
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Self::At(index)
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "\"{key}\""),
            Self::At(index) => write!(f, "entry {}", index + 1),
        }
    }
}

impl JsonText {
    /// Reads a file's content; an empty one counts as `{}`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        let text = std::str::from_utf8(bytes).map_err(|fault| {
            let readable = String::from_utf8_lossy(&bytes[..fault.valid_up_to()]);
            Flaw::at(&readable, readable.len(), "not UTF-8".to_owned())
        })?;
        let (bom, text) = text
            .strip_prefix(BOM)
            .map_or((false, text), |rest| (true, rest));
        let text = if text.trim().is_empty() { "{}\n" } else { text };
        serde_json::from_str::<IgnoredAny>(text).map_err(|fault| Flaw::from_serde(&fault))?;
        let json = Self {
            bom,
            text: text.to_owned(),
        };
        json.items(&json.root(), &[], Bracket::Curly)?;
        Ok(json)
    }

    /// The text as it goes into the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let bom = if self.bom { BOM } else { "" };
        [bom.as_bytes(), self.text.as_bytes()].concat()
    }

    /// Is the top level `{}`?
    pub(crate) fn is_empty(&self) -> bool {
        let root = self.root();
        self.text[root.start + 1..root.end - 1].trim().is_empty()
    }

    /// The value at the end of `path`, if there is one.
    pub(crate) fn value(&self, path: &[Step<'_>]) -> Result<Option<Value>, Flaw> {
        let Some(place) = self.find(path)? else {
            return Ok(None);
        };
        serde_json::from_str(&self.text[place.clone()])
            .map(Some)
            .map_err(|fault| {
                let inside = Flaw::from_serde(&fault);
                Flaw::at(&self.text, place.start, inside.reason)
            })
    }

    /// The list at the end of `path`; empty if there is none.
    pub(crate) fn list(&self, path: &[Step<'_>]) -> Result<Vec<Value>, Flaw> {
        self.expect(path, Bracket::Square)?;
        match self.value(path)? {
            Some(Value::Array(entries)) => Ok(entries),
            _ => Ok(Vec::new()),
        }
    }

    /// Sets the value at the end of a path of keys; objects that are missing on the way are made.
    pub(crate) fn set(&mut self, path: &[Step<'_>], value: &impl Serialize) -> Result<(), Flaw> {
        if let Some(place) = self.find(path)? {
            let rendered = if layout::begins_line(&self.text, place.start) {
                layout::spread(
                    value,
                    &self.text,
                    layout::indent_at(&self.text, place.start),
                )
            } else {
                layout::compact(value)
            };
            self.text.replace_range(place, &rendered);
            return Ok(());
        }
        let Some((Step::Key(key), parents)) = path.split_last() else {
            return Ok(());
        };
        self.make(parents, Bracket::Curly)?;
        self.add(parents, Some(key), value)
    }

    /// Adds a value at the end of the list at `path`; what is missing on the way is made.
    pub(crate) fn push(&mut self, path: &[Step<'_>], value: &impl Serialize) -> Result<(), Flaw> {
        self.make(path, Bracket::Square)?;
        self.add(path, None, value)
    }

    /// Takes the value at the end of `path` out, with its key and its comma.
    pub(crate) fn remove(&mut self, path: &[Step<'_>]) -> Result<(), Flaw> {
        let Some((last, parents)) = path.split_last() else {
            return Ok(());
        };
        let bracket = match last {
            Step::Key(_) => Bracket::Curly,
            Step::At(_) => Bracket::Square,
        };
        let Some(container) = self.find(parents)? else {
            return Ok(());
        };
        let items = self.items(&container, parents, bracket)?;
        let Some(index) = position(&items, *last) else {
            return Ok(());
        };
        let gone = match (index.checked_sub(1), items.get(index + 1)) {
            (Some(before), _) => items[before].value.end..items[index].value.end,
            (None, Some(next)) => items[index].start..next.start,
            (None, None) => container.start + 1..container.end - 1,
        };
        self.text.replace_range(gone, "");
        Ok(())
    }

    /// Takes a value out, then every object and list above it that this left empty.
    pub(crate) fn prune(&mut self, path: &[Step<'_>]) -> Result<(), Flaw> {
        if self.find(path)?.is_none() {
            return Ok(());
        }
        self.remove(path)?;
        for length in (1..path.len()).rev() {
            let above = &path[..length];
            let Some(place) = self.find(above)? else {
                return Ok(());
            };
            if !self.text[place.start + 1..place.end - 1].trim().is_empty() {
                return Ok(());
            }
            self.remove(above)?;
        }
        Ok(())
    }

    /// Refuses a value at `path` that is neither missing nor of this kind.
    pub(crate) fn expect(&self, path: &[Step<'_>], bracket: Bracket) -> Result<(), Flaw> {
        match self.find(path)? {
            Some(place) if !self.text[place.clone()].starts_with(bracket.open()) => {
                Err(Flaw::at(&self.text, place.start, wrong_kind(path, bracket)))
            }
            _ => Ok(()),
        }
    }

    fn root(&self) -> Range<usize> {
        let start = self.text.len() - self.text.trim_start().len();
        start..self.text.trim_end().len()
    }

    fn find(&self, path: &[Step<'_>]) -> Result<Option<Range<usize>>, Flaw> {
        let mut place = self.root();
        for (depth, step) in path.iter().enumerate() {
            let bracket = match step {
                Step::Key(_) => Bracket::Curly,
                Step::At(_) => Bracket::Square,
            };
            let items = self.items(&place, &path[..depth], bracket)?;
            let Some(index) = position(&items, *step) else {
                return Ok(None);
            };
            let again = items[index + 1..]
                .iter()
                .find(|item| item.key.is_some() && item.key == items[index].key);
            if let Some(again) = again {
                return Err(Flaw::at(
                    &self.text,
                    again.start,
                    format!("{step} stands here a second time"),
                ));
            }
            place = items[index].value.clone();
        }
        Ok(Some(place))
    }

    /// What an object or list holds; `path` names it where it is something else.
    fn items(
        &self,
        container: &Range<usize>,
        path: &[Step<'_>],
        bracket: Bracket,
    ) -> Result<Vec<Item>, Flaw> {
        let text = &self.text[container.clone()];
        if !text.starts_with(bracket.open()) {
            return Err(Flaw::at(
                &self.text,
                container.start,
                wrong_kind(path, bracket),
            ));
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let raw = match bracket {
            Bracket::Curly => reader.deserialize_map(Parts),
            Bracket::Square => reader.deserialize_seq(Parts),
        }
        .map_err(|fault| {
            let inside = Flaw::from_serde(&fault);
            Flaw::at(&self.text, container.start, inside.reason)
        })?;
        let mut end = container.start + 1;
        let items = raw.into_iter().map(|(key, value)| {
            let between = &self.text[end..];
            let start = end + between.len()
                - between
                    .trim_start_matches(|c: char| c.is_whitespace() || c == ',')
                    .len();
            let at = value.as_ptr() as usize - self.text.as_ptr() as usize;
            end = at + value.len();
            Item {
                key,
                start,
                value: at..end,
            }
        });
        Ok(items.collect())
    }

    /// Makes the empty object or list at `path`, and the objects above it, where they are missing.
    fn make(&mut self, path: &[Step<'_>], bracket: Bracket) -> Result<(), Flaw> {
        self.expect(path, bracket)?;
        if self.find(path)?.is_some() {
            return Ok(());
        }
        let Some((Step::Key(key), parents)) = path.split_last() else {
            return Ok(());
        };
        self.make(parents, Bracket::Curly)?;
        let empty = match bracket {
            Bracket::Curly => Value::Object(serde_json::Map::new()),
            Bracket::Square => Value::Array(Vec::new()),
        };
        self.add(parents, Some(key), &empty)
    }

    /// Adds an item at the end of the container at `path`, laid out like its neighbours.
    fn add(
        &mut self,
        path: &[Step<'_>],
        key: Option<&str>,
        value: &impl Serialize,
    ) -> Result<(), Flaw> {
        let Some(container) = self.find(path)? else {
            return Ok(());
        };
        let bracket = key.map_or(Bracket::Square, |_| Bracket::Curly);
        let items = self.items(&container, path, bracket)?;
        let newline = layout::newline(&self.text);
        let name = |colon: &str| key.map_or(String::new(), |key| layout::compact(&key) + colon);
        if let Some(last) = items.last() {
            let gap = match items.len().checked_sub(2) {
                Some(before) => items[before].value.end,
                None => container.start + 1,
            };
            let gap = self.text[gap..last.start].trim_start_matches(',');
            let own_line = layout::begins_line(&self.text, last.start);
            let addition = if own_line {
                let indent = layout::indent_at(&self.text, last.start);
                let value = layout::spread(value, &self.text, indent);
                format!(",{newline}{indent}{}{value}", name(": "))
            } else if gap.is_empty() {
                format!(",{}{}", name(":"), layout::compact(value))
            } else {
                format!(", {}{}", name(": "), layout::compact(value))
            };
            self.text.insert_str(last.value.end, &addition);
            return Ok(());
        }
        let inside = container.start + 1..container.end - 1;
        let content = if self.is_one_line() {
            name(":") + &layout::compact(value)
        } else {
            let outer = layout::indent_at(&self.text, container.start);
            let indent = format!("{outer}{}", layout::unit(&self.text));
            let value = layout::spread(value, &self.text, &indent);
            format!("{newline}{indent}{}{value}{newline}{outer}", name(": "))
        };
        self.text.replace_range(inside, &content);
        Ok(())
    }

    fn is_one_line(&self) -> bool {
        !self.is_empty() && !self.text[self.root()].contains('\n')
    }
}

/// An object or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bracket {
    Curly,
    Square,
}

impl Bracket {
    fn open(self) -> char {
        match self {
            Self::Curly => '{',
            Self::Square => '[',
        }
    }
}

/// A member of an object or an entry of a list; `start` is where its key or itself begins.
struct Item {
    key: Option<String>,
    start: usize,
    value: Range<usize>,
}

/// Splits an object or list into its keys and the untouched texts of its values.
struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = Vec<(Option<String>, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut parts = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
            parts.push((Some(key), value.get()));
        }
        Ok(parts)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut parts = Vec::new();
        while let Some(value) = list.next_element::<&'de RawValue>()? {
            parts.push((None, value.get()));
        }
        Ok(parts)
    }
}

fn position(items: &[Item], step: Step<'_>) -> Option<usize> {
    match step {
        Step::Key(key) => items
            .iter()
            .position(|item| item.key.as_deref() == Some(key)),
        Step::At(index) => (index < items.len()).then_some(index),
    }
}

fn wrong_kind(path: &[Step<'_>], bracket: Bracket) -> String {
    let kind = match bracket {
        Bracket::Curly => "an object",
        Bracket::Square => "a list",
    };
    match path.last() {
        None => format!("the top level must be {kind}"),
        Some(step) => format!("{step} must be {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(content: &str) -> JsonText {
        JsonText::parse(content.as_bytes()).unwrap()
    }

    fn flaw(content: &str) -> (usize, usize, String) {
        let flaw = JsonText::parse(content.as_bytes()).unwrap_err();
        (flaw.line, flaw.column, flaw.reason)
    }

    #[track_caller]
    fn set(before: &str, path: &[&str], value: &Value) -> String {
        let mut json = text(before);
        let path: Vec<Step<'_>> = path.iter().map(|key| Step::Key(key)).collect();
        json.set(&path, value).unwrap();
        json.text
    }

    #[test]
    fn a_new_key_is_laid_out_like_its_neighbours() {
        for (before, after) in [
            ("{}", "{\n  \"b\": {\n    \"c\": 1\n  }\n}"),
            ("{\"a\":0}", "{\"a\":0,\"b\":{\"c\":1}}"),
            ("{ \"a\": 0 }\n", "{ \"a\": 0, \"b\": {\"c\":1} }\n"),
            (
                "{\n\t\"a\": 0\n}",
                "{\n\t\"a\": 0,\n\t\"b\": {\n\t\t\"c\": 1\n\t}\n}",
            ),
            (
                "{\r\n    \"a\": 0\r\n}\r\n",
                "{\r\n    \"a\": 0,\r\n    \"b\": {\r\n        \"c\": 1\r\n    }\r\n}\r\n",
            ),
            (
                "{\n\n  \"a\": 0\n\n}\n\n",
                "{\n\n  \"a\": 0,\n  \"b\": {\n    \"c\": 1\n  }\n\n}\n\n",
            ),
            ("{\n  \"b\": {}\n}", "{\n  \"b\": {\n    \"c\": 1\n  }\n}"),
            (
                "{\n  \"b\": {\"a\":0}\n}",
                "{\n  \"b\": {\"a\":0,\"c\":1}\n}",
            ),
        ] {
            assert_eq!(set(before, &["b", "c"], &json!(1)), after);
        }
    }

    #[test]
    fn a_value_is_replaced_where_it_stands() {
        let before = "{\n  \"a\" :  [1,\n 2] ,\n  \"b\": 3 }";
        assert_eq!(
            set(before, &["a"], &json!("x")),
            "{\n  \"a\" :  \"x\" ,\n  \"b\": 3 }"
        );
        assert_eq!(
            set(before, &["b"], &json!([])),
            "{\n  \"a\" :  [1,\n 2] ,\n  \"b\": [] }"
        );
    }

    #[test]
    fn any_item_can_be_taken_out_with_its_comma() {
        let list = "{\"a\": [1, {\"x\": [2]}, 3]}";
        for (index, after) in [
            (0, "{\"a\": [{\"x\": [2]}, 3]}"),
            (1, "{\"a\": [1, 3]}"),
            (2, "{\"a\": [1, {\"x\": [2]}]}"),
            (3, list),
        ] {
            let mut json = text(list);
            json.remove(&["a".into(), index.into()]).unwrap();
            assert_eq!(json.text, after);
        }
        let mut json = text("{\n  \"a\": 1,\n  \"b\": 2\n}");
        json.remove(&["a".into()]).unwrap();
        assert_eq!(json.text, "{\n  \"b\": 2\n}");
        json.remove(&["b".into()]).unwrap();
        assert_eq!(json.text, "{}");
    }

    #[test]
    fn what_strict_json_refuses_is_named_by_line_and_column() {
        for (content, line, column) in [
            ("{\n  // ours\n}", 2, 3),
            ("{\n  \"a\": 1,\n}", 3, 1),
            ("{'a': 1}", 1, 2),
            ("{\"a\": NaN}", 1, 7),
            ("{\"a\": 01}", 1, 8),
            ("{\"a\": \"\u{1}\"}", 1, 7),
            ("{\"a\": 1} x", 1, 10),
            ("{\"a\": ", 1, 6),
        ] {
            let (at_line, at_column, reason) = flaw(content);
            assert_eq!((at_line, at_column), (line, column), "{content}: {reason}");
            assert!(!reason.contains(" at line "), "{reason}");
        }
        assert_eq!(
            flaw("\n [1]"),
            (2, 2, "the top level must be an object".to_owned())
        );
        let not_text = JsonText::parse(b"{\n\"\xff\"}").unwrap_err();
        assert_eq!((not_text.line, not_text.column), (2, 2));
    }

    #[test]
    fn half_a_surrogate_pair_elsewhere_is_no_reason_to_refuse() {
        let before = r#"{"history": ["cut \ud83d"], "n": 1e999}"#;
        assert_eq!(
            set(before, &["x"], &json!(1)),
            r#"{"history": ["cut \ud83d"], "n": 1e999, "x": 1}"#
        );
    }

    #[test]
    fn a_key_that_stands_there_twice_is_refused_only_on_our_way() {
        let json = text("{\"a\": 1, \"a\": 2,\n  \"b\": {}}");
        assert!(json.value(&["b".into()]).is_ok());
        let flaw = json.value(&["a".into()]).unwrap_err();
        assert_eq!((flaw.line, flaw.column), (1, 10));
        assert_eq!(flaw.reason, "\"a\" stands here a second time");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused_by_name() {
        let mut json = text("{\n  \"hooks\": [],\n  \"permissions\": {\"allow\": {}}\n}");
        let flaw = json
            .set(&["hooks".into(), "Stop".into()], &json!([]))
            .unwrap_err();
        assert_eq!((flaw.line, flaw.column), (2, 12));
        assert_eq!(flaw.reason, "\"hooks\" must be an object");
        let flaw = json
            .push(&["permissions".into(), "allow".into()], &"x")
            .unwrap_err();
        assert_eq!(flaw.reason, "\"allow\" must be a list");
    }

    #[test]
    fn a_byte_order_mark_stays_and_an_empty_file_is_an_object() {
        let mut json = text("\u{feff}{}\n");
        json.set(&["a".into()], &json!(1)).unwrap();
        assert_eq!(json.bytes(), "\u{feff}{\n  \"a\": 1\n}\n".as_bytes());
        assert_eq!(text("").text, "{}\n");
        assert_eq!(text(" \n").text, "{}\n");
    }
}
