//! The hook at the start of a session, also after a resume, `/clear` or a compaction: registers the session and gives
//! its model its name, the other sessions and what is pending.
use super::call::HookCall;
use crate::claude_code::{HookEvent, HookOutput};
use crate::mesh::{Inbox, OthersHere, SessionHandle};
use crate::model::Error;
use crate::platform::isolation::MeshAddress;

/// Registers the session and returns the text for its model. A headless run that other sessions cannot ask is ignored.
pub fn session_start(call: &HookCall) -> Result<Option<HookOutput>, Error> {
    let HookEvent::Started { session } = &call.event else {
        return Ok(None);
    };
    if !call.is_addressable() {
        return Ok(None);
    }
    let Some(project) = call.project()? else {
        return Ok(None);
    };
    let process = call.client()?;
    let mut mesh = call.open(&project)?;
    let request = call.join_request(process, project.clone(), session.clone());
    let me = call.register(&mut mesh, request)?;
    let others = mesh.others_here(&me)?;
    let inbox = mesh.inbox(&me)?;
    let unread = mesh.unread(&me)?;
    let memories = if call.lists_tool_set("memory") {
        let home = mesh.project_memory_scope(&project)?;
        mesh.count_memories(&home)?
    } else {
        0
    };
    let start = StartText {
        me: &me,
        others: &others,
        inbox: &inbox,
        unread,
        memories,
    };
    Ok(Some(HookOutput::Context(start.text())))
}

/// Returns the output at the start of a session whose server does not answer yet, where the mesh is at a hub.
pub(super) fn text_without_server(call: &HookCall) -> Result<Option<Vec<u8>>, Error> {
    let HookEvent::Started { .. } = &call.event else {
        return Ok(None);
    };
    if !call.is_addressable() {
        return Ok(None);
    }
    let Some(MeshAddress::Hub(hub)) = call
        .project()?
        .map(|project| project.mesh_address(&call.settings))
        .transpose()?
    else {
        return Ok(None);
    };
    let text = HookOutput::Context(text_before_hub(&hub.url));
    Ok(Some(text.to_json("SessionStart").into_bytes()))
}

/// Returns what the model of a session gets whose hub has not described the session yet.
pub(crate) fn text_before_hub(url: &str) -> String {
    format!(
        "claude-mesh: this session joins the mesh at {url}, which has not answered yet. Your name there and the other sessions come with a prompt as soon as it has."
    )
}

/// What the text at the start of a session says.
pub(crate) struct StartText<'a> {
    pub(crate) me: &'a SessionHandle,
    /// The other sessions.
    pub(crate) others: &'a OthersHere,
    pub(crate) inbox: &'a Inbox,
    pub(crate) unread: u32,
    pub(crate) memories: u32,
}

impl StartText<'_> {
    /// Returns the text for the model.
    pub(crate) fn text(&self) -> String {
        [
            introduction(self.me, self.others),
            pending_line(self.inbox, self.unread),
            memories_line(self.memories),
        ]
        .concat()
    }
}

fn introduction(me: &SessionHandle, others: &OthersHere) -> String {
    let named = others.named.iter();
    let named: Vec<String> = named
        .map(|(name, activity)| format!("{name} ({})", activity.as_str()))
        .collect();
    let named = named.join(", ");
    let here = match (others.count(), others.more) {
        (0, _) => "Nobody else is here now.".to_owned(),
        (_, 0) => format!("Here now: {named}."),
        (_, more) => format!("Here now: {named} and {more} more."),
    };
    format!(
        "claude-mesh: you are \"{}\" among the Claude Code sessions of this mesh. {here}",
        me.name
    )
}

fn pending_line(inbox: &Inbox, unread: u32) -> String {
    let counts = [
        (
            inbox.questions.len(),
            "question for you",
            "questions for you",
        ),
        (
            inbox.answers.len(),
            "late answer to you",
            "late answers to you",
        ),
        (inbox.granted.len(), "granted claim", "granted claims"),
        (unread as usize, "unread message", "unread messages"),
    ];
    let pending: Vec<String> = counts
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, many)| format!("{number} {}", if number == 1 { one } else { many }))
        .collect();
    if pending.is_empty() {
        return String::new();
    }
    let tool = if inbox.is_empty() {
        "list_messages"
    } else {
        "poll_inbox"
    };
    format!(
        "\nPending: {}. They come with the next prompt; {tool} shows them now.",
        pending.join(" and ")
    )
}

fn memories_line(memories: u32) -> String {
    match memories {
        0 => String::new(),
        1 => "\n1 memory is stored for this project; recall finds it.".to_owned(),
        1_000.. => {
            "\n1,000 or more memories are stored for this project; recall finds them.".to_owned()
        }
        _ => format!("\n{memories} memories are stored for this project; recall finds them."),
    }
}
