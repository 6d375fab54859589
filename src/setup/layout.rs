//! Detects the layout of a JSON text (line ends, indentation), so that additions look like the rest.
use serde::Serialize;

/// Returns the line ending of the text.
pub(crate) fn newline(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Returns one level of indentation: that of the first line inside the top level, or two spaces.
pub(crate) fn indent_unit(text: &str) -> &str {
    let inside = text.trim_start().get(1..).unwrap_or_default();
    let first = inside.trim_start();
    match inside[..inside.len() - first.len()].rsplit_once('\n') {
        Some((_, indent)) if !first.starts_with('}') => indent,
        _ => "  ",
    }
}

/// Returns the white space at the start of the line of this byte.
pub(crate) fn indent_at(text: &str, at: usize) -> &str {
    let line = &text[line_start(text, at)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Returns whether the item that starts here, or the key before it, begins a line other than the first.
pub(crate) fn starts_line(text: &str, at: usize) -> bool {
    let line = line_start(text, at);
    let before = text[line..at].trim();
    let is_key = |key: &str| serde_json::from_str::<String>(key).is_ok();
    line > 0 && (before.is_empty() || before.strip_suffix(':').is_some_and(is_key))
}

/// Returns a value in one line.
pub(crate) fn compact(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data always has a JSON form")
}

/// Returns a value in several lines, indented like `text`; each line after the first begins with `indent`.
pub(crate) fn pretty(value: &impl Serialize, text: &str, indent: &str) -> String {
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent_unit(text).as_bytes());
    let mut bytes = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value
        .serialize(&mut writer)
        .expect("plain data always has a JSON form");
    String::from_utf8(bytes)
        .expect("JSON is UTF-8")
        .replace('\n', &format!("{}{indent}", newline(text)))
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}
