//! Decides whether a fork of a session may answer a question: a copy of its conversation, which answers in its place without a
//! turn of the session.
//!
//! The mod inside Claude Code makes the forks; what may be answered that way is decided here, by the settings of the person
//! whose session is asked. A fork is tried once for a question. While it runs, the question is shown to nobody; if it does not
//! answer, the question goes to the session as if there were no forks. So no question is lost, and none is answered twice.
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::throttle::throttled_even_if_waiting;
use crate::model::fork::FORK_TAKES_MS_MAX;
use crate::model::{Activity, QuestionState, Result};
use crate::platform::fork_setting::ForkMode;
use crate::platform::id::QuestionId;
use crate::store::{Question, Session};

/// Returns whether forks of a session may answer questions now: its person allows it for what the session does, and it is not
/// throttled.
pub(in crate::mesh) fn may_fork(read: ReadContext, session: &Session) -> Result<bool> {
    let activity = read.activity(session);
    let allowed = match read.host.fork.mode {
        ForkMode::Off => false,
        ForkMode::Busy => matches!(activity, Activity::Busy | Activity::Waiting),
        ForkMode::Always => true,
    };
    if !allowed {
        return Ok(false);
    }
    match read.tx.peer(session.peer)? {
        Some(peer) => Ok(throttled_even_if_waiting(read, &peer, session)?.is_none()),
        None => Ok(false),
    }
}

/// Returns whether a fork may answer a question to this session: it is open and for the session itself, its asker is one whom
/// the person answers that way, and no fork was tried for it.
pub(in crate::mesh) fn is_forkable(
    read: ReadContext,
    me: &SessionHandle,
    question: &Question,
) -> Result<bool> {
    Ok(question.state == QuestionState::Open
        && question.target == me.peer
        && read.tx.fork_state(question.id)?.is_none()
        && (read.host.fork.from_other_hosts || is_asked_on_this_host(read, question)?))
}

fn is_asked_on_this_host(read: ReadContext, question: &Question) -> Result<bool> {
    let asker = read.tx.session(question.asker_session)?;
    // A session on another host has a lease; its host has given itself its name.
    Ok(asker.is_some_and(|asker| {
        asker.lease_until_ms.is_none() && asker.location.host == read.host.own.host
    }))
}

/// Returns whether the mod of this session is about to take a question for a fork. It has a few seconds; then the question goes
/// the ordinary way.
pub(in crate::mesh) fn awaits_fork(
    read: ReadContext,
    me: &SessionHandle,
    question: &Question,
) -> Result<bool> {
    if !read.host.has_mod
        || read.tx.now.wall_ms - question.asked_at_ms >= FORK_TAKES_MS_MAX
        || !is_forkable(read, me, question)?
    {
        return Ok(false);
    }
    match read.tx.session(me.session)? {
        Some(session) => may_fork(read, &session),
        None => Ok(false),
    }
}

/// Returns those of these questions that the mod is about to take.
pub(in crate::mesh) fn questions_awaiting_fork(
    read: ReadContext,
    me: &SessionHandle,
    questions: &[QuestionId],
) -> Result<Vec<QuestionId>> {
    if !read.host.has_mod {
        return Ok(Vec::new());
    }
    let mut awaiting = Vec::new();
    for id in questions {
        if let Some(question) = read.tx.question(*id)?
            && awaits_fork(read, me, &question)?
        {
            awaiting.push(*id);
        }
    }
    Ok(awaiting)
}
