//! Decides when a peer is throttled, so that peers do not spend the tokens of a person without limit: quiet, pause, and wake
//! budget.
use serde::{Deserialize, Serialize};

use crate::platform::clock::rfc3339;

/// The end of a quiet or pause without a time limit.
pub const FOREVER_MS: i64 = i64::MAX;

/// Returns the end of a throttle as text: a time in RFC 3339, or `forever` if only a person ends it.
pub fn end_text(until_ms: i64) -> String {
    if until_ms == FOREVER_MS {
        "forever".into()
    } else {
        rfc3339(until_ms)
    }
}

/// Why a question is stored without a wake attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottleReason {
    /// Its person has made the peer quiet.
    Quiet,
    /// The mesh is paused.
    Paused,
    /// The wake budget of the peer is used up until its person types.
    WakeBudget,
    /// Sessions have asked the person as often as they may for now.
    PersonBudget,
}

impl ThrottleReason {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Paused => "paused",
            Self::WakeBudget => "wake_budget",
            Self::PersonBudget => "person_budget",
        }
    }
}

/// The throttle that holds a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttled {
    /// Why it is held.
    pub reason: ThrottleReason,
    /// When the throttle ends, in wall milliseconds; `None` if only the person can end it.
    pub ends_at_ms: Option<i64>,
    /// How many turns peers have started there, if the wake budget is the reason.
    pub posted_turns: Option<u32>,
}

impl Throttled {
    /// Returns the throttle of a used-up wake budget, which only the person resets.
    pub fn spent(posted_turns: u32) -> Self {
        Self {
            reason: ThrottleReason::WakeBudget,
            ends_at_ms: None,
            posted_turns: Some(posted_turns),
        }
    }
}

/// Why a session with pending items needs its person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonAlert {
    /// A dialog waits.
    Dialog,
    /// The mesh is paused without a time limit.
    Paused,
    /// The wake budget is used up.
    WakeBudget,
}

impl PersonAlert {
    /// Returns why a throttle needs the person. One that ends by itself does not, and quiet is what the person wants.
    pub fn from_throttle(held: Throttled) -> Option<Self> {
        match (held.reason, held.ends_at_ms) {
            (ThrottleReason::WakeBudget, _) => Some(Self::WakeBudget),
            (ThrottleReason::Paused, None) => Some(Self::Paused),
            (ThrottleReason::Paused, Some(_))
            | (ThrottleReason::Quiet | ThrottleReason::PersonBudget, _) => None,
        }
    }

    /// Returns one sentence, without a period, that says what waits and why.
    pub fn text(self) -> &'static str {
        match self {
            Self::Dialog => "a session waits at a dialog while a question waits for it",
            Self::Paused => {
                "the mesh is paused until you end it, and something waits for a session"
            }
            Self::WakeBudget => {
                "peers have started as many turns of a session as they may; what they want now waits until you type there"
            }
        }
    }
}

/// The throttles of one peer.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Throttle {
    /// Until when the mesh is paused, in wall milliseconds.
    pub paused_until_ms: Option<i64>,
    /// Until when the peer is quiet, in wall milliseconds.
    pub quiet_until_ms: Option<i64>,
    /// How many turns peers have started since the last prompt of its person.
    pub posted_turns: u32,
    /// The wake budget: how many turns they may start.
    pub budget: u32,
}

impl Throttle {
    /// Returns the throttles that a person has set, without the wake budget.
    #[must_use]
    pub fn by_person(self) -> Self {
        Self {
            posted_turns: 0,
            budget: 1,
            ..self
        }
    }

    /// Returns the throttle that holds a question now, if there is one.
    pub fn throttled(&self, now_ms: i64) -> Option<Throttled> {
        let until = |reason, until_ms: Option<i64>| {
            let until_ms = until_ms.filter(|until_ms| *until_ms > now_ms)?;
            Some(Throttled {
                reason,
                ends_at_ms: (until_ms < FOREVER_MS).then_some(until_ms),
                posted_turns: None,
            })
        };
        let spent = self.posted_turns >= self.budget;
        until(ThrottleReason::Paused, self.paused_until_ms)
            .or_else(|| until(ThrottleReason::Quiet, self.quiet_until_ms))
            .or_else(|| spent.then(|| Throttled::spent(self.posted_turns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_expires_by_time_but_a_spent_budget_does_not() {
        let mut throttle = Throttle {
            quiet_until_ms: Some(100),
            budget: 2,
            ..Throttle::default()
        };
        assert_eq!(throttle.throttled(99).unwrap().ends_at_ms, Some(100));
        assert_eq!(throttle.throttled(100), None);
        throttle.quiet_until_ms = Some(FOREVER_MS);
        assert_eq!(throttle.throttled(100).unwrap().ends_at_ms, None);
        throttle.quiet_until_ms = None;
        throttle.posted_turns = 2;
        assert_eq!(
            throttle.throttled(100).unwrap().reason,
            ThrottleReason::WakeBudget
        );
        throttle.paused_until_ms = Some(200);
        assert_eq!(
            throttle.throttled(100).unwrap().reason,
            ThrottleReason::Paused
        );
    }
}
