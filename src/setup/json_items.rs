//! Splits an object or list of a JSON text into its items, with the place of each in the text.
//!
//! `serde_json` parses; its `RawValue` says where a value is in the text.
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::parse_error::ParseError;

/// One step of the path from the top level to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathStep<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> From<&'a str> for PathStep<'a> {
    fn from(key: &'a str) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for PathStep<'_> {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl fmt::Display for PathStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "\"{key}\""),
            Self::Index(index) => write!(f, "entry {}", index + 1),
        }
    }
}

impl PathStep<'_> {
    /// Returns the kind of container in which this step is taken.
    pub(crate) fn container_kind(self) -> ContainerKind {
        match self {
            Self::Key(_) => ContainerKind::Object,
            Self::Index(_) => ContainerKind::Array,
        }
    }

    /// Returns the index of the item that this step leads to.
    pub(crate) fn find_in(self, items: &[Item]) -> Option<usize> {
        match self {
            Self::Key(key) => items
                .iter()
                .position(|item| item.key.as_deref() == Some(key)),
            Self::Index(index) => (index < items.len()).then_some(index),
        }
    }
}

/// An object or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerKind {
    Object,
    Array,
}

impl ContainerKind {
    /// Refuses a value that is not of this kind; `path` names it in the error.
    pub(crate) fn check(
        self,
        text: &str,
        value: &Range<usize>,
        path: &[PathStep<'_>],
    ) -> Result<(), ParseError> {
        let (opening, name) = match self {
            Self::Object => ('{', "an object"),
            Self::Array => ('[', "a list"),
        };
        if text[value.clone()].starts_with(opening) {
            return Ok(());
        }
        let reason = match path.last() {
            None => format!("the top level must be {name}"),
            Some(step) => format!("{step} must be {name}"),
        };
        Err(ParseError::at_offset(text, value.start, reason))
    }
}

/// A member of an object or an entry of a list.
pub(crate) struct Item {
    pub(crate) key: Option<String>,
    /// Where its key begins, or its value if it has no key.
    pub(crate) start: usize,
    pub(crate) value: Range<usize>,
}

/// Returns the items of the object or list at `container` in `text`; `path` names it if it is of another kind.
pub(crate) fn items(
    text: &str,
    container: &Range<usize>,
    path: &[PathStep<'_>],
    kind: ContainerKind,
) -> Result<Vec<Item>, ParseError> {
    kind.check(text, container, path)?;
    let mut reader = serde_json::Deserializer::from_str(&text[container.clone()]);
    let raw = match kind {
        ContainerKind::Object => reader.deserialize_map(RawItems),
        ContainerKind::Array => reader.deserialize_seq(RawItems),
    }
    .map_err(|fault| {
        let inside = ParseError::from_serde(&fault);
        ParseError::at_offset(text, container.start, inside.reason)
    })?;
    let mut end = container.start + 1;
    let items = raw.into_iter().map(|(key, value)| {
        let between = &text[end..];
        let start = end + between.len()
            - between
                .trim_start_matches(|c: char| c.is_whitespace() || c == ',')
                .len();
        let value_start = value.as_ptr() as usize - text.as_ptr() as usize;
        end = value_start + value.len();
        Item {
            key,
            start,
            value: value_start..end,
        }
    });
    Ok(items.collect())
}

/// Splits an object or list into its keys and the untouched texts of its values.
struct RawItems;

impl<'de> Visitor<'de> for RawItems {
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
