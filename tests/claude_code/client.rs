//! A home, projects, and `claude` processes that end with their test.
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::claude_sandbox;
use super::installed;
use super::network::Network;
use super::scripted_api::ScriptedApi;
use super::terminal::Terminal;

/// A home with Claude Code set up in it, without anything of the user of the machine.
pub(crate) struct Lab {
    root: TempDir,
    claude: &'static Path,
    _network: Network,
}

/// A client before its start: its project, its model, its environment.
pub(crate) struct LabSession<'lab> {
    lab: &'lab Lab,
    project: &'lab Path,
    api: &'lab ScriptedApi,
    environment: Vec<(&'static str, String)>,
    arguments: Vec<&'static str>,
}

/// A running `claude` without a terminal; it is killed if the test ends first.
pub(crate) struct Running {
    child: Child,
    output: TempDir,
}

/// The output and exit status of a `claude` without a terminal.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Long enough for a loaded machine; a healthy run takes one or two seconds.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

impl Lab {
    /// Returns `None` after reporting why, if the client is not available.
    pub(crate) fn new() -> Option<Lab> {
        // The download needs the network, which is not available afterwards.
        let claude = installed::claude()?;
        let root = TempDir::new().expect("there is a temporary folder");
        let lab = Lab {
            root,
            claude,
            _network: Network::isolated(),
        };
        for folder in ["home/.claude", "run", "tmp"] {
            fs::create_dir_all(lab.path(folder)).expect("the folder is writable");
        }
        lab.write(
            "home/.claude/settings.json",
            &json!({"permissions": {"allow": ["Bash", "Read"]}}),
        );
        lab.write("home/.claude.json", &claude_sandbox::onboarded_config());
        Some(lab)
    }

    /// Creates a project that the client trusts; `.claude-mesh.json` names it.
    pub(crate) fn project(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir(&folder).expect("each project is created once");
        self.write(&format!("{name}/.claude-mesh.json"), &json!({"name": name}));
        let mut config = self.read("home/.claude.json");
        config["projects"][folder.to_str().expect("the path is UTF-8")] =
            claude_sandbox::trusted_project_config();
        self.write("home/.claude.json", &config);
        folder
    }

    pub(crate) fn session<'lab>(
        &'lab self,
        project: &'lab Path,
        api: &'lab ScriptedApi,
    ) -> LabSession<'lab> {
        LabSession {
            lab: self,
            project,
            api,
            environment: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// Changes a user setting of the client.
    pub(crate) fn set(&self, setting: &str, value: Value) {
        let mut settings = self.read("home/.claude/settings.json");
        settings[setting] = value;
        self.write("home/.claude/settings.json", &settings);
    }

    /// Returns the complete environment of processes in this home.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let shown = |path: &Path| path.to_str().expect("the path is UTF-8").to_owned();
        let programs = self.claude.parent().expect("the program is in a folder");
        // The programs of claude-mesh are on the path too, as after `cargo install`.
        let hooks = Path::new(env!("CARGO_BIN_EXE_claude-mesh-session-start"));
        let hooks = hooks.parent().expect("the program is in a folder");
        let path = format!(
            "{}:{}:/usr/local/bin:/usr/bin:/bin",
            shown(programs),
            shown(hooks)
        );
        vec![
            ("HOME", shown(&self.path("home"))),
            ("PATH", path),
            ("TERM", "xterm-256color".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TMPDIR", shown(&self.path("tmp"))),
            ("XDG_RUNTIME_DIR", shown(&self.path("run"))),
        ]
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    fn read(&self, below: &str) -> Value {
        let text = fs::read(self.path(below)).expect("the file was written before");
        serde_json::from_slice(&text).expect("it is JSON")
    }

    fn write(&self, below: &str, value: &Value) {
        fs::write(self.path(below), value.to_string()).expect("the folder is writable");
    }
}

impl LabSession<'_> {
    pub(crate) fn env(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Adds an argument for the client in a terminal.
    pub(crate) fn argument(mut self, argument: &'static str) -> Self {
        self.arguments.push(argument);
        self
    }

    /// Starts `claude -p`; its result is the last text of its model.
    pub(crate) fn headless(&self, prompt: &str) -> Running {
        self.run(&["-p", "--output-format", "json", prompt])
    }

    /// Starts `claude` with any arguments, without a terminal.
    pub(crate) fn run(&self, arguments: &[&str]) -> Running {
        let output = TempDir::new_in(self.lab.root.path()).expect("the folder is writable");
        let file = |name| File::create(output.path().join(name)).expect("the folder is writable");
        let child = Command::new(self.lab.claude)
            .args(arguments)
            .current_dir(self.project)
            .env_clear()
            .envs(self.environment())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("the program was found at the start");
        Running { child, output }
    }

    /// Starts `claude` in a terminal; `None` after reporting why, if tmux is missing.
    pub(crate) fn interactive(&self) -> Option<Terminal> {
        let socket = tempfile::Builder::new()
            .prefix("tmux")
            .tempdir_in(self.lab.root.path());
        let socket = socket.expect("the folder is writable");
        let program = self.lab.claude.to_str().expect("the path is UTF-8");
        let command = [&[program], &self.arguments[..]].concat();
        Terminal::open(socket, self.project, &self.environment(), &command)
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = self.lab.environment();
        environment.extend(claude_sandbox::environment(&self.api.url()));
        environment.extend(self.environment.clone());
        environment
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end, at most for [`WAIT_TIMEOUT`].
    #[track_caller]
    pub(crate) fn finish(mut self) -> Finished {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        let status = loop {
            if let Some(status) = self
                .child
                .try_wait()
                .expect("the process is a child of the test")
            {
                break status;
            }
            let (stdout, stderr) = (self.read("stdout"), self.read("stderr"));
            assert!(
                Instant::now() < deadline,
                "claude still runs after {WAIT_TIMEOUT:?}: {stdout}{stderr}"
            );
            thread::sleep(Duration::from_millis(10));
        };
        let (stdout, stderr) = (self.read("stdout"), self.read("stderr"));
        Finished {
            status,
            stdout,
            stderr,
        }
    }

    fn read(&self, name: &str) -> String {
        let text =
            fs::read(self.output.path().join(name)).expect("the file was created at the start");
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails if it has ended already, which is the usual case.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Finished {
    /// Returns the result text of a successful `claude -p`.
    #[track_caller]
    pub(crate) fn result(&self) -> String {
        let outcome: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no result: {self:#?}"));
        assert!(
            self.status.success() && outcome["is_error"] == false,
            "it failed: {}{}",
            self.stdout,
            self.stderr
        );
        outcome["result"]
            .as_str()
            .expect("a result is text")
            .to_owned()
    }
}
