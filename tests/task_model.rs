//! Tasks against a model of a few lines: whatever is done in whatever order, both agree on what is so and what is refused.
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use claude_mesh::ground::clock::SetClock;
use claude_mesh::ground::id::TaskId;
use claude_mesh::mesh::{
    Arrival, ClaimFilter, Mesh, Sitting, TaskChange, TaskFields, TaskSelection, task_files,
};
use claude_mesh::model::TaskStatus;
use claude_mesh::model::TaskStatus::{Cancelled, Done, InProgress, InReview, Todo};
use proptest::prelude::*;

const PEERS: usize = 3;
const TITLES: usize = 6;
const FILES: usize = 2;

/// One thing that somebody does.
#[derive(Debug, Clone)]
enum Step {
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
    Guess {
        who: usize,
        task: usize,
        version: i64,
    },
    Delete {
        who: usize,
        task: usize,
    },
    Clear {
        who: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..PEERS;
    let task = 0..8_usize;
    let to = prop::sample::select(TaskStatus::ALL.to_vec());
    prop_oneof![
        4 => (who.clone(), 0..TITLES, 0..FILES).prop_map(|(who, title, file)| Step::Create { who, title, file }),
        10 => (who.clone(), task.clone(), to, any::<bool>())
            .prop_map(|(who, task, to, reason)| Step::Move { who, task, to, reason }),
        3 => (who.clone(), task.clone(), task.clone())
            .prop_map(|(who, task, waits_for)| Step::Wait { who, task, waits_for }),
        1 => (who.clone(), task.clone(), 1..4_i64).prop_map(|(who, task, version)| Step::Guess { who, task, version }),
        1 => (who.clone(), task).prop_map(|(who, task)| Step::Delete { who, task }),
        1 => who.prop_map(|who| Step::Clear { who }),
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
    gone: bool,
    holds: bool,
}

/// All tasks that ever were, in the order in which they were created.
#[derive(Debug, Default)]
struct Model {
    tasks: Vec<Task>,
}

impl Model {
    fn there(&self, task: usize) -> Option<&Task> {
        self.tasks.get(task).filter(|task| !task.gone)
    }

    /// Does it, and returns whether it was allowed.
    fn step(&mut self, step: &Step) -> bool {
        match *step {
            Step::Create { who, title, file } => {
                let open =
                    |task: &Task| task.title == title && !task.gone && !task.status.is_ended();
                let new = !self.tasks.iter().any(open);
                if new {
                    self.tasks.push(Task {
                        title,
                        file,
                        status: Todo,
                        creator: who,
                        assignee: None,
                        waits_for: None,
                        version: 1,
                        gone: false,
                        holds: false,
                    });
                }
                new
            }
            Step::Move {
                who,
                task,
                to,
                reason,
            } => self.moves(who, task, to, reason),
            Step::Wait {
                task, waits_for, ..
            } => {
                let Some(found) = self.there(task).cloned() else {
                    return false;
                };
                let fits = self.there(waits_for).is_some() && !found.status.is_ended();
                if !fits || self.reaches(waits_for, task) {
                    return false;
                }
                if found.waits_for != Some(waits_for) {
                    self.tasks[task].waits_for = Some(waits_for);
                    self.tasks[task].version += 1;
                }
                true
            }
            Step::Guess { task, version, .. } => {
                let fits = self
                    .there(task)
                    .is_some_and(|task| task.version == version && !task.status.is_ended());
                if fits {
                    self.tasks[task].version += 1;
                }
                fits
            }
            Step::Delete { who, task } => {
                let own = self.there(task).is_some_and(|task| task.creator == who);
                if own {
                    self.tasks[task].gone = true;
                    self.give_back(task);
                }
                own
            }
            Step::Clear { who } => {
                // Every peer has a project of its own, and a task belongs to its creator's.
                assert!(who < PEERS);
                for task in &mut self.tasks {
                    if task.status == Todo && !task.gone {
                        task.status = Cancelled;
                        task.version += 1;
                    }
                }
                true
            }
        }
    }

    fn moves(&mut self, who: usize, at: usize, to: TaskStatus, reason: bool) -> bool {
        let Some(task) = self.there(at).cloned() else {
            return false;
        };
        let forward = matches!(
            (task.status, to),
            (Todo, InProgress) | (InProgress, InReview | Todo) | (InReview, Done)
        );
        let rejected = task.status == InReview && to == Todo && reason;
        let cancelled = to == Cancelled && !task.status.is_ended();
        let held_up = to == InProgress
            && task
                .waits_for
                .and_then(|first| self.there(first))
                .is_some_and(|first| !first.status.is_ended());
        if !(forward || rejected || cancelled) || held_up {
            return false;
        }
        let free = !self
            .tasks
            .iter()
            .any(|one| one.holds && one.file == task.file);
        let task = &mut self.tasks[at];
        task.status = to;
        task.version += 1;
        if to == InProgress {
            task.assignee = task.assignee.or(Some(who));
            task.holds = free && task.assignee == Some(who);
        } else if to != InReview {
            self.give_back(at);
        }
        true
    }

    /// Another task of the same peer that is under way and touches the same file keeps it.
    fn give_back(&mut self, at: usize) {
        let task = self.tasks[at].clone();
        self.tasks[at].holds = false;
        let needs_it = |one: &&mut Task| {
            let under_way = matches!(one.status, InProgress | InReview) && !one.gone;
            under_way && one.assignee == task.assignee && one.file == task.file
        };
        if task.holds
            && let Some(other) = self.tasks.iter_mut().find(needs_it)
        {
            other.holds = true;
        }
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut at = Some(from);
        while let Some(here) = at {
            if here == to {
                return true;
            }
            at = self.there(here).and_then(|task| task.waits_for);
        }
        false
    }
}

/// The same, done over a real file.
struct Real {
    place: tempfile::TempDir,
    mesh: Mesh,
    peers: Vec<Sitting>,
    ids: Vec<TaskId>,
}

impl Real {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let clock = Arc::new(SetClock::at(1_800_000_000_000));
        let mut mesh = Mesh::open(&place.path().join("mesh.db"), clock).unwrap();
        let peers = (0..PEERS)
            .map(|who| {
                let folder = place.path().join(who.to_string());
                std::fs::create_dir_all(&folder).unwrap();
                let arrival = Arrival::here(&folder).unwrap();
                let instance = u32::try_from(who).unwrap() + 1;
                mesh.sit(&arrival.instance(instance)).unwrap()
            })
            .collect();
        Self {
            place,
            mesh,
            peers,
            ids: Vec::new(),
        }
    }

    fn project(&self) -> &Path {
        self.place.path()
    }

    fn id(&self, task: usize) -> TaskId {
        let unknown = "01JZZZZZZZZZZZZZZZZZZZZZZZ".parse().unwrap();
        self.ids.get(task).copied().unwrap_or(unknown)
    }

    /// Does it, and returns whether it was allowed.
    fn step(&mut self, step: &Step) -> bool {
        let project = self.project().to_owned();
        match *step {
            Step::Create { who, title, file } => {
                let fields = TaskFields {
                    title: Some(format!("Title {title}")),
                    files_owned: Some(task_files(&project, &[file.to_string()]).unwrap()),
                    ..TaskFields::default()
                };
                let me = &self.peers[who];
                let created = self.mesh.create_task(me, &project, &fields).unwrap();
                if created.created {
                    self.ids.push(created.task.id);
                }
                created.created
            }
            Step::Move {
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
                self.mesh.update_task(&self.peers[who], &change).is_ok()
            }
            Step::Wait {
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
                self.mesh.update_task(&self.peers[who], &change).is_ok()
            }
            Step::Guess { who, task, version } => {
                let fields = TaskFields {
                    description: Some(format!("{} after {version}", self.ids.len())),
                    ..TaskFields::default()
                };
                let change = TaskChange {
                    fields,
                    expected_version: Some(version),
                    ..TaskChange::of(self.id(task))
                };
                self.mesh.update_task(&self.peers[who], &change).is_ok()
            }
            Step::Delete { who, task } => {
                let id = self.id(task);
                self.mesh.delete_task(&self.peers[who], id).is_ok()
            }
            Step::Clear { who } => {
                let me = &self.peers[who];
                self.mesh.cancel_stale_tasks(me, &project, 0, None).is_ok()
            }
        }
    }

    /// Returns what there is, in the terms of the model, by the order of creation.
    fn seen(&mut self) -> Vec<(usize, TaskStatus, Option<String>, i64)> {
        let project = self.project().to_owned();
        let all = TaskSelection {
            limit: 1_000,
            ..TaskSelection::default()
        };
        let listed = self.mesh.tasks(None, &project, &all).unwrap();
        let total: u32 = listed.counts.iter().sum();
        assert_eq!(total as usize, listed.tasks.len());
        let mut seen: Vec<_> = listed
            .tasks
            .into_iter()
            .map(|task| {
                let at = self.ids.iter().position(|id| *id == task.id).unwrap();
                (at, task.status, task.assigned_name, task.version)
            })
            .collect();
        seen.sort_by_key(|task| task.0);
        seen
    }

    fn files_held(&mut self) -> BTreeSet<usize> {
        let lines = self.mesh.claims(ClaimFilter::Prefix("file:")).unwrap();
        let file = |resource: &str| resource.rsplit('/').next().unwrap().parse().unwrap();
        lines.iter().map(|line| file(&line.resource)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_thousand_steps_leave_tasks_as_the_model_has_them(steps in prop::collection::vec(step(), 20..50)) {
        let (mut model, mut real) = (Model::default(), Real::new());
        for step in &steps {
            prop_assert_eq!(real.step(step), model.step(step), "{:?} of {:?}", step, steps);
            let name = |task: &Task| task.assignee.map(|who| who.to_string());
            let wanted: Vec<_> = model
                .tasks
                .iter()
                .enumerate()
                .filter(|(_, task)| !task.gone)
                .map(|(at, task)| (at, task.status, name(task), task.version))
                .collect();
            prop_assert_eq!(real.seen(), wanted, "after {:?} of {:?}", step, steps);
            let held: BTreeSet<usize> = model.tasks.iter().filter(|task| task.holds).map(|task| task.file).collect();
            prop_assert_eq!(real.files_held(), held, "after {:?} of {:?}", step, steps);
        }
    }
}
