//! The event log: what happened, in one order for all. Each event is written in the transaction of its verb.
use serde::Serialize;
use serde_json::Value;

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
    /// A question was stored without ringing, because its peer is quiet or over its budget.
    QuestionHeld,
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
}

impl EventKind {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PeerJoined => "peer.joined",
            Self::PeerLeft => "peer.left",
            Self::PeerDied => "peer.died",
            Self::PeerRenamed => "peer.renamed",
            Self::QuestionAsked => "question.asked",
            Self::QuestionShown => "question.shown",
            Self::QuestionAnswered => "question.answered",
            Self::QuestionDeclined => "question.declined",
            Self::QuestionWithdrawn => "question.withdrawn",
            Self::QuestionExpired => "question.expired",
            Self::QuestionHeld => "question.held",
            Self::MessagePosted => "message.posted",
            Self::ClaimGranted => "claim.granted",
            Self::ClaimQueued => "claim.queued",
            Self::ClaimReleased => "claim.released",
            Self::ClaimReaped => "claim.reaped",
            Self::StateChanged => "state.changed",
            Self::MemoryChanged => "memory.changed",
            Self::QuestionKnown => "question.known",
        }
    }
}

/// Which types of events somebody wants: `task.*`, `*.posted`; none at all means every type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

impl Patterns {
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

    /// Returns the patterns.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Returns whether a type of event is wanted.
    pub fn match_any(&self, kind: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| matches(pattern, kind))
    }
}

/// A `*` stands for any letters, also none.
fn matches(pattern: &str, kind: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == kind,
        Some((head, tail)) => kind.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(tail, &rest[at..]))
        }),
    }
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
    serializer.serialize_str(&crate::ground::clock::rfc3339(*ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters() {
        let patterns = |list: &[&str]| Patterns::new(list.iter().map(|it| (*it).into()).collect());
        assert!(patterns(&[]).match_any("claim.granted"));
        assert!(patterns(&["claim.*"]).match_any("claim.granted"));
        assert!(patterns(&["*.granted"]).match_any("claim.granted"));
        assert!(patterns(&["x", "c*m.*d"]).match_any("claim.granted"));
        assert!(!patterns(&["claim"]).match_any("claim.granted"));
        assert!(!patterns(&["task.*"]).match_any("claim.granted"));
        let stored = patterns(&["task.*"]).to_json();
        assert_eq!(Patterns::of_json(&stored), patterns(&["task.*"]));
    }
}
