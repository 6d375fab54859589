//! Defines the states of a question and of its delivery.
use serde::{Deserialize, Serialize};

use super::elapsed::format_ago;

/// The largest question, context or answer in bytes.
pub const TEXT_BYTES_MAX: usize = 65_536;
/// A question without an answer expires after this time.
pub const EXPIRES_MS: i64 = 7 * 24 * 3600 * 1000;
/// At this age, a question that has not reached its peer gets its doorbell written again by the next operation of any session:
/// the asker may have died between commit and doorbell. It is repeated each time the age has doubled, so only a few times.
pub const UNDELIVERED_RETRY_MS: i64 = 2_000;
/// The largest depth. A question that is asked in a turn in which another was shown, or in the turn after it, is one deeper;
/// beyond this depth it is refused. A prompt of the person resets the depth.
pub const DEPTH_MAX: i64 = 8;
/// Without hooks the turns are not known: what was shown or answered within this time counts as of the same turn.
pub const TURN_MS_MAX: i64 = 3600 * 1000;

/// The state of a question.
#[expect(missing_docs, reason = "the other variant names say it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionState {
    /// It waits for its answer, also across crashes and restarts.
    Open,
    Answered,
    /// The peer gave a reason instead of an answer.
    Declined,
    /// The asker withdrew it before it was shown.
    Withdrawn,
    /// It was not answered in time; a late answer is still accepted.
    Expired,
}

impl QuestionState {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// Returns the state of a stored word.
    pub fn of(word: &str) -> Self {
        match word {
            "answered" => Self::Answered,
            "declined" => Self::Declined,
            "withdrawn" => Self::Withdrawn,
            "expired" => Self::Expired,
            _ => Self::Open,
        }
    }

    /// Returns whether the peer has replied.
    pub fn is_replied(self) -> bool {
        matches!(self, Self::Answered | Self::Declined)
    }
}

/// Who gave an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// The peer's session.
    Session,
    /// A person at the command line.
    Person,
    /// A fork of the peer's session, in its place.
    Fork,
}

impl AnsweredBy {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Person => "person",
            Self::Fork => "fork",
        }
    }

    /// Returns who is meant by a stored word.
    pub fn of(word: &str) -> Self {
        match word {
            "person" => Self::Person,
            "fork" => Self::Fork,
            _ => Self::Session,
        }
    }
}

/// How a question last reached its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WakeState {
    /// It has not reached the peer yet.
    None,
    /// A blocking wait of the peer returned with it.
    Call,
    /// A line was posted into the inbox of the idle session.
    Inbox,
    /// A line was posted into the inbox of a busy session, which reads it with its next tool result.
    Queued,
    /// A hook attached it to a prompt, or continued the turn with it.
    Hook,
    /// The waiting hook woke the session.
    Rewake,
    /// A fork of the session was started to answer it.
    Fork,
    /// The wake attempt started no turn.
    Failed,
}

impl WakeState {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Call => "call",
            Self::Inbox => "inbox",
            Self::Queued => "queued",
            Self::Hook => "hook",
            Self::Rewake => "rewake",
            Self::Fork => "fork",
            Self::Failed => "failed",
        }
    }

    /// Returns the state of a stored word.
    pub fn of(word: &str) -> Self {
        match word {
            "call" => Self::Call,
            "inbox" => Self::Inbox,
            "queued" => Self::Queued,
            "hook" => Self::Hook,
            "rewake" => Self::Rewake,
            "fork" => Self::Fork,
            "failed" => Self::Failed,
            _ => Self::None,
        }
    }
}

/// The delivery of a question so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryStatus {
    /// When it was stored, in wall milliseconds.
    pub stored_at_ms: i64,
    /// When it last reached the peer, in wall milliseconds.
    pub woken_at_ms: Option<i64>,
    /// How it reached the peer.
    pub wake: WakeState,
    /// Why the last wake attempt started no turn.
    pub wake_problem: Option<String>,
    /// When it was first handed to the client for the next request of the model, in wall milliseconds.
    pub shown_at_ms: Option<i64>,
    /// How often it was handed over.
    pub shown_times: u32,
    /// How often it continued the turn of the peer.
    pub stops: u32,
    /// What the peer is doing now.
    pub peer_activity: super::Activity,
}

impl DeliveryStatus {
    /// Returns one line for progress notices and terminals, for example `backend: shown 12 s ago, working`.
    pub fn line(&self, peer: &str, now_ms: i64) -> String {
        let doing = match self.peer_activity {
            super::Activity::Idle => "idle at its prompt",
            super::Activity::Busy => "working",
            super::Activity::Waiting => "waits at a dialog for its person",
            super::Activity::NeedsRestart => "must be restarted by its person",
            super::Activity::Offline => "offline",
            super::Activity::Unknown => "activity unknown",
        };
        let route = match (self.shown_at_ms, self.wake) {
            (Some(at), _) => {
                let shown = format!("shown {}", format_ago(now_ms - at));
                match self.stops {
                    0 => shown,
                    1 => format!("{shown}, kept going for it once"),
                    stops => format!("{shown}, kept going for it {stops} times"),
                }
            }
            (None, WakeState::None) => {
                format!(
                    "stored {}, not shown yet",
                    format_ago(now_ms - self.stored_at_ms)
                )
            }
            (None, wake) => format!(
                "stored {}, {}",
                format_ago(now_ms - self.stored_at_ms),
                wake_text(wake, self.wake_problem.as_deref())
            ),
        };
        format!("{peer}: {route}, {doing}")
    }
}

fn wake_text(wake: WakeState, problem: Option<&str>) -> String {
    match (wake, problem) {
        (WakeState::Inbox, _) => "posted into its inbox".into(),
        (WakeState::Queued, _) => "posted into its inbox, will be read with its next step".into(),
        (WakeState::Fork, _) => "a fork of it answers".into(),
        (WakeState::Failed, Some(problem)) => format!("not woken: {problem}"),
        (wake, _) => wake.as_str().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_line_says_shown_only_if_it_was_shown() {
        let mut delivery = DeliveryStatus {
            stored_at_ms: 0,
            woken_at_ms: None,
            wake: WakeState::None,
            wake_problem: None,
            shown_at_ms: None,
            shown_times: 0,
            stops: 0,
            peer_activity: super::super::Activity::Busy,
        };
        assert_eq!(
            delivery.line("backend", 3_000),
            "backend: stored 3 s ago, not shown yet, working"
        );
        delivery.shown_at_ms = Some(1_000);
        assert_eq!(
            delivery.line("backend", 13_000),
            "backend: shown 12 s ago, working"
        );
    }
}
