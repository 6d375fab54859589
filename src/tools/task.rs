//! The tools for tasks of a project: `create_task`, `update_task`, `delete_task`, `list_tasks`, `bulk_update_tasks` and
//! `cancel_stale_tasks`.
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::mesh::task_files;
use crate::mesh::{StaleTaskFilter, TaskChange, TaskFields, TaskList, TaskSelection};
use crate::model::task::{BULK_MAX, check_count};
use crate::model::{Error, Priority, Result, TaskStatus};
use crate::platform::id::TaskId;
use crate::platform::text::cut_chars;
use crate::store::Task;
use crate::tools::call::{Operation, single_step};
use crate::tools::entry::{Effect, JsonObject, ToolEntry};
use crate::tools::parameters::EnumSchema;
use crate::tools::result_budget::ResultBudget;
use crate::tools::{arguments, output, results, schema};

pub(super) const TOOLS: [ToolEntry; 6] = [
    ToolEntry {
        set: "tasks",
        name: "create_task",
        description: "Adds a task to this project. Its assignee is notified and woken; you are notified of its review and end. The same title again returns the open task, created: false.",
        schema: schema::schema_of::<CreateTaskParams>,
        handler: create_task,
        effect: Effect::Idempotent,
        always_load: false,
        large_result: true,
    },
    ToolEntry {
        set: "tasks",
        name: "update_task",
        description: "Changes a task. Set in_progress when you begin (claims its files_owned for you until it ends; `claims` says who has them), in_review when done. A reviewer sets done, or todo with a reason.",
        schema: schema::schema_of::<UpdateTaskParams>,
        handler: update_task,
        effect: Effect::Writes,
        always_load: false,
        large_result: true,
    },
    ToolEntry {
        set: "tasks",
        name: "delete_task",
        description: "Deletes a task that you created, permanently.",
        schema: schema::schema_of::<DeleteTaskParams>,
        handler: delete_task,
        effect: Effect::Writes,
        always_load: false,
        large_result: false,
    },
    ToolEntry {
        set: "tasks",
        name: "list_tasks",
        description: "Lists the tasks of this project and yours, most urgent first; query (words or a task_id) for one in full.",
        schema: schema::schema_of::<ListTasksParams>,
        handler: list_tasks,
        effect: Effect::Reads,
        always_load: false,
        large_result: true,
    },
    ToolEntry {
        set: "tasks",
        name: "bulk_update_tasks",
        description: "Changes up to 100 tasks; each is updated or refused alone.",
        schema: bulk_schema,
        handler: bulk_update_tasks,
        effect: Effect::Writes,
        always_load: false,
        large_result: true,
    },
    ToolEntry {
        set: "tasks",
        name: "cancel_stale_tasks",
        description: "Cancels todo tasks of this project unchanged for older_than_seconds.",
        schema: schema::schema_of::<CancelStaleTasksParams>,
        handler: cancel_stale_tasks,
        effect: Effect::Idempotent,
        always_load: false,
        large_result: false,
    },
];

/// A list shortens a longer description to this many characters.
const LIST_DESCRIPTION_MAX_CHARS: usize = 1_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateTaskParams {
    title: String,
    description: Option<String>,
    assigned_to: Option<String>,
    files_owned: Option<Vec<String>>,
    #[schemars(with = "Option<EnumSchema<Priority>>")]
    priority: Option<Priority>,
    /// ids of tasks that must end first
    depends_on: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct UpdateTaskParams {
    task_id: String,
    title: Option<String>,
    description: Option<String>,
    /// "": nobody
    assigned_to: Option<String>,
    files_owned: Option<Vec<String>>,
    #[schemars(with = "Option<String>")]
    priority: Option<Priority>,
    depends_on: Option<Vec<String>>,
    #[schemars(with = "Option<EnumSchema<TaskStatus>>")]
    status: Option<TaskStatus>,
    reason: Option<String>,
    expected_version: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteTaskParams {
    task_id: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListTasksParams {
    #[schemars(with = "Option<String>")]
    status: Option<TaskStatus>,
    assigned_to: Option<String>,
    query: Option<String>,
    #[schemars(range(max = 200))]
    limit: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BulkUpdateTasksParams {
    updates: Vec<JsonObject>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CancelStaleTasksParams {
    older_than_seconds: u32,
    reason: Option<String>,
}

/// The schema of one change is that of `update_task`, which the list has already; every session reads every byte of it.
fn bulk_schema() -> JsonObject {
    let item = json!({ "type": "object", "description": "as update_task" });
    let updates = json!({ "type": "array", "items": item });
    let schema = json!({
        "type": "object", "properties": { "updates": updates }, "required": ["updates"],
    });
    match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    }
}

impl UpdateTaskParams {
    /// Returns the change; paths are relative to `folder`.
    fn read(&self, folder: &Path) -> Result<TaskChange> {
        Ok(TaskChange {
            id: task_id("task_id", &self.task_id)?,
            fields: TaskFields {
                title: self.title.clone(),
                description: self.description.clone(),
                assigned_to: self.assigned_to.clone(),
                files_owned: files(folder, self.files_owned.as_deref())?,
                priority: self.priority,
                depends_on: ids(self.depends_on.as_deref())?,
            },
            status: self.status,
            reason: self.reason.clone(),
            expected_version: self.expected_version.map(i64::from),
        })
    }
}

fn create_task(arguments: JsonObject) -> Result<Operation> {
    let new: CreateTaskParams = arguments::read(arguments)?;
    Ok(single_step(move |call| {
        let folder = &call.project.path;
        let fields = TaskFields {
            title: Some(new.title.clone()),
            description: new.description.clone(),
            assigned_to: new.assigned_to.clone(),
            files_owned: files(folder, new.files_owned.as_deref())?,
            priority: new.priority,
            depends_on: ids(new.depends_on.as_deref())?,
        };
        let created = call
            .mesh
            .create_task(&call.me, call.project.shared_scope(), &fields)?;
        Ok(output::task_created(&created))
    }))
}

fn update_task(arguments: JsonObject) -> Result<Operation> {
    let update: UpdateTaskParams = arguments::read(arguments)?;
    Ok(single_step(move |call| {
        let change = update.read(&call.project.path)?;
        let updated = call.mesh.update_task(&call.me, &change)?;
        Ok(output::task_updated(&updated, &call.mesh.now()))
    }))
}

fn delete_task(arguments: JsonObject) -> Result<Operation> {
    let DeleteTaskParams { task_id: id } = arguments::read(arguments)?;
    let id = task_id("task_id", &id)?;
    Ok(single_step(move |call| {
        call.mesh.delete_task(&call.me, id)?;
        Ok(json!({ "deleted": true }))
    }))
}

fn list_tasks(arguments: JsonObject) -> Result<Operation> {
    let list: ListTasksParams = arguments::read(arguments)?;
    let wanted = TaskSelection {
        status: list.status,
        assigned_to: list.assigned_to,
        query: list.query,
        limit: arguments::check_range("limit", list.limit, 1..=200, 50)?,
    };
    Ok(single_step(move |call| {
        let found = call
            .mesh
            .tasks(Some(&call.me.name), call.project.shared_scope(), &wanted)?;
        Ok(tasks_body(&found))
    }))
}

/// Returns as many tasks as a result carries; a single one in full.
fn tasks_body(found: &TaskList) -> Value {
    let mut cut = false;
    let summary_value = |task: &Task| {
        let mut value = output::task(task);
        let excerpt = cut_chars(&task.description, LIST_DESCRIPTION_MAX_CHARS);
        if found.tasks.len() > 1 && excerpt.len() < task.description.len() {
            value["description"] = format!("{excerpt}…").into();
            cut = true;
        }
        value
    };
    let (shown, left_out) = ResultBudget::new().take_prefix(found.tasks.iter().map(summary_value));
    let mut body = json!({ "tasks": shown, "counts": output::task_counts(found.counts) });
    if left_out {
        let hint = "Call list_tasks with a status or a query for the rest.";
        results::mark_truncated(&mut body, hint);
    } else if cut {
        body["hint"] = "Call list_tasks with query: a task_id for a description in full.".into();
    }
    body
}

fn bulk_update_tasks(arguments: JsonObject) -> Result<Operation> {
    let BulkUpdateTasksParams { updates } = arguments::read(arguments)?;
    check_count("updates", updates.len(), BULK_MAX)?;
    Ok(single_step(move |call| {
        let (mut changes, mut outcomes) = (Vec::new(), Vec::new());
        for update in &updates {
            let read = arguments::read(update.clone())
                .and_then(|update: UpdateTaskParams| update.read(&call.project.path));
            match read {
                Ok(change) => {
                    changes.push(change);
                    outcomes.push(None);
                }
                Err(Error::Refused(refusal)) => {
                    let id = update.get("task_id").and_then(Value::as_str);
                    let id = arguments::cut(id.unwrap_or_default()).to_owned();
                    outcomes.push(Some((id, Err(refusal))));
                }
                Err(fault) => return Err(fault),
            }
        }
        let mut done = call.mesh.update_tasks(&call.me, &changes)?.into_iter();
        let outcomes: Vec<_> = outcomes
            .into_iter()
            .filter_map(|unreadable| {
                unreadable.or_else(|| done.next().map(|(id, outcome)| (id.to_string(), outcome)))
            })
            .collect();
        let mut body = output::tasks_updated(&outcomes, &call.mesh.now());
        drop_claims_over_budget(&mut body);
        Ok(body)
    }))
}

/// Leaves out who has the files of the last tasks if the result is over its budget.
fn drop_claims_over_budget(body: &mut Value) {
    let Value::Array(mut updated) = body["updated"].take() else {
        return;
    };
    let claims: Vec<Option<Value>> = updated
        .iter_mut()
        .map(|one| one.as_object_mut()?.shift_remove("claims"))
        .collect();
    let mut all = json!(updated);
    let mut result_budget = ResultBudget::excluding(&json!([body, all]));
    let mut left_out = false;
    for (at, claims) in claims.into_iter().enumerate() {
        match claims {
            Some(claims) if result_budget.try_add(&claims) => all[at]["claims"] = claims,
            Some(_) => left_out = true,
            None => {}
        }
    }
    body["updated"] = all;
    if left_out {
        let hint = "Who has the files of the others: call claims with a prefix.";
        results::mark_truncated(body, hint);
    }
}

fn cancel_stale_tasks(arguments: JsonObject) -> Result<Operation> {
    let CancelStaleTasksParams {
        older_than_seconds,
        reason,
    } = arguments::read(arguments)?;
    Ok(single_step(move |call| {
        let cancelled = call.mesh.cancel_stale_tasks(
            &call.me,
            &StaleTaskFilter {
                project: call.project.shared_scope(),
                older_than_seconds,
                reason: reason.as_deref(),
            },
        )?;
        let (ids, left_out) = ResultBudget::new().take_prefix(cancelled.iter().map(|id| json!(id)));
        let mut body = json!({ "cancelled": ids });
        if left_out {
            let hint = "The others are in events: types [\"task.updated\"].";
            results::mark_truncated(&mut body, hint);
        }
        Ok(body)
    }))
}

fn task_id(parameter: &str, text: &str) -> Result<TaskId> {
    arguments::id(parameter, text, "create_task and list_tasks")
}

fn ids(texts: Option<&[String]>) -> Result<Option<Vec<TaskId>>> {
    texts
        .map(|texts| {
            texts
                .iter()
                .map(|text| task_id("depends_on", text))
                .collect()
        })
        .transpose()
}

fn files(folder: &Path, files: Option<&[String]>) -> Result<Option<Vec<String>>> {
    files.map(|files| task_files(folder, files)).transpose()
}
