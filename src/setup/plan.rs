//! Plans the changes of an install or uninstall file by file, and applies them. Every file is read and its next content
//! computed before the first is written.
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::client_hooks;
use super::clients::ClientConfig;
use super::entries::{self, HookSets};
use super::error::InstallError;
use super::install_paths::{InstallPaths, InstallScope};
use super::json_text::JsonText;
use super::mod_files::{MOD_FILES, mod_folder, remove_empty_folders};
use super::mod_settings::{self, ModState};
use super::parse_error::ParseError;
use super::redact::redact;
use crate::setup::file_edits::Edit;
use crate::setup::hook_edits::wired_hooks;
use crate::setup::replace_with_backup;
use crate::setup::replace_with_backup::{CommitOutcome, Replacement, StagedFile};
use crate::setup::settings_edits::{InstallOptions, WantedSettings};

/// How often a file that changes meanwhile is planned again.
const COMMIT_ATTEMPTS_MAX: usize = 8;
/// Pause between two attempts.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// The planned changes.
#[derive(Debug)]
pub struct Plan {
    changes: Vec<FileChange>,
}

/// The planned change of one file.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// The file as it is named; a link is followed when writing.
    pub path: PathBuf,
    /// The content now; `None` if there is no such file.
    pub before: Option<Vec<u8>>,
    /// The next content; `None` if the file is removed.
    pub after: Option<Vec<u8>>,
    edit: Edit,
    owner_only: bool,
}

/// The changes that were made.
#[derive(Debug, Default)]
pub struct AppliedChanges {
    /// The files that were written or removed.
    pub written: Vec<WrittenFile>,
}

/// One file that was changed.
#[derive(Debug)]
pub struct WrittenFile {
    pub path: PathBuf,
    /// The copy of the content before; `None` for a new file, and for one that is removed because nothing else was in it.
    pub backup: Option<PathBuf>,
    /// Whether the file was removed.
    pub removed: bool,
}

/// Why applying a plan stopped; some files may have been written before.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ApplyError {
    /// What was written before.
    pub applied: AppliedChanges,
    /// Why the next file was not written.
    #[source]
    pub error: InstallError,
}

/// Plans an install. A plan without changes means that everything is installed.
pub fn install(
    paths: &InstallPaths,
    scope: InstallScope,
    options: InstallOptions,
) -> Result<Plan, InstallError> {
    let programs = match scope {
        InstallScope::User => Some(paths.programs.as_path()),
        InstallScope::Project | InstallScope::Local => None,
    };
    let settings_file = paths.settings_file(scope)?;
    let with_mod =
        scope == InstallScope::User && (options.install_mod || names_mod(&settings_file)?);
    let folder = mod_folder(paths);
    // The files of the mod come first: settings that name them are read at once by sessions that start.
    let mut edits = Vec::new();
    if with_mod {
        mod_settings::check_folder(&folder)?;
        let write = |(path, content): &(&str, &'static str)| {
            (folder.join(path), Edit::WriteFile(content), scope)
        };
        edits.extend(MOD_FILES.iter().map(write));
    }
    let settings = Edit::AddSettings(Box::new(WantedSettings {
        hooks: HookSets::load(programs)?,
        options,
        mod_folder: with_mod.then_some(folder),
    }));
    let server = Edit::AddServer(entries::server(programs)?);
    edits.push((settings_file, settings, scope));
    edits.push((paths.servers_file(scope)?, server, scope));
    Plan::new(edits)
}

/// Plans the removal of what [`install`] adds. The server entry of a project stays while the other settings file of the
/// project, shared or local, still has hooks of claude-mesh.
pub fn uninstall(paths: &InstallPaths, scope: InstallScope) -> Result<Plan, InstallError> {
    let other = match scope {
        InstallScope::User => None,
        InstallScope::Project => Some(paths.settings_file(InstallScope::Local)?),
        InstallScope::Local => Some(paths.settings_file(InstallScope::Project)?),
    };
    let still_used = match other {
        Some(other) => is_wired(&other)?,
        None => false,
    };
    let mut edits = vec![(paths.settings_file(scope)?, Edit::DropSettings, scope)];
    if !still_used {
        edits.push((paths.servers_file(scope)?, Edit::DropServer, scope));
    }
    if scope == InstallScope::User {
        let folder = mod_folder(paths);
        let remove =
            |(path, _): &(&str, &str)| (folder.join(path), Edit::RemoveFile(folder.clone()), scope);
        edits.extend(MOD_FILES.iter().map(remove));
    }
    Plan::new(edits)
}

/// Plans an install for another client than Claude Code: the entry that `--print` shows, in the file of the user, and hooks.
pub fn install_client(paths: &InstallPaths, client: ClientConfig) -> Result<Plan, InstallError> {
    let printed = client.configuration(&paths.programs, &paths.home)?;
    if let Some(file) = client.hooks_file(&paths.home) {
        let hooks = Edit::AddClientHooks(client_hooks::codex_hooks(&paths.programs)?);
        return Plan::of_client(
            paths,
            client,
            Edit::AddCodexServer(printed),
            Some((file, hooks)),
        );
    }
    let printed: Value =
        serde_json::from_str(&printed).expect("the files in config are checked by a test");
    Plan::of_client(paths, client, Edit::AddGemini(printed), None)
}

/// Plans the removal of what [`install_client`] adds.
pub fn uninstall_client(paths: &InstallPaths, client: ClientConfig) -> Result<Plan, InstallError> {
    match client.hooks_file(&paths.home) {
        Some(file) => {
            let hooks = (file, Edit::DropClientHooks);
            Plan::of_client(paths, client, Edit::DropCodexServer, Some(hooks))
        }
        None => Plan::of_client(paths, client, Edit::DropGemini, None),
    }
}

impl Plan {
    fn of_client(
        paths: &InstallPaths,
        client: ClientConfig,
        edit: Edit,
        hooks: Option<(PathBuf, Edit)>,
    ) -> Result<Self, InstallError> {
        let file = client.file(&paths.home).ok_or_else(|| {
            InstallError::unusable(
                &paths.home,
                format!("{} is installed by --print", client.name),
            )
        })?;
        let edits = hooks.into_iter().chain([(file, edit)]);
        let edits = edits.map(|(file, edit)| (file, edit, InstallScope::User));
        Self::new(edits.collect())
    }

    fn new(edits: Vec<(PathBuf, Edit, InstallScope)>) -> Result<Self, InstallError> {
        let mut changes = Vec::new();
        for (path, edit, scope) in edits {
            let before = replace_with_backup::read(&replace_with_backup::resolve_symlinks(&path)?)?;
            let change = FileChange {
                after: planned_content(&path, &edit, before.as_deref())?,
                path,
                before,
                edit,
                owner_only: scope == InstallScope::User,
            };
            changes.push(change);
        }
        changes.retain(|change| change.before != change.after);
        Ok(Self { changes })
    }

    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Returns the files that will change.
    pub fn changes(&self) -> &[FileChange] {
        &self.changes
    }

    /// Applies the plan: all next contents are on disk before the first file is replaced.
    ///
    /// `now` names the backups. A file that has changed since it was planned is planned again.
    pub fn apply(self, now: Timestamp) -> Result<AppliedChanges, ApplyError> {
        let mut applied = AppliedChanges::default();
        let staged: Result<Vec<_>, _> = self
            .changes
            .iter()
            .map(|change| change.stage(now))
            .collect();
        let staged = match staged {
            Ok(staged) => staged,
            Err(error) => return Err(ApplyError { applied, error }),
        };
        for (change, staged) in self.changes.into_iter().zip(staged) {
            match change.commit(staged, now) {
                Ok(written) => applied.written.extend(written),
                Err(error) => return Err(ApplyError { applied, error }),
            }
        }
        Ok(applied)
    }
}

impl FileChange {
    /// Returns whether the file is one of claude-mesh itself, and not one of Claude Code.
    pub fn is_own_file(&self) -> bool {
        matches!(self.edit, Edit::WriteFile(_) | Edit::RemoveFile(_))
    }

    /// Returns the content before and after as text to show, with secrets redacted.
    pub fn shown(&self) -> (String, String) {
        let text = |bytes: &Option<Vec<u8>>| {
            let bytes = bytes.as_deref().unwrap_or_default();
            redact(&String::from_utf8_lossy(bytes))
        };
        (text(&self.before), text(&self.after))
    }

    fn stage(&self, now: Timestamp) -> Result<StagedFile, InstallError> {
        let replacement = Replacement {
            path: &self.path,
            before: self.before.as_deref(),
            after: self.after.as_deref(),
            owner_only: self.owner_only,
            back_up: !self.is_own_file(),
        };
        replacement.stage(now)
    }

    fn commit(
        mut self,
        mut staged: StagedFile,
        now: Timestamp,
    ) -> Result<Option<WrittenFile>, InstallError> {
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            match staged.commit()? {
                CommitOutcome::Committed { backup } => {
                    if let Edit::RemoveFile(root) = &self.edit {
                        remove_empty_folders(&self.path, root);
                    }
                    return Ok(Some(WrittenFile {
                        removed: self.after.is_none(),
                        path: self.path,
                        backup,
                    }));
                }
                CommitOutcome::Changed { content } => self.before = content,
            }
            std::thread::sleep(RETRY_DELAY);
            self.after = planned_content(&self.path, &self.edit, self.before.as_deref())?;
            if self.before == self.after {
                return Ok(None);
            }
            staged = self.stage(now)?;
        }
        Err(InstallError::KeepsChanging { path: self.path })
    }
}

/// Returns the content of the file after the edit; `None` if the file is to be removed.
fn planned_content(
    path: &Path,
    edit: &Edit,
    before: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, InstallError> {
    match edit {
        Edit::WriteFile(content) => return Ok(Some(content.as_bytes().to_owned())),
        Edit::RemoveFile(_) => return Ok(None),
        _ if before.is_none() && edit.is_removal() => return Ok(None),
        _ => {}
    }
    let edited = edit
        .apply(before.unwrap_or_default())
        .map_err(|parse_error| InstallError::malformed(path, parse_error))?;
    if !edited.is_changed {
        return Ok(before.map(<[u8]>::to_owned));
    }
    let delete_file = edit.is_removal() && edited.is_empty && was_created_by_install(path, edit);
    Ok((!delete_file).then_some(edited.content))
}

/// Returns whether an install created the file: then the oldest backup, if any, has entries of claude-mesh already.
fn was_created_by_install(path: &Path, edit: &Edit) -> bool {
    let Some(oldest) = replace_with_backup::backups(path).into_iter().next() else {
        return true;
    };
    let content = replace_with_backup::read(&oldest)
        .ok()
        .flatten()
        .unwrap_or_default();
    edit.apply(&content).is_ok_and(|edited| edited.is_changed)
}

fn is_wired(settings: &Path) -> Result<bool, InstallError> {
    Ok(!read_settings(settings, wired_hooks)?.is_empty())
}

/// Returns whether a settings file names the folder of the mod.
fn names_mod(settings: &Path) -> Result<bool, InstallError> {
    Ok(read_settings(settings, ModState::of)?.folder.is_some())
}

fn read_settings<T>(
    settings: &Path,
    extract: impl FnOnce(&JsonText) -> Result<T, ParseError>,
) -> Result<T, InstallError> {
    let content = replace_with_backup::read(&replace_with_backup::resolve_symlinks(settings)?)?
        .unwrap_or_default();
    let json = JsonText::parse(&content);
    json.and_then(|json| extract(&json))
        .map_err(|parse_error| InstallError::malformed(settings, parse_error))
}
