//! An install edits any settings file once, and an uninstall after it restores the bytes of a file that had nothing of
//! claude-mesh.
//!
//! The first byte of the input chooses file and options, the rest is the content.
#![no_main]

use claude_mesh::setup::fuzz_entry::EditableFile;
use claude_mesh::setup::{InstallOptions, WakeMethod};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, content)) = input.split_first() else {
        return;
    };
    let file = chosen_file(*choice);
    let Some(installed) = file.installed(content) else {
        return;
    };
    let shown = String::from_utf8_lossy(&installed);
    let again = file.installed(&installed);
    assert_eq!(
        again.as_ref(),
        Some(&installed),
        "a second install: {shown}"
    );
    let removed = file.uninstalled(&installed);
    let removed = removed.unwrap_or_else(|| panic!("an uninstall refuses {shown}"));
    let again = file.uninstalled(&removed);
    assert_eq!(again.as_ref(), Some(&removed), "a second uninstall");
    if file.is_foreign(content) {
        let shown = String::from_utf8_lossy(&removed);
        assert!(is_restored(file, content, &removed), "{shown:?}");
    }
});

/// Returns whether a removal has restored a file. Blanks inside an empty object may get lost, and a blank JSON file counts as
/// an empty object.
fn is_restored(file: EditableFile, before: &[u8], after: &[u8]) -> bool {
    let without_blanks = |content: &[u8]| {
        let text = String::from_utf8_lossy(content);
        let text = text.trim_start_matches('\u{feff}');
        text.split_whitespace().collect::<String>()
    };
    let is_empty = matches!(without_blanks(before).as_str(), "" | "{}");
    if !is_empty || matches!(file, EditableFile::CodexConfig) {
        return before == after;
    }
    without_blanks(after) == "{}"
}

fn chosen_file(choice: u8) -> EditableFile {
    let options = InstallOptions {
        confirm_answers: choice & 0x08 != 0,
        guard: choice & 0x10 != 0,
        install_mod: choice & 0x20 != 0,
        wake: match choice >> 6 {
            0 => None,
            1 => Some(WakeMethod::Inbox),
            _ => Some(WakeMethod::Rewake),
        },
    };
    match choice & 0x07 {
        0..=2 => EditableFile::Settings(options),
        3 | 4 => EditableFile::Servers,
        5 => EditableFile::CodexConfig,
        6 => EditableFile::CodexHooks,
        _ => EditableFile::Gemini,
    }
}
