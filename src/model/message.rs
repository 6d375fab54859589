//! Messages: what may be posted to whom, and what it must look like. Nobody waits for a message; a question is another thing.
use std::fmt;

use serde::Serialize;

use super::peer::{Address, NAME_MAX};
use super::refusal::Refusal;
use crate::platform::text::cut_chars;

/// Largest body in bytes.
pub const BODY_BYTES_MAX: usize = crate::model::question::TEXT_BYTES_MAX;
/// Longest subject in characters.
pub const SUBJECT_CHARS_MAX: usize = 200;
/// Longest idempotency key in characters.
pub const KEY_CHARS_MAX: usize = 128;
/// A body of so many characters is mentioned with its text; of a longer one only the rest is told.
pub const SHORT_BODY_CHARS_MAX: usize = 300;
/// How many messages to everybody one peer may post in a minute.
pub const BROADCASTS_A_MINUTE: u32 = 60;
/// The topic that everybody hears.
pub const EVERYONE: &str = "*";

/// What a message is, and with that whether it wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// Text; it waits until it is read.
    #[default]
    Text,
    /// A JSON value; it waits as well.
    Json,
    /// It asks for something to be done; it wakes.
    Command,
    /// It must be known now; it wakes.
    Alert,
}

impl MessageType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Json, Self::Command, Self::Alert];

    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Command => "command",
            Self::Alert => "alert",
        }
    }

    /// Returns the type of a word, or `None` when there is none.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Returns whether such a message starts a turn of an idle session.
    pub fn wakes(self) -> bool {
        matches!(self, Self::Command | Self::Alert)
    }
}

/// The name of a topic: 1–64 of `a-z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Topic(String);

impl Topic {
    /// Reads a topic as somebody typed it: `ops`, `#ops` and `topic:Ops` are the same.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        let name = text
            .strip_prefix("topic:")
            .or_else(|| text.strip_prefix('#'))
            .unwrap_or(text)
            .to_lowercase();
        let is_valid = !name.is_empty()
            && name.len() <= NAME_MAX
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
        if is_valid {
            return Ok(Self(name));
        }
        Err(Refusal::argument(format!(
            "a topic has 1 to {NAME_MAX} of a-z 0-9 . _ -, got {:?}",
            cut_chars(text, 80)
        )))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// One mailbox.
    Peer(Address),
    /// Whoever subscribes to a topic, or asks for it.
    Topic(Topic),
    /// Every mailbox there is, but the sender's.
    Everyone,
}

impl Recipient {
    /// Reads what a caller wrote: a peer as in a question, `*`, `#topic` or `topic:name`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        if text == EVERYONE {
            Ok(Self::Everyone)
        } else if text.starts_with('#') || text.starts_with("topic:") {
            Topic::parse(text).map(Self::Topic)
        } else {
            Address::parse(text).map(Self::Peer)
        }
    }
}

/// Where a stored message went, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentTo {
    /// One mailbox, by the name it has now.
    Peer(String),
    /// A topic.
    Topic(String),
    /// Everybody.
    Everyone,
}

impl fmt::Display for SentTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(name) => f.write_str(name),
            Self::Topic(topic) => write!(f, "topic:{topic}"),
            Self::Everyone => f.write_str(EVERYONE),
        }
    }
}

impl Serialize for SentTo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_is_normalized_and_an_invalid_one_is_refused() {
        for text in ["ops", "#Ops", " topic:OPS "] {
            assert_eq!(Topic::parse(text).unwrap().as_str(), "ops");
        }
        let long = "x".repeat(65);
        for text in ["", "#", "topic:", "*", "a b", "ä", "##a", "a/b", &long] {
            assert!(Topic::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_recipient_is_a_peer_a_topic_or_everyone() {
        assert_eq!(Recipient::parse(" * ").unwrap(), Recipient::Everyone);
        let ops = Recipient::Topic(Topic::parse("ops").unwrap());
        assert_eq!(Recipient::parse("#ops").unwrap(), ops);
        assert_eq!(Recipient::parse("topic:ops").unwrap(), ops);
        assert_eq!(
            Recipient::parse("ops/any").unwrap(),
            Recipient::Peer(Address::AnyOf("ops".into()))
        );
        assert!(Recipient::parse("#*").is_err());
        assert!(Recipient::parse("").is_err());
    }

    #[test]
    fn only_command_and_alert_messages_wake() {
        let wakes: Vec<_> = MessageType::ALL
            .into_iter()
            .filter(|kind| kind.wakes())
            .map(MessageType::as_str)
            .collect();
        assert_eq!(wakes, ["command", "alert"]);
        assert_eq!(MessageType::of("alarm"), None);
    }
}
