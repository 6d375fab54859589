//! A disk that loses power: what was flushed is there, and of all else anything may be.
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::trace::Step;

/// What becomes of changes that were not flushed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unsynced {
    Lost,
    Kept,
    /// Each is kept, lost or written by half, as this seed decides.
    Mixed(u64),
}

/// The name of each file, with its number.
type Names = BTreeMap<String, usize>;

#[derive(Debug, Default, Clone)]
struct File {
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// The files of one folder.
#[derive(Debug, Default)]
pub(super) struct Disk {
    folder: String,
    files: Vec<File>,
    /// The names as they were flushed, and after each change since.
    names: Vec<Names>,
    /// The file to which a name led when it was last used.
    opened: HashMap<String, usize>,
}

impl Disk {
    /// Returns an empty folder.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_str().unwrap().to_owned(),
            names: vec![Names::new()],
            ..Self::default()
        }
    }

    /// Does what a program did. Returns whether it was a flush.
    pub(super) fn apply(&mut self, step: &Step) -> bool {
        match step {
            Step::Create { path, is_emptied } if self.has(path) => self.create(path, *is_emptied),
            Step::Write { path, offset, data } => {
                self.change(path, Change::Write(*offset, data.clone()));
            }
            Step::Truncate { path, length } => self.change(path, Change::Truncate(*length)),
            Step::Link { from, to } if self.has(to) => self.rename(from, to, true),
            Step::Rename { from, to } if self.has(to) => self.rename(from, to, false),
            Step::Remove { path } if self.has(path) => {
                self.change_names(|names| names.remove(path).is_some());
            }
            Step::Sync { path } => return self.sync(path),
            _ => {}
        }
        false
    }

    /// Returns whether a path is of a file of the database, and not of shared memory.
    fn has(&self, path: &str) -> bool {
        let name = path.strip_prefix(&self.folder).unwrap_or_default();
        name.starts_with("/mesh.db") && !name.ends_with("-shm") && !name[1..].contains('/')
    }

    fn current(&self) -> &Names {
        self.names.last().expect("there is one")
    }

    fn change_names(&mut self, change: impl FnOnce(&mut Names) -> bool) {
        let mut names = self.current().clone();
        if change(&mut names) {
            self.names.push(names);
        }
    }

    fn create(&mut self, path: &str, is_emptied: bool) {
        if let Some(number) = self.current().get(path).copied() {
            self.opened.insert(path.to_owned(), number);
            if is_emptied {
                self.change(path, Change::Truncate(0));
            }
            return;
        }
        let number = self.files.len();
        self.files.push(File::default());
        self.opened.insert(path.to_owned(), number);
        self.change_names(|names| names.insert(path.to_owned(), number).is_none());
    }

    fn rename(&mut self, from: &str, to: &str, is_kept: bool) {
        let Some(number) = self.current().get(from).copied() else {
            return;
        };
        self.opened.insert(to.to_owned(), number);
        self.change_names(|names| {
            names.insert(to.to_owned(), number);
            is_kept || names.remove(from).is_some()
        });
    }

    fn change(&mut self, path: &str, change: Change) {
        if let Some(number) = self.opened.get(path) {
            self.files[*number].unsynced.push(change);
        }
    }

    fn sync(&mut self, path: &str) -> bool {
        if path == self.folder {
            self.names = vec![self.current().clone()];
            return true;
        }
        let Some(number) = self.opened.get(path) else {
            return false;
        };
        let file = &mut self.files[*number];
        for change in std::mem::take(&mut file.unsynced) {
            change.write(&mut file.synced);
        }
        true
    }

    /// Writes what the folder has after a power cut at this moment. Returns whether the database is there.
    pub(super) fn write_image(&self, target: &Path, unsynced: Unsynced) -> bool {
        let mut random = fastrand::Rng::with_seed(match unsynced {
            Unsynced::Mixed(seed) => seed,
            _ => 0,
        });
        let names = match unsynced {
            Unsynced::Lost => &self.names[0],
            Unsynced::Kept => self.current(),
            Unsynced::Mixed(_) => &self.names[random.usize(..self.names.len())],
        };
        for (path, number) in names {
            let file = &self.files[*number];
            let mut content = file.synced.clone();
            for change in &file.unsynced {
                match (unsynced, random.u8(..3)) {
                    (Unsynced::Lost, _) | (Unsynced::Mixed(_), 0) => {}
                    (Unsynced::Mixed(_), 1) => change.half().write(&mut content),
                    _ => change.write(&mut content),
                }
            }
            let name = path.rsplit_once('/').unwrap().1;
            std::fs::write(target.join(name), content).unwrap();
        }
        names.keys().any(|path| path.ends_with("/mesh.db"))
    }
}

impl Change {
    fn write(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let end = offset + data.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(data);
            }
            Self::Truncate(length) => content.resize(*length, 0),
        }
    }

    /// Returns a write of which only whole sectors of the first half were done.
    fn half(&self) -> Self {
        match self {
            Self::Write(offset, data) => {
                Self::Write(*offset, data[..data.len() / 2 / 512 * 512].to_vec())
            }
            Self::Truncate(length) => Self::Truncate(*length),
        }
    }
}
