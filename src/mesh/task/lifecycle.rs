//! Tasks: to create, change, delete and list them. By its id anybody in the mesh may change a task; each change is one
//! transaction with its event, the claims it takes or gives back, and what others are told of it.
use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::mesh::peer::directory::{find, resolve_address, unknown_peer_refusal};
use crate::mesh::peer::liveness::HostView;
use crate::mesh::task::files::{FileClaim, claim_files, release_files};
use crate::mesh::task::notifications::TaskNotifications;
use crate::mesh::{Mesh, PendingWakeups, SessionHandle};
use crate::model::peer::Address;
use crate::model::task::{
    BULK_MAX, DEPENDENCIES_MAX, FILES_MAX, append_reason, check_count, check_description,
    check_reason, check_title, fingerprint,
};
use crate::model::{EventKind, PeerKind, PeerName, Priority, Refusal, Result, TaskStatus};
use crate::platform::clock::rfc3339;
use crate::platform::id::{PeerId, TaskId};
use crate::store::{Task, TaskListing, Tx};

/// What somebody says of a task; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFields {
    /// What it is.
    pub title: Option<String>,
    /// What it is in full.
    pub description: Option<String>,
    /// Whose work it is, by name; empty is nobody's.
    pub assigned_to: Option<String>,
    /// What its work touches, as [`task_files`](super::task_files()) gives it.
    pub files_owned: Option<Vec<String>>,
    /// How much it matters.
    pub priority: Option<Priority>,
    /// The tasks that must have ended before it starts.
    pub depends_on: Option<Vec<TaskId>>,
}

/// A change of a task.
#[derive(Debug, Clone)]
pub struct TaskChange {
    /// Which task.
    pub id: TaskId,
    /// What it says from now on.
    pub fields: TaskFields,
    /// Where it stands from now on.
    pub status: Option<TaskStatus>,
    /// Why it takes that step.
    pub reason: Option<String>,
    /// The version it must have.
    pub expected_version: Option<i64>,
}

impl TaskChange {
    /// Returns a change of nothing.
    pub fn of(id: TaskId) -> Self {
        Self {
            id,
            fields: TaskFields::default(),
            status: None,
            reason: None,
            expected_version: None,
        }
    }

    fn has_no_changes(&self) -> bool {
        let TaskFields {
            title,
            description,
            assigned_to,
            files_owned,
            priority,
            depends_on,
        } = &self.fields;
        let texts = [title, description, assigned_to, &self.reason];
        texts.iter().all(|text| text.is_none())
            && files_owned.is_none()
            && priority.is_none()
            && depends_on.is_none()
            && self.status.is_none()
    }
}

/// What came of creating a task.
#[derive(Debug, Clone)]
pub struct TaskCreated {
    /// The task, or the open one that is the same work.
    pub task: Task,
    /// It is new.
    pub created: bool,
}

/// What came of changing a task.
#[derive(Debug, Clone)]
pub struct TaskUpdated {
    /// The task as it is now.
    pub task: Task,
    /// Of a task that was begun, or names other files while it is under way: who has its files now.
    pub claims: Vec<FileClaim>,
}

/// What came of each of several changes, in the order given.
pub type BulkUpdateOutcome = Vec<(TaskId, std::result::Result<TaskUpdated, Refusal>)>;

/// Which tasks to list.
#[derive(Debug, Clone, Default)]
pub struct TaskSelection {
    /// Only in this status.
    pub status: Option<TaskStatus>,
    /// Only of this peer; empty is nobody's.
    pub assigned_to: Option<String>,
    /// Only those in which each of these words stands.
    pub query: Option<String>,
    /// So many at most.
    pub limit: u32,
}

/// Tasks of a project and of the one who looks.
#[derive(Debug, Clone)]
pub struct TaskList {
    /// What is to be done first comes first.
    pub tasks: Vec<Task>,
    /// How many of the project are in each status, in the order of a task's life.
    pub counts: [u32; 5],
}

/// Tasks of a project that nobody has begun and nobody has changed since a time.
#[derive(Debug, Clone, Copy)]
pub(in crate::mesh) struct StaleTasks<'a> {
    pub(in crate::mesh) project: &'a str,
    pub(in crate::mesh) before_ms: i64,
    /// Why they are cancelled.
    pub(in crate::mesh) reason: Option<&'a str>,
}

/// So many tasks are cancelled in one transaction.
const CANCEL_BATCH_MAX: u32 = 200;

impl Mesh {
    /// Creates a task of a project, unless an open one has the same title but for case, spaces and signs.
    pub fn create_task(
        &mut self,
        me: &SessionHandle,
        project: &Path,
        fields: &TaskFields,
    ) -> Result<TaskCreated> {
        let fields = validated_fields(fields)?;
        let Some(title) = fields.title.clone() else {
            return Err(Refusal::argument("missing parameter `title`").into());
        };
        let project = project.to_string_lossy().into_owned();
        let fingerprint = fingerprint(&title);
        self.write(|tx, host, wakeups| {
            if let Some(task) = tx.find_open_task_by_fingerprint(&project, &fingerprint)? {
                return Ok(TaskCreated {
                    task,
                    created: false,
                });
            }
            let mut task = Task {
                id: tx.new_task_id()?,
                project,
                title,
                fingerprint,
                description: String::new(),
                status: TaskStatus::Todo,
                priority: Priority::default(),
                assigned_to: None,
                assigned_name: None,
                created_by: me.peer,
                created_by_name: me.name.to_string(),
                files_owned: Vec::new(),
                depends_on: Vec::new(),
                claims: Vec::new(),
                created_at_ms: tx.now.wall_ms,
                updated_at_ms: tx.now.wall_ms,
                version: 1,
            };
            apply_fields(tx, host, wakeups, me, &mut task, &fields)?;
            let task = kept(tx, &task)?;
            let data = json!({
                "title": task.title,
                "project": task.project,
                "priority": task.priority,
                "assigned_to": task.assigned_name,
            });
            let id = task.id.to_string();
            tx.append_event(EventKind::TaskCreated, Some(me.peer), &id, &data)?;
            let mut notifications = TaskNotifications::default();
            notifications.assigned(&task);
            notifications.send(tx, wakeups, me)?;
            Ok(TaskCreated {
                task,
                created: true,
            })
        })
    }

    /// Changes a task.
    pub fn update_task(&mut self, me: &SessionHandle, change: &TaskChange) -> Result<TaskUpdated> {
        let change = validated_change(change)?;
        self.write(|tx, host, wakeups| {
            let mut notifications = TaskNotifications::default();
            let updated = update(tx, host, wakeups, &mut notifications, me, &change)?;
            notifications.send(tx, wakeups, me)?;
            Ok(updated)
        })
    }

    /// Changes several tasks in one transaction, each in full or not at all.
    pub fn update_tasks(
        &mut self,
        me: &SessionHandle,
        changes: &[TaskChange],
    ) -> Result<BulkUpdateOutcome> {
        check_count("updates", changes.len(), BULK_MAX)?;
        self.write(|tx, host, wakeups| {
            let mut notifications = TaskNotifications::default();
            let mut outcomes = Vec::new();
            for change in changes {
                let mut more = notifications.clone();
                let outcome = tx.try_in_savepoint(|| {
                    let change = validated_change(change)?;
                    update(tx, host, wakeups, &mut more, me, &change)
                })?;
                if outcome.is_ok() {
                    notifications = more;
                }
                outcomes.push((change.id, outcome));
            }
            notifications.send(tx, wakeups, me)?;
            Ok(outcomes)
        })
    }

    /// Takes a task away. Its creator may, and a person.
    pub fn delete_task(&mut self, me: &SessionHandle, id: TaskId) -> Result<()> {
        self.write(|tx, _, wakeups| {
            let mut task = get_task(tx, id)?;
            if task.created_by != me.peer && me.kind != PeerKind::Person {
                let creator = &task.created_by_name;
                let problem = format!(
                    "task {id} is {creator}'s: only its creator or a person deletes it; \
                     anybody may cancel it"
                );
                return Err(Refusal::NotYours { problem }.into());
            }
            release_files(tx, wakeups, &mut task, &[])?;
            tx.delete_task(id)?;
            let data = json!({
                "title": task.title, "project": task.project, "status": task.status,
            });
            tx.append_event(
                EventKind::TaskDeleted,
                Some(me.peer),
                &id.to_string(),
                &data,
            )?;
            if !task.status.is_ended() {
                let mut notifications = TaskNotifications::default();
                notifications.deleted(&task);
                notifications.send(tx, wakeups, me)?;
            }
            Ok(())
        })
    }

    /// Cancels the tasks of a project that nobody has begun and nobody has changed for so long. Returns which.
    pub fn cancel_stale_tasks(
        &mut self,
        me: &SessionHandle,
        project: &Path,
        older_than_seconds: u32,
        reason: Option<&str>,
    ) -> Result<Vec<TaskId>> {
        reason.map(check_reason).transpose()?;
        let stale = StaleTasks {
            project: &project.to_string_lossy(),
            before_ms: self.now().wall_ms - i64::from(older_than_seconds) * 1000,
            reason,
        };
        self.cancel_all_stale(me, &stale)
    }

    /// Cancels what nobody has begun, some at a time: nobody waits for the lock until all of it is done.
    pub(in crate::mesh) fn cancel_all_stale(
        &mut self,
        me: &SessionHandle,
        stale: &StaleTasks,
    ) -> Result<Vec<TaskId>> {
        let mut all = Vec::new();
        loop {
            let some =
                self.write(|tx, host, wakeups| cancel_stale_batch(tx, host, wakeups, me, stale))?;
            let is_last_batch = some.len() < CANCEL_BATCH_MAX as usize;
            all.extend(some);
            if is_last_batch {
                return Ok(all);
            }
        }
    }

    /// Returns a task.
    pub fn task(&mut self, id: TaskId) -> Result<Task> {
        self.read(|tx, _| get_task(tx, id))
    }

    /// Returns the tasks of a project, and those of the peer that looks.
    pub fn tasks(
        &mut self,
        own: Option<&PeerName>,
        project: &Path,
        selection: &TaskSelection,
    ) -> Result<TaskList> {
        let project = project.to_string_lossy();
        let words: Vec<String> = selection
            .query
            .iter()
            .flat_map(|query| query.split_whitespace().map(str::to_owned))
            .collect();
        self.read(|tx, host| {
            let own = own
                .map(|name| tx.find_peer_by_name(name.as_str()))
                .transpose()?
                .flatten();
            let assigned_to = match selection.assigned_to.as_deref().map(str::trim) {
                None => None,
                Some("") => Some(None),
                Some(name) => match find(tx, Address::parse_as("assigned_to", name)?.name())? {
                    Some(peer) => Some(Some(peer.id)),
                    None => return Err(unknown_peer_refusal(tx, host, None, name)?.into()),
                },
            };
            let listing = TaskListing {
                project: &project,
                own: own.map(|peer| peer.id),
                status: selection.status,
                assigned_to,
                words: &words,
                limit: selection.limit,
            };
            Ok(TaskList {
                tasks: tx.tasks(&listing)?,
                counts: tx.count_tasks(&project)?,
            })
        })
    }

    /// Returns the tasks that a peer has not begun.
    pub fn unstarted_tasks(&mut self, me: &SessionHandle) -> Result<Vec<Task>> {
        self.read(|tx, _| Ok(tx.todo_tasks_of(me.peer)?))
    }
}

/// Cancels what nobody has begun, as much of it as fits into one transaction.
pub(in crate::mesh) fn cancel_stale_batch(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    stale: &StaleTasks,
) -> Result<Vec<TaskId>> {
    let mut notifications = TaskNotifications::default();
    let mut cancelled = Vec::new();
    for task in tx.stale_todo_tasks(stale.project, stale.before_ms, CANCEL_BATCH_MAX)? {
        let change = TaskChange {
            status: Some(TaskStatus::Cancelled),
            reason: stale.reason.map(str::to_owned),
            ..TaskChange::of(task.id)
        };
        update(tx, host, wakeups, &mut notifications, me, &change)?;
        cancelled.push(task.id);
    }
    notifications.send(tx, wakeups, me)?;
    Ok(cancelled)
}

fn get_task(tx: &Tx, id: TaskId) -> Result<Task> {
    tx.task(id)?
        .ok_or_else(|| Refusal::UnknownTask { id: id.to_string() }.into())
}

/// Sizes, forms and secrets are checked before anything is stored.
fn validated_fields(fields: &TaskFields) -> Result<TaskFields> {
    let mut fields = fields.clone();
    fields.title = fields.title.as_deref().map(check_title).transpose()?;
    if let Some(description) = &fields.description {
        check_description(description)?;
    }
    if let Some(files) = &fields.files_owned {
        check_count("files_owned", files.len(), FILES_MAX)?;
    }
    if let Some(ids) = &mut fields.depends_on {
        check_count("depends_on", ids.len(), DEPENDENCIES_MAX)?;
        ids.sort_unstable();
        ids.dedup();
    }
    Ok(fields)
}

fn validated_change(change: &TaskChange) -> Result<TaskChange> {
    if change.has_no_changes() {
        return Err(Refusal::argument("nothing to change is given beside the task").into());
    }
    if let Some(reason) = &change.reason {
        check_reason(reason)?;
        if change.status.is_none() {
            return Err(Refusal::argument("\"reason\" belongs to a change of \"status\"").into());
        }
    }
    Ok(TaskChange {
        fields: validated_fields(&change.fields)?,
        ..change.clone()
    })
}

/// Stores a task. Returns it with the names of those it names now.
fn kept(tx: &Tx, task: &Task) -> Result<Task> {
    tx.save_task(task)?;
    Ok(tx.task(task.id)?.expect("it was just stored"))
}

/// Puts what somebody says of a task into it.
fn apply_fields(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    task: &mut Task,
    fields: &TaskFields,
) -> Result<()> {
    if let Some(title) = &fields.title {
        task.title.clone_from(title);
        task.fingerprint = fingerprint(title);
        let same = tx.find_open_task_by_fingerprint(&task.project, &task.fingerprint)?;
        if let Some(other) = same.filter(|other| other.id != task.id) {
            let problem = format!("task {} is open and has that title already", other.id);
            return Err(Refusal::TaskConflict { problem }.into());
        }
    }
    if let Some(description) = &fields.description {
        task.description.clone_from(description);
    }
    if let Some(priority) = fields.priority {
        task.priority = priority;
    }
    if let Some(files) = &fields.files_owned {
        task.files_owned.clone_from(files);
    }
    if let Some(ids) = &fields.depends_on {
        check_dependencies(tx, task.id, ids)?;
        task.depends_on.clone_from(ids);
    }
    if let Some(name) = &fields.assigned_to {
        task.assigned_to = resolve_assignee(tx, host, wakeups, me, name)?;
    }
    Ok(())
}

/// Unlike a question, a task may be one's own.
fn resolve_assignee(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    name: &str,
) -> Result<Option<PeerId>> {
    if name.trim().is_empty() {
        return Ok(None);
    }
    let address = Address::parse_as("assigned_to", name)?;
    if let Address::Peer(name) = &address
        && find(tx, name)?.is_some_and(|peer| peer.id == me.peer)
    {
        return Ok(Some(me.peer));
    }
    resolve_address(tx, host, wakeups, me, &address).map(|peer| Some(peer.id))
}

/// A task that waits for itself, whatever lies between, would never start.
fn check_dependencies(tx: &Tx, task: TaskId, ids: &[TaskId]) -> Result<()> {
    for id in ids {
        get_task(tx, *id)?;
    }
    let mut to_visit = ids.to_vec();
    let mut visited = BTreeSet::new();
    while let Some(id) = to_visit.pop() {
        if id == task {
            let problem = "by \"depends_on\" the task would wait for itself".to_owned();
            return Err(Refusal::TaskConflict { problem }.into());
        }
        if visited.insert(id) {
            to_visit.extend(tx.task_dependencies(id)?);
        }
    }
    Ok(())
}

fn update(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    notifications: &mut TaskNotifications,
    me: &SessionHandle,
    change: &TaskChange,
) -> Result<TaskUpdated> {
    let old = get_task(tx, change.id)?;
    if let Some(expected) = change.expected_version.filter(|one| *one != old.version) {
        let problem = format!(
            "task {} has version {}, not {expected}",
            old.id, old.version
        );
        return Err(Refusal::TaskConflict { problem }.into());
    }
    if let Some(to) = change.status {
        old.status.check_transition(to, change.reason.is_some())?;
    } else if old.status.is_ended() {
        let problem = format!(
            "task {} is {}, so nothing of it changes any more",
            old.id,
            old.status.as_str()
        );
        return Err(Refusal::TaskConflict { problem }.into());
    }
    let mut task = old.clone();
    apply_fields(tx, host, wakeups, me, &mut task, &change.fields)?;
    let mut claims = Vec::new();
    if let Some(to) = change.status {
        task.status = to;
        if let Some(reason) = &change.reason {
            let when = rfc3339(tx.now.wall_ms);
            let step = (old.status, to);
            let who = me.name.as_str();
            task.description = append_reason(&task.description, reason, who, &when, step);
        }
        if to == TaskStatus::InProgress {
            check_startable(tx, &task)?;
            // Whoever begins what is nobody's makes it his own; a run is gone too soon for that.
            let own = (me.kind != PeerKind::Run).then_some(me.peer);
            task.assigned_to = task.assigned_to.or(own);
        }
    }
    let gives_files_back = task.status == TaskStatus::Todo || task.status.is_ended();
    let changes_files = change.fields.files_owned.is_some() && !gives_files_back;
    if gives_files_back || task.assigned_to != old.assigned_to {
        release_files(tx, wakeups, &mut task, &[])?;
    } else if changes_files {
        let kept = task.files_owned.clone();
        release_files(tx, wakeups, &mut task, &kept)?;
    }
    let is_starting = change.status == Some(TaskStatus::InProgress);
    if (is_starting || changes_files) && task.assigned_to == Some(me.peer) {
        claims = claim_files(tx, host, wakeups, me, &mut task)?;
    }
    if task == old {
        return Ok(TaskUpdated { task, claims });
    }
    task.version += 1;
    let task = kept(tx, &task)?;
    let changes = Value::Object(changes(&old, &task));
    let data = json!({ "title": task.title, "project": task.project, "version": task.version, "changes": changes });
    tx.append_event(
        EventKind::TaskUpdated,
        Some(me.peer),
        &task.id.to_string(),
        &data,
    )?;
    if task.assigned_to != old.assigned_to && !task.status.is_ended() {
        notifications.assigned(&task);
        notifications.unassigned(&old, &task);
    }
    if change.status.is_some() {
        notifications.status_changed(old.status, &task, change.reason.as_deref());
    }
    Ok(TaskUpdated { task, claims })
}

/// One that is gone holds nobody up.
fn check_startable(tx: &Tx, task: &Task) -> Result<()> {
    let mut open = Vec::new();
    for id in &task.depends_on {
        let found = tx.task(*id)?;
        open.extend(found.filter(|one| !one.status.is_ended()));
    }
    let [first, ..] = open.as_slice() else {
        return Ok(());
    };
    let problem = format!(
        "the task cannot start: it waits for {} that {} not ended, first {} ({}, {})",
        open.len(),
        if open.len() == 1 { "has" } else { "have" },
        first.id,
        first.status.as_str(),
        first.title
    );
    Err(Refusal::TaskConflict { problem }.into())
}

/// What has changed, from what to what; of texts and lists only that they did.
fn changes(old: &Task, new: &Task) -> Map<String, Value> {
    let step = |from: Value, to: Value| json!({ "from": from, "to": to });
    let pairs = [
        ("status", json!(old.status), json!(new.status)),
        ("title", json!(old.title), json!(new.title)),
        ("priority", json!(old.priority), json!(new.priority)),
        (
            "assigned_to",
            json!(old.assigned_name),
            json!(new.assigned_name),
        ),
    ];
    let mut changes: Map<String, Value> = pairs
        .into_iter()
        .filter(|(_, from, to)| from != to)
        .map(|(key, from, to)| (key.to_owned(), step(from, to)))
        .collect();
    let texts = [
        ("description", old.description != new.description),
        ("files_owned", old.files_owned != new.files_owned),
        ("depends_on", old.depends_on != new.depends_on),
    ];
    for (key, _) in texts.into_iter().filter(|(_, changed)| *changed) {
        changes.insert(key.into(), true.into());
    }
    changes
}
