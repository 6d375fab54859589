//! Answers the hooks of the session from the mirror of its state.
use std::path::Path;

use crate::claude_code::{HookEvent, HookOutput, HookPayload};
use crate::hooks::{self, HookCall, HookMesh, StartText};
use crate::mesh::{
    Inbox, SessionVerb, claim_denial, file_resource, git_denial, is_in_working_tree, working_trees,
};
use crate::model::{GitCommand, Result};
use crate::platform::host_path;
use crate::platform::text::utf16_len;
use crate::remote::link::Link;
use crate::remote::mirror::SessionMirror;
use crate::store::Claim;

/// A mirror that was not refreshed for longer does not deny edits, in milliseconds.
const CLAIMS_STALE_MS: i64 = 30_000;
/// The limit of a prompt's text in UTF-16 units, with the text of the start before it. Claude Code replaces more than 10,000
/// by a preview.
const PROMPT_UNITS_MAX: usize = 9_900;

/// A call of a hook, and the name of its event.
pub(super) struct RemoteHookCall {
    name: String,
    call: HookCall,
}

impl RemoteHookCall {
    /// Returns the call with this payload; `None` if it is no event that hooks handle.
    pub(super) fn parse(link: &Link, payload: &[u8]) -> Option<Self> {
        let payload = serde_json::from_slice::<HookPayload>(payload).ok()?;
        let name = payload.event_name.clone();
        let event = HookEvent::from_payload(payload)?;
        let call = HookCall {
            event,
            payload: Vec::new(),
            settings: link.settings.clone(),
            other_client: false,
            by_server: true,
        };
        Some(Self { name, call })
    }

    /// Returns whether a conversation begins or goes on.
    pub(super) fn starts(&self) -> bool {
        matches!(self.call.event, HookEvent::Started { .. })
    }

    /// Returns the output of the hook; empty if there is none.
    pub(super) fn answer(&self, link: &Link, mirror: &mut SessionMirror) -> String {
        let mut answering = Answering { link, mirror };
        let output = answering.output(&self.call).ok().flatten();
        output.map_or_else(String::new, |output| output.to_json(&self.name))
    }
}

/// Returns why a tool call is denied, for the mod. While the hub is out of reach it says nothing: then the hook decides, and
/// notifies the person.
pub(super) fn denial(link: &Link, event: HookEvent) -> Option<String> {
    let mut mirror = link.mirror();
    let is_guarded = matches!(
        event,
        HookEvent::Editing { .. } | HookEvent::ChangingWorkingTrees { .. }
    );
    if !is_guarded || mirror.silent_ms() > CLAIMS_STALE_MS {
        return None;
    }
    let call = HookCall {
        event,
        payload: Vec::new(),
        settings: link.settings.clone(),
        other_client: false,
        by_server: true,
    };
    let mut answering = Answering {
        link,
        mirror: &mut mirror,
    };
    match answering.output(&call) {
        Ok(Some(HookOutput::Deny(text))) => Some(text),
        _ => None,
    }
}

/// What is needed to answer a hook.
struct Answering<'a> {
    link: &'a Link,
    mirror: &'a mut SessionMirror,
}

impl Answering<'_> {
    fn output(&mut self, call: &HookCall) -> Result<Option<HookOutput>> {
        match &call.event {
            HookEvent::Started { session } => {
                self.attach(session.as_deref());
                Ok(call.is_addressable().then(|| self.start(call)))
            }
            HookEvent::Prompted { .. } => {
                let output = self.deliver(call, "busy")?;
                Ok(self.with_start(call, output))
            }
            HookEvent::Stopping { .. } => self.deliver(call, "idle"),
            HookEvent::Ended {
                session,
                client_continues,
                ..
            } => {
                if *client_continues {
                    self.detach(session.as_deref());
                }
                Ok(None)
            }
            HookEvent::Editing { file, folder } => self.guard(folder.as_deref(), Path::new(file)),
            HookEvent::ChangingWorkingTrees { commands, folder } => {
                Ok(self.guard_working_trees(commands, folder.as_deref()))
            }
        }
    }

    /// Records which conversation the client goes on with.
    fn attach(&mut self, client_session: Option<&str>) {
        // Before the first snapshot the registration says it.
        if let Some(client_session) = client_session
            && self.mirror.me().is_some()
            && self.mirror.client_session() != Some(client_session)
        {
            self.mirror.record(SessionVerb::AttachClientSession {
                client_session: client_session.to_owned(),
                given_name: None,
            });
        }
    }

    /// Records that a conversation has ended, if it is the one that the session is registered with.
    fn detach(&mut self, client_session: Option<&str>) {
        let is_other = matches!(
            (self.mirror.client_session(), client_session),
            (Some(current), Some(ended)) if current != ended
        );
        if !is_other {
            self.mirror.forget_activity_summary();
            self.mirror.record(SessionVerb::DetachClientSession);
        }
    }

    fn deliver(&mut self, call: &HookCall, activity: &str) -> Result<Option<HookOutput>> {
        if !call.is_addressable() {
            return Ok(None);
        }
        let output = self.pending(call);
        // A turn that a Stop hook continues goes on.
        let continues = activity == "idle" && matches!(output, Ok(Some(_)));
        self.mirror
            .set_activity(if continues { "busy" } else { activity });
        output
    }

    /// Returns what the model gets of what is pending, and records it as delivered.
    fn pending(&mut self, call: &HookCall) -> Result<Option<HookOutput>> {
        let Some(me) = self.mirror.addressable() else {
            return Ok(None);
        };
        hooks::record_activity(call, self.mirror, &me);
        let Some(delivery) = hooks::deliver(call, self.mirror, &me)? else {
            return Ok(None);
        };
        delivery.record(self.mirror, &me)?;
        Ok(Some(delivery.output))
    }

    /// Returns what the model gets at the start of the session. Before the first snapshot the rest follows with a prompt.
    fn start(&mut self, call: &HookCall) -> HookOutput {
        let text = self.start_text(call, true);
        self.mirror.set_start_reported(text.is_some());
        HookOutput::Context(text.unwrap_or_else(|| hooks::text_before_hub(&self.link.hub.url)))
    }

    /// Adds the text of the start to what a prompt brings, if the model has not got it yet.
    fn with_start(&mut self, call: &HookCall, output: Option<HookOutput>) -> Option<HookOutput> {
        if self.mirror.is_start_reported() || !call.is_addressable() {
            return output;
        }
        // What is pending comes with this prompt.
        let Some(start) = self.start_text(call, false) else {
            return output;
        };
        let text = match &output {
            None => start,
            Some(HookOutput::Context(pending)) => format!("{start}\n\n{pending}"),
            Some(_) => return output,
        };
        if utf16_len(&text) > PROMPT_UNITS_MAX {
            return output;
        }
        self.mirror.set_start_reported(true);
        Some(HookOutput::Context(text))
    }

    fn start_text(&mut self, call: &HookCall, names_pending: bool) -> Option<String> {
        let me = self.mirror.addressable()?;
        let start = self.link.start();
        let (inbox, unread) = if names_pending {
            (self.mirror.inbox(&me).ok()?, self.mirror.unread())
        } else {
            (Inbox::default(), 0)
        };
        let memories = if call.lists_tool_set("memory") {
            start.memories
        } else {
            0
        };
        let text = StartText {
            me: &me,
            others: &start.others,
            inbox: &inbox,
            unread,
            memories,
        };
        Some(text.text())
    }

    /// Denies the edit of a file on which someone else has an exclusive claim. While the hub is out of reach it is not known
    /// whether a claim still holds: then the edit goes on, and the person is notified so once.
    fn guard(&mut self, folder: Option<&str>, file: &Path) -> Result<Option<HookOutput>> {
        let project = self.link.project();
        let folder = folder.map_or(project.path.as_path(), Path::new);
        let Some(me) = self.mirror.me() else {
            return Ok(None);
        };
        // The resource is the one that the hub has stored: the path of this machine, with the host of its key.
        let local = file_resource(folder, file)?;
        let path = local.trim_start_matches("file:");
        let host = me.project.as_deref().and_then(host_path::host_of);
        let resource = host.map_or_else(|| local.clone(), |host| format!("file://{host}{path}"));
        let Some(claim) = self.mirror.claim_on(&resource).cloned() else {
            return Ok(None);
        };
        if self.mirror.silent_ms() > CLAIMS_STALE_MS {
            return Ok(self.stale_message(&claim, path, "edit"));
        }
        let now = self.mirror.now();
        let shown = Claim {
            resource: local,
            ..claim
        };
        let text = claim_denial(&shown, &now, &project.path);
        Ok(Some(HookOutput::Deny(text)))
    }

    /// Denies a git command in a working tree in which someone else works, as [`Self::guard`] denies an edit.
    fn guard_working_trees(
        &mut self,
        commands: &[GitCommand],
        folder: Option<&str>,
    ) -> Option<HookOutput> {
        let project = self.link.project();
        let folder = folder.map_or(project.path.as_path(), Path::new);
        let me = self.mirror.me()?;
        let host = me.project.as_deref().and_then(host_path::host_of)?;
        for (command, root) in working_trees(commands, folder) {
            let held: Vec<Claim> = self
                .mirror
                .claims()
                .iter()
                .map(|claim| on_this_machine(claim, host))
                .filter(|claim| is_in_working_tree(&claim.resource, &root))
                .collect();
            let Some(first) = held.first() else {
                continue;
            };
            if self.mirror.silent_ms() > CLAIMS_STALE_MS {
                let tree = root.to_string_lossy();
                return self.stale_message(first, &tree, "command");
            }
            let text = git_denial(command, &root, &held, &self.mirror.now());
            return Some(HookOutput::Deny(text));
        }
        None
    }

    /// Returns what the person gets, once for each claim, if it is not known whether the claim still holds.
    fn stale_message(&mut self, claim: &Claim, what: &str, call: &str) -> Option<HookOutput> {
        let text = format!(
            "claude-mesh: the mesh at {} is out of reach, so it is not known whether {what} is still claimed by \"{}\"; the {call} goes on.",
            self.link.hub.url, claim.peer_name
        );
        let is_reported = self.mirror.tell_stale(claim);
        is_reported.then_some(HookOutput::Message(text))
    }
}

/// Returns a claim with the resource as this machine, which is `host`, names it.
fn on_this_machine(claim: &Claim, host: &str) -> Claim {
    let mut claim = claim.clone();
    for kind in ["file:", "git:"] {
        let path = claim.resource.strip_prefix(&format!("{kind}//{host}"));
        if let Some(path) = path.filter(|path| path.starts_with('/')) {
            claim.resource = format!("{kind}{path}");
            break;
        }
    }
    claim
}
