//! How much a result carries, counted as Claude Code counts: the UTF-16 units of its JSON text.
//!
//! What does not fit is left for the next call, and the result says how to get it. Of a list the first always comes in:
//! each text is bounded where it is stored, and what never fitted could never be read.
use serde_json::Value;

use crate::platform::text::{cut_json, utf16_len};

/// A result stops at so many characters; the rest comes with another call.
pub const CHARS_MAX: usize = 200_000;
/// What the keys around a list, and the hint beside it, may take of that.
const FRAME_CHARS: usize = 1_000;

/// What a result has left.
pub(super) struct ResultBudget {
    remaining: usize,
    /// Nothing long is in it: the next value comes in, whatever its size.
    accept_any_size: bool,
}

impl ResultBudget {
    /// Returns the room of a result that is empty yet.
    pub(super) fn new() -> Self {
        Self::with_chars(CHARS_MAX - FRAME_CHARS)
    }

    /// Returns the room that a result has left beside what is in it already.
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

    /// Returns whether one more value of a list comes in; then it has its place.
    pub(super) fn try_add(&mut self, value: &Value) -> bool {
        let remaining = self.remaining.checked_sub(json_chars(value) + 1);
        let fits = remaining.is_some() || self.accept_any_size;
        self.remaining = remaining.unwrap_or(0);
        self.accept_any_size = false;
        fits
    }

    /// Returns the beginning of a list, as far as there is room, and whether that is not all of it.
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

    /// Cuts the longest of the texts under `key` until all values fit. What was cut says so. Returns whether any was.
    pub(super) fn shorten_longest(&self, values: &mut [Value], key: &str) -> bool {
        // A mark and a comma for each; what stands beside the texts is left as it is.
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

/// Returns how long each may be at most so that all together have no more than `room`: the short ones stay as they are.
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
