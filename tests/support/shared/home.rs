//! A temporary home: nothing of the user's is in it, and nothing outside of it is touched.
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path().join(".claude-mesh/mesh.db")
    }

    /// Creates a project folder.
    pub(crate) fn project(&self, path: &str) -> PathBuf {
        let folder = self.path().join(path);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Returns a command with this home and nothing else in its environment.
    pub(crate) fn command(&self, program: impl AsRef<Path>, folder: &Path) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir(folder);
        command
    }
}
