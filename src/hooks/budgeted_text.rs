//! Builds the text of a hook within the size limit of Claude Code: blocks of foreign text share a budget, and what does
//! not fit is counted.
use crate::platform::text::{cut_utf16, utf16_len};

/// The limit of a hook's text in UTF-16 units. Claude Code replaces more than 10,000 by a preview.
const UNITS_MAX: usize = 9_500;
/// Reserved for the lines around foreign text.
const RESERVED_UNITS: usize = 1_300;
/// Reserved for the tags around one foreign text.
const RESERVED_UNITS_PER_BLOCK: usize = 300;
/// The limit of one foreign text if there are several.
const UNITS_PER_ITEM: usize = 3_500;

/// A text that never exceeds the limit of a hook.
pub(super) struct BudgetedText {
    text: String,
    units: usize,
    omitted: usize,
}

impl BudgetedText {
    pub(super) fn new() -> Self {
        Self {
            text: String::new(),
            units: 0,
            omitted: 0,
        }
    }

    /// Returns the budget of the next foreign text; `many` says that others follow.
    pub(super) fn budget(&self, many: bool) -> usize {
        let remaining =
            (UNITS_MAX - RESERVED_UNITS).saturating_sub(self.units + RESERVED_UNITS_PER_BLOCK);
        if many {
            remaining.min(UNITS_PER_ITEM)
        } else {
            remaining
        }
    }

    /// Adds a block of foreign text if it fits beside the reserved lines. Returns whether it did.
    pub(super) fn push_block(&mut self, block: &str) -> bool {
        let fits = self.units + utf16_len(block) <= UNITS_MAX - RESERVED_UNITS;
        if fits {
            self.push(block);
        }
        fits
    }

    /// Adds the blocks of the items that fit, in order. Returns these items and counts the others.
    pub(super) fn push_items<T>(
        &mut self,
        items: Vec<T>,
        block: impl Fn(&T, &Self) -> String,
    ) -> Vec<T> {
        let mut added = Vec::new();
        for item in items {
            if self.push_block(&block(&item, self)) {
                added.push(item);
            } else {
                self.omitted += 1;
            }
        }
        added
    }

    /// Returns how many items did not fit.
    pub(super) fn omitted(&self) -> usize {
        self.omitted
    }

    /// Adds text of claude-mesh itself.
    pub(super) fn push(&mut self, text: &str) {
        self.units += utf16_len(text);
        self.text.push_str(text);
    }

    pub(super) fn finish(self) -> String {
        cut_utf16(self.text.trim(), UNITS_MAX).to_owned()
    }
}
