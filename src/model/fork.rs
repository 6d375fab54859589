//! Defines the states of a fork of a session that answers a question in its place, and what it cost.
use serde::Serialize;
use serde_json::Value;

/// A fork that has neither answered nor given up after this time counts as failed: its session may have crashed.
pub const FORK_RUNS_MS_MAX: i64 = 120_000;
/// How long a question waits for a fork to take it before it interrupts a call of its session.
pub const FORK_TAKES_MS_MAX: i64 = 3_000;
/// The time in which the budget of forks counts.
pub const FORK_BUDGET_MS: i64 = 3_600_000;

/// What became of the fork for a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkState {
    /// The asker wants the session itself.
    Unwanted,
    /// It has begun.
    Running,
    /// It does not answer; the question goes to the session.
    Failed,
    /// It has answered.
    Answered,
}

impl ForkState {
    /// Returns the state of a stored word.
    pub fn of(word: &str) -> Self {
        match word {
            "unwanted" => Self::Unwanted,
            "running" => Self::Running,
            "answered" => Self::Answered,
            _ => Self::Failed,
        }
    }
}

/// What a fork says about its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkAnswer {
    /// The time of the last message that it knew.
    pub as_of_ms: i64,
    /// What it cost.
    pub usage: ForkUsage,
}

/// The tokens of one or more forks, by the names of the Messages API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ForkUsage {
    /// Tokens that were not in the cache.
    pub input_tokens: i64,
    /// Tokens of the answer.
    pub output_tokens: i64,
    /// Tokens written to the cache.
    pub cache_creation_input_tokens: i64,
    /// Tokens read from the cache.
    pub cache_read_input_tokens: i64,
}

impl ForkUsage {
    /// Returns the usage in a JSON object; what is missing or no number counts as zero.
    pub fn of_value(value: &Value) -> Self {
        let tokens = |key: &str| {
            value
                .get(key)
                .and_then(Value::as_i64)
                .map_or(0, |count| count.max(0))
        };
        Self {
            input_tokens: tokens("input_tokens"),
            output_tokens: tokens("output_tokens"),
            cache_creation_input_tokens: tokens("cache_creation_input_tokens"),
            cache_read_input_tokens: tokens("cache_read_input_tokens"),
        }
    }

    /// Returns all tokens.
    pub fn tokens(&self) -> i64 {
        self.input_tokens
            + self.output_tokens
            + self.cache_creation_input_tokens
            + self.cache_read_input_tokens
    }
}

/// What forks have done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ForkTotals {
    /// How many questions they have answered.
    pub answers: i64,
    /// What that cost.
    #[serde(flatten)]
    pub usage: ForkUsage,
}

impl ForkTotals {
    /// Returns one line for people; `None` if no fork has answered.
    pub fn line(&self) -> Option<String> {
        let plural = if self.answers == 1 { "" } else { "s" };
        (self.answers > 0).then(|| {
            format!(
                "{} answer{plural} by forks, {} tokens",
                self.answers,
                self.usage.tokens()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn usage_of_a_reply_keeps_its_token_counts_only() {
        let usage = ForkUsage::of_value(&json!({
            "input_tokens": 12, "output_tokens": -3, "cache_read_input_tokens": "many", "service_tier": "standard",
        }));
        let expected = ForkUsage {
            input_tokens: 12,
            ..ForkUsage::default()
        };
        assert_eq!(usage, expected);
    }
}
