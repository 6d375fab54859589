//! Which pages belong to which tree of a damaged file.
//!
//! A tree is followed from its root. Pages below a damaged page are found by the pointer map of the file, which names the parent
//! of every page, so a damaged page costs only the rows that are on it.
use std::collections::HashMap;

use super::btree_page::{BtreePage, TreeKind};
use super::file_pages::{FilePages, MapEntry};

/// The longest way to a root.
const DEPTH_MAX: usize = 40;

/// The pages of one tree.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Pages that can be read, in the order in which they were found.
    pub(super) pages: Vec<u32>,
    /// Pages that cannot.
    pub(super) damaged: Vec<u32>,
    /// How many of those had rows.
    pub(super) lost_pages: usize,
}

/// Returns the trees with these roots.
pub(super) fn find(pages: &FilePages, roots: &[(u32, TreeKind)]) -> HashMap<u32, Tree> {
    let mut finder = Finder {
        pages,
        kinds: roots.iter().copied().collect(),
        owners: HashMap::new(),
        trees: HashMap::new(),
    };
    for (root, _) in roots {
        finder.follow(*root);
    }
    finder.add_pages_without_parent();
    finder.count_lost_pages();
    finder.trees
}

struct Finder<'a> {
    pages: &'a FilePages,
    kinds: HashMap<u32, TreeKind>,
    /// The root to which a page belongs.
    owners: HashMap<u32, u32>,
    trees: HashMap<u32, Tree>,
}

impl Finder<'_> {
    fn follow(&mut self, root: u32) {
        let mut pending = vec![root];
        while let Some(number) = pending.pop() {
            pending.extend(self.add(number, root).into_iter().rev());
        }
    }

    /// Adds a page to a tree. Returns the pages below it that are not known yet.
    fn add(&mut self, number: u32, root: u32) -> Vec<u32> {
        let is_foreign_root = number != root && self.kinds.contains_key(&number);
        if is_foreign_root || number == 0 || self.owners.contains_key(&number) {
            return Vec::new();
        }
        self.owners.insert(number, root);
        let tree = self.trees.entry(root).or_default();
        match BtreePage::read(self.pages, number) {
            Some(page) if Some(&page.kind) == self.kinds.get(&root) => {
                tree.pages.push(number);
                page.children()
            }
            _ => {
                tree.damaged.push(number);
                Vec::new()
            }
        }
    }

    fn add_pages_without_parent(&mut self) {
        for number in 2..=self.pages.count() {
            if self.owners.contains_key(&number) || self.pages.is_reserved(number) {
                continue;
            }
            if let Some(root) = self.root_above(number) {
                // What is below it has an entry of its own.
                self.add(number, root);
            }
        }
    }

    /// Returns the root of the tree to which a page belongs by the pointer map.
    fn root_above(&self, number: u32) -> Option<u32> {
        let mut at = number;
        for _ in 0..DEPTH_MAX {
            let MapEntry::Child(parent) = self.pages.map_entry(at) else {
                return None;
            };
            if let Some(root) = self.owners.get(&parent) {
                return Some(*root);
            }
            at = parent;
        }
        None
    }

    /// In a tree of numbered rows, a page with others below it has no rows.
    fn count_lost_pages(&mut self) {
        let mut parents = std::collections::HashSet::new();
        for number in 2..=self.pages.count() {
            if let MapEntry::Child(parent) = self.pages.map_entry(number) {
                parents.insert(parent);
            }
        }
        for (root, tree) in &mut self.trees {
            let has_rows = |number: &&u32| {
                self.kinds.get(root) == Some(&TreeKind::Keyed) || !parents.contains(number)
            };
            tree.lost_pages = tree.damaged.iter().filter(has_rows).count();
        }
    }
}
