//! Statements on tasks: saved, listed, counted.
use rusqlite::{named_params, params};
use serde::de::DeserializeOwned;

use super::engine::{self, OptionalExtension, Params, Row};
use super::schema::COUNTER_SCHEMA;
use super::sql_types::json_list;
use super::transaction::Tx;
use crate::model::task::{Priority, TaskStatus};
use crate::platform::id::{ClaimId, PeerId, TaskId};

/// A task, with the names of its peers.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub id: TaskId,
    /// The path of its project.
    pub project: String,
    pub title: String,
    /// The title without what makes no difference: equal for titles that mean the same.
    pub fingerprint: String,
    /// The full text, with the reasons of status changes at the end.
    pub description: String,
    pub status: TaskStatus,
    pub priority: Priority,
    pub assigned_to: Option<PeerId>,
    /// The name of that peer.
    pub assigned_name: Option<String>,
    pub created_by: PeerId,
    /// The name of that peer; the one it had then, if it was deleted.
    pub created_by_name: String,
    /// The resources that its work changes.
    pub files_owned: Vec<String>,
    /// The tasks that must have ended before it starts.
    pub depends_on: Vec<TaskId>,
    /// The claims that were made when it started.
    pub claims: Vec<ClaimId>,
    pub created_at_ms: i64,
    pub updated_at_ms: i64,
    /// 1 for a new task, one more for each change.
    pub version: i64,
}

/// Which tasks to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskListing<'a> {
    /// The tasks of this project, and those of `own`.
    pub project: &'a str,
    /// The tasks assigned to this peer in any project.
    pub own: Option<PeerId>,
    /// Only tasks in this status.
    pub status: Option<TaskStatus>,
    /// Only tasks assigned to this peer; `Some(None)` for tasks that are not assigned.
    pub assigned_to: Option<Option<PeerId>>,
    /// Only tasks that contain each of these words.
    pub words: &'a [String],
    /// The number of tasks at most.
    pub limit: u32,
}

const TASK_COLUMNS: &str = "t.id, t.project, t.title, t.fingerprint, t.description, t.status, t.priority, t.assigned_to, a.name AS assigned_name,
    t.created_by, coalesce(c.name, t.created_by_name) AS created_by_name, t.files_owned, t.depends_on, t.claims, t.created_at_ms, t.updated_at_ms, t.version";
const NAME_JOINS: &str =
    "LEFT JOIN peer a ON a.id = t.assigned_to LEFT JOIN peer c ON c.id = t.created_by";
/// Open tasks by priority and age, then ended ones, latest first.
const WORK_ORDER: &str = "t.ended_at_ms IS NOT NULL, t.ended_at_ms DESC, t.priority DESC, t.id";

/// The tasks of a project and those of a peer, each found by an index, in the order of work. Only numbers and ids are sorted, no
/// texts. Of the ended ones of a project, which become many, the latest are enough.
const LISTED_IDS: &str = "SELECT v.id FROM (
        SELECT t.id, t.ended_at_ms, t.priority FROM task t INDEXED BY task_of_project
            WHERE t.project = :project AND t.ended_at_ms IS NULL AND LISTING_FILTER
        UNION SELECT t.id, t.ended_at_ms, t.priority FROM task t WHERE t.assigned_to = :own AND LISTING_FILTER
        UNION SELECT * FROM (SELECT t.id, t.ended_at_ms, t.priority FROM task t INDEXED BY task_of_project
            WHERE t.project = :project AND t.ended_at_ms IS NOT NULL AND LISTING_FILTER
            ORDER BY t.ended_at_ms DESC, t.priority DESC, t.id LIMIT :limit) v
    ) v ORDER BY v.ended_at_ms IS NOT NULL, v.ended_at_ms DESC, v.priority DESC, v.id LIMIT :limit";
const LISTING_FILTER: &str = "(CAST(:status AS TEXT) IS NULL OR t.status = :status)
    AND (:all OR t.assigned_to IS NOT DISTINCT FROM :assigned)";

fn list_from_json<T: DeserializeOwned>(row: &Row, column: &str) -> engine::Result<Vec<T>> {
    Ok(serde_json::from_str(row.get_ref(column)?.as_str()?).unwrap_or_default())
}

fn id_list<T: std::str::FromStr>(row: &Row, column: &str) -> engine::Result<Vec<T>> {
    let texts: Vec<String> = list_from_json(row, column)?;
    Ok(texts.iter().filter_map(|id| id.parse().ok()).collect())
}

impl Task {
    fn from_row(row: &Row) -> engine::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project: row.get("project")?,
            title: row.get("title")?,
            fingerprint: row.get("fingerprint")?,
            description: row.get("description")?,
            status: TaskStatus::of(row.get_ref("status")?.as_str()?).unwrap_or(TaskStatus::Todo),
            priority: Priority::of_rank(row.get("priority")?),
            assigned_to: row.get("assigned_to")?,
            assigned_name: row.get("assigned_name")?,
            created_by: row.get("created_by")?,
            created_by_name: row.get("created_by_name")?,
            files_owned: list_from_json(row, "files_owned")?,
            depends_on: id_list(row, "depends_on")?,
            claims: id_list(row, "claims")?,
            created_at_ms: row.get("created_at_ms")?,
            updated_at_ms: row.get("updated_at_ms")?,
            version: row.get("version")?,
        })
    }
}

impl Tx<'_> {
    fn tasks_where(&self, condition: &str, values: impl Params) -> engine::Result<Vec<Task>> {
        if !self.schema_at_least(3) {
            return Ok(Vec::new());
        }
        self.sql
            .prepare_cached(&format!(
                "SELECT {TASK_COLUMNS} FROM task t {NAME_JOINS} WHERE {condition}"
            ))?
            .query_map(values, Task::from_row)?
            .collect()
    }

    /// Returns an id for a new task.
    pub(crate) fn new_task_id(&self) -> engine::Result<TaskId> {
        self.next_id().map(TaskId::from)
    }

    /// Inserts a task or stores all its values.
    pub(crate) fn save_task(&self, task: &Task) -> engine::Result<()> {
        let now_ms = self.now.wall_ms;
        self.sql
            .prepare_cached(
                "INSERT INTO task (id, project, title, fingerprint, description, status, priority, assigned_to, created_by, created_by_name,
                                   files_owned, depends_on, claims, created_at_ms, updated_at_ms, ended_at_ms, version)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
                 ON CONFLICT (id) DO UPDATE SET title = excluded.title, fingerprint = excluded.fingerprint,
                     description = excluded.description, status = excluded.status, priority = excluded.priority,
                     assigned_to = excluded.assigned_to, files_owned = excluded.files_owned, depends_on = excluded.depends_on,
                     claims = excluded.claims, updated_at_ms = excluded.updated_at_ms, ended_at_ms = excluded.ended_at_ms,
                     version = excluded.version",
            )?
            .run(params![
                task.id, task.project, task.title, task.fingerprint, task.description, task.status.as_str(), task.priority.rank(),
                task.assigned_to, task.created_by, task.created_by_name, json_list(&task.files_owned), json_list(&task.depends_on),
                json_list(&task.claims), task.created_at_ms, now_ms, task.status.is_ended().then_some(now_ms), task.version,
            ])
    }

    pub(crate) fn task(&self, id: TaskId) -> engine::Result<Option<Task>> {
        Ok(self.tasks_where("t.id = ?1", [id])?.pop())
    }

    /// Returns the open task of a project with a fingerprint.
    pub(crate) fn find_open_task_by_fingerprint(
        &self,
        project: &str,
        fingerprint: &str,
    ) -> engine::Result<Option<Task>> {
        let found = self.tasks_where(
            "t.project = ?1 AND t.fingerprint = ?2 AND t.ended_at_ms IS NULL",
            [project, fingerprint],
        )?;
        Ok(found.into_iter().next())
    }

    /// Returns the tasks of a project that are not started and were not changed since `before_ms`, oldest first.
    pub(crate) fn stale_todo_tasks(
        &self,
        project: &str,
        before_ms: i64,
        limit: u32,
    ) -> engine::Result<Vec<Task>> {
        // Only ids are sorted, no texts.
        self.tasks_where(
            "t.id IN (SELECT id FROM task WHERE project = ?1 AND ended_at_ms IS NULL AND status = 'todo' AND updated_at_ms <= ?2
                ORDER BY id LIMIT ?3) ORDER BY +t.id",
            params![project, before_ms, limit],
        )
    }

    /// Returns the tasks of a peer that are not started, in the order of work, at most fifty.
    pub(crate) fn todo_tasks_of(&self, peer: PeerId) -> engine::Result<Vec<Task>> {
        self.tasks_where(
            &format!("t.assigned_to = ?1 AND t.status = 'todo' ORDER BY {WORK_ORDER} LIMIT 50"),
            [peer],
        )
    }

    /// Returns the tasks that these peers work on, the one that was changed last first.
    pub(crate) fn current_tasks(&self, peers: &[PeerId]) -> engine::Result<Vec<Task>> {
        self.tasks_where(
            "t.assigned_to IN (SELECT value FROM json_each(?1)) AND t.status = 'in_progress'
             ORDER BY t.updated_at_ms DESC, t.id DESC",
            [json_list(peers)],
        )
    }

    /// Returns a task of a peer in progress or review, other than `except`, that owns a resource; of several the one that was
    /// changed last.
    pub(crate) fn find_active_task_using(
        &self,
        peer: PeerId,
        resource: &str,
        except: TaskId,
    ) -> engine::Result<Option<Task>> {
        let found = self.tasks_where(
            "t.assigned_to = ?1 AND t.status IN ('in_progress', 'in_review') AND t.id <> ?3
             AND EXISTS (SELECT 1 FROM json_each(t.files_owned) WHERE value = ?2)
             ORDER BY t.updated_at_ms DESC, t.id DESC LIMIT 1",
            params![peer, resource, except],
        )?;
        Ok(found.into_iter().next())
    }

    /// Stores the claims of a task without counting it as a change.
    pub(crate) fn set_task_claims(&self, task: &Task) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE task SET claims = ?2 WHERE id = ?1")?
            .run(params![task.id, json_list(&task.claims)])
    }

    /// Returns tasks in the order of work.
    pub(crate) fn tasks(&self, listing: &TaskListing) -> engine::Result<Vec<Task>> {
        if !self.schema_at_least(3) {
            return Ok(Vec::new());
        }
        // SQLite ignores case for ASCII only, so words are searched here.
        let words: Vec<String> = listing
            .words
            .iter()
            .map(|word| word.to_lowercase())
            .collect();
        let contains_all_words = |task: &Task| {
            let text = format!("{} {} {}", task.id, task.title, task.description).to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        let limit = if words.is_empty() {
            i64::from(listing.limit)
        } else {
            i64::MAX
        };
        let ids = LISTED_IDS.replace("LISTING_FILTER", LISTING_FILTER);
        let mut statement = self.sql.prepare_cached(&format!(
            "SELECT {TASK_COLUMNS} FROM ({ids}) v CROSS JOIN task t ON t.id = v.id {NAME_JOINS} ORDER BY {WORK_ORDER}"
        ))?;
        let tasks = statement.query_map(
            named_params! {
                ":project": listing.project, ":own": listing.own, ":status": listing.status.map(TaskStatus::as_str),
                ":all": listing.assigned_to.is_none(), ":assigned": listing.assigned_to.flatten(), ":limit": limit,
            },
            Task::from_row,
        )?;
        tasks
            .filter(|task| words.is_empty() || task.as_ref().map_or(true, contains_all_words))
            .take(listing.limit as usize)
            .collect()
    }

    /// Returns the number of tasks of a project in each status, in the order of [`TaskStatus::ALL`].
    pub(crate) fn count_tasks(&self, project: &str) -> engine::Result<[u32; 5]> {
        let sql = if self.schema_at_least(COUNTER_SCHEMA) {
            "SELECT status, tasks FROM task_count WHERE project = ?1"
        } else {
            "SELECT status, count(*) AS tasks FROM task WHERE project = ?1 GROUP BY status"
        };
        let mut statement = self.sql.prepare_cached(sql)?;
        let mut rows = statement.query([project])?;
        let mut counts = [0; 5];
        while let Some(row) = rows.next()? {
            let status = TaskStatus::of(row.get_ref("status")?.as_str()?);
            if let Some(index) = TaskStatus::ALL.iter().position(|one| Some(*one) == status) {
                counts[index] = row.get("tasks")?;
            }
        }
        Ok(counts)
    }

    /// Moves the tasks of a project to another path. A task stays if an open one there has the same fingerprint.
    pub(crate) fn move_tasks(&self, from: &str, to: &str) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE task SET project = ?2 WHERE project = ?1 AND NOT (ended_at_ms IS NULL AND EXISTS (SELECT 1 FROM task AS kept
                    WHERE kept.project = ?2 AND kept.fingerprint = task.fingerprint AND kept.ended_at_ms IS NULL))")?
            .run([from, to])
    }

    /// Returns the tasks of all projects: open ones in the order of work, then ended ones, latest first.
    #[cfg(feature = "hub")]
    pub(crate) fn tasks_of_mesh(&self, open: u32, ended: u32) -> engine::Result<Vec<Task>> {
        // Only numbers are sorted, no texts.
        self.tasks_where(
            &format!(
                "t.rowid IN (SELECT rowid FROM task INDEXED BY task_open WHERE ended_at_ms IS NULL ORDER BY priority DESC, id LIMIT ?1)
                 OR t.rowid IN (SELECT rowid FROM task INDEXED BY task_of_project WHERE ended_at_ms IS NOT NULL ORDER BY ended_at_ms DESC LIMIT ?2)
                 ORDER BY {WORK_ORDER}"
            ),
            [open, ended],
        )
    }

    /// Returns the number of tasks of all projects in each status, in the order of [`TaskStatus::ALL`].
    #[cfg(feature = "hub")]
    pub(crate) fn count_tasks_of_mesh(&self) -> engine::Result<[u32; 5]> {
        if !self.schema_at_least(3) {
            return Ok([0; 5]);
        }
        let mut projects = self
            .sql
            .prepare_cached("SELECT DISTINCT project FROM task INDEXED BY task_of_project")?;
        let mut counts = [0; 5];
        for project in projects.query_map([], |row| row.get::<_, String>(0))? {
            for (count, more) in counts.iter_mut().zip(self.count_tasks(&project?)?) {
                *count += more;
            }
        }
        Ok(counts)
    }

    /// Returns the number of open tasks in the mesh.
    pub(crate) fn count_open_tasks(&self) -> engine::Result<i64> {
        if !self.schema_at_least(3) {
            return Ok(0);
        }
        self.sql
            .prepare_cached(
                "SELECT count(*) FROM task INDEXED BY task_open WHERE ended_at_ms IS NULL",
            )?
            .query_row([], |row| row.get(0))
    }

    /// Returns the tasks that a task depends on; none if it was deleted.
    pub(crate) fn task_dependencies(&self, id: TaskId) -> engine::Result<Vec<TaskId>> {
        let found = self
            .sql
            .prepare_cached("SELECT depends_on FROM task WHERE id = ?1")?
            .query_row([id], |row| id_list(row, "depends_on"))
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    pub(crate) fn delete_task(&self, id: TaskId) -> engine::Result<()> {
        self.sql
            .prepare_cached("DELETE FROM task WHERE id = ?1")?
            .run([id])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ulid::Ulid;

    use super::*;
    use crate::platform::Moment;
    use crate::store::schema::{CURRENT, Schema};
    use crate::store::{Options, Store};

    /// The schema without counters of tasks.
    const BEFORE_COUNTERS: Schema = Schema {
        migrations: CURRENT.migrations.split_at(7).0,
        min_reader: 1,
    };

    fn now() -> Moment {
        Moment {
            wall_ms: 1,
            monotonic_ms: 1,
            boot: "boot".into(),
        }
    }

    fn open(file: &Path, schema: &Schema) -> Store {
        Store::open_with(file, Options::default(), schema).unwrap()
    }

    fn task(number: u128, project: &str, status: TaskStatus) -> Task {
        Task {
            id: Ulid::from(number).into(),
            project: project.to_owned(),
            title: number.to_string(),
            fingerprint: number.to_string(),
            description: String::new(),
            status,
            priority: Priority::of_rank(1),
            assigned_to: None,
            assigned_name: None,
            created_by: Ulid::nil().into(),
            created_by_name: "ada".to_owned(),
            files_owned: Vec::new(),
            depends_on: Vec::new(),
            claims: Vec::new(),
            created_at_ms: 1,
            updated_at_ms: 1,
            version: 1,
        }
    }

    fn save(store: &mut Store, tasks: &[Task]) {
        let saved = store.write(now(), |tx| {
            Ok(tasks.iter().try_for_each(|task| tx.save_task(task))?)
        });
        saved.unwrap();
    }

    #[track_caller]
    fn assert_counts(store: &mut Store, project: &str, expected: [u32; 5]) {
        let counts = store.read(now(), |tx| Ok(tx.count_tasks(project)?));
        assert_eq!(counts.unwrap(), expected, "{project}");
    }

    #[test]
    fn tasks_are_counted_across_migration_and_changes() {
        use TaskStatus::{Cancelled, Done, InProgress, Todo};
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mesh.db");
        let mut older = open(&file, &BEFORE_COUNTERS);
        let tasks = [
            task(1, "/shop", Todo),
            task(2, "/shop", Done),
            task(3, "/bank", Todo),
        ];
        save(&mut older, &tasks);
        assert_counts(&mut older, "/shop", [1, 0, 0, 1, 0]);

        let mut store = open(&file, &CURRENT);
        assert_counts(&mut store, "/shop", [1, 0, 0, 1, 0]);
        // The older program works on beside this one.
        save(&mut older, &[task(1, "/shop", InProgress)]);
        save(&mut older, &[task(4, "/shop", Cancelled)]);
        assert_counts(&mut store, "/shop", [0, 1, 0, 1, 1]);
        assert_counts(&mut older, "/shop", [0, 1, 0, 1, 1]);
        let moved = store.write(now(), |tx| {
            tx.delete_task(tasks[1].id)?;
            Ok(tx.move_tasks("/bank", "/shop")?)
        });
        moved.unwrap();
        assert_counts(&mut store, "/shop", [1, 1, 0, 0, 1]);
        assert_counts(&mut store, "/bank", [0; 5]);
        let rows = "SELECT count(*) FROM task_count";
        let rows = store
            .connection()
            .query_row(rows, [], |row| row.get::<_, i64>(0));
        assert_eq!(rows.unwrap(), 3, "counters of nothing are deleted");
    }
}
