//! Replaces one file by one rename, with a backup of the content before; the original is never open for writing.
//!
//! Mode and owner are kept. Known limits: a hard link becomes a file of its own, and extended attributes and access lists
//! are lost.
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tempfile::NamedTempFile;

use super::error::InstallError;
use crate::platform::{fail_point, file};

/// The limit of links that are followed, as in Linux.
const SYMLINKS_MAX: usize = 40;

/// A longer file is refused. Claude Code keeps much more than settings in `~/.claude.json`.
const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The next content of a file, on disk in the same folder. It is removed again if it is dropped without a commit.
#[derive(Debug)]
pub(crate) struct StagedFile {
    target: PathBuf,
    before: Option<Vec<u8>>,
    next: Option<NamedTempFile>,
    backup: Option<Backup>,
}

/// A backup that is removed again unless the commit keeps it.
#[derive(Debug)]
struct Backup {
    path: PathBuf,
    keep_file: bool,
}

/// Returns the file behind all symbolic links; it need not exist.
pub(crate) fn resolve_symlinks(path: &Path) -> Result<PathBuf, InstallError> {
    let mut target = path.to_owned();
    for _ in 0..SYMLINKS_MAX {
        match fs::read_link(&target) {
            Ok(next) => target = target.parent().unwrap_or(Path::new("/")).join(next),
            Err(_) => return Ok(target),
        }
    }
    Err(InstallError::unusable(
        path,
        "its symbolic links form a loop",
    ))
}

/// Returns the content of a file; `None` if there is no such file.
pub(crate) fn read(target: &Path) -> Result<Option<Vec<u8>>, InstallError> {
    match file::read(target, FILE_MAX_BYTES) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(fault) if file::is_unusable_file(&fault) => {
            Err(InstallError::unusable(target, fault.to_string()))
        }
        content => content.map(Some).map_err(InstallError::io("read", target)),
    }
}

/// What a file is to be replaced by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replacement<'a> {
    pub(crate) path: &'a Path,
    /// The content that is replaced; `None` if the file does not exist yet.
    pub(crate) before: Option<&'a [u8]>,
    /// The next content; `None` removes the file.
    pub(crate) after: Option<&'a [u8]>,
    /// A new file is readable by its owner only; otherwise the umask decides.
    pub(crate) owner_only: bool,
    /// The content that is replaced is kept beside the file.
    pub(crate) back_up: bool,
}

impl Replacement<'_> {
    /// Does everything except the rename, so that a full disk or a read-only folder fails here. `now` names the backup.
    pub(crate) fn stage(self, now: Timestamp) -> Result<StagedFile, InstallError> {
        let mut staged = StagedFile {
            target: resolve_symlinks(self.path)?,
            before: self.before.map(<[u8]>::to_owned),
            next: None,
            backup: None,
        };
        let Some(after) = self.after else {
            return Ok(staged);
        };
        let target = &staged.target;
        let metadata = match self.before {
            Some(_) => Some(fs::metadata(target).map_err(InstallError::io("read", target))?),
            None => None,
        };
        let next = write_temp_file(target, after, metadata.as_ref(), self.owner_only)
            .map_err(InstallError::io("write beside", target))?;
        staged.next = Some(next);
        if let (Some(before), Some(metadata), true) = (self.before, &metadata, self.back_up) {
            let backup = back_up(self.path, before, metadata, now)
                .map_err(InstallError::io("back up", self.path))?;
            staged.backup = Some(backup);
        }
        Ok(staged)
    }
}

/// The result of a commit.
#[derive(Debug)]
pub(crate) enum CommitOutcome {
    /// The file has the next content, or is removed.
    Committed { backup: Option<PathBuf> },
    /// The file was left as it is, because another program has changed it since it was read.
    Changed { content: Option<Vec<u8>> },
}

impl StagedFile {
    /// Puts the next content in place, unless the file has changed meanwhile.
    pub(crate) fn commit(mut self) -> Result<CommitOutcome, InstallError> {
        let content = read(&self.target)?;
        if content != self.before {
            return Ok(CommitOutcome::Changed { content });
        }
        fail_point::reach("before-settings-rename");
        match self.next.take() {
            Some(next) => {
                next.persist(&self.target)
                    .map_err(|fault| InstallError::io("replace", &self.target)(fault.error))?;
            }
            None => {
                fs::remove_file(&self.target).map_err(InstallError::io("remove", &self.target))?;
            }
        }
        sync_folder(&self.target);
        Ok(CommitOutcome::Committed {
            backup: self.backup.take().map(Backup::keep),
        })
    }
}

/// Returns the backups of this file, oldest first.
pub(crate) fn backups(path: &Path) -> Vec<PathBuf> {
    let prefix = format!("{}.claude-mesh-", file_name(path));
    let mut names: Vec<String> = fs::read_dir(folder(path))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(&prefix))
        .collect();
    names.sort_by_key(|name| {
        let stamp: String = name[prefix.len()..]
            .chars()
            .take_while(|c| *c != '.')
            .collect();
        (stamp, name.len())
    });
    names
        .into_iter()
        .map(|name| folder(path).join(name))
        .collect()
}

fn write_temp_file(
    target: &Path,
    content: &[u8],
    metadata: Option<&Metadata>,
    owner_only: bool,
) -> io::Result<NamedTempFile> {
    let folder = folder(target);
    if metadata.is_none() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mode = if metadata.is_some() || owner_only {
        0o600
    } else {
        0o666
    };
    let mut file = tempfile::Builder::new()
        .prefix(".claude-mesh-")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    if let Some(metadata) = metadata {
        copy_owner_and_mode(file.as_file(), metadata)?;
    }
    file.as_file().sync_all()?;
    Ok(file)
}

fn back_up(path: &Path, content: &[u8], metadata: &Metadata, now: Timestamp) -> io::Result<Backup> {
    let stamp = now.strftime("%Y%m%dT%H%M%SZ");
    let mut copy_number = 1;
    loop {
        let number_suffix = if copy_number > 1 {
            format!(".{copy_number}")
        } else {
            String::new()
        };
        let name = format!("{}.claude-mesh-{stamp}{number_suffix}.bak", file_name(path));
        let backup_path = folder(path).join(name);
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&backup_path);
        match created {
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => copy_number += 1,
            Err(fault) => return Err(fault),
            Ok(mut file) => {
                let backup = Backup {
                    path: backup_path,
                    keep_file: false,
                };
                file.write_all(content)?;
                copy_owner_and_mode(&file, metadata)?;
                file.sync_all()?;
                return Ok(backup);
            }
        }
    }
}

/// Gives a new file the owner and then the mode of the old one. A group that this user must not assign is not an error.
fn copy_owner_and_mode(file: &File, metadata: &Metadata) -> io::Result<()> {
    let current = file.metadata()?;
    if (current.uid(), current.gid()) != (metadata.uid(), metadata.gid()) {
        let chown_result =
            std::os::unix::fs::fchown(file, Some(metadata.uid()), Some(metadata.gid()));
        if current.uid() != metadata.uid() {
            chown_result?;
        }
    }
    file.set_permissions(Permissions::from_mode(metadata.mode() & 0o7777))
}

/// Makes the rename survive a power cut, where the file system can. Without it the old or the new content is there.
fn sync_folder(target: &Path) {
    if let Ok(folder) = File::open(folder(target)) {
        let _ = folder.sync_all();
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

impl Backup {
    fn keep(mut self) -> PathBuf {
        self.keep_file = true;
        std::mem::take(&mut self.path)
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        if !self.keep_file {
            let _ = fs::remove_file(&self.path);
        }
    }
}
