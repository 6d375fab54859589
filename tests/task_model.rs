//! Tasks compared with a small reference model: after any operations in any order, both agree on states and refusals.
use crate::support::MeshFixture;
use std::collections::BTreeSet;
use std::path::Path;

use claude_mesh::mesh::task_files;
use claude_mesh::mesh::{
    ClaimFilter, Mesh, SessionHandle, StaleTaskFilter, TaskChange, TaskFields, TaskSelection,
};
use claude_mesh::model::TaskStatus::{Cancelled, Done, InProgress, InReview, Todo};
use claude_mesh::model::{Error, TaskStatus};
use claude_mesh::platform::id::TaskId;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const PEERS: usize = 3;
const TITLES: usize = 12;
const FILES: usize = 2;

/// One operation of a peer.
#[derive(Debug, Clone)]
enum TaskStep {
    Create {
        who: usize,
        title: usize,
        file: usize,
    },
    Move {
        who: usize,
        task: usize,
        to: TaskStatus,
        reason: bool,
    },
    Wait {
        who: usize,
        task: usize,
        waits_for: usize,
    },
    UpdateAtVersion {
        who: usize,
        task: usize,
        version: i64,
    },
    Delete {
        who: usize,
        task: usize,
    },
    CancelStale {
        who: usize,
    },
}

fn step() -> impl Strategy<Value = TaskStep> {
    let who = 0..PEERS;
    let task = 0..5_usize;
    // Ends are rare, so that there are tasks to reject.
    let to = prop_oneof![
        3 => Just(Todo), 4 => Just(InProgress), 4 => Just(InReview), 2 => Just(Done), 1 => Just(Cancelled)
    ];
    prop_oneof![
        8 => (who.clone(), 0..TITLES, 0..FILES).prop_map(|(who, title, file)| TaskStep::Create { who, title, file }),
        14 => (who.clone(), task.clone(), to, any::<bool>())
            .prop_map(|(who, task, to, reason)| TaskStep::Move { who, task, to, reason }),
        7 => (who.clone(), task.clone(), task.clone())
            .prop_map(|(who, task, waits_for)| TaskStep::Wait { who, task, waits_for }),
        1 => (who.clone(), task.clone(), 1..4_i64).prop_map(|(who, task, version)| TaskStep::UpdateAtVersion { who, task, version }),
        1 => (who.clone(), task).prop_map(|(who, task)| TaskStep::Delete { who, task }),
        1 => who.prop_map(|who| TaskStep::CancelStale { who }),
    ]
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Task {
    title: usize,
    file: usize,
    status: TaskStatus,
    creator: usize,
    assignee: Option<usize>,
    waits_for: Option<usize>,
    version: i64,
    deleted: bool,
    holds_file: bool,
}

/// Why an operation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rejection {
    /// An open task has that title and is returned.
    DuplicateTitle,
    /// The task does not exist.
    Unknown,
    /// The task belongs to another peer.
    NotYours,
    /// The transition does not exist.
    Transition,
    /// The rejection has no reason.
    Reason,
    /// A dependency is open.
    OpenDependency,
    /// The dependency would form a cycle.
    Cycle,
    /// The version has changed.
    Version,
    /// The task has ended.
    Ended,
}

impl Rejection {
    /// Classifies a refusal: its code, and for conflicts its message.
    fn of(error: &Error) -> Self {
        let Error::Refused(refusal) = error else {
            panic!("{error}");
        };
        let text = refusal.to_string();
        let says = |words: &str| text.contains(words);
        match refusal.code() {
            "not_found" => Self::Unknown,
            "not_yours" => Self::NotYours,
            "invalid_argument" if says("\"reason\" is missing") => Self::Reason,
            "conflict" if says("so it cannot become") => Self::Transition,
            "conflict" if says("the task cannot start") => Self::OpenDependency,
            "conflict" if says("would wait for itself") => Self::Cycle,
            "conflict" if says("has version") => Self::Version,
            "conflict" if says("cannot be changed any more") => Self::Ended,
            code => panic!("{code}: {text}"),
        }
    }
}

type Outcome = Result<(), Rejection>;

/// All tasks that ever existed, in order of creation.
#[derive(Debug, Default)]
struct TaskModel {
    tasks: Vec<Task>,
}

impl TaskModel {
    fn existing_task(&self, task: usize) -> Option<&Task> {
        self.tasks.get(task).filter(|task| !task.deleted)
    }

    fn find_task(&self, task: usize) -> Result<&Task, Rejection> {
        self.existing_task(task).ok_or(Rejection::Unknown)
    }

    fn step(&mut self, step: &TaskStep) -> Outcome {
        let at = |back| nth_newest(self.tasks.len(), back);
        match *step {
            TaskStep::Create { who, title, file } => {
                if self.has_open_task(title) {
                    return Err(Rejection::DuplicateTitle);
                }
                self.tasks.push(Task {
                    title,
                    file,
                    status: Todo,
                    creator: who,
                    assignee: None,
                    waits_for: None,
                    version: 1,
                    deleted: false,
                    holds_file: false,
                });
            }
            TaskStep::Move {
                who,
                task,
                to,
                reason,
            } => self.change_status(who, at(task), to, reason)?,
            TaskStep::Wait {
                task, waits_for, ..
            } => self.set_dependency(at(task), at(waits_for))?,
            TaskStep::UpdateAtVersion { task, version, .. } => {
                let task = at(task);
                let found = self.find_task(task)?;
                if found.version != version {
                    return Err(Rejection::Version);
                }
                if found.status.is_ended() {
                    return Err(Rejection::Ended);
                }
                self.tasks[task].version += 1;
            }
            TaskStep::Delete { who, task } => {
                let task = at(task);
                if self.find_task(task)?.creator != who {
                    return Err(Rejection::NotYours);
                }
                self.tasks[task].deleted = true;
                self.give_back(task);
            }
            TaskStep::CancelStale { who } => {
                // Every peer has its own project, and a task belongs to that of its creator.
                assert!(who < PEERS);
                for task in &mut self.tasks {
                    if task.status == Todo && !task.deleted {
                        task.status = Cancelled;
                        task.version += 1;
                    }
                }
            }
        }
        Ok(())
    }

    fn has_open_task(&self, title: usize) -> bool {
        let open = |task: &Task| task.title == title && !task.deleted && !task.status.is_ended();
        self.tasks.iter().any(open)
    }

    fn set_dependency(&mut self, task: usize, waits_for: usize) -> Outcome {
        let found = self.find_task(task)?.clone();
        if found.status.is_ended() {
            return Err(Rejection::Ended);
        }
        self.find_task(waits_for)?;
        if self.depends_transitively(waits_for, task) {
            return Err(Rejection::Cycle);
        }
        if found.waits_for != Some(waits_for) {
            self.tasks[task].waits_for = Some(waits_for);
            self.tasks[task].version += 1;
        }
        Ok(())
    }

    fn change_status(&mut self, who: usize, at: usize, to: TaskStatus, reason: bool) -> Outcome {
        let task = self.find_task(at)?.clone();
        let steps = matches!(
            (task.status, to),
            (Todo, InProgress) | (InProgress, InReview | Todo) | (InReview, Done | Todo)
        );
        if !steps && (to != Cancelled || task.status.is_ended()) {
            return Err(Rejection::Transition);
        }
        if (task.status, to) == (InReview, Todo) && !reason {
            return Err(Rejection::Reason);
        }
        let first = task.waits_for.and_then(|first| self.existing_task(first));
        if to == InProgress && first.is_some_and(|first| !first.status.is_ended()) {
            return Err(Rejection::OpenDependency);
        }
        let free = !self
            .tasks
            .iter()
            .any(|one| one.holds_file && one.file == task.file);
        let task = &mut self.tasks[at];
        task.status = to;
        task.version += 1;
        if to == InProgress {
            task.assignee = task.assignee.or(Some(who));
            task.holds_file = free && task.assignee == Some(who);
        } else if to != InReview {
            self.give_back(at);
        }
        Ok(())
    }

    /// Another started task of the same peer with the same file keeps the file.
    fn give_back(&mut self, at: usize) {
        let task = self.tasks[at].clone();
        self.tasks[at].holds_file = false;
        let needs_it = |one: &&mut Task| {
            let under_way = matches!(one.status, InProgress | InReview) && !one.deleted;
            under_way && one.assignee == task.assignee && one.file == task.file
        };
        if task.holds_file
            && let Some(other) = self.tasks.iter_mut().find(needs_it)
        {
            other.holds_file = true;
        }
    }

    fn depends_transitively(&self, from: usize, to: usize) -> bool {
        let mut at = Some(from);
        while let Some(here) = at {
            if here == to {
                return true;
            }
            at = self.existing_task(here).and_then(|task| task.waits_for);
        }
        false
    }
}

/// Returns the index of a task counted back from the newest. The last count names no task.
fn nth_newest(count: usize, back: usize) -> usize {
    count.checked_sub(back + 1).unwrap_or(count)
}

/// The same operations on a real file.
struct Real {
    fixture: MeshFixture,
    mesh: Mesh,
    peers: Vec<SessionHandle>,
    ids: Vec<TaskId>,
}

impl Real {
    fn new() -> Self {
        let fixture = MeshFixture::new();
        let mut mesh = fixture.mesh();
        let peers = (0..PEERS)
            .map(|who| {
                let instance = u32::try_from(who).unwrap() + 1;
                let request = fixture.join_request(&who.to_string(), instance);
                mesh.register(&request).unwrap()
            })
            .collect();
        Self {
            fixture,
            mesh,
            peers,
            ids: Vec::new(),
        }
    }

    fn project(&self) -> &Path {
        self.fixture.place.path()
    }

    fn id(&self, back: usize) -> TaskId {
        let unknown = "01JZZZZZZZZZZZZZZZZZZZZZZZ".parse().unwrap();
        let at = nth_newest(self.ids.len(), back);
        self.ids.get(at).copied().unwrap_or(unknown)
    }

    fn step(&mut self, step: &TaskStep) -> Outcome {
        let project = self.project().to_owned();
        match *step {
            TaskStep::Create { who, title, file } => self.create(who, title, file),
            TaskStep::Move {
                who,
                task,
                to,
                reason,
            } => {
                let change = TaskChange {
                    status: Some(to),
                    reason: reason.then(|| "because".into()),
                    ..TaskChange::of(self.id(task))
                };
                to_outcome(self.mesh.update_task(&self.peers[who], &change))
            }
            TaskStep::Wait {
                who,
                task,
                waits_for,
            } => {
                let fields = TaskFields {
                    depends_on: Some(vec![self.id(waits_for)]),
                    ..TaskFields::default()
                };
                let change = TaskChange {
                    fields,
                    ..TaskChange::of(self.id(task))
                };
                to_outcome(self.mesh.update_task(&self.peers[who], &change))
            }
            TaskStep::UpdateAtVersion { who, task, version } => {
                let fields = TaskFields {
                    description: Some(format!("{} after {version}", self.ids.len())),
                    ..TaskFields::default()
                };
                let change = TaskChange {
                    fields,
                    expected_version: Some(version),
                    ..TaskChange::of(self.id(task))
                };
                to_outcome(self.mesh.update_task(&self.peers[who], &change))
            }
            TaskStep::Delete { who, task } => {
                let id = self.id(task);
                to_outcome(self.mesh.delete_task(&self.peers[who], id))
            }
            TaskStep::CancelStale { who } => {
                let filter = StaleTaskFilter {
                    project: &project,
                    older_than_seconds: 0,
                    reason: None,
                };
                to_outcome(self.mesh.cancel_stale_tasks(&self.peers[who], &filter))
            }
        }
    }

    fn create(&mut self, who: usize, title: usize, file: usize) -> Outcome {
        let project = self.project().to_owned();
        let fields = TaskFields {
            title: Some(format!("Title {title}")),
            files_owned: Some(task_files(&project, &[file.to_string()]).unwrap()),
            ..TaskFields::default()
        };
        let me = &self.peers[who];
        let created = self.mesh.create_task(me, &project, &fields).unwrap();
        if !created.created {
            return Err(Rejection::DuplicateTitle);
        }
        self.ids.push(created.task.id);
        Ok(())
    }

    /// Returns all tasks in the terms of the model, in order of creation.
    fn listed_tasks(&mut self) -> Vec<(usize, TaskStatus, Option<String>, i64)> {
        let project = self.project().to_owned();
        let all = TaskSelection {
            limit: 1_000,
            ..TaskSelection::default()
        };
        let listed = self.mesh.tasks(None, &project, &all).unwrap();
        let total: u32 = listed.counts.iter().sum();
        assert_eq!(total as usize, listed.tasks.len());
        let mut listed_tasks: Vec<_> = listed
            .tasks
            .into_iter()
            .map(|task| {
                let at = self.ids.iter().position(|id| *id == task.id).unwrap();
                (at, task.status, task.assigned_name, task.version)
            })
            .collect();
        listed_tasks.sort_by_key(|task| task.0);
        listed_tasks
    }

    fn files_held(&mut self) -> BTreeSet<usize> {
        let lines = self.mesh.claims(ClaimFilter::Prefix("file:")).unwrap();
        let file = |resource: &str| resource.rsplit('/').next().unwrap().parse().unwrap();
        lines.iter().map(|line| file(&line.resource)).collect()
    }
}

fn to_outcome<T>(outcome: claude_mesh::model::Result<T>) -> Outcome {
    outcome.map(drop).map_err(|error| Rejection::of(&error))
}

/// Runs all steps in both and compares after each. Returns the refusals.
fn run_steps(steps: &[TaskStep]) -> Vec<Rejection> {
    let (mut model, mut real) = (TaskModel::default(), Real::new());
    let mut refused = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let outcome = real.step(step);
        assert_eq!(outcome, model.step(step), "step {number}: {step:?}");
        refused.extend(outcome.err());
        let name = |task: &Task| task.assignee.map(|who| who.to_string());
        let wanted: Vec<_> = model
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| !task.deleted)
            .map(|(at, task)| (at, task.status, name(task), task.version))
            .collect();
        assert_eq!(real.listed_tasks(), wanted, "after step {number}: {step:?}");
        let holding = model.tasks.iter().filter(|task| task.holds_file);
        let held: BTreeSet<usize> = holding.map(|task| task.file).collect();
        assert_eq!(real.files_held(), held, "after step {number}: {step:?}");
    }
    refused
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tasks_match_the_model_after_random_steps(steps in prop::collection::vec(step(), 20..50)) {
        run_steps(&steps);
    }
}

/// One long sequence of steps, the same in every run.
// Requirement: Tasks 5
#[test]
fn tasks_match_the_model_after_a_thousand_steps() {
    let mut dice = TestRunner::deterministic();
    let steps = prop::collection::vec(step(), 1_000).new_tree(&mut dice);
    let refused = run_steps(&steps.unwrap().current());
    for no in [
        Rejection::DuplicateTitle,
        Rejection::Unknown,
        Rejection::NotYours,
        Rejection::Transition,
        Rejection::Reason,
        Rejection::OpenDependency,
        Rejection::Cycle,
        Rejection::Version,
        Rejection::Ended,
    ] {
        assert!(refused.contains(&no), "{no:?} never came");
    }
}
