//! Summarizes the activity of a session for `list_peers`: the beginnings of the last prompt of its person and of its own
//! last message, each on one short line.
use serde::{Deserialize, Serialize};

use super::secret;
use crate::platform::text::{cut_chars, one_line};

/// The longest excerpt in characters.
pub const EXCERPT_CHARS_MAX: usize = 160;
/// How much of a long text is scanned for a secret. One that begins within the excerpt ends within this.
const SCANNED_CHARS_MAX: usize = 4_096;

/// The activity of a session, as recorded by its hooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivitySummary {
    /// The beginning of the last typed prompt.
    pub asked: Option<String>,
    /// The beginning of the last final message of a turn.
    pub said: Option<String>,
    /// When the last turn ended, in wall milliseconds; `None` during a turn.
    pub stopped_at_ms: Option<i64>,
}

impl ActivitySummary {
    /// Returns both excerpts on one line, or `None` if there is neither.
    pub fn line(&self) -> Option<String> {
        let excerpt =
            |word: &str, text: &Option<String>| text.as_ref().map(|text| format!("{word}: {text}"));
        let parts = [excerpt("asked", &self.asked), excerpt("said", &self.said)];
        let line = parts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
        (!line.is_empty()).then_some(line)
    }

    /// Returns the summary with each text cut to an excerpt again, because the file it was read from may hold anything.
    #[must_use]
    pub fn normalized(self) -> Self {
        let normalized = |text: Option<String>| text.as_deref().and_then(excerpt);
        Self {
            asked: normalized(self.asked),
            said: normalized(self.said),
            stopped_at_ms: self.stopped_at_ms,
        }
    }
}

/// Returns the beginning of a text on one line without control characters; `None` if that is empty or contains a secret.
pub fn excerpt(text: &str) -> Option<String> {
    let prefix = cut_chars(text, SCANNED_CHARS_MAX);
    let line = one_line(prefix);
    if line.is_empty()
        || secret::secret_kind(prefix).is_some()
        || secret::secret_kind(&line).is_some()
    {
        return None;
    }
    let cut = cut_chars(&line, EXCERPT_CHARS_MAX);
    if cut.len() == line.len() {
        return Some(line);
    }
    Some(format!(
        "{}…",
        cut_chars(&line, EXCERPT_CHARS_MAX - 1).trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activity_part_is_one_line_of_at_most_160_characters() {
        assert_eq!(
            excerpt("fix\u{1b}[31m the\n\n\tlogin\u{7} ").as_deref(),
            Some("fix the login")
        );
        assert_eq!(excerpt(&"ä".repeat(160)), Some("ä".repeat(160)));
        let long = excerpt(&"wörter ".repeat(100)).unwrap();
        assert!(long.chars().count() <= EXCERPT_CHARS_MAX && long.ends_with('…'));
        assert_eq!(excerpt(" \n\u{200e}\u{1b}[0m"), None);
    }

    #[test]
    fn activity_part_with_a_truncated_secret_is_omitted() {
        let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(4));
        assert_eq!(excerpt(&format!("use {token}")), None);
        assert_eq!(excerpt(&format!("{} {token}", "x".repeat(150))), None);
        let behind = format!("deploy it{}{token}", " ".repeat(SCANNED_CHARS_MAX));
        assert_eq!(excerpt(&behind).as_deref(), Some("deploy it"));
    }

    #[test]
    fn activity_line_joins_its_parts_and_needs_at_least_one() {
        let doing = |asked: Option<&str>, said: Option<&str>| ActivitySummary {
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
