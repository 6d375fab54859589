//! Offers the questions of a session to forks of it, when the mod has received a wake line, and takes back those that no fork
//! has answered.
use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::fork_eligibility::{is_forkable, may_fork};
use crate::mesh::wake::pending::PendingItems;
use crate::mesh::wake::policy::items_to_wake_for;
use crate::model::fork::FORK_BUDGET_MS;
use crate::model::{EventKind, PeerName, Result, WakeState};
use crate::platform::fork_setting::ForkMode;
use crate::platform::id::QuestionId;
use crate::store::{Question, Session};

/// A question for a fork.
#[derive(Debug)]
pub struct OfferedQuestion {
    /// The question.
    pub question: Question,
    /// Who asks.
    pub from: PeerName,
}

/// The questions that forks of a session are to answer.
#[derive(Debug, Default)]
pub struct ForkOffer {
    /// Oldest first.
    pub questions: Vec<OfferedQuestion>,
    /// Whether the wake line has nothing else to say, so that the session need not get it.
    pub takes_line: bool,
    /// Whether the forks may read files of the project.
    pub reads: bool,
}

impl Mesh {
    /// Notes that the mod runs in the session of this program.
    pub fn note_mod(&mut self) {
        self.host.has_mod = true;
    }

    /// Returns the questions that forks of this session are to answer, of those for which a wake line was posted: `nonce` names
    /// the line. Their forks count as running from now on. Without such a question the line goes its ordinary way.
    pub fn offer_forks(&mut self, me: &SessionHandle, nonce: &str) -> Result<ForkOffer> {
        let settings = self.host.fork;
        if settings.mode == ForkMode::Off || settings.budget == 0 || !me.is_addressable() {
            return Ok(ForkOffer::default());
        }
        self.write(|write| {
            let Some(session) = write.tx.session(me.session)? else {
                return Ok(ForkOffer::default());
            };
            let attempt = session.wake_attempt.as_ref();
            let is_known_line = attempt.is_some_and(|attempt| attempt.nonce == nonce);
            if !is_known_line
                || !may_fork(write.read(), &session)?
                || asks_person(write, me, &session)
            {
                return Ok(ForkOffer::default());
            }
            let pending = items_to_wake_for(write.read(), me, false)?;
            let questions = questions_to_fork(write, me, &pending)?;
            for offered in &questions {
                start_fork(write, me, offered)?;
            }
            let takes_line =
                !questions.is_empty() && items_to_wake_for(write.read(), me, false)?.is_empty();
            if takes_line {
                write.tx.set_wake_attempt(me.session, None)?;
            }
            Ok(ForkOffer {
                questions,
                takes_line,
                reads: settings.reads,
            })
        })
    }

    /// Takes back questions that forks of this session have not answered: they go to the session, which is woken for them.
    pub fn give_up_forks(&mut self, me: &SessionHandle, questions: &[QuestionId]) -> Result<()> {
        self.write(|write| {
            for id in questions {
                if !write.tx.is_fork_running(*id, me.session)? {
                    continue;
                }
                write.tx.fail_fork(*id)?;
                write.tx.set_wake(*id, WakeState::None, None)?;
                let data = json!({ "session": me.session });
                write.tx.append_event(
                    EventKind::QuestionNotForked,
                    Some(me.peer),
                    &id.to_string(),
                    &data,
                )?;
                write.wake_askers(*id)?;
            }
            write.wake([me.session]);
            Ok(())
        })
    }
}

/// Returns whether the person wants to see each answer before it leaves. The call of a mod asks nobody, so no fork may answer
/// then.
fn asks_person(write: &WriteContext, me: &SessionHandle, session: &Session) -> bool {
    let project = me.project.as_deref();
    write.host.restricts_answers(session, project)
}

/// Returns those of the pending questions that forks are to answer, as many as the budget allows.
fn questions_to_fork(
    write: &WriteContext,
    me: &SessionHandle,
    pending: &PendingItems,
) -> Result<Vec<OfferedQuestion>> {
    let read = write.read();
    let since_ms = read.tx.now.wall_ms - FORK_BUDGET_MS;
    let begun = read.tx.count_forks_since(me.session, since_ms)?;
    let budget = read.host.fork.budget.saturating_sub(begun);
    let budget = usize::try_from(budget).unwrap_or(usize::MAX);
    let mut offered = Vec::new();
    for id in &pending.undelivered_questions {
        if offered.len() == budget {
            break;
        }
        let Some(question) = read.tx.question(*id)? else {
            continue;
        };
        if is_forkable(read, me, &question)?
            && let Some(asker) = read.tx.peer(question.asker)?
        {
            let from = asker.name;
            offered.push(OfferedQuestion { question, from });
        }
    }
    Ok(offered)
}

fn start_fork(
    write: &mut WriteContext,
    me: &SessionHandle,
    offered: &OfferedQuestion,
) -> Result<()> {
    let id = offered.question.id;
    write.tx.start_fork(id, me.session)?;
    write.tx.set_wake(id, WakeState::Fork, None)?;
    let data = json!({ "session": me.session });
    let kind = EventKind::QuestionForked;
    write
        .tx
        .append_event(kind, Some(me.peer), &id.to_string(), &data)?;
    write.wake_askers(id)
}
