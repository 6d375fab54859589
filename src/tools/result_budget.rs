//! Keeps the result of a tool within a character budget, counted as Claude Code counts: in UTF-16 units of its JSON
//! text.
//!
//! What is over the budget is left for the next call, and the result says how to get it. The first item of a list is always
//! included: each text is bounded where it is stored, and an item that is never included could never be read.
use serde_json::Value;

use crate::platform::text::{cut_json, utf16_len};

/// Characters of a result at most; the rest needs another call.
pub const CHARS_MAX: usize = 200_000;
/// Characters of that for the keys around a list and its hint.
const FRAME_CHARS: usize = 1_000;

/// The remaining budget of a result.
pub(super) struct ResultBudget {
    remaining: usize,
    /// Nothing long is in the result yet: the next value is included, whatever its size.
    accept_any_size: bool,
}

impl ResultBudget {
    /// Returns the budget of an empty result.
    pub(super) fn new() -> Self {
        Self::with_chars(CHARS_MAX - FRAME_CHARS)
    }

    /// Returns the budget that a result has left beside what it contains.
    pub(super) fn excluding(body: &Value) -> Self {
        let included = json_chars(body);
        Self {
            remaining: Self::new().remaining.saturating_sub(included),
            accept_any_size: included < CHARS_MAX / 2,
        }
    }

    fn with_chars(remaining: usize) -> Self {
        Self {
            remaining,
            accept_any_size: true,
        }
    }

    /// Returns whether one more value of a list is within the budget, and takes its share.
    pub(super) fn try_add(&mut self, value: &Value) -> bool {
        let remaining = self.remaining.checked_sub(json_chars(value) + 1);
        let fits = remaining.is_some() || self.accept_any_size;
        self.remaining = remaining.unwrap_or(0);
        self.accept_any_size = false;
        fits
    }

    /// Returns the beginning of a list within the budget, and whether something was left out.
    pub(super) fn take_prefix(
        &mut self,
        values: impl IntoIterator<Item = Value>,
    ) -> (Vec<Value>, bool) {
        let mut included = Vec::new();
        for value in values {
            if !self.try_add(&value) {
                return (included, true);
            }
            included.push(value);
        }
        (included, false)
    }

    /// Cuts the longest texts under `key` until all values are within the budget, and marks each with `cut`. Returns whether
    /// any was cut.
    pub(super) fn shorten_longest(&self, values: &mut [Value], key: &str) -> bool {
        // A mark and a comma for each value; only the texts are cut.
        const CUT_MARK_CHARS: usize = ",\"cut\":true,".len();
        let text_chars = |value: &Value| {
            value[key]
                .as_str()
                .map_or(0, |text| json_chars(&text.into()))
        };
        let texts: Vec<usize> = values.iter().map(text_chars).collect();
        let total: usize = values
            .iter()
            .map(|value| json_chars(value) + CUT_MARK_CHARS)
            .sum();
        if total <= self.remaining {
            return false;
        }
        let excluding = total - texts.iter().sum::<usize>();
        let limit = fair_limit(texts, self.remaining.saturating_sub(excluding));
        for value in values {
            let Some(text) = value[key].as_str() else {
                continue;
            };
            let cut = cut_json(text, limit.saturating_sub(2));
            if cut.len() < text.len() {
                value[key] = cut.into();
                value["cut"] = true.into();
            }
        }
        true
    }
}

/// Returns how many characters a value has in a result.
pub(super) fn json_chars(value: &Value) -> usize {
    utf16_len(&value.to_string())
}

/// Returns how long each may be at most so that all together are within the budget; shorter ones keep their length.
fn fair_limit(mut lengths: Vec<usize>, mut result_budget: usize) -> usize {
    lengths.sort_unstable();
    let mut remaining = lengths.len();
    for length in lengths {
        let limit = result_budget / remaining;
        if length > limit {
            return limit;
        }
        result_budget -= length;
        remaining -= 1;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn result_budget_truncates_only_long_texts() {
        assert_eq!(fair_limit(vec![10, 100, 100], 110), 50);
        assert_eq!(fair_limit(vec![10, 100, 100], 210), usize::MAX);
        assert_eq!(fair_limit(vec![100, 10], 9), 4);
        let mut values = [
            json!({ "text": "a" }),
            json!({ "text": "\"".repeat(50) }),
            json!({ "other": 1 }),
        ];
        let result_budget = ResultBudget::with_chars(140);
        assert!(result_budget.shorten_longest(&mut values, "text"));
        assert_eq!(values[0], json!({ "text": "a" }));
        assert_eq!(values[1]["cut"], true);
        assert!(
            values
                .iter()
                .map(|value| json_chars(value) + 1)
                .sum::<usize>()
                <= 140
        );
        assert!(!ResultBudget::with_chars(300).shorten_longest(&mut values, "text"));
    }

    #[test]
    fn budgeted_list_stops_when_full_but_keeps_its_first_item() {
        let values = || ["aaaa", "bbbb", "cccc"].into_iter().map(Value::from);
        assert_eq!(
            ResultBudget::with_chars(14).take_prefix(values()),
            (vec!["aaaa".into(), "bbbb".into()], true)
        );
        assert_eq!(
            ResultBudget::with_chars(21).take_prefix(values()).0.len(),
            3
        );
        assert_eq!(
            ResultBudget::with_chars(3).take_prefix(values()),
            (vec!["aaaa".into()], true)
        );
        assert_eq!(ResultBudget::with_chars(3).take_prefix([]), (vec![], false));
        let mut result_budget = ResultBudget::with_chars(9);
        assert!(
            result_budget.try_add(&"ää".into()) && result_budget.try_add(&"ä".into()),
            "counted in UTF-16 units"
        );
        assert!(!result_budget.try_add(&1.into()));
    }
}
