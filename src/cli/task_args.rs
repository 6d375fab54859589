//! Reads what the task commands share: the fields of a task, statuses, and ids given by their last letters.
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::context::CliContext;
use crate::cli::error::{CliError, Failure};
#[cfg(feature = "remote")]
use crate::cli::hub_context::HubCall;
use crate::cli::text_input;
use crate::mesh::{Mesh, TaskFields, TaskSelection, task_files};
use crate::model::{Priority, Refusal, TaskStatus};
use crate::platform::id::TaskId;

/// How many tasks are searched for the end of an id.
const TASKS_SEARCHED_MAX: u32 = 10_000;

#[derive(Debug, Args)]
pub(super) struct TaskFieldsArgs {
    /// The full description; `-` reads stdin.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The peer that does it, which is notified. An empty name assigns nobody.
    #[arg(long, value_name = "PEER")]
    assign: Option<String>,
    /// A file that the work changes; may be given several times.
    #[arg(long = "file", value_name = "PATH")]
    files: Vec<String>,
    /// The priority.
    #[arg(long, value_parser = priorities())]
    priority: Option<Priority>,
    /// A task that must be done first; may be given several times.
    #[arg(long, value_name = "ID")]
    depends_on: Vec<String>,
}

pub(super) fn statuses() -> impl TypedValueParser<Value = TaskStatus> {
    let words = PossibleValuesParser::new(TaskStatus::ALL.map(TaskStatus::as_str));
    words.map(|word| TaskStatus::of(&word).expect("it is one of the possible values"))
}

fn priorities() -> impl TypedValueParser<Value = Priority> {
    let words = PossibleValuesParser::new(Priority::ALL.map(Priority::as_str));
    words.map(|word| Priority::of(&word).expect("it is one of the possible values"))
}

impl TaskFieldsArgs {
    /// Returns the description, which may come from stdin.
    fn description(&self) -> Result<Option<String>, Failure> {
        let read = self.description.as_ref().map(|text| match text.as_str() {
            "-" => text_input::read("description", "-"),
            _ => Ok(text.clone()),
        });
        read.transpose()
    }

    pub(super) fn fields(
        &self,
        context: &CliContext,
        mesh: &mut Mesh,
        title: Option<&String>,
    ) -> Result<TaskFields, Failure> {
        let ids: Vec<TaskId> = self
            .depends_on
            .iter()
            .map(|id| find_task_id(context, mesh, id))
            .collect::<Result<_, _>>()?;
        let files = task_files(&context.settings.working_directory, &self.files)?;
        Ok(TaskFields {
            title: title.cloned(),
            description: self.description()?,
            assigned_to: self.assign.clone(),
            files_owned: Some(files).filter(|files| !files.is_empty()),
            priority: self.priority,
            depends_on: Some(ids).filter(|ids| !ids.is_empty()),
        })
    }
}

#[cfg(feature = "remote")]
impl TaskFieldsArgs {
    /// Adds what is given to a call at a hub.
    pub(super) fn add_to_hub_call(
        &self,
        call: HubCall,
        folder: &std::path::Path,
    ) -> Result<HubCall, Failure> {
        Ok(call
            .with_some("description", self.description()?)
            .with_some("assigned_to", self.assign.as_deref())
            .with_all("files_owned", &task_files(folder, &self.files)?)
            .with_some("priority", self.priority.map(Priority::as_str))
            .with_all("depends_on", &self.depends_on))
    }
}

/// Opens the mesh; without one, the task with this id is unknown.
pub(super) fn open_task_mesh(context: &CliContext, id: &str) -> Result<Mesh, Failure> {
    match context.open_existing()? {
        Some(mesh) => Ok(mesh),
        None => Err(Refusal::UnknownTask { id: id.into() }.into()),
    }
}

/// Returns the task of an id, or of the end of one among those of this project.
pub(super) fn find_task_id(
    context: &CliContext,
    mesh: &mut Mesh,
    given: &str,
) -> Result<TaskId, Failure> {
    let given = given.trim();
    if let Ok(id) = given.parse() {
        return Ok(id);
    }
    let own = context.speaker_name(mesh)?;
    let all = TaskSelection {
        limit: TASKS_SEARCHED_MAX,
        ..TaskSelection::default()
    };
    let found = mesh.tasks(own.as_ref(), &context.project.path, &all)?;
    let id_suffix = given.to_uppercase();
    let matching_ids: Vec<TaskId> = found
        .tasks
        .iter()
        .map(|task| task.id)
        .filter(|id| !id_suffix.is_empty() && id.to_string().ends_with(&id_suffix))
        .collect();
    match matching_ids.as_slice() {
        [only] => Ok(*only),
        [] => Err(Refusal::UnknownTask { id: given.into() }.into()),
        [first, ..] => Err(CliError::new(
            "invalid_argument",
            format!("{} tasks end with {given:?}", matching_ids.len()),
            format!("type more of it, for example {first}"),
        )
        .into()),
    }
}
