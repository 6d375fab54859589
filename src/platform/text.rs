//! Cleans and cuts texts: removes what a terminal obeys, makes one line of many, and cuts at limits of characters, bytes,
//! UTF-16 units or JSON.

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
