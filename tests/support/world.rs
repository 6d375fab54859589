//! A hermetic world: a temporary home, a cleared environment, and sessions made of real processes.
use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::shared::Home;
use super::{ProcessOutput, Session, Shell, WAIT_TIMEOUT, program};

pub(crate) struct World {
    home: Home,
    pub(crate) environment: HashMap<String, String>,
    /// The folders of server and hooks of new sessions: this build, unless a test mixes two.
    pub(crate) servers: PathBuf,
    pub(crate) hooks: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        let programs = Path::new(program("claude-mesh-server")).parent().unwrap();
        Self {
            home,
            environment: HashMap::new(),
            servers: programs.into(),
            hooks: programs.into(),
        }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.home.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.home.database()
    }

    /// Makes the database unreadable for a program that opens it, until the result is dropped.
    pub(crate) fn make_unopenable(&self) -> impl Drop + use<> {
        struct Header(std::fs::File, [u8; 16]);
        impl Drop for Header {
            fn drop(&mut self) {
                self.0.write_all_at(&self.1, 0).unwrap();
            }
        }
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).open(self.database());
        let mut header = Header(file.unwrap(), [0; 16]);
        header.0.read_exact_at(&mut header.1, 0).unwrap();
        header.0.write_all_at(&[0xff; 16], 0).unwrap();
        header
    }

    /// Opens the database without the library.
    pub(crate) fn rows(&self) -> rusqlite::Connection {
        let rows = rusqlite::Connection::open(self.database()).unwrap();
        rows.busy_timeout(WAIT_TIMEOUT).unwrap();
        rows
    }

    /// Sets a variable for every program that is started later.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.into(), value.into());
    }

    /// Creates a project folder.
    pub(crate) fn project(&self, path: &str) -> PathBuf {
        self.home.project(path)
    }

    /// Writes a file below the home.
    pub(crate) fn write(&self, path: &str, content: &str) -> PathBuf {
        let path = self.home().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Creates a program below the home. Another process writes it: a file that this one has open for writing while a
    /// concurrent test starts a process cannot be executed for a moment.
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

    /// Returns a command with the environment of this world and nothing else.
    pub(crate) fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = self.home.command(program, folder);
        command.envs(&self.environment);
        command
    }

    /// Runs the command line in a folder.
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

    /// Opens a session with further variables.
    pub(crate) fn session_with(&self, project: &str, environment: &[(&str, &str)]) -> Session {
        let session = self.bare_session(project, environment);
        session.hook("SessionStart", json!({ "source": "startup" }));
        session.discover();
        session.call("mesh_status", json!({}));
        session
    }

    /// Opens a client and its server, without any request or hook.
    pub(crate) fn bare_session(&self, project: &str, environment: &[(&str, &str)]) -> Session {
        // The shell stays the parent of the server, as Claude Code does.
        self.bare_session_with_script(project, environment, "/bin/sh", "\"$SERVER\"; :")
    }

    /// Opens a client that is a shell with this script, which starts `$SERVER`.
    pub(crate) fn bare_session_with_script(
        &self,
        project: &str,
        environment: &[(&str, &str)],
        shell: &str,
        script: &str,
    ) -> Session {
        let shell = Shell {
            program: shell,
            script,
        };
        Session::open(self, &self.project(project), environment, shell)
    }
}
