//! The pages of a database file as the last commit left them: those of the file, and newer ones of its WAL. They are read without
//! SQLite, which gives up a table at its first damaged page.
use std::collections::HashMap;
use std::ops::Range;

use super::bytes::{u16_at, u32_at};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The page size of every mesh, if the header does not say it.
const DEFAULT_PAGE_SIZE: usize = 4096;
/// SQLite does not use the page with this byte, because its locks are there.
const LOCK_BYTE: usize = 1 << 30;
const WAL_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// What the pointer map says of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapEntry {
    /// The root of a tree.
    Root,
    /// A page of a tree, below this one.
    Child(u32),
    /// A part of a long row, an unused page, or not known.
    Other,
}

/// The pages of a file.
pub(super) struct FilePages {
    file: Vec<u8>,
    wal: Vec<u8>,
    /// Where the newest content of a page is in the WAL.
    newer: HashMap<u32, Range<usize>>,
    page_size: usize,
    count: u32,
    /// Whether the first bytes of the file are those of a database.
    pub(super) has_header: bool,
}

impl FilePages {
    pub(super) fn new(file: Vec<u8>, wal: Vec<u8>) -> Self {
        let stated = page_size_of(&file);
        let page_size = stated.unwrap_or(DEFAULT_PAGE_SIZE);
        let mut pages = Self {
            count: u32::try_from(file.len() / page_size).unwrap_or(u32::MAX),
            file,
            wal,
            newer: HashMap::new(),
            page_size,
            has_header: stated.is_some(),
        };
        pages.apply_wal();
        pages.has_header |= pages.newer.contains_key(&1);
        pages
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Returns the content of a page; `None` if the file ends before it.
    pub(super) fn page(&self, number: u32) -> Option<&[u8]> {
        if number == 0 || number > self.count {
            return None;
        }
        if let Some(range) = self.newer.get(&number) {
            return self.wal.get(range.clone());
        }
        let start = (number as usize - 1) * self.page_size;
        self.file.get(start..start + self.page_size)
    }

    /// Returns whether a page has a part of the pointer map, or nothing.
    pub(super) fn is_reserved(&self, number: u32) -> bool {
        number == self.map_page_of(number) || number as usize == LOCK_BYTE / self.page_size + 1
    }

    /// Returns what the pointer map says of a page.
    pub(super) fn map_entry(&self, number: u32) -> MapEntry {
        let map_page = self.map_page_of(number);
        if number <= map_page {
            return MapEntry::Other;
        }
        let at = 5 * (number - map_page - 1) as usize;
        let Some(entry) = self.page(map_page).and_then(|map| map.get(at..at + 5)) else {
            return MapEntry::Other;
        };
        match (entry[0], u32_at(entry, 1)) {
            (1, 0) => MapEntry::Root,
            (5, parent) if parent > 0 && parent <= self.count => MapEntry::Child(parent),
            _ => MapEntry::Other,
        }
    }

    fn map_page_of(&self, number: u32) -> u32 {
        let pages_of_one = u32::try_from(self.page_size / 5 + 1).unwrap_or(u32::MAX);
        let map_page = number.saturating_sub(2) / pages_of_one * pages_of_one + 2;
        if map_page as usize == LOCK_BYTE / self.page_size + 1 {
            map_page + 1
        } else {
            map_page
        }
    }

    /// Takes the pages of all commits that the WAL has completely.
    fn apply_wal(&mut self) {
        let wal = &self.wal;
        let Some(header) = wal.get(..WAL_HEADER) else {
            return;
        };
        let is_big_endian = match u32_at(header, 0) {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return,
        };
        if u32_at(header, 8) as usize != self.page_size {
            return;
        }
        let mut sum = checksum((0, 0), &header[..24], is_big_endian);
        if sum != (u32_at(header, 24), u32_at(header, 28)) {
            return;
        }
        let mut uncommitted = Vec::new();
        let frames = wal[WAL_HEADER..].chunks_exact(FRAME_HEADER + self.page_size);
        for (index, frame) in frames.enumerate() {
            let (head, content) = frame.split_at(FRAME_HEADER);
            sum = checksum(sum, &head[..8], is_big_endian);
            sum = checksum(sum, content, is_big_endian);
            let is_valid =
                head[8..16] == header[16..24] && sum == (u32_at(head, 16), u32_at(head, 20));
            if !is_valid {
                return;
            }
            let start = WAL_HEADER + index * frame.len() + FRAME_HEADER;
            uncommitted.push((u32_at(head, 0), start..start + self.page_size));
            let pages_after_commit = u32_at(head, 4);
            if pages_after_commit > 0 {
                self.newer.extend(uncommitted.drain(..));
                self.count = pages_after_commit;
            }
        }
    }
}

fn page_size_of(file: &[u8]) -> Option<usize> {
    if !file.starts_with(MAGIC) {
        return None;
    }
    let size = match u16_at(file.get(..18)?, 16) {
        1 => 65_536,
        size => usize::from(size),
    };
    (size.is_power_of_two() && size >= 512).then_some(size)
}

/// Continues the checksum of a WAL over more content, whose length is a multiple of eight.
fn checksum(
    (mut first, mut second): (u32, u32),
    content: &[u8],
    is_big_endian: bool,
) -> (u32, u32) {
    let word = |bytes: &[u8]| {
        let bytes = bytes.try_into().expect("four bytes");
        if is_big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    };
    for pair in content.chunks_exact(8) {
        first = first.wrapping_add(word(&pair[..4])).wrapping_add(second);
        second = second.wrapping_add(word(&pair[4..])).wrapping_add(first);
    }
    (first, second)
}
