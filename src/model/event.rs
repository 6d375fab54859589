//! Defines the entries of the event log, and how callers choose among them. Each event is written in the transaction of its
//! operation, so all see the same order.
use serde::Serialize;
use serde_json::Value;

use super::Refusal;
use crate::platform::text::cut_chars;

/// The largest data of a project event, in bytes of compact JSON.
pub const DATA_BYTES_MAX: usize = 65_536;

/// The types of events. Projects emit types of their own, `project.*`, which have no variant.
#[expect(missing_docs, reason = "the other variant names say it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A session registered.
    PeerJoined,
    /// A session unregistered.
    PeerLeft,
    /// The process of a session was found dead.
    PeerDied,
    /// A mailbox got another name.
    PeerRenamed,
    /// A mailbox was removed with its questions.
    PeerForgotten,
    /// The wake budget of a session is used up.
    PeerSpent,
    /// A person made a peer quiet.
    PeerQuieted,
    /// A person ended the quiet of a peer before its time.
    PeerResumed,
    /// A person paused the mesh.
    MeshPaused,
    /// A person ended the pause of the mesh before its time.
    MeshResumed,
    /// A question was stored.
    QuestionAsked,
    /// A question was handed to a client for the next request of the model.
    QuestionShown,
    /// A question was answered, or its answer corrected.
    QuestionAnswered,
    /// A question was declined.
    QuestionDeclined,
    /// A question was withdrawn by its asker.
    QuestionWithdrawn,
    QuestionExpired,
    /// A question was erased with its texts.
    QuestionForgotten,
    /// A question was stored without a wake attempt, because its peer is throttled.
    QuestionHeld,
    /// A wake attempt for a question was made at an idle session, by a line in its inbox.
    QuestionRung,
    /// The same at a session that is not idle; it reads the line later.
    QuestionQueued,
    /// A fork of the session was started to answer a question.
    QuestionForked,
    /// A fork of the session has not answered a question, which goes to the session.
    QuestionNotForked,
    /// A session was not woken for a question; the data has the reason.
    QuestionNotWoken,
    /// A wake attempt was made for something else: mail, late answers, granted claims.
    PeerRung,
    /// A session was not woken for something else; the data has the reason.
    PeerNotWoken,
    /// A message was stored.
    MessagePosted,
    /// A claim was granted, at once or from the queue.
    ClaimGranted,
    /// A ticket for a claim was queued.
    ClaimQueued,
    /// A claim was released, or a ticket given up.
    ClaimReleased,
    /// A claim was reaped because its holder is dead or its lease has expired.
    ClaimReaped,
    /// An entry of the shared state was set or deleted.
    StateChanged,
    /// A memory was stored, replaced or erased.
    MemoryChanged,
    /// A caller who cannot be answered now was given prior answers.
    QuestionKnown,
    /// A task was created.
    TaskCreated,
    /// A task was changed.
    TaskUpdated,
    /// A task was deleted.
    TaskDeleted,
    /// An access key was created.
    KeyCreated,
    /// An access key was revoked.
    KeyRevoked,
}

impl EventKind {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PeerJoined => "peer.joined",
            Self::PeerLeft => "peer.left",
            Self::PeerDied => "peer.died",
            Self::PeerRenamed => "peer.renamed",
            Self::PeerForgotten => "peer.forgotten",
            Self::PeerSpent => "peer.spent",
            Self::PeerQuieted => "peer.quieted",
            Self::PeerResumed => "peer.resumed",
            Self::MeshPaused => "mesh.paused",
            Self::MeshResumed => "mesh.resumed",
            Self::QuestionAsked => "question.asked",
            Self::QuestionShown => "question.shown",
            Self::QuestionAnswered => "question.answered",
            Self::QuestionDeclined => "question.declined",
            Self::QuestionWithdrawn => "question.withdrawn",
            Self::QuestionExpired => "question.expired",
            Self::QuestionForgotten => "question.forgotten",
            Self::QuestionHeld => "question.held",
            Self::QuestionRung => "question.rung",
            Self::QuestionQueued => "question.queued",
            Self::QuestionForked => "question.forked",
            Self::QuestionNotForked => "question.not_forked",
            Self::QuestionNotWoken => "question.not_woken",
            Self::PeerRung => "peer.rung",
            Self::PeerNotWoken => "peer.not_woken",
            Self::MessagePosted => "message.posted",
            Self::ClaimGranted => "claim.granted",
            Self::ClaimQueued => "claim.queued",
            Self::ClaimReleased => "claim.released",
            Self::ClaimReaped => "claim.reaped",
            Self::StateChanged => "state.changed",
            Self::MemoryChanged => "memory.changed",
            Self::QuestionKnown => "question.known",
            Self::TaskCreated => "task.created",
            Self::TaskUpdated => "task.updated",
            Self::TaskDeleted => "task.deleted",
            Self::KeyCreated => "key.created",
            Self::KeyRevoked => "key.revoked",
        }
    }
}

/// The types of events that a caller wants, such as `task.*` or `*.posted`. An empty list means every type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPatterns(Vec<String>);

impl EventPatterns {
    /// Returns the patterns of a list.
    pub fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// Returns the patterns of a stored list.
    pub fn of_json(json: &str) -> Self {
        Self(serde_json::from_str(json).unwrap_or_default())
    }

    /// Returns the list as it is stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).expect("texts can be written as JSON")
    }

    /// Checks patterns that somebody typed.
    pub fn check(patterns: Vec<String>) -> Result<Self, Refusal> {
        match patterns
            .iter()
            .find(|pattern| pattern.is_empty() || pattern.len() > TYPE_BYTES_MAX)
        {
            Some(invalid) => Err(Refusal::argument(format!(
                "\"types\" are names such as question.asked or claim.*, of 1 to {TYPE_BYTES_MAX} bytes, got {:?}",
                cut_chars(invalid, 60)
            ))),
            None => Ok(Self(patterns)),
        }
    }

    /// Returns these patterns with those of `more`; if `more` means every type, with `*`.
    #[must_use]
    pub fn with(mut self, more: &Self) -> Self {
        let every = Self(vec!["*".into()]);
        let more = if more.0.is_empty() { &every } else { more };
        for pattern in &more.0 {
            if !self.0.contains(pattern) {
                self.0.push(pattern.clone());
            }
        }
        self
    }

    /// Returns these patterns without those of `less`; if `less` is empty, none.
    #[must_use]
    pub fn without(mut self, less: &Self) -> Self {
        self.0
            .retain(|pattern| !less.0.is_empty() && !less.0.contains(pattern));
        self
    }

    /// Returns the patterns as they were given; none means all types.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Returns whether a type of event is wanted.
    pub fn match_any(&self, kind: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| matches(pattern, kind))
    }
}

/// Returns whether a pattern matches; a `*` matches any characters, also none. Each piece between stars is matched at its
/// first occurrence, so that no pattern takes long: patterns of other sessions are matched while a write holds the lock.
fn matches(pattern: &str, kind: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == kind;
    };
    let (middle, end) = tail.rsplit_once('*').unwrap_or(("", tail));
    let between = kind
        .strip_prefix(head)
        .and_then(|rest| rest.strip_suffix(end));
    let mut pieces = middle.split('*');
    between.is_some_and(|mut rest| {
        pieces.all(|piece| match rest.split_once(piece) {
            _ if piece.is_empty() => true,
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    })
}

/// The entries of the event log that a caller reads.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// The types of the entries.
    pub types: EventPatterns,
    /// Only entries with a greater number.
    pub after: Option<i64>,
    /// Only entries of this time or later, in wall milliseconds.
    pub since_ms: Option<i64>,
    /// The largest number of entries. Without `after` and `since_ms` they are the newest.
    pub limit: usize,
}

/// A page of the event log, oldest first.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    pub events: Vec<Event>,
    /// The number after which to read on. Entries that did not match are before it too.
    pub next: i64,
    /// Whether there are entries after `next`.
    pub more: bool,
}

/// The longest type of a project event, in bytes.
pub const TYPE_BYTES_MAX: usize = 100;

/// Refuses a type that is not `project.` and parts of lowercase letters, digits, `_` and `-`, or that is too long.
pub fn check_project_type(kind: &str) -> Result<(), Refusal> {
    let is_valid = kind.len() <= TYPE_BYTES_MAX
        && kind.strip_prefix("project.").is_some_and(|rest| {
            rest.split('.').all(|part| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
            })
        });
    if is_valid {
        return Ok(());
    }
    Err(Refusal::argument(format!(
        "\"type\" must be project.<name>, in a-z 0-9 _ - and dots, at most {TYPE_BYTES_MAX} bytes, got {:?}",
        cut_chars(kind, 60)
    )))
}

/// An entry of the event log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Its number in the order; it only grows and is never reused.
    pub seq: i64,
    /// The type of the event, for example `question.asked`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, in wall milliseconds.
    #[serde(rename = "at", serialize_with = "as_rfc3339")]
    pub at_ms: i64,
    /// The name of the peer that caused it.
    pub by: String,
    /// What it is about: an id, a name or a key.
    pub subject: String,
    /// The details, by type.
    pub data: Value,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn as_rfc3339<S: serde::Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::platform::clock::rfc3339(*ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_in_an_event_pattern_matches_any_characters() {
        let patterns =
            |list: &[&str]| EventPatterns::new(list.iter().map(|it| (*it).into()).collect());
        assert!(patterns(&[]).match_any("claim.granted"));
        assert!(patterns(&["claim.*"]).match_any("claim.granted"));
        assert!(patterns(&["*.granted"]).match_any("claim.granted"));
        assert!(patterns(&["x", "c*m.*d"]).match_any("claim.granted"));
        assert!(!patterns(&["claim"]).match_any("claim.granted"));
        assert!(!patterns(&["task.*"]).match_any("claim.granted"));
        assert!(patterns(&["*a*a*"]).match_any("aa"));
        assert!(!patterns(&["a*a"]).match_any("a"));
        assert!(!patterns(&["*ab*bc"]).match_any("abc"));
        let hostile = "*a".repeat(50);
        assert!(!patterns(&[&hostile]).match_any(&format!("{}b", "a".repeat(100))));
        let stored = patterns(&["task.*"]).to_json();
        assert_eq!(EventPatterns::of_json(&stored), patterns(&["task.*"]));
    }

    #[test]
    fn event_patterns_are_added_and_removed_individually() {
        let patterns =
            |list: &[&str]| EventPatterns::new(list.iter().map(|it| (*it).into()).collect());
        let some = patterns(&["a"]).with(&patterns(&["b", "a"]));
        assert_eq!(some, patterns(&["a", "b"]));
        assert_eq!(
            some.clone().with(&patterns(&[])),
            patterns(&["a", "b", "*"])
        );
        assert_eq!(some.clone().without(&patterns(&["b"])), patterns(&["a"]));
        assert_eq!(some.without(&patterns(&[])), patterns(&[]));
        assert!(EventPatterns::check(vec![String::new()]).is_err());
    }

    #[test]
    fn project_event_types_require_the_project_prefix() {
        for good in ["project.complete", "project.build.done-2_x"] {
            assert_eq!(check_project_type(good), Ok(()), "{good}");
        }
        let long = format!("project.{}", "x".repeat(100));
        for bad in [
            "project",
            "project.",
            "project.a..b",
            "project.A",
            "task.done",
            "project.*",
            &long,
        ] {
            assert!(check_project_type(bad).is_err(), "{bad}");
        }
    }
}
