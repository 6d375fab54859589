//! What the board shows, read at one time.
use std::time::Duration;

use crate::cli::error::Failure;
use crate::cli::peer::urgency;
use crate::mesh::{
    ClaimFilter, ClaimQueue, Inbox, Member, PeerScope, PeerView, PendingQuestion, QuestionStatus,
    TaskList,
};
use crate::model::{PeerKind, PeerName, QuestionState};
use crate::platform::Moment;

/// More open questions are not listed.
const QUESTIONS_MAX: u32 = 500;

/// The mesh at one time, as a person sees it.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) you: PeerName,
    pub(super) now: Moment,
    pub(super) paused_until_ms: Option<i64>,
    /// The sessions, those that need the person first.
    pub(super) peers: Vec<PeerView>,
    /// The questions to the person.
    pub(super) to_you: Vec<PendingQuestion>,
    /// The open questions between others, newest first.
    pub(super) questions: Vec<OpenQuestion>,
    pub(super) claims: Vec<ClaimQueue>,
    pub(super) tasks: TaskList,
}

/// An open question, with its way.
#[derive(Debug)]
pub(super) struct OpenQuestion {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) status: QuestionStatus,
}

impl Snapshot {
    pub(super) fn read(member: &mut Member) -> Result<Self, Failure> {
        let me = member.handle().clone();
        let mesh = member.mesh();
        let mut peers = mesh.peers(None, PeerScope::Mesh, false)?;
        peers.retain(|view| view.peer.kind != PeerKind::Person);
        peers.sort_by_key(|view| (urgency(view), view.peer.name.clone()));
        let Inbox {
            questions: to_you, ..
        } = mesh.inbox(&me)?;
        let mut open = mesh.questions(None, QUESTIONS_MAX)?;
        open.retain(|(question, _, to)| {
            question.state == QuestionState::Open && *to != me.name.as_str()
        });
        let ids: Vec<_> = open.iter().map(|(question, ..)| question.id).collect();
        let statuses = mesh.question_statuses(&ids)?;
        let questions = open
            .into_iter()
            .zip(statuses)
            .map(|((_, from, to), status)| OpenQuestion { from, to, status })
            .collect();
        let now = mesh.now();
        Ok(Self {
            paused_until_ms: mesh.paused_until()?.filter(|until| *until > now.wall_ms),
            claims: mesh.claims(ClaimFilter::Prefix(""))?,
            tasks: mesh.tasks_of_mesh(&me)?,
            you: me.name,
            now,
            peers,
            to_you,
            questions,
        })
    }

    /// Returns after how long something changes that no event reports: the end of a lease, of quiet, of a pause.
    pub(super) fn next_change(&self) -> Duration {
        let leases = self
            .claims
            .iter()
            .flat_map(|queue| &queue.holders)
            .map(|claim| claim.lease.expires_at_monotonic_ms - self.now.monotonic_ms);
        let quiet = self
            .peers
            .iter()
            .filter_map(|view| view.peer.quiet_until_ms);
        let ends = quiet.chain(self.paused_until_ms);
        let ends = ends.map(|until_ms| until_ms.saturating_sub(self.now.wall_ms));
        leases
            .chain(ends)
            .filter_map(|in_ms| u64::try_from(in_ms).ok().filter(|in_ms| *in_ms > 0))
            .min()
            .map_or(Duration::MAX, Duration::from_millis)
    }
}
