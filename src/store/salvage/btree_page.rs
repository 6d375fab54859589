//! One page of a tree: the pages below it and its rows. A page or a row that is not well-formed is not guessed at.
//!
//! The format is that of <https://sqlite.org/fileformat2.html>. Only rows that the page lists are read, so deleted rows do not
//! come back.
use rusqlite::types::Value;

use super::bytes::{u16_at, u32_at, varint};
use super::file_pages::FilePages;

/// Whether the rows of a tree have a number (a table), or are keys (an index, or a table without rowid).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum TreeKind {
    Numbered,
    Keyed,
}

/// A row.
#[derive(Debug, Clone)]
pub(super) struct StoredRow {
    /// Its rowid, in a tree of numbered rows.
    pub(super) rowid: Option<i64>,
    pub(super) values: Vec<Value>,
}

/// A well-formed page.
pub(super) struct BtreePage<'a> {
    pages: &'a FilePages,
    content: &'a [u8],
    pub(super) kind: TreeKind,
    pub(super) is_leaf: bool,
    right_child: Option<u32>,
    /// Where its cells begin.
    cells: Vec<usize>,
}

impl<'a> BtreePage<'a> {
    /// Returns a page, if it is one of a tree.
    pub(super) fn read(pages: &'a FilePages, number: u32) -> Option<Self> {
        let content = pages.page(number)?;
        let start = if number == 1 { 100 } else { 0 };
        let (kind, is_leaf) = match content[start] {
            2 => (TreeKind::Keyed, false),
            5 => (TreeKind::Numbered, false),
            10 => (TreeKind::Keyed, true),
            13 => (TreeKind::Numbered, true),
            _ => return None,
        };
        let count = usize::from(u16_at(content, start + 3));
        let list = start + if is_leaf { 8 } else { 12 };
        let list_end = list + 2 * count;
        if list_end > content.len() || content[start + 7] > 60 {
            return None;
        }
        let cells: Vec<usize> = (0..count)
            .map(|index| usize::from(u16_at(content, list + 2 * index)))
            .collect();
        let is_inside = |cell: &usize| (list_end..content.len() - 3).contains(cell);
        if !cells.iter().all(is_inside) || (cells.is_empty() && !is_leaf) {
            return None;
        }
        Some(Self {
            pages,
            content,
            kind,
            is_leaf,
            right_child: (!is_leaf).then(|| u32_at(content, start + 8)),
            cells,
        })
    }

    /// Returns the pages below it.
    pub(super) fn children(&self) -> Vec<u32> {
        if self.is_leaf {
            return Vec::new();
        }
        let of_cells = self.cells.iter().map(|cell| u32_at(self.content, *cell));
        of_cells.chain(self.right_child).collect()
    }

    /// Returns its rows; `None` for one that cannot be read.
    pub(super) fn rows(&self) -> Vec<Option<StoredRow>> {
        if self.kind == TreeKind::Numbered && !self.is_leaf {
            return Vec::new();
        }
        self.cells.iter().map(|cell| self.row(*cell)).collect()
    }

    fn row(&self, cell: usize) -> Option<StoredRow> {
        let after_child = if self.is_leaf { cell } else { cell + 4 };
        let (length, rest) = varint(self.content.get(after_child..)?)?;
        let (rowid, rest) = match self.kind {
            TreeKind::Numbered => {
                let (number, rest) = varint(rest)?;
                (Some(number.cast_signed()), rest)
            }
            TreeKind::Keyed => (None, rest),
        };
        let payload = self.payload(usize::try_from(length).ok()?, rest)?;
        let values = record(&payload)?;
        Some(StoredRow { rowid, values })
    }

    /// Returns the content of a row, which may go on in pages of its own.
    fn payload(&self, length: usize, rest: &[u8]) -> Option<Vec<u8>> {
        let size = self.content.len();
        let local_max = match self.kind {
            TreeKind::Numbered => size - 35,
            TreeKind::Keyed => (size - 12) * 64 / 255 - 23,
        };
        if length <= local_max {
            return rest.get(..length).map(<[u8]>::to_vec);
        }
        if length > self.pages.count() as usize * size {
            return None;
        }
        let local_min = (size - 12) * 32 / 255 - 23;
        let fitting = local_min + (length - local_min) % (size - 4);
        let local = if fitting <= local_max {
            fitting
        } else {
            local_min
        };
        let mut payload = rest.get(..local)?.to_vec();
        let mut next = u32_at(rest.get(local..local + 4)?, 0);
        while payload.len() < length {
            let page = self.pages.page(next)?;
            let part = (length - payload.len()).min(size - 4);
            payload.extend_from_slice(&page[4..4 + part]);
            next = u32_at(page, 0);
        }
        (next == 0).then_some(payload)
    }
}

/// Returns the values of a row; `None` unless its content is exactly as long as its header says.
fn record(payload: &[u8]) -> Option<Vec<Value>> {
    let (header_length, _) = varint(payload)?;
    let (header, mut body) = payload.split_at_checked(usize::try_from(header_length).ok()?)?;
    let (_, mut types) = varint(header)?;
    let mut values = Vec::new();
    while !types.is_empty() {
        let (kind, rest) = varint(types)?;
        types = rest;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => usize::try_from((kind - 12) / 2).ok()?,
        };
        let (content, rest) = body.split_at_checked(length)?;
        body = rest;
        values.push(value(kind, content)?);
    }
    body.is_empty().then_some(values)
}

fn value(kind: u64, content: &[u8]) -> Option<Value> {
    Some(match kind {
        0 => Value::Null,
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        1..=6 => {
            let is_negative = content[0] & 0x80 != 0;
            let start = if is_negative { -1 } else { 0 };
            let number = content
                .iter()
                .fold(start, |number: i64, byte| (number << 8) | i64::from(*byte));
            Value::Integer(number)
        }
        7 => Value::Real(f64::from_be_bytes(content.try_into().ok()?)),
        _ if kind.is_multiple_of(2) => Value::Blob(content.to_vec()),
        _ => Value::Text(String::from_utf8(content.to_vec()).ok()?),
    })
}
