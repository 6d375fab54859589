//! The edits of a settings file of Claude Code: hooks, permission rules and the mod.
use std::path::PathBuf;

use super::entries::{GUARD_PROGRAM, HookSets, WAITING_HOOK_PROGRAM};
use super::json_items::ContainerKind;
use super::json_text::JsonText;
use super::mod_settings::{self, add_mod, drop_mod};
use super::parse_error::ParseError;
use super::permission_rules::{ALLOW_RULE, CONFIRM_RULE, add_rule, drop_rule, rules_path};
use crate::setup::hook_edits::{add_hook, drop_hook, event_path, hooks_of_program, wired_hooks};

/// What a user may choose for an install.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstallOptions {
    /// Claude Code asks the user before an answer to a peer leaves. A later install without it keeps the rule.
    pub confirm_answers: bool,
    /// What wakes an idle session; `None` keeps what is installed.
    pub wake: Option<WakeMethod>,
    /// Edits of files that another session has claimed are denied. A later install without it keeps the hook.
    pub guard: bool,
    /// The mod is installed in Claude Code. A later install without it keeps it, and updates its files.
    pub install_mod: bool,
}

/// What a settings file must hold.
#[derive(Clone, Debug)]
pub(crate) struct WantedSettings {
    pub(crate) hooks: HookSets,
    pub(crate) options: InstallOptions,
    /// The folder of the mod, if it is or becomes installed.
    pub(crate) mod_folder: Option<PathBuf>,
}

/// What wakes an idle session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeMethod {
    /// A line in its inbox, which needs no entry in a file.
    Inbox,
    /// A hook that waits beside it.
    Rewake,
}

pub(super) fn add_settings(json: &mut JsonText, wanted: &WantedSettings) -> Result<(), ParseError> {
    let WantedSettings {
        hooks,
        options,
        mod_folder,
    } = wanted;
    check_settings(json, hooks.always.iter().map(|wanted| wanted.event))?;
    for wanted in &hooks.always {
        add_hook(json, wanted)?;
    }
    let waiting_hooks = hooks_of_program(json, WAITING_HOOK_PROGRAM)?;
    match options.wake {
        Some(WakeMethod::Inbox) => {
            for hook in &waiting_hooks {
                drop_hook(json, hook)?;
            }
        }
        None if waiting_hooks.is_empty() => {}
        None | Some(WakeMethod::Rewake) => {
            for wanted in &hooks.waiting_hooks {
                add_hook(json, wanted)?;
            }
        }
    }
    if options.guard || !hooks_of_program(json, GUARD_PROGRAM)?.is_empty() {
        for wanted in &hooks.guard {
            add_hook(json, wanted)?;
        }
    }
    add_rule(json, "allow", ALLOW_RULE)?;
    if options.confirm_answers {
        add_rule(json, "ask", CONFIRM_RULE)?;
    }
    match mod_folder {
        Some(folder) => add_mod(json, folder, options.install_mod),
        None => Ok(()),
    }
}

pub(super) fn drop_settings(json: &mut JsonText) -> Result<(), ParseError> {
    let hooks = wired_hooks(json)?;
    check_settings(json, hooks.iter().map(|hook| hook.event.as_str()))?;
    for hook in &hooks {
        drop_hook(json, hook)?;
    }
    drop_rule(json, "allow", ALLOW_RULE)?;
    drop_rule(json, "ask", CONFIRM_RULE)?;
    drop_mod(json)
}

/// Refuses a file of another shape before the first edit, while line and column are those of the file.
fn check_settings<'a>(
    json: &JsonText,
    events: impl Iterator<Item = &'a str>,
) -> Result<(), ParseError> {
    json.check_kind(&["hooks".into()], ContainerKind::Object)?;
    for event in events {
        json.check_kind(&event_path(event), ContainerKind::Array)?;
    }
    json.check_kind(&["permissions".into()], ContainerKind::Object)?;
    json.check_kind(&rules_path("allow"), ContainerKind::Array)?;
    json.check_kind(&rules_path("ask"), ContainerKind::Array)?;
    mod_settings::check_kinds(json)
}
