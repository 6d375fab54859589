//! Brakes: when a peer is not to be woken. Nobody spends a person's tokens unseen.
use serde::Serialize;

/// A time that never comes: quiet until told otherwise.
pub const FOREVER_MS: i64 = i64::MAX;

/// Why a question is stored without ringing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// Its person wants the peer to be left alone.
    Quiet,
    /// The whole mesh is paused.
    Paused,
    /// Peers have started as many turns as they may before its person types again.
    WakeBudget,
}

impl HoldReason {
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
pub struct Held {
    /// Why.
    pub reason: HoldReason,
    /// In wall milliseconds; `None` when only the person can end it.
    pub until_ms: Option<i64>,
    /// How many turns peers have started there, where that is the reason.
    pub posted_turns: Option<u32>,
}

impl Held {
    /// A budget is spent; only the person frees it.
    pub fn spent(posted_turns: u32) -> Self {
        Self {
            reason: HoldReason::WakeBudget,
            until_ms: None,
            posted_turns: Some(posted_turns),
        }
    }
}

/// Why the person of a session should look after it, while something waits there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeedsPerson {
    /// It waits at a dialog.
    Dialog,
    /// The whole mesh is paused, and nothing but a person ends that.
    Paused,
    /// Peers have started as many turns as they may.
    WakeBudget,
}

impl NeedsPerson {
    /// Returns whether a brake needs the person: one that ends by itself does not, and quiet is what the person wants.
    pub fn because(held: Held) -> Option<Self> {
        match (held.reason, held.until_ms) {
            (HoldReason::WakeBudget, _) => Some(Self::WakeBudget),
            (HoldReason::Paused, None) => Some(Self::Paused),
            (HoldReason::Paused, Some(_)) | (HoldReason::Quiet, _) => None,
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
pub struct Brakes {
    /// Until when the whole mesh is paused.
    pub paused_until_ms: Option<i64>,
    /// Until when the peer is quiet.
    pub quiet_until_ms: Option<i64>,
    /// How many turns peers have started there since its person last typed.
    pub posted_turns: u32,
    /// How many they may.
    pub budget: u32,
}

impl Brakes {
    /// Returns whether a question is held now.
    pub fn hold(&self, now_ms: i64) -> Option<Held> {
        let until = |reason, until_ms: Option<i64>| {
            let until_ms = until_ms.filter(|until_ms| *until_ms > now_ms)?;
            Some(Held {
                reason,
                until_ms: (until_ms < FOREVER_MS).then_some(until_ms),
                posted_turns: None,
            })
        };
        let spent = self.posted_turns >= self.budget;
        until(HoldReason::Paused, self.paused_until_ms)
            .or_else(|| until(HoldReason::Quiet, self.quiet_until_ms))
            .or_else(|| spent.then(|| Held::spent(self.posted_turns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_ends_at_its_time_and_a_budget_only_by_its_person() {
        let mut brakes = Brakes {
            quiet_until_ms: Some(100),
            budget: 2,
            ..Brakes::default()
        };
        assert_eq!(brakes.hold(99).unwrap().until_ms, Some(100));
        assert_eq!(brakes.hold(100), None);
        brakes.quiet_until_ms = Some(FOREVER_MS);
        assert_eq!(brakes.hold(100).unwrap().until_ms, None);
        brakes.quiet_until_ms = None;
        brakes.posted_turns = 2;
        assert_eq!(brakes.hold(100).unwrap().reason, HoldReason::WakeBudget);
        brakes.paused_until_ms = Some(200);
        assert_eq!(brakes.hold(100).unwrap().reason, HoldReason::Paused);
    }
}
