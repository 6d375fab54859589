//! Defines messages, topics and recipients. No call waits for a message; text that wants an answer is a question.
use std::fmt;

use serde::{Deserialize, Serialize};

use super::peer::{Address, NAME_MAX};
use super::refusal::Refusal;
use crate::platform::text::cut_chars;

/// The largest body in bytes.
pub const BODY_BYTES_MAX: usize = crate::model::question::TEXT_BYTES_MAX;
/// The longest subject in characters.
pub const SUBJECT_CHARS_MAX: usize = 200;
/// The longest idempotency key in characters.
pub const KEY_CHARS_MAX: usize = 128;
/// A body of at most this many characters is shown in a notice; a longer message is mentioned without its body.
pub const SHORT_BODY_CHARS_MAX: usize = 300;
/// How many messages to everyone a peer may post in a minute.
pub const BROADCASTS_A_MINUTE: u32 = 60;
/// The address of every peer.
pub const EVERYONE: &str = "*";

/// The type of a message, which decides whether it wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// Text; does not wake.
    #[default]
    Text,
    /// A JSON value; does not wake.
    Json,
    /// A request to do something; wakes.
    Command,
    /// Urgent news; wakes.
    Alert,
}

impl MessageType {
    /// All types, the default first.
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

    /// Returns the type of a word, or `None` if there is no such type.
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
    /// Parses a topic: `ops`, `#ops` and `topic:Ops` are the same.
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
            "a topic has 1 to {NAME_MAX} characters of a-z, 0-9, \".\", \"_\" and \"-\", got {:?}",
            cut_chars(text, 80)
        )))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The recipient of a message.
#[expect(missing_docs, reason = "the other variant names say it")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    Peer(Address),
    /// The subscribers of a topic, and peers that list it.
    Topic(Topic),
    /// Every peer except the sender.
    Everyone,
}

impl Recipient {
    /// Parses a recipient: a peer as in a question, `*`, `#topic` or `topic:name`.
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

/// The recipient of a stored message, for display.
#[expect(missing_docs, reason = "the other variant names say it")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentTo {
    /// One peer, by its current name.
    Peer(String),
    Topic(String),
    /// Every peer.
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

impl<'de> Deserialize<'de> for SentTo {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.strip_prefix("topic:") {
            Some(topic) => Self::Topic(topic.to_owned()),
            None if text == EVERYONE => Self::Everyone,
            None => Self::Peer(text),
        })
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
