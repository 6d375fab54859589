//! Reads all settings once for each program: from the environment, else the `.env` in or above the folder of the program,
//! else `~/.claude-mesh/.env`, else the default. No other code reads the environment.
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU64, Ordering};

use crate::platform::env_file;
use crate::platform::fault::{Fault, FaultKind};
use crate::platform::fork_setting::{self, ForkSettings};
use crate::platform::hub_setting::{self, FoundHub, HubSetting};
use crate::platform::setting_specs::DAY_MS;
use crate::platform::setting_value::{invalid_setting, parse_tool_sets, require_absolute};

pub use crate::platform::claude_environment::ClaudeEnvironment;
pub use crate::platform::setting_specs::{
    ACTIVITY, ALL, ANSWER, DATABASE, DEFAULT_KEEP_MS, DEFAULT_PERSON_BUDGET, DEFAULT_WAKE_BUDGET,
    FORK, HOME, HUB_KEY_FILE, HUB_URL, KEEP_DAYS, MESH_SWITCH, NAME, NOTIFY, NOTIFY_CMD,
    PERSON_BUDGET, PROJECT_PATH, SYNC, SettingSpec, TOOL_SETS, TOOLS, WAKE, WAKE_BUDGET,
};
pub use crate::platform::setting_value::expand_home;

/// The settings, resolved once and passed down.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch that people set"
)]
#[expect(missing_docs, reason = "the other field names say it")]
pub struct Settings {
    /// The home folder of the user.
    pub home: PathBuf,
    /// The folder of database, settings and fault log.
    pub mesh_home: PathBuf,
    /// The database that `MESH_DB_PATH` names, and where it is set.
    pub database: Option<(PathBuf, String)>,
    /// The hub that `CLAUDE_MESH_URL` names.
    pub hub: Option<HubSetting>,
    /// Whether and for whom forks of sessions answer questions.
    pub fork: ForkSettings,
    /// Settings that a repository could have set, and that therefore do not count where they are set, each with the place.
    pub untrusted: Vec<(&'static str, String)>,
    /// Whether only the environment of a session names the claude-mesh folder, so that a repository may have chosen it: hubs
    /// that its files name do not count.
    pub is_mesh_home_untrusted: bool,
    /// Whether hooks and server are inert.
    pub disabled: bool,
    /// The name that the environment gives this session.
    pub name: Option<String>,
    /// `CLAUDE_MESH_PROJECT_PATH`, made absolute.
    pub project_path: Option<PathBuf>,
    /// Whether a headless run has a mailbox.
    pub headless_mailbox: bool,
    /// Whether each commit is flushed to disk.
    pub sync_full: bool,
    /// The sets of tools to list; `None` means all.
    pub tools: Option<Vec<String>>,
    /// Whether waits read every 50 ms instead of using file notification.
    pub polling: bool,
    /// How many turns peers may start between two prompts of the person.
    pub wake_budget: u32,
    /// The program that notifies the person when a session waits for them or asks them.
    pub notify_command: Option<PathBuf>,
    /// The program `claude-mesh`, if it is to notify the person of questions by the desktop.
    pub desktop_notifier: Option<PathBuf>,
    /// How many questions an hour all sessions together may ask the person.
    pub person_budget: u32,
    /// Whether an activity summary is kept for other sessions.
    pub keeps_activity: bool,
    /// How long answered questions and events are kept, in milliseconds.
    pub keep_ms: i64,
    /// Settings that a file sets without effect, each with the file.
    pub misplaced: Vec<(&'static str, PathBuf)>,
    pub working_directory: PathBuf,
    /// The folders in `PATH`.
    pub search_path: Vec<PathBuf>,
    /// The file with the passwords of PostgreSQL servers: `PGPASSFILE`, else `~/.pgpass`.
    pub pass_file: PathBuf,
    /// The command that opens a page: `BROWSER`.
    pub browser: Option<OsString>,
    /// Whether there is a screen on which a browser can open: `DISPLAY` or `WAYLAND_DISPLAY` is set.
    pub has_display: bool,
    /// The environment that Claude Code sets.
    pub claude: ClaudeEnvironment,
}

impl Settings {
    /// Reads the settings of this process.
    pub fn of_this_process() -> Result<Self, Fault> {
        let home = user_home()?;
        // Linux gives the path of the file, not of the link by which it was started. Elsewhere links are resolved here.
        let program = std::env::current_exe().ok().map(|path| {
            if cfg!(target_os = "linux") {
                return path;
            }
            path.canonicalize().unwrap_or(path)
        });
        let working_directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        Self::read(
            &environment_variable,
            home,
            program.as_deref(),
            working_directory,
        )
    }

    /// Returns the claude-mesh folder of this process, for the fault log when the settings cannot be read.
    pub fn mesh_home_of_this_process() -> Option<PathBuf> {
        mesh_home(&environment_variable, &user_home().ok()?).ok()
    }

    /// Reads the settings of a process with this environment, home, program file and working directory.
    pub fn read(
        environment: &dyn Fn(&str) -> Option<OsString>,
        home: PathBuf,
        program: Option<&Path>,
        working_directory: PathBuf,
    ) -> Result<Self, Fault> {
        let mesh_home = mesh_home(environment, &home)?;
        let layers = Layers {
            environment,
            files: env_file::read_env_files(program, &mesh_home)?,
        };
        let claude = ClaudeEnvironment::read(environment, &home);
        let mut found = layers.hub(&home, &mesh_home, &claude.config_dir)?;
        Ok(Self {
            database: layers.path_and_origin(DATABASE, &home)?,
            fork: layers.fork(&mesh_home, &mut found)?,
            hub: found.hub,
            untrusted: found.untrusted,
            is_mesh_home_untrusted: found.is_mesh_home_untrusted,
            disabled: layers.choice_index(MESH_SWITCH, &["on", "off"])? == 1,
            name: layers.environment_only(NAME)?,
            project_path: layers
                .environment_only(PROJECT_PATH)?
                .map(|path| working_directory.join(path)),
            headless_mailbox: layers
                .environment_only(ANSWER)?
                .is_some_and(|value| value == "1"),
            sync_full: layers.choice_index(SYNC, &["normal", "full"])? == 1,
            tools: layers
                .find(TOOLS)
                .filter(|(value, _)| value != "all")
                .map(|(value, from)| parse_tool_sets(&value, &from))
                .transpose()?,
            polling: layers.choice_index(WAKE, &["watcher", "polling"])? == 1,
            wake_budget: layers
                .integer_in_range(WAKE_BUDGET, 0..=10_000)?
                .unwrap_or(DEFAULT_WAKE_BUDGET),
            notify_command: layers.absolute_path(NOTIFY_CMD, &home)?,
            desktop_notifier: (layers.choice_index(NOTIFY, &["off", "desktop"])? == 1)
                .then(|| command_line_program(program)),
            person_budget: layers
                .integer_in_range(PERSON_BUDGET, 0..=10_000)?
                .unwrap_or(DEFAULT_PERSON_BUDGET),
            keeps_activity: layers.choice_index(ACTIVITY, &["on", "off"])? == 0,
            keep_ms: layers
                .integer_in_range(KEEP_DAYS, 1..=3650)?
                .map_or(DEFAULT_KEEP_MS, |days: i64| days * DAY_MS),
            pass_file: pass_file(environment, &home, &working_directory),
            browser: environment("BROWSER").filter(|value| !value.is_empty()),
            has_display: has_display(environment),
            claude,
            misplaced: layers.misplaced(),
            home,
            mesh_home,
            working_directory,
            search_path: environment("PATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
        })
    }

    /// Returns whether the client is a `claude -p` run, according to its environment.
    pub fn is_headless(&self) -> bool {
        self.claude
            .entrypoint
            .as_deref()
            .is_some_and(|entrypoint| entrypoint != "cli" && entrypoint.starts_with("sdk"))
    }

    /// Returns the project folder: `CLAUDE_MESH_PROJECT_PATH`, else that of Claude Code if `from_claude`, else the working
    /// directory.
    pub fn project_folder(&self, from_claude: bool) -> PathBuf {
        let client_folder = self.claude.project_dir.as_ref().filter(|_| from_claude);
        self.project_path
            .as_ref()
            .or(client_folder)
            .unwrap_or(&self.working_directory)
            .clone()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
fn environment_variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Returns whether a test kills this process at a point. `NAME/N` does so at one of N passages, by chance; `NAME@N` at the Nth.
#[cfg(debug_assertions)]
pub(super) fn is_killed_at(point: &str) -> bool {
    let Some(named) = environment_variable("CLAUDE_MESH_KILL_AT") else {
        return false;
    };
    let named = named.to_string_lossy();
    named.split(',').any(|one| {
        if let Some((name, passage)) = one.split_once('@') {
            static PASSAGES: AtomicU64 = AtomicU64::new(0);
            return name == point
                && passage.parse() == Ok(PASSAGES.fetch_add(1, Ordering::Relaxed) + 1);
        }
        let (name, odds) = one.split_once('/').unwrap_or((one, "1"));
        name == point && fastrand::u64(0..odds.parse().unwrap_or(1)) == 0
    })
}

fn user_home() -> Result<PathBuf, Fault> {
    match (dirs::home_dir(), environment_variable(HOME)) {
        (Some(home), _) => Ok(home),
        (None, Some(_)) => Ok(PathBuf::from("/")),
        (None, None) => Err(Fault::new(
            FaultKind::Setting,
            "HOME is not set, so the folder ~/.claude-mesh cannot be determined",
            "set HOME or CLAUDE_MESH_HOME",
        )),
    }
}

/// Returns the program `claude-mesh`, which is installed in the folder of this one.
fn command_line_program(program: Option<&Path>) -> PathBuf {
    program.map_or_else(
        || PathBuf::from("claude-mesh"),
        |program| program.with_file_name("claude-mesh"),
    )
}

fn has_display(environment: &dyn Fn(&str) -> Option<OsString>) -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .into_iter()
        .any(|name| environment(name).is_some_and(|value| !value.is_empty()))
}

/// Returns the file in which the programs of PostgreSQL look for passwords.
fn pass_file(
    environment: &dyn Fn(&str) -> Option<OsString>,
    home: &Path,
    working_directory: &Path,
) -> PathBuf {
    let named = environment("PGPASSFILE").filter(|value| !value.is_empty());
    named.map_or_else(|| home.join(".pgpass"), |file| working_directory.join(file))
}

fn mesh_home(
    environment: &dyn Fn(&str) -> Option<OsString>,
    home: &Path,
) -> Result<PathBuf, Fault> {
    match environment(HOME).filter(|value| !value.is_empty()) {
        Some(value) => require_absolute(HOME, "the environment", &PathBuf::from(value), home),
        None => Ok(home.join(".claude-mesh")),
    }
}

/// An `.env` file and what it sets.
type SettingsFile = (PathBuf, HashMap<String, String>);

/// The environment over the `.env` files.
struct Layers<'a> {
    environment: &'a dyn Fn(&str) -> Option<OsString>,
    files: Vec<SettingsFile>,
}

impl Layers<'_> {
    /// Returns a value and where it is set.
    fn find(&self, name: &str) -> Option<(String, String)> {
        if let Some(value) = (self.environment)(name).filter(|value| !value.is_empty()) {
            return Some((
                value.to_string_lossy().into_owned(),
                "the environment".into(),
            ));
        }
        self.files.iter().find_map(|(path, values)| {
            let value = values.get(name).filter(|value| !value.is_empty())?;
            Some((value.clone(), path.display().to_string()))
        })
    }

    /// Returns the hub that is set, and the settings of one that do not count.
    fn hub(&self, home: &Path, mesh_home: &Path, config_dir: &Path) -> Result<FoundHub, Fault> {
        hub_setting::Sources {
            environment: self.environment,
            files: &self.files,
            home,
            mesh_home,
            config_dir,
        }
        .read()
    }

    /// Returns the settings of forks, and adds to `found` those that do not count.
    fn fork(&self, mesh_home: &Path, found: &mut FoundHub) -> Result<ForkSettings, Fault> {
        let own = mesh_home.join(".env");
        let sources = fork_setting::Sources {
            environment: self.environment,
            files: &self.files,
            own: (!found.is_mesh_home_untrusted).then_some(own.as_path()),
        };
        sources.read(&mut found.untrusted)
    }

    /// Returns the path that a setting names, and where it is set.
    fn path_and_origin(&self, name: &str, home: &Path) -> Result<Option<(PathBuf, String)>, Fault> {
        self.find(name)
            .map(|(value, from)| {
                let path = require_absolute(name, &from, Path::new(&value), home)?;
                Ok((path, from))
            })
            .transpose()
    }

    /// Returns the path that a setting names.
    fn absolute_path(&self, name: &str, home: &Path) -> Result<Option<PathBuf>, Fault> {
        let found = self.path_and_origin(name, home)?;
        Ok(found.map(|(path, _)| path))
    }

    /// Returns the settings that only the environment may give and that a file sets, each with the file.
    fn misplaced(&self) -> Vec<(&'static str, PathBuf)> {
        let of_file = |(path, values): &SettingsFile| {
            ALL.iter()
                .filter(|setting| !setting.allowed_in_file && values.contains_key(setting.name))
                .map(|setting| (setting.name, path.clone()))
                .collect::<Vec<_>>()
        };
        self.files.iter().flat_map(of_file).collect()
    }

    /// Returns a value that only the environment may give.
    fn environment_only(&self, name: &str) -> Result<Option<String>, Fault> {
        (self.environment)(name)
            .filter(|value| !value.is_empty())
            .map(|value| {
                value.into_string().map_err(|_| {
                    invalid_setting(name, "the environment", "UTF-8 text", "other bytes")
                })
            })
            .transpose()
    }

    /// Returns the index of the value in `words`; the first is the default.
    fn choice_index(&self, name: &str, words: &[&str]) -> Result<usize, Fault> {
        let Some((value, from)) = self.find(name) else {
            return Ok(0);
        };
        words
            .iter()
            .position(|word| value.eq_ignore_ascii_case(word))
            .ok_or_else(|| invalid_setting(name, &from, &words.join(" or "), &format!("{value:?}")))
    }

    fn integer_in_range<T: FromStr + PartialOrd + Display>(
        &self,
        name: &str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, Fault> {
        let Some((value, from)) = self.find(name) else {
            return Ok(None);
        };
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        match value.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(invalid_setting(name, &from, &wanted, &format!("{value:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        environment: &[(&str, &str)],
        home: &Path,
        program: Option<&Path>,
    ) -> Result<Settings, Fault> {
        let environment: HashMap<String, OsString> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
            .collect();
        Settings::read(
            &|name| environment.get(name).cloned(),
            home.into(),
            program,
            home.join("work"),
        )
    }

    #[test]
    fn environment_overrides_program_env_file_over_home_env_file() {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("opt/bin/claude-mesh-server");
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        std::fs::create_dir_all(home.path().join(".claude-mesh")).unwrap();
        std::fs::write(
            home.path().join(".claude-mesh/.env"),
            "MESH_DB_PATH=/c/mesh.db\nCLAUDE_MESH_SYNC=full\n",
        )
        .unwrap();
        let at =
            |environment: &[(&str, &str)]| read(environment, home.path(), Some(&program)).unwrap();
        assert_eq!(at(&[]).database.unwrap().0, Path::new("/c/mesh.db"));
        std::fs::write(
            home.path().join("opt/.env"),
            "OTHER=1\nMESH_DB_PATH=~/b/mesh.db\n",
        )
        .unwrap();
        assert_eq!(at(&[]).database.unwrap().0, home.path().join("b/mesh.db"));
        assert!(
            at(&[]).sync_full,
            "a key that the nearer file lacks comes from the farther one"
        );
        assert_eq!(
            at(&[(DATABASE, "/a/mesh.db")]).database.unwrap().0,
            Path::new("/a/mesh.db")
        );
        assert!(at(&[]).name.is_none());
    }

    #[test]
    fn invalid_setting_fault_names_it_and_the_expected_value() {
        let home = tempfile::tempdir().unwrap();
        let message = |name, value| {
            read(&[(name, value)], home.path(), None)
                .unwrap_err()
                .message
        };
        assert_eq!(
            message(KEEP_DAYS, "many"),
            "CLAUDE_MESH_KEEP_DAYS must be a whole number from 1 to 3650, got \"many\""
        );
        assert_eq!(
            message(DATABASE, "mesh.db"),
            "MESH_DB_PATH must be an absolute path, got \"mesh.db\""
        );
        assert_eq!(
            message(SYNC, "half"),
            "CLAUDE_MESH_SYNC must be normal or full, got \"half\""
        );
        assert!(message(TOOLS, "ask,clams").ends_with("got \"clams\""));
    }

    // Requirement: Ask 6
    #[test]
    fn project_folder_is_explicit_path_then_claude_dir_then_cwd() {
        let home = tempfile::tempdir().unwrap();
        let at = |environment: &[(&str, &str)]| read(environment, home.path(), None).unwrap();
        let claude = ("CLAUDE_PROJECT_DIR", "/claude");
        assert_eq!(
            at(&[claude, (PROJECT_PATH, "/given")]).project_folder(true),
            Path::new("/given")
        );
        assert_eq!(at(&[claude]).project_folder(true), Path::new("/claude"));
        assert_eq!(
            at(&[claude]).project_folder(false),
            home.path().join("work")
        );
        assert_eq!(
            at(&[(PROJECT_PATH, ".")]).project_folder(false),
            home.path().join("work/.")
        );
    }
}
