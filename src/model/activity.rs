//! What a session is at: how its person's last prompt and its own last message begin, each on one short line.
use serde::{Deserialize, Serialize};

use super::secret;
use crate::platform::text::{cut_chars, one_line};

/// Longest part in characters.
pub const PART_CHARS: usize = 160;
/// Of a long text only so much is looked at; a secret that begins in the part ends within it.
const LOOKED_AT_CHARS: usize = 4_096;

/// What a session is at, as its hooks have seen it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doing {
    /// How the last typed prompt begins.
    pub asked: Option<String>,
    /// How the last final message begins.
    pub said: Option<String>,
    /// When the last turn ended, in wall milliseconds; `None` while one runs.
    pub stopped_at_ms: Option<i64>,
}

impl Doing {
    /// Returns both parts as one line, or `None` when there is neither.
    pub fn line(&self) -> Option<String> {
        let part =
            |word: &str, text: &Option<String>| text.as_ref().map(|text| format!("{word}: {text}"));
        let parts = [part("asked", &self.asked), part("said", &self.said)];
        let line = parts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
        (!line.is_empty()).then_some(line)
    }

    /// Returns the same with each part brought into its form again: a file may hold anything.
    #[must_use]
    pub fn checked(self) -> Self {
        let checked = |text: Option<String>| text.as_deref().and_then(part);
        Self {
            asked: checked(self.asked),
            said: checked(self.said),
            stopped_at_ms: self.stopped_at_ms,
        }
    }
}

/// Returns how a text begins, on one line without control characters; `None` when nothing is left of it, or when a secret
/// stands there.
pub fn part(text: &str) -> Option<String> {
    let begins = cut_chars(text, LOOKED_AT_CHARS);
    let line = one_line(begins);
    if line.is_empty()
        || secret::looks_like(begins).is_some()
        || secret::looks_like(&line).is_some()
    {
        return None;
    }
    let cut = cut_chars(&line, PART_CHARS);
    if cut.len() == line.len() {
        return Some(line);
    }
    Some(format!("{}…", cut_chars(&line, PART_CHARS - 1).trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_one_line_of_at_most_160_characters() {
        assert_eq!(
            part("fix\u{1b}[31m the\n\n\tlogin\u{7} ").as_deref(),
            Some("fix the login")
        );
        assert_eq!(part(&"ä".repeat(160)), Some("ä".repeat(160)));
        let long = part(&"wörter ".repeat(100)).unwrap();
        assert!(long.chars().count() <= PART_CHARS && long.ends_with('…'));
        assert_eq!(part(" \n\u{200e}\u{1b}[0m"), None);
    }

    #[test]
    fn a_part_with_a_secret_is_left_out_also_where_the_cut_would_hide_it() {
        let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(4));
        assert_eq!(part(&format!("use {token}")), None);
        assert_eq!(part(&format!("{} {token}", "x".repeat(150))), None);
        let behind = format!("deploy it{}{token}", " ".repeat(LOOKED_AT_CHARS));
        assert_eq!(part(&behind).as_deref(), Some("deploy it"));
    }

    #[test]
    fn both_parts_make_one_line_and_neither_makes_none() {
        let doing = |asked: Option<&str>, said: Option<&str>| Doing {
            asked: asked.map(str::to_owned),
            said: said.map(str::to_owned),
            stopped_at_ms: None,
        };
        assert_eq!(
            doing(Some("fix it"), Some("done")).line().as_deref(),
            Some("asked: fix it · said: done")
        );
        assert_eq!(
            doing(None, Some("done")).line().as_deref(),
            Some("said: done")
        );
        assert_eq!(doing(None, None).line(), None);
    }
}
