//! A home with Claude Code's configuration files, and programs to install into it.
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use claude_mesh::setup::{
    AppliedChanges, Finding, InstallOptions, InstallPaths, InstallScope, Severity, WakeMethod,
    inspect, install, uninstall,
};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PROGRAMS: [&str; 7] = [
    "claude-mesh-server",
    "claude-mesh-remote",
    "claude-mesh-session-start",
    "claude-mesh-inbox-poll",
    "claude-mesh-inbox-wait",
    "claude-mesh-session-end",
    "claude-mesh-claim-guard",
];

/// A home with the programs and a project, without any file of Claude Code.
pub(crate) struct InstallHome {
    pub(crate) root: TempDir,
    pub(crate) places: InstallPaths,
}

impl InstallHome {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder can be made");
        let at = |name: &str| {
            let folder = root.path().join(name);
            fs::create_dir(&folder).expect("a new folder can be made");
            folder.canonicalize().expect("the folder exists")
        };
        let (home, programs, project) = (at("home"), at("bin"), at("project"));
        for name in PROGRAMS {
            write(&programs.join(name), "#!/bin/sh\n", 0o755);
        }
        let mut places = InstallPaths::new(&home, None, &programs).in_project(&project);
        places.search_path = vec![programs];
        // This machine may have one.
        places.managed_settings = root.path().join("no-managed-settings.json");
        Self { root, places }
    }

    pub(crate) fn with_files(files: &[(InstallScope, &str, &str)]) -> Self {
        let home = Self::new();
        for (scope, kind, content) in files {
            write(&home.file(*scope, kind), content, 0o600);
        }
        home
    }

    pub(crate) fn file(&self, scope: InstallScope, kind: &str) -> PathBuf {
        let file = match kind {
            "servers" => self.places.servers_file(scope),
            _ => self.places.settings_file(scope),
        };
        file.expect("the project folder is there")
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.file(InstallScope::User, "settings")
    }

    pub(crate) fn servers(&self) -> PathBuf {
        self.file(InstallScope::User, "servers")
    }

    #[track_caller]
    pub(crate) fn install(&self, scope: InstallScope) -> AppliedChanges {
        self.install_with(scope, InstallOptions::default())
    }

    #[track_caller]
    pub(crate) fn install_with(
        &self,
        scope: InstallScope,
        options: InstallOptions,
    ) -> AppliedChanges {
        let plan = install(&self.places, scope, options).expect("the files are valid");
        plan.apply(now()).expect("the folders can be written")
    }

    #[track_caller]
    pub(crate) fn wake(&self, scope: InstallScope, wake: WakeMethod) -> AppliedChanges {
        let wake = Some(wake);
        self.install_with(
            scope,
            InstallOptions {
                wake,
                ..InstallOptions::default()
            },
        )
    }

    #[track_caller]
    pub(crate) fn uninstall(&self, scope: InstallScope) -> AppliedChanges {
        let plan = uninstall(&self.places, scope).expect("the files are valid");
        plan.apply(now()).expect("the folders can be written")
    }

    /// Returns every file below the root with its content, except the programs.
    pub(crate) fn all_files(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("our own folder") {
                let path = entry.expect("our own folder").path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.root.path()).expect("below the root");
                    found.push((name.display().to_string(), read(&path)));
                }
            }
        }
        found.retain(|(name, _)| !name.starts_with("bin/"));
        found.sort();
        found
    }

    pub(crate) fn findings(&self, severity: Severity) -> Vec<Finding> {
        let mut findings = inspect(&self.places);
        findings.retain(|finding| finding.severity == severity);
        findings
    }

    #[track_caller]
    pub(crate) fn assert_problem(&self, part: &str, fix: Option<&str>) {
        let problems = self.findings(Severity::Problem);
        assert!(
            problems
                .iter()
                .any(|it| it.text.contains(part) && it.fix.as_deref() == fix),
            "{problems:#?}"
        );
    }

    #[track_caller]
    pub(crate) fn assert_note(&self, part: &str) {
        let notes = self.findings(Severity::Note);
        assert!(notes.iter().any(|it| it.text.contains(part)), "{notes:#?}");
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-21T02:15:00Z".parse().expect("a time")
}

pub(crate) fn write(path: &Path, content: &str, mode: u32) {
    let folder = path.parent().expect("a file is in a folder");
    fs::create_dir_all(folder).expect("our own folder");
    fs::write(path, content).expect("our own file");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|fault| format!("({fault})"))
}

pub(crate) fn json_of(path: &Path) -> Value {
    serde_json::from_str(&read(path)).expect("strict JSON")
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("the file exists").mode() & 0o7777
}
