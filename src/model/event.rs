//! The event log: what happened, in one order for all. Each event is written in the transaction of its verb.
use serde::Serialize;
use serde_json::Value;

use super::Refusal;
use crate::platform::text::cut_chars;

/// Largest data of an event that a project emits, in bytes of compact JSON.
pub const DATA_BYTES_MAX: usize = 65_536;

/// What can happen in a mesh. Projects add types of their own, `project.*`, which have no variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A session sat down.
    PeerJoined,
    /// A session left.
    PeerLeft,
    /// A session's process was found dead.
    PeerDied,
    /// A mailbox got another name.
    PeerRenamed,
    /// A mailbox was removed with its questions.
    PeerForgotten,
    /// Peers have started as many turns of a session as they may until its person types.
    PeerSpent,
    /// A person wants a session to be left alone.
    PeerQuieted,
    /// That is over before its time.
    PeerResumed,
    /// The whole mesh is to be left alone.
    MeshPaused,
    /// That is over before its time.
    MeshResumed,
    /// A question was stored.
    QuestionAsked,
    /// A question was handed to a client for the model's next request.
    QuestionShown,
    /// A question was answered, or its answer corrected.
    QuestionAnswered,
    /// A question was declined.
    QuestionDeclined,
    /// A question was taken back.
    QuestionWithdrawn,
    /// A question expired.
    QuestionExpired,
    /// A question was removed with what was said in it.
    QuestionForgotten,
    /// A question was stored without ringing, because its peer is quiet or over its budget.
    QuestionHeld,
    /// An idle session was rung for a question: a line goes into its inbox.
    QuestionRung,
    /// The same at a session that is not idle: it reads the line when it comes to it.
    QuestionQueued,
    /// A session was not woken for a question, and why.
    QuestionNotWoken,
    /// A session was rung for something else than questions: mail, late answers, granted claims.
    PeerRung,
    /// It was not woken for that, and why.
    PeerNotWoken,
    /// A message was stored.
    MessagePosted,
    /// A claim was granted, at once or when its turn came.
    ClaimGranted,
    /// A place in the line for a claim was taken.
    ClaimQueued,
    /// A claim was given back, or a place in line given up.
    ClaimReleased,
    /// A claim was taken from a holder that is gone, or whose lease was over.
    ClaimReaped,
    /// An entry of the shared state was set or deleted.
    StateChanged,
    /// Something was remembered, replaced or forgotten.
    MemoryChanged,
    /// An asker whom nobody could answer now was given earlier answers.
    QuestionKnown,
    /// A task was created.
    TaskCreated,
    /// A task was changed.
    TaskUpdated,
    /// A task was taken away.
    TaskDeleted,
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
        }
    }
}

/// Which types of events somebody wants: `task.*`, `*.posted`; none at all means every type.
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

    /// Returns these patterns and more; every type is the pattern `*`.
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

    /// Returns these patterns without some of them; without any named, none is left.
    #[must_use]
    pub fn without(mut self, less: &Self) -> Self {
        self.0
            .retain(|pattern| !less.0.is_empty() && !less.0.contains(pattern));
        self
    }

    /// Returns the patterns.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Returns whether a type of event is wanted.
    pub fn match_any(&self, kind: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| matches(pattern, kind))
    }
}

/// A `*` stands for any letters, also none. Each piece between stars is taken where it is found first, so that no pattern
/// takes long: those of others are looked at while a write holds the lock.
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

/// Which entries of the log somebody reads.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Their types.
    pub types: EventPatterns,
    /// Only those with a greater number.
    pub after: Option<i64>,
    /// Only those that happened then or later, in wall milliseconds.
    pub since_ms: Option<i64>,
    /// At most so many. Without `after` and `since_ms` they are the newest.
    pub limit: usize,
}

/// Some entries of the log, oldest first.
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    /// The entries.
    pub events: Vec<Event>,
    /// Read on after this number; also what did not match lies before it.
    pub next: i64,
    /// The log goes on behind `next`.
    pub more: bool,
}

/// Longest name of a type that a project makes up, in bytes.
pub const TYPE_BYTES_MAX: usize = 100;

/// Checks the name of a type that a project makes up.
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

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Its place in the order; grows, is never used twice.
    pub seq: i64,
    /// What happened, for example `question.asked`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When, in wall milliseconds.
    #[serde(rename = "at", serialize_with = "as_rfc3339")]
    pub at_ms: i64,
    /// The name of the peer who did it.
    pub by: String,
    /// What it happened to: a question id or a peer name.
    pub subject: String,
    /// What belongs to it.
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
