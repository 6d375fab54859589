//! Builds tables for a terminal: no borders, a bold header, at most as wide as the terminal.
use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};

use super::print;

/// Returns an empty table with these headings. Without a terminal no line is wrapped.
pub(super) fn with_header<'a>(headings: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).enforce_styling();
    table.set_content_arrangement(ContentArrangement::Disabled);
    if let Some(columns) = print::columns(std::io::stdout()) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(columns.max(60)).unwrap_or(u16::MAX));
    }
    let bold = |word| Cell::new(word).add_attribute(Attribute::Bold);
    table.set_header(headings.into_iter().map(bold));
    table
}

/// Returns the text of a table without trailing spaces.
pub(super) fn text(table: &Table) -> String {
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}
