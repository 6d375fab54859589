//! The claim queue compared with a small reference model: both agree on holders, tickets and results after any operations.
use crate::support::MeshFixture;

use claude_mesh::mesh::{ClaimFilter, ClaimOutcome, ClaimRequest, ClaimSelector, Member};
use claude_mesh::model::{ClaimMode, ClaimState, PeerName};
use proptest::prelude::*;

/// A session, and whether it holds shared.
type SessionModes = Vec<(usize, bool)>;

const SESSIONS: usize = 4;
const LEASE_MS: i64 = 1_000;

/// One operation of a peer.
#[derive(Debug, Clone)]
enum ClaimStep {
    Claim {
        who: usize,
        shared: bool,
        queue: bool,
    },
    Release {
        who: usize,
    },
    Leave {
        who: usize,
    },
    AdvanceClock {
        ms: i64,
    },
}

fn step() -> impl Strategy<Value = ClaimStep> {
    let who = 0..SESSIONS;
    prop_oneof![
        6 => (who.clone(), any::<bool>(), prop::bool::weighted(0.7))
            .prop_map(|(who, shared, queue)| ClaimStep::Claim { who, shared, queue }),
        3 => who.clone().prop_map(|who| ClaimStep::Release { who }),
        1 => who.prop_map(|who| ClaimStep::Leave { who }),
        1 => (1..700_i64).prop_map(|ms| ClaimStep::AdvanceClock { ms }),
    ]
}

/// The result of an operation.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Granted {
        renewed: bool,
    },
    /// The holders.
    Denied(Vec<usize>),
    /// The position in the queue.
    Queued(usize),
    /// What was released, and who was promoted by that.
    Released(Option<ClaimState>, Vec<usize>),
    Nothing,
}

/// Holders with mode and time, and the queue in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct ClaimModel {
    now_ms: i64,
    fencing_token: i64,
    holders: Vec<(usize, bool, i64)>,
    queue: Vec<(usize, bool)>,
    /// Sessions promoted since the step began.
    promoted: Vec<usize>,
}

impl ClaimModel {
    fn step(&mut self, step: &ClaimStep) -> Outcome {
        self.expire_and_promote();
        self.promoted.clear();
        match *step {
            ClaimStep::AdvanceClock { ms } => {
                self.now_ms += ms;
                self.expire_and_promote();
                Outcome::Nothing
            }
            ClaimStep::Release { who } => {
                let was = if self.holders.iter().any(|held| held.0 == who) {
                    Some(ClaimState::Held)
                } else {
                    let waits = self.queue.iter().any(|ticket| ticket.0 == who);
                    waits.then_some(ClaimState::Queued)
                };
                self.leave(who);
                self.promoted.sort_unstable();
                Outcome::Released(was, self.promoted.clone())
            }
            ClaimStep::Leave { who } => {
                self.leave(who);
                Outcome::Nothing
            }
            ClaimStep::Claim { who, shared, queue } => {
                let held = self.holders.iter().find(|held| held.0 == who);
                let renewed = held.is_some_and(|held| held.1 == shared);
                self.claim(who, shared, queue);
                self.expire_and_promote();
                let mut holders: Vec<usize> = self.holders.iter().map(|held| held.0).collect();
                holders.sort_unstable();
                let holds = |held: &(usize, bool, i64)| (held.0, held.1) == (who, shared);
                match self.queue.iter().position(|ticket| ticket.0 == who) {
                    _ if self.holders.iter().any(holds) => Outcome::Granted { renewed },
                    Some(at) => Outcome::Queued(at + 1),
                    None => Outcome::Denied(holders),
                }
            }
        }
    }

    fn leave(&mut self, who: usize) {
        self.holders.retain(|held| held.0 != who);
        self.queue.retain(|ticket| ticket.0 != who);
        self.expire_and_promote();
    }

    fn claim(&mut self, who: usize, shared: bool, queue: bool) {
        let alone = self.holders.len() == 1;
        let now_ms = self.now_ms;
        if let Some(held) = self.holders.iter_mut().find(|held| held.0 == who)
            && (held.1 == shared || alone)
        {
            if held.1 != shared {
                self.fencing_token += 1;
                self.queue.retain(|ticket| ticket.0 != who);
            }
            (held.1, held.2) = (shared, now_ms);
        } else if let Some(ticket) = self.queue.iter_mut().find(|ticket| ticket.0 == who) {
            ticket.1 = shared;
        } else {
            self.queue.push((who, shared));
            self.expire_and_promote();
            if !queue {
                self.queue.retain(|ticket| ticket.0 != who);
            }
        }
    }

    fn expire_and_promote(&mut self) {
        let now_ms = self.now_ms;
        self.holders.retain(|held| now_ms < held.2 + LEASE_MS);
        if let [(only, true, _)] = self.holders[..]
            && let Some(at) = self.queue.iter().position(|it| *it == (only, false))
        {
            self.queue.remove(at);
            self.holders.clear();
            self.grant(only, false);
            return;
        }
        while let Some(&(who, shared)) = self.queue.first() {
            let free = self.holders.is_empty();
            let joins = shared && self.holders.iter().all(|held| held.1);
            if !free && !joins {
                return;
            }
            self.queue.remove(0);
            self.grant(who, shared);
        }
    }

    fn grant(&mut self, who: usize, shared: bool) {
        self.fencing_token += 1;
        self.promoted.push(who);
        self.holders.push((who, shared, self.now_ms));
    }
}

/// The same operations by real members on a real file.
struct MeshUnderTest {
    fixture: MeshFixture,
    members: Vec<Option<Member>>,
}

impl MeshUnderTest {
    fn new() -> Self {
        let mut real = Self {
            fixture: MeshFixture::new(),
            members: Vec::new(),
        };
        real.members = (0..SESSIONS).map(|who| Some(real.member(who))).collect();
        real
    }

    fn member(&self, who: usize) -> Member {
        let instance = u32::try_from(who).unwrap() + 1;
        let request = self.fixture.join_request(&who.to_string(), instance);
        self.fixture.mesh().join_with(&request, true).unwrap()
    }

    fn step(&mut self, step: &ClaimStep) -> Outcome {
        let sorted = |names: &mut dyn Iterator<Item = &PeerName>| {
            let mut numbers: Vec<usize> =
                names.map(|name| name.as_str().parse().unwrap()).collect();
            numbers.sort_unstable();
            numbers
        };
        match *step {
            ClaimStep::AdvanceClock { ms } => {
                self.fixture.clock.advance_ms(ms);
                Outcome::Nothing
            }
            ClaimStep::Release { who } => {
                let member = self.members[who].as_mut().unwrap();
                let me = member.handle().clone();
                let it = ClaimSelector::Resource("it");
                let released = member.mesh().release(&me, it).unwrap();
                Outcome::Released(released.was, sorted(&mut released.promoted.iter()))
            }
            ClaimStep::Leave { who } => {
                self.members[who] = None;
                self.members[who] = Some(self.member(who));
                Outcome::Nothing
            }
            ClaimStep::Claim { who, shared, queue } => {
                let mode = if shared {
                    ClaimMode::Shared
                } else {
                    ClaimMode::Exclusive
                };
                let wanted = ClaimRequest {
                    resource: "it",
                    mode,
                    lease_ms: LEASE_MS,
                    note: None,
                    queue,
                    wait: false,
                };
                let member = self.members[who].as_mut().unwrap();
                let me = member.handle().clone();
                let names = |claims: &[claude_mesh::store::Claim]| {
                    sorted(&mut claims.iter().map(|claim| &claim.peer_name))
                };
                match member.mesh().claim(&me, &wanted).unwrap() {
                    ClaimOutcome::Granted(grant) => Outcome::Granted {
                        renewed: grant.renewed,
                    },
                    ClaimOutcome::Denied { holders } => Outcome::Denied(names(&holders)),
                    ClaimOutcome::Queued(ticket) => Outcome::Queued(ticket.position),
                }
            }
        }
    }

    /// Returns holders, queue and fencing token.
    fn claim_entry(&mut self) -> (SessionModes, SessionModes, i64) {
        let mesh = self.members[0].as_mut().unwrap().mesh();
        let claim_entries = mesh.claims(ClaimFilter::Resource("it")).unwrap();
        let of = |claims: &[claude_mesh::store::Claim]| -> Vec<(usize, bool)> {
            let one = |claim: &claude_mesh::store::Claim| {
                (
                    claim.peer_name.as_str().parse().unwrap(),
                    claim.mode == ClaimMode::Shared,
                )
            };
            claims.iter().map(one).collect()
        };
        match claim_entries.first() {
            Some(claim_entry) => (
                of(&claim_entry.holders),
                of(&claim_entry.queue),
                claim_entry.fencing_token,
            ),
            None => (Vec::new(), Vec::new(), 0),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    // Requirement: Mesh 8
    #[test]
    fn claim_queue_matches_the_reference_model(steps in prop::collection::vec(step(), 1..40)) {
        let (mut model, mut real) = (ClaimModel::default(), MeshUnderTest::new());
        for step in &steps {
            prop_assert_eq!(real.step(step), model.step(step), "{:?} of {:?}", step, steps);
            let (mut holders, queue, fencing_token) = real.claim_entry();
            let mut wanted: Vec<_> = model.holders.iter().map(|held| (held.0, held.1)).collect();
            holders.sort_unstable();
            wanted.sort_unstable();
            prop_assert_eq!((&holders, &queue), (&wanted, &model.queue), "after {:?} of {:?}", step, steps);
            let alone = holders.iter().any(|held| !held.1);
            prop_assert!(!alone || holders.len() == 1, "two hold it");
            if !holders.is_empty() {
                prop_assert_eq!(fencing_token, model.fencing_token, "after {:?} of {:?}", step, steps);
            }
        }
    }
}
