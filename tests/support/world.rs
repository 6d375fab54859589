//! A hermetic world: a temporary home, a cleared environment, and sessions made of real processes.
//!
//! A session is a client process of its own (a shell that stands for Claude Code), the real server below it, and the real
//! hooks run with its process number, as Claude Code runs them. Nothing outside the temporary home is touched.
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::{ProcessOutput, Session, WAIT_TIMEOUT, program};

pub(crate) struct World {
    home: tempfile::TempDir,
    pub(crate) environment: HashMap<String, String>,
    /// Where the servers of new sessions come from, and their hooks: this build, unless a test mixes two.
    pub(crate) servers: PathBuf,
    pub(crate) hooks: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let programs = Path::new(program("claude-mesh-server")).parent().unwrap();
        Self {
            home,
            environment: HashMap::new(),
            servers: programs.into(),
            hooks: programs.into(),
        }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().canonicalize().unwrap()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.home().join(".claude-mesh/mesh.db")
    }

    /// Opens the database as any other program can.
    pub(crate) fn rows(&self) -> rusqlite::Connection {
        let rows = rusqlite::Connection::open(self.database()).unwrap();
        rows.busy_timeout(WAIT_TIMEOUT).unwrap();
        rows
    }

    /// Sets a variable for every program started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.into(), value.into());
    }

    /// Makes a project folder.
    pub(crate) fn project(&self, path: &str) -> PathBuf {
        let folder = self.home().join(path);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Writes a file below the home.
    pub(crate) fn write(&self, path: &str, content: &str) -> PathBuf {
        let path = self.home().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Makes a program below the home, from text or as a copy. Another process writes it: a file that this one holds open
    /// for writing while a test beside it starts a process cannot be run for an instant.
    pub(crate) fn executable(&self, path: &str, content: &[u8]) -> PathBuf {
        let path = self.home().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut writer = Command::new("/bin/sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        writer.stdin.take().unwrap().write_all(content).unwrap();
        assert!(writer.wait().unwrap().success());
        path
    }

    /// Returns a command with this world's environment and nothing else.
    pub(crate) fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs(&self.environment)
            .current_dir(folder);
        command
    }

    /// Runs the program for people in a folder.
    pub(crate) fn cli(&self, folder: &Path, arguments: &[&str]) -> ProcessOutput {
        let output = self
            .command(program("claude-mesh"), folder)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        ProcessOutput::of(&output)
    }

    /// Opens an interactive session in a project.
    pub(crate) fn session(&self, project: &str) -> Session {
        self.session_with(project, &[])
    }

    /// Opens a session with variables of its own.
    pub(crate) fn session_with(&self, project: &str, environment: &[(&str, &str)]) -> Session {
        let session = self.bare_session(project, environment);
        session.hook("SessionStart", json!({ "source": "startup" }));
        session.discover();
        session.call("mesh_status", json!({}));
        session
    }

    /// Opens a client and its server, and lets neither say anything yet.
    pub(crate) fn bare_session(&self, project: &str, environment: &[(&str, &str)]) -> Session {
        // The shell stays the parent of the server, as Claude Code is.
        self.bare_session_with_script(project, environment, "/bin/sh", "\"$SERVER\"; :")
    }

    /// Opens a client that is this shell with this script, which starts `$SERVER` where it likes.
    pub(crate) fn bare_session_with_script(
        &self,
        project: &str,
        environment: &[(&str, &str)],
        shell: &str,
        script: &str,
    ) -> Session {
        Session::open(self, &self.project(project), environment, shell, script)
    }
}
