//! How much a result carries, counted as Claude Code counts: the UTF-16 units of its JSON text.
//!
//! What does not fit is left for the next call, and the result says how to get it. Of a list the first always comes in:
//! each text is bounded where it is stored, and what never fitted could never be read.
use serde_json::Value;

use crate::platform::text::{cut_json, utf16_len};

/// A result stops at so many characters; the rest comes with another call.
pub(super) const CHARS_MAX: usize = 200_000;
/// What the keys around a list, and the hint beside it, may take of that.
const FRAME: usize = 1_000;

/// What a result has left.
pub(super) struct Room {
    left: usize,
    /// Nothing long is in it: the next value comes in, whatever its size.
    lone: bool,
}

impl Room {
    /// Returns the room of a result that is empty yet.
    pub(super) fn new() -> Self {
        Self::of(CHARS_MAX - FRAME)
    }

    /// Returns the room that a result has left beside what is in it already.
    pub(super) fn beside(body: &Value) -> Self {
        let taken = chars(body);
        Self {
            left: Self::new().left.saturating_sub(taken),
            lone: taken < CHARS_MAX / 2,
        }
    }

    fn of(left: usize) -> Self {
        Self { left, lone: true }
    }

    /// Returns whether one more value of a list comes in; then it has its place.
    pub(super) fn takes(&mut self, value: &Value) -> bool {
        let left = self.left.checked_sub(chars(value) + 1);
        let comes = left.is_some() || self.lone;
        self.left = left.unwrap_or(0);
        self.lone = false;
        comes
    }

    /// Returns the beginning of a list, as far as there is room, and whether that is not all of it.
    pub(super) fn fill(&mut self, values: impl IntoIterator<Item = Value>) -> (Vec<Value>, bool) {
        let mut taken = Vec::new();
        for value in values {
            if !self.takes(&value) {
                return (taken, true);
            }
            taken.push(value);
        }
        (taken, false)
    }

    /// Cuts the longest of the texts under `key` until all values fit. What was cut says so. Returns whether any was.
    pub(super) fn share(&self, values: &mut [Value], key: &str) -> bool {
        // A mark and a comma for each; what stands beside the texts is left as it is.
        const MARK: usize = ",\"cut\":true,".len();
        let text_chars = |value: &Value| value[key].as_str().map_or(0, |text| chars(&text.into()));
        let texts: Vec<usize> = values.iter().map(text_chars).collect();
        let all: usize = values.iter().map(|value| chars(value) + MARK).sum();
        if all <= self.left {
            return false;
        }
        let beside = all - texts.iter().sum::<usize>();
        let each = level(texts, self.left.saturating_sub(beside));
        for value in values {
            let Some(text) = value[key].as_str() else {
                continue;
            };
            let cut = cut_json(text, each.saturating_sub(2));
            if cut.len() < text.len() {
                value[key] = cut.into();
                value["cut"] = true.into();
            }
        }
        true
    }
}

/// Returns how many characters a value has in a result.
pub(super) fn chars(value: &Value) -> usize {
    utf16_len(&value.to_string())
}

/// Returns how long each may be at most so that all together have no more than `room`: the short ones stay as they are.
fn level(mut lengths: Vec<usize>, mut room: usize) -> usize {
    lengths.sort_unstable();
    let mut left = lengths.len();
    for length in lengths {
        let each = room / left;
        if length > each {
            return each;
        }
        room -= length;
        left -= 1;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_short_stay_whole_and_the_long_share_what_is_left() {
        assert_eq!(level(vec![10, 100, 100], 110), 50);
        assert_eq!(level(vec![10, 100, 100], 210), usize::MAX);
        assert_eq!(level(vec![100, 10], 9), 4);
        let mut values = [
            json!({ "text": "a" }),
            json!({ "text": "\"".repeat(50) }),
            json!({ "other": 1 }),
        ];
        let room = Room::of(140);
        assert!(room.share(&mut values, "text"));
        assert_eq!(values[0], json!({ "text": "a" }));
        assert_eq!(values[1]["cut"], true);
        assert!(values.iter().map(|value| chars(value) + 1).sum::<usize>() <= 140);
        assert!(!Room::of(300).share(&mut values, "text"));
    }

    #[test]
    fn a_list_stops_where_it_is_full_and_its_first_always_comes() {
        let values = || ["aaaa", "bbbb", "cccc"].into_iter().map(Value::from);
        assert_eq!(
            Room::of(14).fill(values()),
            (vec!["aaaa".into(), "bbbb".into()], true)
        );
        assert_eq!(Room::of(21).fill(values()).0.len(), 3);
        assert_eq!(Room::of(3).fill(values()), (vec!["aaaa".into()], true));
        assert_eq!(Room::of(3).fill([]), (vec![], false));
        let mut room = Room::of(9);
        assert!(
            room.takes(&"ää".into()) && room.takes(&"ä".into()),
            "counted in UTF-16 units"
        );
        assert!(!room.takes(&1.into()));
    }
}
