//! Brakes: when a peer is not to be woken. Nobody spends a person's tokens unseen.
use serde::Serialize;

/// A time that never comes: quiet until told otherwise.
pub const FOREVER_MS: i64 = i64::MAX;

/// Why a question is stored without ringing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottleReason {
    /// Its person wants the peer to be left alone.
    Quiet,
    /// The whole mesh is paused.
    Paused,
    /// Peers have started as many turns as they may before its person types again.
    WakeBudget,
}

impl ThrottleReason {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Paused => "paused",
            Self::WakeBudget => "wake_budget",
        }
    }
}

/// A question is held: why, and until when if that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttled {
    /// Why.
    pub reason: ThrottleReason,
    /// In wall milliseconds; `None` when only the person can end it.
    pub ends_at_ms: Option<i64>,
    /// How many turns peers have started there, where that is the reason.
    pub posted_turns: Option<u32>,
}

impl Throttled {
    /// A budget is spent; only the person frees it.
    pub fn spent(posted_turns: u32) -> Self {
        Self {
            reason: ThrottleReason::WakeBudget,
            ends_at_ms: None,
            posted_turns: Some(posted_turns),
        }
    }
}

/// Why the person of a session should look after it, while something waits there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonAlert {
    /// It waits at a dialog.
    Dialog,
    /// The whole mesh is paused, and nothing but a person ends that.
    Paused,
    /// Peers have started as many turns as they may.
    WakeBudget,
}

impl PersonAlert {
    /// Returns whether a brake needs the person: one that ends by itself does not, and quiet is what the person wants.
    pub fn from_throttle(held: Throttled) -> Option<Self> {
        match (held.reason, held.ends_at_ms) {
            (ThrottleReason::WakeBudget, _) => Some(Self::WakeBudget),
            (ThrottleReason::Paused, None) => Some(Self::Paused),
            (ThrottleReason::Paused, Some(_)) | (ThrottleReason::Quiet, _) => None,
        }
    }

    /// Returns the words for the person.
    pub fn words(self) -> &'static str {
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

/// What holds questions back at one peer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Throttle {
    /// Until when the whole mesh is paused.
    pub paused_until_ms: Option<i64>,
    /// Until when the peer is quiet.
    pub quiet_until_ms: Option<i64>,
    /// How many turns peers have started there since its person last typed.
    pub posted_turns: u32,
    /// How many they may.
    pub budget: u32,
}

impl Throttle {
    /// Returns whether a question is held now.
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
        let mut brakes = Throttle {
            quiet_until_ms: Some(100),
            budget: 2,
            ..Throttle::default()
        };
        assert_eq!(brakes.throttled(99).unwrap().ends_at_ms, Some(100));
        assert_eq!(brakes.throttled(100), None);
        brakes.quiet_until_ms = Some(FOREVER_MS);
        assert_eq!(brakes.throttled(100).unwrap().ends_at_ms, None);
        brakes.quiet_until_ms = None;
        brakes.posted_turns = 2;
        assert_eq!(
            brakes.throttled(100).unwrap().reason,
            ThrottleReason::WakeBudget
        );
        brakes.paused_until_ms = Some(200);
        assert_eq!(
            brakes.throttled(100).unwrap().reason,
            ThrottleReason::Paused
        );
    }
}
