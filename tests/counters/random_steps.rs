//! Random steps of two members on one mesh, for the test that compares every counter with the rows.
use claude_mesh::mesh::{Member, Remember, Reply, TaskChange, TaskFields};
use claude_mesh::model::TaskStatus;
use claude_mesh::model::memory::MemoryScope;
use claude_mesh::model::peer::Address;
use claude_mesh::platform::id::{QuestionId, TaskId};

use crate::support::{DAY_MS, MeshFixture};

/// Two members that take random steps, the same in every run, and what they have created.
pub(super) struct RandomSteps {
    pub(super) fixture: MeshFixture,
    pub(super) ada: Member,
    pub(super) bo: Member,
    seed: u64,
    asked: Vec<QuestionId>,
    tasks: Vec<TaskId>,
}

impl RandomSteps {
    pub(super) fn new() -> Self {
        let fixture = MeshFixture::new();
        let (ada, bo) = (fixture.member("ada", 1), fixture.member("bo", 2));
        Self {
            fixture,
            ada,
            bo,
            seed: 7,
            asked: Vec::new(),
            tasks: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, number: u32) {
        let pick = usize::try_from(next(&mut self.seed)).unwrap() % self.asked.len().max(1);
        match next(&mut self.seed) % 11 {
            0..=2 => self.ask(number),
            3 | 4 if !self.asked.is_empty() => self.reply(number, self.asked[pick]),
            5 if !self.asked.is_empty() => {
                let me = self.ada.handle().clone();
                let erased = self.asked.swap_remove(pick);
                self.ada.mesh().erase_question(&me, erased).unwrap();
            }
            6 => self.fixture.clock.advance_ms(2 * DAY_MS),
            8 => self.remember(number),
            9 => self.create_task(number),
            10 if self.tasks.len() > 2 => self.cancel_task(),
            _ => drop(self.ada.mesh().sweep().unwrap()),
        }
    }

    /// Asks and ends the wait; every fifth question is withdrawn.
    fn ask(&mut self, number: u32) {
        let address = Address::parse("bo").unwrap();
        let (question, wait) = self.ada.ask(&address, &format!("{number}?"), None).unwrap();
        let me = self.ada.handle().clone();
        let withdrawn: &[_] = if number.is_multiple_of(5) {
            &[question.question]
        } else {
            &[]
        };
        self.ada
            .mesh()
            .abandon_wait(&me, &wait.unwrap(), withdrawn)
            .unwrap();
        self.asked.push(question.question);
    }

    /// Answers or declines, and corrects that.
    fn reply(&mut self, number: u32, question: QuestionId) {
        let me = self.bo.handle().clone();
        let reply = |decline, corrects, text| Reply {
            question,
            text,
            decline,
            corrects,
            force: false,
            fork: None,
        };
        let declines = number.is_multiple_of(2);
        let _ = self.bo.mesh().reply(&me, reply(declines, false, "5433"));
        let _ = self.bo.mesh().reply(&me, reply(false, true, "5434"));
    }

    /// Stores a memory; every third replaces an earlier one.
    fn remember(&mut self, number: u32) {
        let me = self.ada.handle().clone();
        let text = format!("step {number}");
        let memory = Remember {
            text: &text,
            key: Some(if number.is_multiple_of(3) {
                "key"
            } else {
                &text
            }),
            tags: &[],
            ttl_seconds: None,
            scope: MemoryScope::Mesh,
            force: false,
        };
        self.ada.mesh().remember(&me, "", memory).unwrap();
    }

    fn create_task(&mut self, number: u32) {
        let me = self.ada.handle().clone();
        let fields = TaskFields {
            title: Some(format!("task {number}")),
            ..TaskFields::default()
        };
        let project = self.fixture.place.path();
        let created = self.ada.mesh().create_task(&me, project, &fields);
        self.tasks.push(created.unwrap().task.id);
    }

    fn cancel_task(&mut self) {
        let me = self.bo.handle().clone();
        let change = TaskChange {
            status: Some(TaskStatus::Cancelled),
            ..TaskChange::of(self.tasks.remove(1))
        };
        self.bo.mesh().update_task(&me, &change).unwrap();
    }
}

/// A small generator of numbers, the same in every run.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    *seed >> 33
}
