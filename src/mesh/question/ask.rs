//! Stores questions and the wait of their call in one transaction, after the checks of address, size, secrets, depth and
//! throttle; for `ask_peer` and `claude-mesh ask`.
use serde_json::json;

use crate::mesh::check_text::check_text;
use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::peer::address::resolve_address;
use crate::mesh::peer::dead_sessions::find_live_session_recording_deaths;
use crate::mesh::retention;
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::policy::hold_question;
use crate::mesh::wake::throttle::throttled_for_asker;
use crate::model::peer::Address;
use crate::model::question::DEPTH_MAX;
use crate::model::throttle::{PersonAlert, Throttled};
use crate::model::{EventKind, PeerName, Refusal, Result};
use crate::platform::id::{PeerId, QuestionId, WaitId};
use crate::store::{NewQuestion, Peer};

/// What to do if a peer cannot be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfOffline {
    /// Store the question and return; the next session of the peer gets it.
    #[default]
    Queue,
    /// Wait until a session of the peer answers.
    Wait,
}

/// A question to ask.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Copy)]
pub struct QuestionDraft<'a> {
    pub question: &'a str,
    /// What the peer needs to know to answer it.
    pub context: Option<&'a str>,
    /// What to do if the peer cannot be asked now.
    pub if_offline: IfOffline,
}

impl<'a> QuestionDraft<'a> {
    /// Returns a question without context, which is queued if the peer cannot be asked.
    pub fn of(question: &'a str) -> Self {
        Self {
            question,
            context: None,
            if_offline: IfOffline::Queue,
        }
    }
}

/// A question that was stored.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct AskedQuestion {
    pub question: QuestionId,
    /// The name of the peer.
    pub to: PeerName,
    pub peer: PeerId,
    /// Whether the same question was open already, so that this call joined it.
    pub joined: bool,
    /// Whether the peer can be asked now.
    pub askable: bool,
    /// When the peer was last seen, in wall milliseconds.
    pub last_seen_at_ms: i64,
    /// Why the question is held; `None` if it is not.
    pub held: Option<Throttled>,
    /// Other peers of the project that can be asked.
    pub same_project: Vec<String>,
}

impl AskedQuestion {
    /// Returns whether a call waits for this question: it can be answered now, or the call waits for offline peers,
    /// too.
    pub fn is_awaited(&self, if_offline: IfOffline) -> bool {
        self.held.is_none() && (self.askable || if_offline == IfOffline::Wait)
    }
}

/// The questions that a call has stored, and its wait.
#[derive(Debug, Clone)]
pub struct AskOutcome {
    /// The questions, in the order of the addresses.
    pub asked: Vec<AskedQuestion>,
    /// The wait for those that are awaited; `None` if none is.
    pub wait: Option<WaitId>,
}

impl Mesh {
    /// Stores a question for each address, all or none, and begins to wait for them.
    pub fn ask(
        &mut self,
        me: &SessionHandle,
        to: &[Address],
        draft: &QuestionDraft,
    ) -> Result<AskOutcome> {
        check_text("question", draft.question, 1, false)?;
        if let Some(context) = draft.context {
            check_text("context", context, 0, false)?;
        }
        let (outcome, is_sweep_due) = self.write(|write| {
            let mut asked: Vec<AskedQuestion> = Vec::new();
            for address in to {
                let peer = resolve_address(write, me, address)?;
                if asked.iter().any(|other| other.peer == peer.id) {
                    return Err(
                        Refusal::argument(format!("\"{}\" is asked twice", peer.name)).into(),
                    );
                }
                asked.push(create_question(write, me, &peer, draft)?);
            }
            let awaited: Vec<QuestionId> = asked
                .iter()
                .filter(|one| one.is_awaited(draft.if_offline))
                .map(|one| one.question)
                .collect();
            let wait = (!awaited.is_empty())
                .then(|| write.tx.insert_wait(me.session, &write.host.own, &awaited))
                .transpose()?;
            Ok((
                AskOutcome { asked, wait },
                retention::is_sweep_due(write.read())?,
            ))
        })?;
        self.sweep_if_due(is_sweep_due);
        Ok(outcome)
    }
}

fn create_question(
    write: &mut WriteContext,
    me: &SessionHandle,
    peer: &Peer,
    draft: &QuestionDraft,
) -> Result<AskedQuestion> {
    let (id, joined) = insert_or_join(write, me, peer, draft)?;
    let session = find_live_session_recording_deaths(write, peer)?;
    let askable = session
        .as_ref()
        .is_some_and(|session| write.is_askable(session));
    let same_project = if askable {
        Vec::new()
    } else {
        askable_peers_in_project(write.read(), me, peer)?
    };
    let held_reason = write.tx.question(id)?.and_then(|question| question.held);
    let held = match session.as_ref().filter(|_| askable) {
        Some(session) => throttled_for_asker(write.read(), peer, session, held_reason.as_deref())?,
        None => None,
    };
    if let Some(held) = held {
        hold_question(write, me, id, held.reason.as_str())?;
    }
    // While the question is held, its server posts no line, but it may have to notify its person.
    if held.is_none_or(|held| PersonAlert::from_throttle(held).is_some()) {
        write.wake(session.map(|session| session.id));
    }
    Ok(AskedQuestion {
        question: id,
        to: peer.name.clone(),
        peer: peer.id,
        joined,
        askable,
        last_seen_at_ms: peer.last_seen_at_ms,
        held,
        same_project,
    })
}

/// Stores a question, unless the same one is open. Returns its id, and whether it was open already.
fn insert_or_join(
    write: &mut WriteContext,
    me: &SessionHandle,
    peer: &Peer,
    draft: &QuestionDraft,
) -> Result<(QuestionId, bool)> {
    let depth = write.tx.max_delivered_depth(me.session)? + 1;
    if depth > DEPTH_MAX {
        let problem = format!(
            "this question would be number {depth} in a chain of questions that follow from each other; go on without it until your user types"
        );
        return Err(Refusal::RateLimited { problem }.into());
    }
    let new = NewQuestion {
        asker: me.peer,
        asker_session: me.session,
        target: peer.id,
        question: draft.question,
        context: draft.context,
        depth,
    };
    if let Some(id) = write.tx.find_identical_open_question(&new)? {
        return Ok((id, true));
    }
    let id = write.tx.insert_question(&new)?;
    let data = json!({ "to": peer.name, "bytes": draft.question.len() });
    let kind = EventKind::QuestionAsked;
    write
        .tx
        .append_event(kind, Some(me.peer), &id.to_string(), &data)?;
    Ok((id, false))
}

fn askable_peers_in_project(
    read: ReadContext,
    me: &SessionHandle,
    peer: &Peer,
) -> Result<Vec<String>> {
    let Some(project) = &peer.project else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for other in read
        .tx
        .peers_of_project(project)?
        .into_iter()
        .filter(|other| other.id != peer.id && other.id != me.peer)
    {
        if read
            .tx
            .live_sessions_at(other.id)?
            .iter()
            .any(|session| read.is_askable(session))
        {
            names.push(other.name.to_string());
        }
    }
    Ok(names)
}
