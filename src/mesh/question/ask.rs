//! Asks questions.
use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, Verb};
use crate::mesh::peer::address::resolve_address;
use crate::mesh::peer::liveness::reap_dead_sessions;
use crate::mesh::retention;
use crate::mesh::session::SessionHandle;
use crate::mesh::text::check_text;
use crate::mesh::wake::policy::hold_question;
use crate::mesh::wake::throttle::throttled_for_asker;
use crate::model::peer::Address;
use crate::model::question::DEPTH_MAX;
use crate::model::throttle::{PersonAlert, Throttled};
use crate::model::{EventKind, PeerName, Refusal, Result};
use crate::platform::id::{PeerId, QuestionId, WaitId};
use crate::store::{NewQuestion, Peer};

/// What to do when nobody who can be asked sits at a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfOffline {
    /// Store the question and return; the next session there gets it.
    #[default]
    Queue,
    /// Wait all the same.
    Wait,
}

/// One stored question.
#[derive(Debug, Clone)]
pub struct AskedQuestion {
    /// Its id.
    pub question: QuestionId,
    /// Whom it is for.
    pub to: PeerName,
    /// The mailbox.
    pub peer: PeerId,
    /// It had been asked before and is still open; this call joined it.
    pub joined: bool,
    /// Somebody who can be asked sits there.
    pub askable: bool,
    /// When the mailbox was last heard of, in wall milliseconds.
    pub last_seen_at_ms: i64,
    /// It is stored without ringing, and why.
    pub held: Option<Throttled>,
    /// Who else can be asked in that project.
    pub same_project: Vec<String>,
}

impl AskedQuestion {
    /// Returns whether the call that asked waits for this question.
    pub fn is_awaited(&self, if_offline: IfOffline) -> bool {
        self.held.is_none() && (self.askable || if_offline == IfOffline::Wait)
    }
}

/// What asking has stored, and the wait that began with it.
#[derive(Debug, Clone)]
pub struct AskOutcome {
    /// The questions, in the order of the addresses.
    pub asked: Vec<AskedQuestion>,
    /// The wait for those that can be answered now; `None` when there is nothing to wait for.
    pub wait: Option<WaitId>,
}

impl Mesh {
    /// Stores a question for each address, all or none, and begins the wait for them.
    pub fn ask(
        &mut self,
        me: &SessionHandle,
        to: &[Address],
        question: &str,
        context: Option<&str>,
        if_offline: IfOffline,
    ) -> Result<AskOutcome> {
        check_text("question", question, 1, false)?;
        context.map_or(Ok(()), |context| check_text("context", context, 0, false))?;
        let (outcome, is_sweep_due) = self.write(|verb| {
            let mut asked: Vec<AskedQuestion> = Vec::new();
            for address in to {
                let peer = resolve_address(verb, me, address)?;
                if asked.iter().any(|other| other.peer == peer.id) {
                    return Err(
                        Refusal::argument(format!("\"{}\" is asked twice", peer.name)).into(),
                    );
                }
                asked.push(create_question(verb, me, &peer, question, context)?);
            }
            let awaited: Vec<QuestionId> = asked
                .iter()
                .filter(|one| one.is_awaited(if_offline))
                .map(|one| one.question)
                .collect();
            let wait = (!awaited.is_empty())
                .then(|| verb.tx.insert_wait(me.session, &verb.host.own, &awaited))
                .transpose()?;
            Ok((
                AskOutcome { asked, wait },
                retention::is_sweep_due(verb.read())?,
            ))
        })?;
        self.sweep_if_due(is_sweep_due);
        Ok(outcome)
    }
}

fn create_question(
    verb: &mut Verb,
    me: &SessionHandle,
    peer: &Peer,
    question: &str,
    context: Option<&str>,
) -> Result<AskedQuestion> {
    let depth = verb.tx.max_delivered_depth(me.session)? + 1;
    if depth > DEPTH_MAX {
        let problem = format!(
            "this question would be the {depth}th in a chain in which each followed from another; go on without it until your user types"
        );
        return Err(Refusal::RateLimited { problem }.into());
    }
    let new = NewQuestion {
        asker: me.peer,
        asker_session: me.session,
        target: peer.id,
        question,
        context,
        depth,
    };
    let same = verb.tx.find_identical_open_question(&new)?;
    let id = if let Some(id) = same {
        id
    } else {
        let id = verb.tx.insert_question(&new)?;
        let data = json!({ "to": peer.name, "bytes": question.len() });
        verb.tx.append_event(
            EventKind::QuestionAsked,
            Some(me.peer),
            &id.to_string(),
            &data,
        )?;
        id
    };
    let session = reap_dead_sessions(verb, peer)?;
    let askable = session
        .as_ref()
        .is_some_and(|session| verb.is_askable(session));
    let same_project = if askable {
        Vec::new()
    } else {
        askable_peers_in_project(verb.read(), me, peer)?
    };
    let held_reason = verb.tx.question(id)?.and_then(|question| question.held);
    let held = match session.as_ref().filter(|_| askable) {
        Some(session) => throttled_for_asker(verb.read(), peer, session, held_reason.as_deref())?,
        None => None,
    };
    if let Some(held) = held {
        hold_question(verb, me, id, held.reason.as_str())?;
    }
    // Its server rings nothing while it is held, but may have to tell its person.
    if held.is_none_or(|held| PersonAlert::from_throttle(held).is_some()) {
        verb.wake(session.map(|session| session.id));
    }
    Ok(AskedQuestion {
        question: id,
        to: peer.name.clone(),
        peer: peer.id,
        joined: same.is_some(),
        askable,
        last_seen_at_ms: peer.last_seen_at_ms,
        held,
        same_project,
    })
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
        .seats_of_project(project)?
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
