//! The event log: what happened, in one order for all. Each event is written in the transaction of its verb.
use serde::Serialize;
use serde_json::Value;

/// What can happen to peers and questions.
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
        }
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
