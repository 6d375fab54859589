//! Reads the settings by which a person lets forks of their sessions answer questions, for `Settings`.
//!
//! They count only in the `.env` of the claude-mesh folder: a repository can commit settings of Claude Code that set the
//! environment of its sessions, and it must not decide what a session says to others, or what that costs.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::platform::env_file::EnvValues;
use crate::platform::fault::Fault;
use crate::platform::setting_specs::{
    DEFAULT_FORK_BUDGET, FORK, FORK_BUDGET, FORK_FROM, FORK_READS,
};
use crate::platform::setting_value::invalid_setting;

/// A greater budget is no limit any more.
const FORK_BUDGET_MAX: u32 = 10_000;

/// When a fork of a session answers a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForkMode {
    /// Never.
    #[default]
    Off,
    /// While the session works, or waits at a dialog.
    Busy,
    /// Also while it is idle.
    Always,
}

/// Whether and for whom forks answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkSettings {
    /// When a fork answers.
    pub mode: ForkMode,
    /// Whether a fork may read files of the project.
    pub reads: bool,
    /// Whether a fork answers sessions of other hosts too.
    pub from_other_hosts: bool,
    /// How many forks answer for one session in an hour.
    pub budget: u32,
}

impl Default for ForkSettings {
    fn default() -> Self {
        Self {
            mode: ForkMode::Off,
            reads: false,
            from_other_hosts: false,
            budget: DEFAULT_FORK_BUDGET,
        }
    }
}

/// Where these settings are looked for.
pub(super) struct Sources<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<OsString>,
    pub(super) files: &'a [(PathBuf, EnvValues)],
    /// The `.env` that counts; `None` if a repository may have chosen the claude-mesh folder.
    pub(super) own: Option<&'a Path>,
}

/// Settings that were found where they have no effect, each with the place.
type Untrusted = Vec<(&'static str, String)>;

impl Sources<'_> {
    /// Returns the settings, and adds to `untrusted` those that do not count where they are set.
    pub(super) fn read(&self, untrusted: &mut Untrusted) -> Result<ForkSettings, Fault> {
        let mut find = |name| self.find(name, untrusted);
        let [mode, reads, from, budget] = [
            find(FORK),
            find(FORK_READS),
            find(FORK_FROM),
            find(FORK_BUDGET),
        ];
        let mode = match choice(FORK, mode, &["off", "busy", "always"])? {
            1 => ForkMode::Busy,
            2 => ForkMode::Always,
            _ => ForkMode::Off,
        };
        Ok(ForkSettings {
            mode,
            reads: choice(FORK_READS, reads, &["off", "on"])? == 1,
            from_other_hosts: choice(FORK_FROM, from, &["host", "mesh"])? == 1,
            budget: budget.map_or(Ok(DEFAULT_FORK_BUDGET), parse_budget)?,
        })
    }

    fn find(&self, name: &'static str, untrusted: &mut Untrusted) -> Option<(String, String)> {
        if (self.environment)(name).is_some_and(|value| !value.is_empty()) {
            untrusted.push((name, "the environment".into()));
        }
        let mut found = None;
        for (path, values) in self.files {
            let Some(value) = values.get(name).filter(|value| !value.is_empty()) else {
                continue;
            };
            if Some(path.as_path()) == self.own {
                found = Some((value.clone(), path.display().to_string()));
            } else {
                untrusted.push((name, path.display().to_string()));
            }
        }
        found
    }
}

/// Returns the index of the value in `words`; the first is the default.
fn choice(name: &str, found: Option<(String, String)>, words: &[&str]) -> Result<usize, Fault> {
    let Some((value, from)) = found else {
        return Ok(0);
    };
    words
        .iter()
        .position(|word| value.eq_ignore_ascii_case(word))
        .ok_or_else(|| invalid_setting(name, &from, &words.join(" or "), &format!("{value:?}")))
}

fn parse_budget((value, from): (String, String)) -> Result<u32, Fault> {
    let number = value.parse().ok();
    number
        .filter(|number| *number <= FORK_BUDGET_MAX)
        .ok_or_else(|| {
            let wanted = format!("a whole number from 0 to {FORK_BUDGET_MAX}");
            invalid_setting(FORK_BUDGET, &from, &wanted, &format!("{value:?}"))
        })
}
