//! Checks the hooks of one settings file against those that an install adds.
use std::path::Path;

use serde_json::Value;

use super::entries::{GUARD_PROGRAM, HookSets, WAITING_HOOK_PROGRAM, WantedHook};
use super::finding::{Finding, install_command, note, ok, problem};
use super::install_paths::InstallPaths;
use super::program_path::find_program;
use super::wired_state::SettingsFile;
use crate::claude_code::ASYNC_REWAKE;
use crate::setup::hook_edits::WiredHook;

/// The check of one settings file.
pub(crate) struct HooksCheck<'a> {
    pub(crate) paths: &'a InstallPaths,
    pub(crate) file: &'a SettingsFile,
    /// The folder of the server that is started, if that is known.
    pub(crate) server_folder: Option<&'a Path>,
}

impl HooksCheck<'_> {
    /// Returns what is wrong with the hooks, or one finding that they are correct.
    pub(crate) fn run(&self) -> Vec<Finding> {
        let display_path = self.display_path();
        let hooks = HookSets::load(None).expect("bare names are never refused");
        let mut wanted = hooks.always;
        if self.file.runs_program(WAITING_HOOK_PROGRAM) {
            wanted.extend(hooks.waiting_hooks);
        }
        let guarded = self.file.runs_program(GUARD_PROGRAM);
        if guarded {
            wanted.extend(hooks.guard);
        }
        let mut findings: Vec<Finding> = wanted
            .iter()
            .filter_map(|wanted| self.check_wanted(wanted))
            .collect();
        let is_wanted = |hook: &WiredHook| {
            wanted
                .iter()
                .any(|wanted| wanted.event == hook.event && wanted.program == hook.program)
        };
        for hook in self.file.hooks.iter().filter(|hook| !is_wanted(hook)) {
            findings.push(note(format!(
                "{} also runs {} ({display_path})",
                hook.event, hook.program
            )));
        }
        if findings.is_empty() {
            let with = if guarded {
                ", one of them the guard of claimed files"
            } else {
                ""
            };
            findings.push(ok(format!(
                "hooks: {} wired{with} ({display_path})",
                wanted.len()
            )));
        }
        findings
    }

    /// Checks that a hook is there exactly once, then its entry.
    fn check_wanted(&self, wanted: &WantedHook) -> Option<Finding> {
        let (event, program) = (wanted.event, &wanted.program);
        let display_path = self.display_path();
        let wired: Vec<&WiredHook> = self
            .file
            .hooks
            .iter()
            .filter(|hook| hook.event == event && hook.program == *program)
            .collect();
        let running = wired
            .iter()
            .filter(|hook| wanted.is_run_by_group(&hook.group))
            .count();
        let finding = match running {
            0 => problem(format!("{event} is not wired in {display_path}")),
            1 if wired.len() == 1 => self.check_entry(wanted, wired[0])?,
            _ => problem(format!(
                "{event} runs {program} {} times in {display_path}",
                wired.len()
            )),
        };
        Some(finding.fix(install_command(self.file.scope)))
    }

    fn check_entry(&self, wanted: &WantedHook, wired: &WiredHook) -> Option<Finding> {
        let (event, entry) = (&wired.event, &wired.entry);
        let display_path = self.display_path();
        if entry.get("args").and_then(Value::as_array).is_none() {
            return Some(note(format!(
                "{event} runs through a shell ({display_path})"
            )));
        }
        if entry.get("timeout").and_then(Value::as_f64).is_none() {
            return Some(note(format!("{event} has no timeout ({display_path})")));
        }
        let async_rewake = entry.get(ASYNC_REWAKE).and_then(Value::as_bool) == Some(true);
        if wanted.hook.async_rewake && !async_rewake {
            return Some(problem(format!(
                "{event} waits for {WAITING_HOOK_PROGRAM} ({display_path}): the entry lacks {ASYNC_REWAKE}"
            )));
        }
        let command = entry.get("command").and_then(Value::as_str)?;
        let program = match find_program(self.paths, command) {
            Err(reason) => return Some(problem(format!("{event} of {display_path}: {reason}"))),
            Ok(program) => program,
        };
        let folder = self
            .server_folder
            .filter(|folder| program.parent() != Some(*folder))?;
        Some(problem(format!(
            "{event} starts {}, but the server comes from {}",
            self.paths.display_path(&program),
            self.paths.display_path(folder)
        )))
    }

    fn display_path(&self) -> String {
        self.paths.display_path(&self.file.path)
    }
}
