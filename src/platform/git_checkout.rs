//! Reads the files of a git checkout: its folders, its branch, the commit that is checked out, and its remote. Git is not
//! started, because hooks start no process.
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::platform::file;

/// The size limit of a one-line file of git: a path of at most 4,096 bytes with a word before it.
const LINE_BYTES_MAX: u64 = 8 * 1024;
/// The size limit of the file `config` of a repository.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// How much of `packed-refs` is read.
const REFS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Returns the commit that is checked out in a folder; `None` outside git and before the first commit.
pub fn head_commit(folder: &Path) -> Option<String> {
    let git = GitCheckout::of(folder)?;
    let head = read_small_file(&git.folder.join("HEAD"))?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else {
        return parse_commit_hash(&head);
    };
    // The branches of a linked worktree are in the shared repository.
    let loose = [&git.folder, &git.common]
        .into_iter()
        .find_map(|folder| read_small_file(&folder.join(reference)));
    match loose {
        Some(loose) => parse_commit_hash(&loose),
        None => find_packed_ref(&git.common.join("packed-refs"), reference),
    }
}

/// Returns the repository of a folder, as `host/path` of its remote, and the path of the folder within it, which is empty for
/// the top and for the `.git` folder; `None` outside git and without a clear remote.
pub fn repository_of(folder: &Path) -> Option<(String, String)> {
    let git = GitCheckout::of(folder)?;
    let below = folder.strip_prefix(&git.root).unwrap_or(Path::new(""));
    let below = if below.starts_with(".git") {
        Path::new("")
    } else {
        below
    };
    Some((git.remote()?, below.to_string_lossy().into_owned()))
}

/// Returns the branch that is checked out in a folder, or the beginning of the commit id; `None` outside git.
pub fn branch_of(folder: &Path) -> Option<String> {
    GitCheckout::of(folder)?.branch()
}

/// Returns the top folder of the working tree that a folder is in; `None` outside git. The folder need not exist.
pub fn working_tree_of(folder: &Path) -> Option<PathBuf> {
    folder
        .ancestors()
        .find(|folder| folder.join(".git").exists())
        .map(Path::to_owned)
}

/// Reads a one-line file of git; `None` for a longer file.
fn read_small_file(path: &Path) -> Option<String> {
    String::from_utf8(file::read(path, LINE_BYTES_MAX).ok()?).ok()
}

/// The file has one line for each branch and tag of the repository, so it can be long.
fn find_packed_ref(path: &Path, reference: &str) -> Option<String> {
    let refs = file::open(path).ok()?.take(REFS_BYTES_MAX);
    BufReader::new(refs)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| parse_commit_hash(line.strip_suffix(reference)?.strip_suffix(' ')?))
}

fn parse_commit_hash(text: &str) -> Option<String> {
    let text = text.trim();
    let is_commit = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_commit.then(|| text.to_owned())
}

/// A git checkout: its top folder, its git folder, and the shared repository.
pub(super) struct GitCheckout {
    pub(super) root: PathBuf,
    folder: PathBuf,
    pub(super) common: PathBuf,
    pub(super) linked: bool,
}

impl GitCheckout {
    pub(super) fn of(start: &Path) -> Option<Self> {
        let root = working_tree_of(start)?;
        let dot_git = root.join(".git");
        if dot_git.is_dir() {
            return Some(Self {
                common: dot_git.clone(),
                folder: dot_git,
                root,
                linked: false,
            });
        }
        let pointer = read_small_file(&dot_git)?;
        let folder = root.join(pointer.strip_prefix("gitdir:")?.trim());
        let common = read_small_file(&folder.join("commondir"));
        let linked = common.is_some();
        let common = common.map_or_else(|| folder.clone(), |path| folder.join(path.trim()));
        Some(Self {
            common: common.canonicalize().unwrap_or(common),
            folder,
            root,
            linked,
        })
    }

    /// Returns where the repository was cloned from, as `host/path` without user, scheme and `.git`, so that all ways to write
    /// an address of one repository give the same text: the remote `origin`, else the only one.
    pub(super) fn remote(&self) -> Option<String> {
        let config = file::read(&self.common.join("config"), CONFIG_BYTES_MAX).ok()?;
        normalized_remote(&find_remote_url(&String::from_utf8_lossy(&config))?)
    }

    /// Returns the folder name of the main checkout, whose `.git` all worktrees share; for a bare repository its own name.
    pub(super) fn main_checkout_name(&self) -> String {
        let main = if self.common.ends_with(".git") {
            self.common.parent()
        } else {
            Some(self.common.as_path())
        };
        let name = main
            .and_then(Path::file_name)
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        name.strip_suffix(".git")
            .map_or(name.clone(), str::to_owned)
    }

    pub(super) fn branch(&self) -> Option<String> {
        let head = read_small_file(&self.folder.join("HEAD"))?;
        let head = head.trim();
        Some(
            head.strip_prefix("ref: refs/heads/")
                .map_or_else(|| head.chars().take(12).collect(), str::to_owned),
        )
    }
}

/// Returns the address of the remote `origin`, else of the only remote, in a file `config` of git.
fn find_remote_url(config: &str) -> Option<String> {
    let mut remotes: Vec<(String, String)> = Vec::new();
    let mut section = None;
    for line in config.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let name = header
                .strip_prefix("remote \"")
                .and_then(|rest| rest.split('"').next());
            section = name.map(str::to_owned);
        } else if let (Some(name), Some((key, value))) = (&section, line.split_once('='))
            && key.trim().eq_ignore_ascii_case("url")
        {
            remotes.push((name.clone(), value.trim().trim_matches('"').to_owned()));
        }
    }
    let origin = remotes.iter().position(|(name, _)| name == "origin");
    let index = origin.or((remotes.len() == 1).then_some(0))?;
    Some(remotes.swap_remove(index).1)
}

/// Returns `host/path` of an address of a repository; `None` for a folder of this machine, which other hosts do not have.
fn normalized_remote(url: &str) -> Option<String> {
    let (authority, path) = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?,
        // The short form of ssh: `user@host:path`.
        None => url
            .split_once(':')
            .filter(|(host, _)| !host.contains('/'))?,
    };
    let host = authority.rsplit('@').next()?.split(':').next()?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!host.is_empty() && !path.is_empty()).then(|| format!("{}/{path}", host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_repository_normalize_alike() {
        for url in [
            "https://github.com/Team/api.git",
            "https://user:token@GitHub.com/Team/api",
            "git@github.com:Team/api.git",
            "ssh://git@github.com:22/Team/api.git/",
        ] {
            assert_eq!(
                normalized_remote(url).as_deref(),
                Some("github.com/Team/api"),
                "{url}"
            );
        }
        for local in ["/srv/api.git", "../api", "file:///srv/api.git", "C", ""] {
            assert_eq!(normalized_remote(local), None, "{local}");
        }
    }

    #[test]
    fn origin_has_precedence_over_other_remotes() {
        let two = "[remote \"fork\"]\n\turl = git@h:f/x\n[remote \"origin\"]\n\tfetch = +a:b\n\tURL=git@h:o/x\n";
        assert_eq!(find_remote_url(two).as_deref(), Some("git@h:o/x"));
        let one = "[core]\n\turl = no\n[remote \"fork\"]\n\turl = git@h:f/x\n[branch \"a\"]\n\tremote = fork\n";
        assert_eq!(find_remote_url(one).as_deref(), Some("git@h:f/x"));
        let unclear = one.to_owned() + "[remote \"b\"]\n\turl = git@h:b/x\n";
        assert_eq!(find_remote_url(&unclear), None);
    }
}
