//! Lists all settings with name, default and description, for `Settings`, for `claude-mesh help` and for the documents.

/// A setting as the documents show it.
#[derive(Debug, Clone, Copy)]
pub struct SettingSpec {
    /// The name of the variable.
    pub name: &'static str,
    /// The default, in words where it is no fixed value.
    pub default: &'static str,
    /// One line on what it does.
    pub description: &'static str,
    /// Whether an `.env` file may set it. The others belong to one session.
    pub allowed_in_file: bool,
}

/// The path of the database.
pub const DATABASE: &str = "MESH_DB_PATH";
/// The URL of the hub with the mesh of folders without a wall.
pub const HUB_URL: &str = "CLAUDE_MESH_URL";
/// The file with the access key for that hub.
pub const HUB_KEY_FILE: &str = "CLAUDE_MESH_KEY_FILE";
/// `off` makes hooks and server inert.
pub const MESH_SWITCH: &str = "CLAUDE_MESH";
/// The folder of database, settings and fault log.
pub const HOME: &str = "CLAUDE_MESH_HOME";
/// The name of this session's peer.
pub const NAME: &str = "CLAUDE_MESH_NAME";
/// The project folder of this session.
pub const PROJECT_PATH: &str = "CLAUDE_MESH_PROJECT_PATH";
/// `1` gives a `claude -p` run a mailbox.
pub const ANSWER: &str = "CLAUDE_MESH_ANSWER";
/// `full` makes every commit survive a power cut.
pub const SYNC: &str = "CLAUDE_MESH_SYNC";
/// The sets of tools that the server lists.
pub const TOOLS: &str = "CLAUDE_MESH_TOOLS";
/// How sessions are woken.
pub const WAKE: &str = "CLAUDE_MESH_WAKE";
/// How many turns peers may start between two prompts of the person.
pub const WAKE_BUDGET: &str = "CLAUDE_MESH_WAKE_BUDGET";
/// The program that notifies the person when a session waits for them.
pub const NOTIFY_CMD: &str = "CLAUDE_MESH_NOTIFY_CMD";
/// `desktop` notifies the person of questions by the desktop.
pub const NOTIFY: &str = "CLAUDE_MESH_NOTIFY";
/// How many questions an hour all sessions together may ask the person.
pub const PERSON_BUDGET: &str = "CLAUDE_MESH_PERSON_BUDGET";
/// `off` keeps no activity summary for `list_peers`.
pub const ACTIVITY: &str = "CLAUDE_MESH_DOING";
/// How long answered questions and events are kept.
pub const KEEP_DAYS: &str = "CLAUDE_MESH_KEEP_DAYS";

/// When a fork of a session answers a question.
pub const FORK: &str = "CLAUDE_MESH_FORK";
/// Whether such a fork may read files.
pub(super) const FORK_READS: &str = "CLAUDE_MESH_FORK_READS";
/// Whose questions it answers.
pub(super) const FORK_FROM: &str = "CLAUDE_MESH_FORK_FROM";
/// How many forks an hour answer for one session.
pub(super) const FORK_BUDGET: &str = "CLAUDE_MESH_FORK_BUDGET";

/// All settings, in the order of `docs/settings.md`.
pub const ALL: [SettingSpec; 21] = [
    SettingSpec {
        name: DATABASE,
        default: "~/.claude-mesh/mesh.db",
        description: "the database file; an absolute path",
        allowed_in_file: true,
    },
    SettingSpec {
        name: HUB_URL,
        default: "none",
        description: "the URL of the hub whose mesh folders without a wall use ([several machines](machines.md)); read from `~/.claude-mesh/.env`, and from the environment outside Claude Code",
        allowed_in_file: true,
    },
    SettingSpec {
        name: HUB_KEY_FILE,
        default: "the key that `claude-mesh join` stores",
        description: "the file with the access key for `CLAUDE_MESH_URL`, an absolute path; read from the same places",
        allowed_in_file: true,
    },
    SettingSpec {
        name: MESH_SWITCH,
        default: "on",
        description: "`off` makes hooks and server inert: they write nothing and print nothing",
        allowed_in_file: true,
    },
    SettingSpec {
        name: HOME,
        default: "~/.claude-mesh",
        description: "the folder of database, settings and fault log; read from the environment only",
        allowed_in_file: false,
    },
    SettingSpec {
        name: NAME,
        default: "from .claude-mesh.json or the folder",
        description: "the name of this session's peer; read from the environment only",
        allowed_in_file: false,
    },
    SettingSpec {
        name: PROJECT_PATH,
        default: "Claude Code's project folder",
        description: "the project folder of this session; read from the environment only",
        allowed_in_file: false,
    },
    SettingSpec {
        name: ANSWER,
        default: "0",
        description: "`1` gives a `claude -p` run a mailbox, so that it answers questions before it ends; read from the environment only",
        allowed_in_file: false,
    },
    SettingSpec {
        name: SYNC,
        default: "normal",
        description: "`full` makes every answer survive a power cut, at the cost of one disk flush for each commit",
        allowed_in_file: true,
    },
    SettingSpec {
        name: TOOLS,
        default: "all",
        description: "sets of tools to list, for example `ask,claims`; `ask` is always listed",
        allowed_in_file: true,
    },
    SettingSpec {
        name: WAKE,
        default: "watcher",
        description: "`polling` reads every 50 ms during a wait instead of watching a folder",
        allowed_in_file: true,
    },
    SettingSpec {
        name: WAKE_BUDGET,
        default: "20",
        description: "how many turns peers may start in a session before its person types again; questions beyond that are held",
        allowed_in_file: true,
    },
    SettingSpec {
        name: NOTIFY_CMD,
        default: "none",
        description: "a program that runs when a session waits for its person, and for a question to the person, whose text it reads from stdin; the reason is in its environment (`CLAUDE_MESH_REASON`, `CLAUDE_MESH_PEER`, `CLAUDE_MESH_QUESTION`)",
        allowed_in_file: true,
    },
    SettingSpec {
        name: NOTIFY,
        default: "off",
        description: "`desktop` shows a question to the person as a notification of the desktop, unless `CLAUDE_MESH_NOTIFY_CMD` is set",
        allowed_in_file: true,
    },
    SettingSpec {
        name: PERSON_BUDGET,
        default: "10",
        description: "how many questions an hour all sessions together may ask the person; questions beyond that are held; `0` holds all",
        allowed_in_file: true,
    },
    SettingSpec {
        name: ACTIVITY,
        default: "on",
        description: "`off` keeps nothing of your prompts and of the messages of the model; otherwise the beginning of the last of each is shown to other sessions as `doing`",
        allowed_in_file: true,
    },
    SettingSpec {
        name: KEEP_DAYS,
        default: "30",
        description: "how many days answered questions, messages and events are kept",
        allowed_in_file: true,
    },
    SettingSpec {
        name: FORK,
        default: "off",
        description: "with the [mod](mod.md): `busy` lets a fork of a session answer a question while the session works, `always` also while it is idle; read from `~/.claude-mesh/.env` only",
        allowed_in_file: true,
    },
    SettingSpec {
        name: FORK_READS,
        default: "off",
        description: "`on` lets such a fork read files of the project; read from `~/.claude-mesh/.env` only",
        allowed_in_file: true,
    },
    SettingSpec {
        name: FORK_FROM,
        default: "host",
        description: "`mesh` lets it answer sessions of other hosts too; read from `~/.claude-mesh/.env` only",
        allowed_in_file: true,
    },
    SettingSpec {
        name: FORK_BUDGET,
        default: "20",
        description: "how many forks an hour answer for one session; questions beyond that go to the session; read from `~/.claude-mesh/.env` only",
        allowed_in_file: true,
    },
];

/// The sets that `CLAUDE_MESH_TOOLS` may name.
pub const TOOL_SETS: [&str; 7] = [
    "ask", "messages", "claims", "state", "memory", "tasks", "events",
];

/// The default of `CLAUDE_MESH_WAKE_BUDGET`.
pub const DEFAULT_WAKE_BUDGET: u32 = 20;
/// The default of `CLAUDE_MESH_PERSON_BUDGET`.
pub const DEFAULT_PERSON_BUDGET: u32 = 10;
/// The default of `CLAUDE_MESH_FORK_BUDGET`.
pub(super) const DEFAULT_FORK_BUDGET: u32 = 20;
/// The default of `CLAUDE_MESH_KEEP_DAYS`, in milliseconds.
pub const DEFAULT_KEEP_MS: i64 = 30 * DAY_MS;

/// A day in milliseconds.
pub(super) const DAY_MS: i64 = 24 * 3600 * 1000;
