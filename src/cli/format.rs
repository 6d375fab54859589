//! Formats short texts for a terminal: one line, a limited width, bold names, indented blocks.
use owo_colors::OwoColorize;

use crate::platform::text;

/// Characters of a text that a list shows.
const EXCERPT_CHARS: usize = 101;

/// Returns the beginning of a text on one line.
pub(super) fn excerpt(text: &str) -> String {
    ellipsize(&text::one_line(text), EXCERPT_CHARS)
}

/// Returns at most `chars` characters of a text; a text that is cut ends with `…`.
pub(super) fn ellipsize(text: &str, chars: usize) -> String {
    let kept = text::cut_chars(text, chars);
    if kept.len() == text.len() {
        return text.to_owned();
    }
    format!("{}…", text::cut_chars(text, chars.saturating_sub(1)))
}

pub(super) fn bold_name(name: &str) -> String {
    name.bold().to_string()
}

/// Indents each line by two spaces.
pub(super) fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlong_text_ends_with_an_ellipsis() {
        assert_eq!(ellipsize("asked: x", 8), "asked: x");
        assert_eq!(ellipsize("asked: xy", 8), "asked: …");
        assert_eq!(ellipsize("äöü", 2), "ä…");
    }
}
