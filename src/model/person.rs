//! Defines by what a person is reachable, and decides how often sessions may ask one.
use serde::Serialize;

use crate::model::throttle::{ThrottleReason, Throttled};

/// What a question reaches a person by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReachableBy {
    /// The page of the hub is open.
    Board,
    /// A command shows questions in a terminal.
    Terminal,
    /// A program notifies the person.
    Notify,
}

impl ReachableBy {
    /// Returns what a session of a person is, by what it registered as.
    pub fn of_agent(agent: Option<&str>) -> Self {
        match agent {
            Some(agent) if agent.starts_with("board") => Self::Board,
            _ => Self::Terminal,
        }
    }

    /// Returns the word that results show.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Board => "board",
            Self::Terminal => "terminal",
            Self::Notify => "notify",
        }
    }
}

/// The time within which questions are counted, in milliseconds.
pub const WINDOW_MS: i64 = 3600 * 1000;
/// How many questions one session may ask the person within that time.
pub const QUESTIONS_OF_SESSION_MAX: u32 = 3;

/// The questions to a person within the last hour that were not held for the budget.
#[derive(Debug, Clone, Default)]
pub struct PersonBudget {
    /// How many questions all sessions together may ask within an hour.
    pub questions_max: u32,
    /// When all sessions asked theirs, newest first, in wall milliseconds.
    pub asked_at_ms: Vec<i64>,
    /// When the session asked its own that wants to ask now, newest first.
    pub own_asked_at_ms: Vec<i64>,
}

impl PersonBudget {
    /// Returns the throttle that holds the next question of the session; `None` if it may ask.
    pub fn throttled(&self) -> Option<Throttled> {
        let held_until = |ends_at_ms| Throttled {
            reason: ThrottleReason::PersonBudget,
            ends_at_ms,
            posted_turns: None,
        };
        if self.questions_max == 0 {
            return Some(held_until(None));
        }
        let all = free_at_ms(&self.asked_at_ms, self.questions_max);
        let own = free_at_ms(&self.own_asked_at_ms, QUESTIONS_OF_SESSION_MAX);
        all.max(own).map(|at_ms| held_until(Some(at_ms)))
    }
}

/// Returns when one more question is allowed; `None` if it is now.
fn free_at_ms(newest_first: &[i64], questions_max: u32) -> Option<i64> {
    let last = usize::try_from(questions_max).ok()?.checked_sub(1)?;
    newest_first
        .get(last)
        .map(|asked_at_ms| asked_at_ms + WINDOW_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the ends of the throttles: one, or none if the next question is allowed.
    fn ends(questions_max: u32, all: &[i64], own: &[i64]) -> Vec<Option<i64>> {
        let budget = PersonBudget {
            questions_max,
            asked_at_ms: all.to_vec(),
            own_asked_at_ms: own.to_vec(),
        };
        let throttled = budget.throttled().into_iter();
        throttled.map(|held| held.ends_at_ms).collect()
    }

    #[test]
    fn budget_is_free_when_its_oldest_question_is_an_hour_old() {
        let after = |at_ms| vec![Some(at_ms + WINDOW_MS)];
        assert_eq!(ends(2, &[5], &[]), []);
        assert_eq!(ends(2, &[9, 5], &[]), after(5));
        assert_eq!(ends(10, &[9, 8, 7, 6], &[9, 8]), []);
        assert_eq!(ends(10, &[9, 8, 7, 6], &[9, 8, 7]), after(7));
        assert_eq!(ends(3, &[9, 8, 6], &[9, 8, 6]), after(6));
        assert_eq!(ends(0, &[], &[]), [None]);
    }
}
