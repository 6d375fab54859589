//! Finds the paths of the files that an install changes, for a user, a project, or a checkout.
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::InstallError;
use crate::claude_code::{
    LOCAL_SETTINGS_FILE, MANAGED_SETTINGS_FILE, PROJECT_SETTINGS_DIR, SETTINGS_FILE,
};

/// The paths of Claude Code's files and of the installed programs, as the caller has found them.
#[derive(Clone, Debug)]
pub struct InstallPaths {
    /// The home folder, to show paths as `~/…`.
    pub home: PathBuf,
    /// `$CLAUDE_CONFIG_DIR`, else `~/.claude`.
    pub claude_dir: PathBuf,
    /// `$CLAUDE_CONFIG_DIR/.claude.json`, else `~/.claude.json`.
    pub claude_json: PathBuf,
    /// The folder of database and settings of claude-mesh.
    pub mesh_home: PathBuf,
    /// The settings of an organization, which override those of the user.
    pub managed_settings: PathBuf,
    /// The folder that holds `claude-mesh-server` and the hook programs.
    pub programs: PathBuf,
    /// The folder of the project, if there is one.
    pub project: Option<PathBuf>,
    /// The folders of `PATH`, in which Claude Code finds programs by bare name.
    pub search_path: Vec<PathBuf>,
}

/// Where claude-mesh is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InstallScope {
    /// For this user, in every project; programs by absolute path.
    User,
    /// For everyone who has this repository; programs by bare name.
    Project,
    /// For this checkout: hooks and permission rule stay out of the repository.
    Local,
}

impl InstallPaths {
    /// Returns the usual paths in `home`; an empty `claude_config_dir` counts as not set.
    pub fn new(home: &Path, claude_config_dir: Option<&Path>, programs: &Path) -> Self {
        let config_dir = claude_config_dir.filter(|dir| !dir.as_os_str().is_empty());
        Self {
            home: home.to_owned(),
            claude_dir: config_dir.map_or_else(|| home.join(".claude"), Path::to_owned),
            claude_json: config_dir.unwrap_or(home).join(".claude.json"),
            mesh_home: home.join(".claude-mesh"),
            managed_settings: PathBuf::from(MANAGED_SETTINGS_FILE),
            programs: programs.to_owned(),
            project: None,
            search_path: Vec::new(),
        }
    }

    /// Returns the same paths with this project.
    #[must_use]
    pub fn in_project(self, project: &Path) -> Self {
        Self {
            project: Some(project.to_owned()),
            ..self
        }
    }

    /// Returns the file for the server entry.
    pub fn servers_file(&self, scope: InstallScope) -> Result<PathBuf, InstallError> {
        match scope {
            InstallScope::User => Ok(self.claude_json.clone()),
            InstallScope::Project | InstallScope::Local => Ok(self.project()?.join(".mcp.json")),
        }
    }

    /// Returns the file for hooks and permission rules.
    pub fn settings_file(&self, scope: InstallScope) -> Result<PathBuf, InstallError> {
        match scope {
            InstallScope::User => Ok(self.claude_dir.join(SETTINGS_FILE)),
            InstallScope::Project => Ok(self.project_settings()?.join(SETTINGS_FILE)),
            InstallScope::Local => Ok(self.project_settings()?.join(LOCAL_SETTINGS_FILE)),
        }
    }

    /// Returns a path as a user would write it.
    pub(crate) fn display_path(&self, path: &Path) -> String {
        match path.strip_prefix(&self.home) {
            Ok(relative) if !relative.as_os_str().is_empty() => format!("~/{}", relative.display()),
            _ => path.display().to_string(),
        }
    }

    fn project_settings(&self) -> Result<PathBuf, InstallError> {
        Ok(self.project()?.join(PROJECT_SETTINGS_DIR))
    }

    fn project(&self) -> Result<&Path, InstallError> {
        let project = self.project.as_deref().unwrap_or(Path::new(""));
        if project.is_dir() {
            Ok(project)
        } else {
            Err(InstallError::unusable(
                project,
                "it is not the folder of a project",
            ))
        }
    }
}

impl InstallScope {
    /// Returns the flag of `claude-mesh install` and `uninstall` for this scope.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::User => "",
            Self::Project => " --project",
            Self::Local => " --local",
        }
    }
}
