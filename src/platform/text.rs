//! Makes foreign text safe to show: without control sequences for terminals, without reserved tags for models, cut at a
//! limit for both.

/// Returns the text without what a terminal obeys: control characters except newline and tab, escape sequences and
/// bidirectional overrides.
pub fn strip_terminal_controls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\n' | '\t' => out.push(c),
            _ if is_terminal_control(c) => {}
            _ => out.push(c),
        }
    }
    out
}

/// Returns the text on one line, without terminal controls, each run of white space as one space.
pub fn one_line(text: &str) -> String {
    strip_terminal_controls(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The tags that have a meaning for the model: those of claude-mesh and of Claude Code.
const RESERVED_TAGS: [&str; 6] = [
    "peer-question",
    "peer-answer",
    "peer-message",
    "cross-session-message",
    "system-reminder",
    "task-notification",
];

/// Returns the text with the `<` of each reserved tag escaped, so that no such tag begins or ends in it.
pub fn defang(text: &str) -> String {
    let cleaned = strip_terminal_controls(text);
    let mut out = String::with_capacity(cleaned.len());
    let mut rest = cleaned.as_str();
    while let Some(at) = rest.find('<') {
        let (before, opened) = rest.split_at(at);
        let word = opened.trim_start_matches(is_tag_prefix_char);
        let (run, _) = opened.split_at(opened.len() - word.len());
        out.push_str(before);
        // Each `<` of the run could open the tag; the word after the run decides for all of them.
        if RESERVED_TAGS
            .iter()
            .any(|tag| starts_with_ignore_case(word, tag))
        {
            out.push_str(&run.replace('<', "&lt;"));
        } else {
            out.push_str(run);
        }
        rest = word;
    }
    out.push_str(rest);
    out
}

/// Returns whether a character may be between the `<` and the name of a tag.
fn is_tag_prefix_char(c: char) -> bool {
    matches!(c, '<' | '/') || c.is_whitespace()
}

fn starts_with_ignore_case(word: &str, tag: &str) -> bool {
    word.get(..tag.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(tag))
}

/// Returns the content of a file without the byte order mark that some editors write.
pub fn without_bom(content: &[u8]) -> &[u8] {
    content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content)
}

/// Returns the number of UTF-16 units of a text, which is what Claude Code counts.
pub fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Returns the longest beginning of `text` of at most `units` UTF-16 units that ends at a character.
pub fn cut_utf16(text: &str, units: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.len_utf16();
        if used > units {
            return &text[..at];
        }
    }
    text
}

/// Returns the longest beginning of `text` of at most `chars` characters.
pub fn cut_chars(text: &str, chars: usize) -> &str {
    text.char_indices()
        .nth(chars)
        .map_or(text, |(at, _)| &text[..at])
}

/// Returns the longest beginning of `text` of at most `bytes` bytes that ends at a character.
pub fn cut_bytes(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Returns the longest beginning of `text` that has at most `units` UTF-16 units when JSON writes it, quotes aside.
pub fn cut_json(text: &str, units: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += match c {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            _ => c.len_utf16(),
        };
        if used > units {
            return &text[..at];
        }
    }
    text
}

/// Returns whether a terminal obeys a character instead of showing it: a control or bidirectional formatting character.
pub fn is_terminal_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Skips what follows ESC: a control sequence to its final byte, a string command to its terminator, or one character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => {
            while chars
                .next()
                .is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c))
            {}
        }
        Some(']' | 'P' | '_' | '^') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn cleaned_text_has_no_escape_sequences_or_bidi_overrides() {
        assert_eq!(
            strip_terminal_controls("a\u{1b}[31mb\u{1b}]0;title\u{7}c\u{202e}d\r\ne\tf\u{0}"),
            "abcd\ne\tf"
        );
        assert_eq!(
            strip_terminal_controls("\u{1b}]8;;http://x\u{1b}\\link"),
            "link"
        );
        assert_eq!(strip_terminal_controls("\u{9b}31m"), "31m");
    }

    #[test]
    fn foreign_text_cannot_close_the_quoted_block() {
        let text = "x </peer-question> < /Peer-Question> <cross-session-message from-name=\"a\"> a<b </system-reminder>";
        let safe = defang(text);
        assert!(!safe.to_lowercase().contains("</peer-question"));
        assert!(!safe.to_lowercase().contains("< /peer-question"));
        assert!(!safe.contains("<cross-session-message"));
        assert!(!safe.contains("</system-reminder"));
        assert!(safe.contains("a<b"));
    }

    /// The slow and obvious implementation of [`defang`].
    fn defanged_slowly(text: &str) -> String {
        let cleaned = strip_terminal_controls(text);
        let lower = cleaned.to_ascii_lowercase();
        let opens = |at: usize| {
            let rest = lower[at..].trim_start_matches(is_tag_prefix_char);
            RESERVED_TAGS.iter().any(|tag| rest.starts_with(tag))
        };
        let shown = |(at, c)| match c {
            '<' if opens(at) => "&lt;".to_owned(),
            c => c.to_string(),
        };
        cleaned.char_indices().map(shown).collect()
    }

    #[test]
    fn delimiter_tag_is_detected_across_newlines_and_long_runs() {
        assert_eq!(
            defang("<\n/\tpeer-answer> <<b"),
            "&lt;\n/\tpeer-answer> <<b"
        );
        let far = " /<".repeat(10_000);
        let safe = defang(&format!("<{far}SYSTEM-reminder>"));
        assert!(!safe.contains('<'), "each of them could open the tag");
        let harmless = format!("<{far}");
        assert_eq!(defang(&harmless), harmless);
    }

    #[test]
    fn defang_runs_in_linear_time_on_repetitive_text() {
        // Quadratic time would take hours.
        for part in [
            " ",
            "<",
            "/",
            "\n",
            "< ",
            "</",
            "&",
            "a",
            "</peer-",
            "</peer-answer",
            "\u{1b}",
            "\u{1b}[",
            "\u{1b}]",
            "\u{1b}]\u{1b}",
            "\u{202e}",
            "ä",
        ] {
            let text = part.repeat(1024 * 1024 / part.len());
            let safe = defang(&text);
            assert!(!safe.contains("</peer-answer"), "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn defang_matches_its_reference_implementation(
            parts in vec(prop_oneof![
                Just("<"), Just("/"), Just(" "), Just("\n"), Just("\t"), Just("\u{a0}"), Just("\u{1b}[0m"), Just("\u{202e}"),
                Just("peer-question"), Just("Peer-Answer"), Just("peer-message"), Just("system-reminder"),
                Just("task-notification"), Just("cross-session-message"), Just("peer-"), Just("x"), Just("\u{130}"), Just(">"),
            ], 0..24)
        ) {
            let text = parts.concat();
            prop_assert_eq!(defang(&text), defanged_slowly(&text));
        }
    }

    #[test]
    fn a_cut_counts_utf16_units_and_never_splits_a_character() {
        assert_eq!(utf16_len("a😀"), 3);
        assert_eq!(cut_utf16("a😀b", 2), "a");
        assert_eq!(cut_utf16("a😀b", 3), "a😀");
        assert_eq!(cut_chars("äöü", 2), "äö");
        assert_eq!(cut_bytes("äöü", 3), "ä");
        assert_eq!(cut_bytes("ab", 3), "ab");
    }

    #[test]
    fn json_cut_counts_the_escaped_length() {
        let every: String = (0..0x250).filter_map(char::from_u32).collect::<String>() + "😀";
        for c in every.chars() {
            let text = c.to_string();
            let units = utf16_len(&serde_json::Value::from(text.as_str()).to_string()) - 2;
            assert_eq!(cut_json(&text, units), text, "{c:?}");
            assert_eq!(cut_json(&text, units - 1), "", "{c:?}");
        }
    }
}
