//! Lists the settings: name, default and description of each, for `Settings`, for `help` and for the documents.

/// One setting as the documents show it.
#[derive(Debug, Clone, Copy)]
pub struct SettingSpec {
    /// The variable.
    pub name: &'static str,
    /// What holds when it is not set.
    pub default: &'static str,
    /// One line on what it does.
    pub description: &'static str,
    /// Whether it may also stand in an `.env` file; the others belong to one session.
    pub allowed_in_file: bool,
}

/// Path of the database.
pub const DATABASE: &str = "MESH_DB_PATH";
/// `off` makes hooks and server inert.
pub const MESH_SWITCH: &str = "CLAUDE_MESH";
/// The folder of database, settings and logs.
pub const HOME: &str = "CLAUDE_MESH_HOME";
/// The name of this session's peer.
pub const NAME: &str = "CLAUDE_MESH_NAME";
/// The folder that counts as this session's project.
pub const PROJECT_PATH: &str = "CLAUDE_MESH_PROJECT_PATH";
/// `1` gives a `claude -p` run a mailbox.
pub const ANSWER: &str = "CLAUDE_MESH_ANSWER";
/// `full` makes every commit survive a power cut.
pub const SYNC: &str = "CLAUDE_MESH_SYNC";
/// Which sets of tools the server lists.
pub const TOOLS: &str = "CLAUDE_MESH_TOOLS";
/// How sessions are woken.
pub const WAKE: &str = "CLAUDE_MESH_WAKE";
/// How many turns peers may start without a prompt of the person between.
pub const WAKE_BUDGET: &str = "CLAUDE_MESH_WAKE_BUDGET";
/// The program that tells the person when a session needs them.
pub const NOTIFY_CMD: &str = "CLAUDE_MESH_NOTIFY_CMD";
/// `off` keeps nothing of prompts and messages for `list_peers`.
pub const ACTIVITY: &str = "CLAUDE_MESH_DOING";
/// How long answered questions and events are kept.
pub const KEEP_DAYS: &str = "CLAUDE_MESH_KEEP_DAYS";

/// All settings, in the order of the README.
pub const ALL: [SettingSpec; 13] = [
    SettingSpec {
        name: DATABASE,
        default: "~/.claude-mesh/mesh.db",
        description: "the database file; an absolute path",
        allowed_in_file: true,
    },
    SettingSpec {
        name: MESH_SWITCH,
        default: "on",
        description: "`off` makes hooks and server inert: nothing is written, nothing said",
        allowed_in_file: true,
    },
    SettingSpec {
        name: HOME,
        default: "~/.claude-mesh",
        description: "the folder of database, settings and logs; only from the environment",
        allowed_in_file: false,
    },
    SettingSpec {
        name: NAME,
        default: "from .claude-mesh.json or the folder",
        description: "the name of this session's peer; only from the environment",
        allowed_in_file: false,
    },
    SettingSpec {
        name: PROJECT_PATH,
        default: "Claude Code's project folder",
        description: "the folder that counts as this session's project; only from the environment",
        allowed_in_file: false,
    },
    SettingSpec {
        name: ANSWER,
        default: "0",
        description: "`1` gives a `claude -p` run a mailbox, so that it answers before it ends; only from the environment",
        allowed_in_file: false,
    },
    SettingSpec {
        name: SYNC,
        default: "normal",
        description: "`full` lets every answer survive a power cut, at the price of a disk flush each",
        allowed_in_file: true,
    },
    SettingSpec {
        name: TOOLS,
        default: "all",
        description: "sets of tools to list, for example `ask,claims`; `ask` is always there",
        allowed_in_file: true,
    },
    SettingSpec {
        name: WAKE,
        default: "watcher",
        description: "`polling` looks every 50 ms while waiting instead of watching a folder",
        allowed_in_file: true,
    },
    SettingSpec {
        name: WAKE_BUDGET,
        default: "20",
        description: "turns that peers may start in a session before its person types again; beyond it questions are held",
        allowed_in_file: true,
    },
    SettingSpec {
        name: NOTIFY_CMD,
        default: "none",
        description: "a program to run when a session waits for its person; the reason is in its environment (`CLAUDE_MESH_REASON`, `CLAUDE_MESH_PEER`)",
        allowed_in_file: true,
    },
    SettingSpec {
        name: ACTIVITY,
        default: "on",
        description: "`off` keeps nothing of what you type and of what the model says last; otherwise how both begin is shown to other sessions as `doing`",
        allowed_in_file: true,
    },
    SettingSpec {
        name: KEEP_DAYS,
        default: "30",
        description: "days for which answered questions, messages and events are kept",
        allowed_in_file: true,
    },
];

/// The sets that `CLAUDE_MESH_TOOLS` may name.
pub const TOOL_SETS: [&str; 7] = [
    "ask", "messages", "claims", "state", "memory", "tasks", "events",
];

/// The default of `CLAUDE_MESH_WAKE_BUDGET`.
pub const DEFAULT_WAKE_BUDGET: u32 = 20;
/// The default of `CLAUDE_MESH_KEEP_DAYS`, in milliseconds.
pub const DEFAULT_KEEP_MS: i64 = 30 * DAY_MS;

/// A day in milliseconds.
pub(super) const DAY_MS: i64 = 24 * 3600 * 1000;
