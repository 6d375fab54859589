//! One mesh in which `bo` works and `ada` asks it: the mesh of a machine, or that of a hub.
use std::path::Path;
use std::sync::Arc;

use crate::mesh::{
    ClaimOutcome, ClaimRequest, ClaimSelector, IfOffline, JoinRequest, Member, Mesh, MeshOptions,
    MessageDraft, QuestionDraft, Reply, SessionHandle, WakeAction,
};
use crate::model::message::Recipient;
use crate::model::peer::Address;
use crate::model::{ClaimMode, MessageType, WakeState};
use crate::platform::Clock;
use crate::platform::clock::ManualClock;
use crate::platform::id::{ClaimId, MessageId, QuestionId, WaitId};

use super::story::{Call, News};

/// How many turns peers may start: few, so that stories use them up.
const WAKE_BUDGET: u32 = 3;
/// Longer than a story.
const LEASE_MS: i64 = 3_600_000;

/// One mesh with two members, and what was made in it, in order.
pub(super) struct Side {
    place: tempfile::TempDir,
    pub(super) clock: Arc<ManualClock>,
    ada: Member,
    pub(super) bo: Member,
    pub(super) questions: Vec<QuestionId>,
    asked_by_bo: Vec<QuestionId>,
    messages: Vec<MessageId>,
    claims: Vec<ClaimId>,
    wait: Option<WaitId>,
}

impl Side {
    pub(super) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let member = |name: &str, instance| {
            let folder = place.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            let options = MeshOptions {
                wake_budget: WAKE_BUDGET,
                ..MeshOptions::default()
            };
            let database = place.path().join("mesh.db");
            let clock = Arc::clone(&clock) as Arc<dyn Clock>;
            let mesh = Mesh::open_with(&database, clock, &options).unwrap();
            let request = JoinRequest::here(&folder).unwrap().instance(instance);
            mesh.join_with(&request, true).unwrap()
        };
        let (ada, bo) = (member("ada", 1), member("bo", 2));
        Self {
            place,
            clock,
            ada,
            bo,
            questions: Vec::new(),
            asked_by_bo: Vec::new(),
            messages: Vec::new(),
            claims: Vec::new(),
            wait: None,
        }
    }

    pub(super) fn home(&self) -> &Path {
        self.place.path()
    }

    pub(super) fn me(&self) -> SessionHandle {
        self.bo.handle().clone()
    }

    pub(super) fn mesh(&mut self) -> &mut Mesh {
        self.bo.mesh()
    }

    /// Lets something come for `bo`.
    pub(super) fn news(&mut self, news: &News) {
        self.clock.advance_ms(1);
        let ada = self.ada.handle().clone();
        let mesh = self.ada.mesh();
        match *news {
            News::Asks { waits } => {
                let number = self.questions.len();
                let text = format!("question {number}?");
                let bo = Address::parse("bo").unwrap();
                let draft = QuestionDraft {
                    if_offline: IfOffline::Wait,
                    ..QuestionDraft::of(&text)
                };
                let outcome = mesh.ask(&ada, &[bo], &draft).unwrap();
                if let Some(wait) = outcome.wait.filter(|_| !waits) {
                    mesh.cancel_wait(wait).unwrap();
                }
                self.questions.push(outcome.asked[0].question);
            }
            News::Erases { question } => {
                if let Some(id) = pick(&self.questions, question) {
                    mesh.erase_question(&ada, id).unwrap();
                }
            }
            News::Answers { question } => {
                if let Some(id) = pick(&self.asked_by_bo, question) {
                    let _ = mesh.reply(&ada, reply(id, "5433"));
                }
            }
            News::Posts { alert } => {
                let to = Recipient::Peer(Address::parse("bo").unwrap());
                let body = format!("message {}", self.messages.len());
                let draft = MessageDraft {
                    kind: if alert {
                        MessageType::Alert
                    } else {
                        MessageType::Text
                    },
                    ..MessageDraft::of(&to, &body)
                };
                self.messages.push(mesh.post(&ada, &draft).unwrap().id);
            }
            News::Quiets { until_ms } => {
                mesh.set_quiet(&ada, "bo", until_ms).unwrap();
            }
            News::Pauses { until_ms } => mesh.set_mesh_paused(&ada, until_ms).unwrap(),
            News::Claims { resource } => {
                let resource = format!("port:{resource}");
                mesh.claim(&ada, &claim(&resource)).unwrap();
            }
            News::Releases { resource } => {
                let resource = format!("port:{resource}");
                let _ = mesh.release(&ada, ClaimSelector::Resource(&resource));
            }
        }
    }

    /// Lets `bo` call a tool.
    pub(super) fn call(&mut self, call: &Call) {
        self.clock.advance_ms(1);
        let me = self.me();
        match *call {
            Call::Replies { question } => {
                if let Some(id) = pick(&self.questions, question) {
                    let _ = self.mesh().reply(&me, reply(id, "an answer"));
                }
            }
            Call::PollsInbox => {
                let inbox = self.mesh().inbox(&me).unwrap();
                self.mesh()
                    .mark_delivered(&me, &inbox, None, WakeState::Call)
                    .unwrap();
            }
            Call::ReadsMail => {
                if let Some(last) = self.messages.last().copied() {
                    self.mesh().mark_read(&me, last).unwrap();
                }
            }
            Call::Asks { waits } => {
                let text = format!("back {}?", self.asked_by_bo.len());
                let ada = Address::parse("ada").unwrap();
                let draft = QuestionDraft::of(&text);
                let outcome = self.mesh().ask(&me, &[ada], &draft).unwrap();
                self.asked_by_bo.push(outcome.asked[0].question);
                if waits && self.wait.is_none() {
                    self.wait = outcome.wait;
                } else if let Some(wait) = outcome.wait {
                    self.mesh().cancel_wait(wait).unwrap();
                }
            }
            Call::EndsWait => {
                if let Some(wait) = self.wait.take() {
                    self.mesh().cancel_wait(wait).unwrap();
                }
            }
            Call::Queues { resource } => {
                let resource = format!("port:{resource}");
                let outcome = self.mesh().claim(&me, &claim(&resource)).unwrap();
                self.claims.push(match outcome {
                    ClaimOutcome::Granted(grant) => grant.claim.id,
                    ClaimOutcome::Queued(ticket) => ticket.id,
                    ClaimOutcome::Denied { .. } => unreachable!("it queues"),
                });
            }
        }
    }

    /// Returns whether a call of `bo` waits.
    pub(super) fn waits(&self) -> bool {
        self.wait.is_some()
    }

    /// Lets the server of `bo` look whether it is to be woken. Returns the nonce of the line that it posts.
    pub(super) fn wake(&mut self) -> Option<String> {
        let me = self.me();
        let open = || crate::mesh::InboxSocketState::Open;
        match self.mesh().next_wake_action(&me, open).unwrap() {
            WakeAction::Post { nonce, .. } => Some(nonce),
            WakeAction::Wait { .. } => None,
        }
    }

    /// Returns a text with the ids of this mesh replaced by what they are of.
    pub(super) fn named(&self, text: &str) -> String {
        let mut named = text.to_owned();
        let mut replace = |id: String, name: &str, number: usize| {
            named = named.replace(&id, &format!("{name}{number}"));
        };
        for (number, id) in self.questions.iter().enumerate() {
            replace(id.to_string(), "Q", number);
        }
        for (number, id) in self.asked_by_bo.iter().enumerate() {
            replace(id.to_string(), "B", number);
        }
        for (number, id) in self.messages.iter().enumerate() {
            replace(id.to_string(), "M", number);
        }
        for (number, id) in self.claims.iter().enumerate() {
            replace(id.to_string(), "C", number);
        }
        named
    }

    /// Returns what is stored of deliveries and turns, without times and ids.
    pub(super) fn stored(&self) -> Vec<String> {
        const LOOKS: [&str; 6] = [
            "SELECT 'question', q.question, q.state, q.shown_times, q.wake, q.held, q.depth, q.shown_at_ms IS NULL, q.answer_shown_at_ms IS NULL FROM question q ORDER BY q.question",
            "SELECT 'showing', q.question, s.times, s.turn, s.stops, s.stops_in_turn FROM showing s JOIN question q ON q.id = s.question_id ORDER BY q.question",
            "SELECT 'session', turn, stop_streak, posted_turns, ring_nonce IS NULL, ring_count FROM session ORDER BY instance",
            "SELECT 'mentioned', name, (SELECT count(*) FROM message m WHERE m.id <= peer.mail_mentioned) FROM peer ORDER BY name",
            "SELECT 'claim', resource, state, told FROM claim ORDER BY resource, peer_id",
            "SELECT 'event', type, count(*) FROM event WHERE subject IN (SELECT id FROM question) GROUP BY type ORDER BY type",
        ];
        #[expect(
            clippy::disallowed_methods,
            reason = "rows are read beside the library"
        )]
        let rows = rusqlite::Connection::open(self.place.path().join("mesh.db")).unwrap();
        let mut stored = Vec::new();
        for look in LOOKS {
            let mut statement = rows.prepare(look).unwrap();
            let columns = statement.column_count();
            let found = statement.query_map([], |row| {
                let values: rusqlite::Result<Vec<_>> = (0..columns)
                    .map(|column| row.get::<_, rusqlite::types::Value>(column))
                    .collect();
                Ok(format!("{:?}", values?))
            });
            stored.extend(found.unwrap().map(Result::unwrap));
        }
        stored
    }
}

fn reply(question: QuestionId, text: &str) -> Reply<'_> {
    Reply {
        question,
        text,
        decline: false,
        corrects: false,
        force: false,
        fork: None,
    }
}

fn claim(resource: &str) -> ClaimRequest<'_> {
    ClaimRequest {
        resource,
        mode: ClaimMode::Exclusive,
        lease_ms: LEASE_MS,
        note: None,
        queue: true,
        wait: false,
    }
}

/// Returns one of these; `None` if there is none.
fn pick(ids: &[QuestionId], number: u8) -> Option<QuestionId> {
    let number = usize::from(number).checked_rem(ids.len())?;
    Some(ids[number])
}
