//! Edits a JSON file as text: sets, adds and removes single values, and leaves every other byte as it is.
//!
//! A parsed tree that is written out again would lose blank lines, odd indentation, and the halves of surrogate pairs that
//! Claude Code leaves in `~/.claude.json` when it cuts a text inside an emoji.
//!
//! Not the CST of `jsonc-parser` (0.34): it refuses lone surrogates and byte order marks, accepts comments at the top level
//! with comments turned off, and reformats one-line objects.
use std::ops::Range;

use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::json_items::{ContainerKind, PathStep, items};
use super::layout;
use super::parse_error::ParseError;
use crate::platform::text::without_bom;

/// The text of one JSON file whose top level is an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonText {
    /// The byte order mark, if the file begins with one.
    bom: Vec<u8>,
    text: String,
}

impl JsonText {
    /// Parses the content of a file; an empty one counts as `{}`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let content = without_bom(bytes);
        let (bom, _) = bytes.split_at(bytes.len() - content.len());
        let text = std::str::from_utf8(content).map_err(|fault| {
            let readable = String::from_utf8_lossy(&content[..fault.valid_up_to()]);
            ParseError::at_offset(&readable, readable.len(), "not UTF-8".to_owned())
        })?;
        let text = if text.trim().is_empty() { "{}\n" } else { text };
        serde_json::from_str::<IgnoredAny>(text).map_err(|fault| ParseError::from_serde(&fault))?;
        let json = Self {
            bom: bom.to_owned(),
            text: text.to_owned(),
        };
        items(&json.text, &json.root(), &[], ContainerKind::Object)?;
        Ok(json)
    }

    /// Returns the content of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&self.bom, self.text.as_bytes()].concat()
    }

    /// Returns whether the top level is `{}`.
    pub(crate) fn is_empty(&self) -> bool {
        let root = self.root();
        self.text[root.start + 1..root.end - 1].trim().is_empty()
    }

    /// Returns the value at `path`, if there is one.
    pub(crate) fn value(&self, path: &[PathStep<'_>]) -> Result<Option<Value>, ParseError> {
        let Some(range) = self.find(path)? else {
            return Ok(None);
        };
        serde_json::from_str(&self.text[range.clone()])
            .map(Some)
            .map_err(|fault| {
                let inside = ParseError::from_serde(&fault);
                ParseError::at_offset(&self.text, range.start, inside.reason)
            })
    }

    /// Returns the list at `path`; empty if there is none.
    pub(crate) fn list(&self, path: &[PathStep<'_>]) -> Result<Vec<Value>, ParseError> {
        self.check_kind(path, ContainerKind::Array)?;
        match self.value(path)? {
            Some(Value::Array(entries)) => Ok(entries),
            _ => Ok(Vec::new()),
        }
    }

    /// Sets the value at a path of keys; creates the objects above it that are missing.
    pub(crate) fn set(
        &mut self,
        path: &[PathStep<'_>],
        value: &impl Serialize,
    ) -> Result<(), ParseError> {
        if let Some(range) = self.find(path)? {
            let rendered = if layout::starts_line(&self.text, range.start) {
                layout::pretty(
                    value,
                    &self.text,
                    layout::indent_at(&self.text, range.start),
                )
            } else {
                layout::compact(value)
            };
            self.text.replace_range(range, &rendered);
            return Ok(());
        }
        let Some((PathStep::Key(key), parents)) = path.split_last() else {
            return Ok(());
        };
        self.ensure_container(parents, ContainerKind::Object)?;
        self.append_item(parents, Some(key), value)
    }

    /// Appends a value to the list at `path`; creates the list and the objects above it that are missing.
    pub(crate) fn push(
        &mut self,
        path: &[PathStep<'_>],
        value: &impl Serialize,
    ) -> Result<(), ParseError> {
        self.ensure_container(path, ContainerKind::Array)?;
        self.append_item(path, None, value)
    }

    /// Removes the value at `path`, with its key and its comma.
    pub(crate) fn remove(&mut self, path: &[PathStep<'_>]) -> Result<(), ParseError> {
        let Some((last, parents)) = path.split_last() else {
            return Ok(());
        };
        let Some(container) = self.find(parents)? else {
            return Ok(());
        };
        let items = items(&self.text, &container, parents, last.container_kind())?;
        let Some(index) = last.find_in(&items) else {
            return Ok(());
        };
        let removed = match (index.checked_sub(1), items.get(index + 1)) {
            (Some(before), _) => items[before].value.end..items[index].value.end,
            (None, Some(next)) => items[index].start..next.start,
            (None, None) => container.start + 1..container.end - 1,
        };
        self.text.replace_range(removed, "");
        Ok(())
    }

    /// Removes a value, then every object and list above it that this leaves empty.
    pub(crate) fn prune(&mut self, path: &[PathStep<'_>]) -> Result<(), ParseError> {
        if self.find(path)?.is_none() {
            return Ok(());
        }
        self.remove(path)?;
        for length in (1..path.len()).rev() {
            let ancestor = &path[..length];
            let Some(range) = self.find(ancestor)? else {
                return Ok(());
            };
            if !self.text[range.start + 1..range.end - 1].trim().is_empty() {
                return Ok(());
            }
            self.remove(ancestor)?;
        }
        Ok(())
    }

    /// Refuses a value at `path` that is of another kind; a missing one is fine.
    pub(crate) fn check_kind(
        &self,
        path: &[PathStep<'_>],
        kind: ContainerKind,
    ) -> Result<(), ParseError> {
        match self.find(path)? {
            Some(range) => kind.check(&self.text, &range, path),
            None => Ok(()),
        }
    }

    fn root(&self) -> Range<usize> {
        let start = self.text.len() - self.text.trim_start().len();
        start..self.text.trim_end().len()
    }

    fn find(&self, path: &[PathStep<'_>]) -> Result<Option<Range<usize>>, ParseError> {
        let mut range = self.root();
        for (depth, step) in path.iter().enumerate() {
            let items = items(&self.text, &range, &path[..depth], step.container_kind())?;
            let Some(index) = step.find_in(&items) else {
                return Ok(None);
            };
            let duplicate = items[index + 1..]
                .iter()
                .find(|item| item.key.is_some() && item.key == items[index].key);
            if let Some(duplicate) = duplicate {
                return Err(ParseError::at_offset(
                    &self.text,
                    duplicate.start,
                    format!("duplicate key {step}"),
                ));
            }
            range = items[index].value.clone();
        }
        Ok(Some(range))
    }

    /// Creates the empty object or list at `path` and the objects above it, if they are missing.
    fn ensure_container(
        &mut self,
        path: &[PathStep<'_>],
        kind: ContainerKind,
    ) -> Result<(), ParseError> {
        self.check_kind(path, kind)?;
        if self.find(path)?.is_some() {
            return Ok(());
        }
        let Some((PathStep::Key(key), parents)) = path.split_last() else {
            return Ok(());
        };
        self.ensure_container(parents, ContainerKind::Object)?;
        let empty = match kind {
            ContainerKind::Object => Value::Object(serde_json::Map::new()),
            ContainerKind::Array => Value::Array(Vec::new()),
        };
        self.append_item(parents, Some(key), &empty)
    }

    /// Appends an item to the container at `path`, laid out like the items before it.
    fn append_item(
        &mut self,
        path: &[PathStep<'_>],
        key: Option<&str>,
        value: &impl Serialize,
    ) -> Result<(), ParseError> {
        let Some(container) = self.find(path)? else {
            return Ok(());
        };
        let kind = key.map_or(ContainerKind::Array, |_| ContainerKind::Object);
        let items = items(&self.text, &container, path, kind)?;
        let newline = layout::newline(&self.text);
        let name = |colon: &str| key.map_or(String::new(), |key| layout::compact(&key) + colon);
        if let Some(last) = items.last() {
            let gap = match items.len().checked_sub(2) {
                Some(before) => items[before].value.end,
                None => container.start + 1,
            };
            let gap = self.text[gap..last.start].trim_start_matches(',');
            let addition = if layout::starts_line(&self.text, last.start) {
                let indent = layout::indent_at(&self.text, last.start);
                let value = layout::pretty(value, &self.text, indent);
                format!(",{newline}{indent}{}{value}", name(": "))
            } else if gap.is_empty() {
                format!(",{}{}", name(":"), layout::compact(value))
            } else {
                format!(", {}{}", name(": "), layout::compact(value))
            };
            self.text.insert_str(last.value.end, &addition);
            return Ok(());
        }
        let content = if self.is_one_line() {
            name(":") + &layout::compact(value)
        } else {
            let outer = layout::indent_at(&self.text, container.start);
            let indent = format!("{outer}{}", layout::indent_unit(&self.text));
            let value = layout::pretty(value, &self.text, &indent);
            format!("{newline}{indent}{}{value}{newline}{outer}", name(": "))
        };
        let inside = container.start + 1..container.end - 1;
        self.text.replace_range(inside, &content);
        Ok(())
    }

    fn is_one_line(&self) -> bool {
        !self.is_empty() && !self.text[self.root()].contains('\n')
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(content: &str) -> JsonText {
        JsonText::parse(content.as_bytes()).unwrap()
    }

    fn parse_error(content: &str) -> (usize, usize, String) {
        let parse_error = JsonText::parse(content.as_bytes()).unwrap_err();
        (parse_error.line, parse_error.column, parse_error.reason)
    }

    #[track_caller]
    fn set(before: &str, path: &[&str], value: &Value) -> String {
        let mut json = text(before);
        let path: Vec<PathStep<'_>> = path.iter().map(|key| PathStep::Key(key)).collect();
        json.set(&path, value).unwrap();
        json.text
    }

    #[test]
    fn new_json_key_follows_the_surrounding_layout() {
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
    fn json_value_is_replaced_in_place() {
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
    fn json_item_is_removed_with_its_comma() {
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
    fn json_parse_error_gives_line_and_column() {
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
            let (at_line, at_column, reason) = parse_error(content);
            assert_eq!((at_line, at_column), (line, column), "{content}: {reason}");
            assert!(!reason.contains(" at line "), "{reason}");
        }
        assert_eq!(
            parse_error("\n [1]"),
            (2, 2, "the top level must be an object".to_owned())
        );
        let not_text = JsonText::parse(b"{\n\"\xff\"}").unwrap_err();
        assert_eq!((not_text.line, not_text.column), (2, 2));
    }

    #[test]
    fn lone_surrogate_elsewhere_does_not_prevent_a_json_edit() {
        let before = r#"{"history": ["cut \ud83d"], "n": 1e999}"#;
        assert_eq!(
            set(before, &["x"], &json!(1)),
            r#"{"history": ["cut \ud83d"], "n": 1e999, "x": 1}"#
        );
    }

    #[test]
    fn duplicate_json_key_is_refused_only_on_the_edited_path() {
        let json = text("{\"a\": 1, \"a\": 2,\n  \"b\": {}}");
        assert!(json.value(&["b".into()]).is_ok());
        let parse_error = json.value(&["a".into()]).unwrap_err();
        assert_eq!((parse_error.line, parse_error.column), (1, 10));
        assert_eq!(parse_error.reason, "duplicate key \"a\"");
    }

    #[test]
    fn json_value_of_the_wrong_type_is_refused_by_name() {
        let mut json = text("{\n  \"hooks\": [],\n  \"permissions\": {\"allow\": {}}\n}");
        let parse_error = json
            .set(&["hooks".into(), "Stop".into()], &json!([]))
            .unwrap_err();
        assert_eq!((parse_error.line, parse_error.column), (2, 12));
        assert_eq!(parse_error.reason, "\"hooks\" must be an object");
        let parse_error = json
            .push(&["permissions".into(), "allow".into()], &"x")
            .unwrap_err();
        assert_eq!(parse_error.reason, "\"allow\" must be a list");
    }

    #[test]
    fn byte_order_mark_is_kept_and_an_empty_file_is_an_object() {
        let mut json = text("\u{feff}{}\n");
        json.set(&["a".into()], &json!(1)).unwrap();
        assert_eq!(json.bytes(), "\u{feff}{\n  \"a\": 1\n}\n".as_bytes());
        assert_eq!(text("").text, "{}\n");
        assert_eq!(text(" \n").text, "{}\n");
    }
}
