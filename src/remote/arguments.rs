//! Makes the arguments of a tool call independent of this machine: files are named by their canonical paths, whose links only
//! this machine can follow.
use std::path::Path;

use serde_json::Value;

use crate::mesh::{canonical_prefix, canonical_resource, task_files};
use crate::model::Result;
use crate::platform::git_checkout::{branch_of, head_commit};
use crate::platform::project::Project;
use crate::tools::JsonObject;

/// Returns the arguments as the hub gets them; refuses a path that leads nowhere. Arguments of a wrong type stay as they are:
/// the hub refuses them.
pub(super) fn localized(
    tool: &str,
    mut arguments: JsonObject,
    folder: &Path,
) -> Result<JsonObject> {
    match tool {
        "claim" | "release" | "claims" => {
            replace(&mut arguments, "resource", |text| {
                canonical_resource(folder, text)
            })?;
            replace(&mut arguments, "prefix", |text| {
                canonical_prefix(folder, text)
            })?;
        }
        "create_task" | "update_task" => localize_files(&mut arguments, folder)?,
        "bulk_update_tasks" => {
            let updates = arguments.get_mut("updates").and_then(Value::as_array_mut);
            for update in updates.into_iter().flatten() {
                if let Value::Object(update) = update {
                    localize_files(update, folder)?;
                }
            }
        }
        _ => {}
    }
    Ok(arguments)
}

fn replace(
    arguments: &mut JsonObject,
    name: &str,
    change: impl FnOnce(&str) -> Result<String>,
) -> Result<()> {
    if let Some(Value::String(text)) = arguments.get_mut(name) {
        *text = change(text)?;
    }
    Ok(())
}

fn localize_files(arguments: &mut JsonObject, folder: &Path) -> Result<()> {
    let Some(given) = arguments.get("files_owned").and_then(Value::as_array) else {
        return Ok(());
    };
    let files: Option<Vec<String>> = given
        .iter()
        .map(|file| file.as_str().map(str::to_owned))
        .collect();
    if let Some(files) = files {
        arguments.insert("files_owned".into(), task_files(folder, &files)?.into());
    }
    Ok(())
}

/// Returns what is checked out in the project now.
pub(super) fn git_facts(project: &Project) -> Value {
    serde_json::json!({
        "git_branch": branch_of(&project.path),
        "git_head": head_commit(&project.path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_get_the_paths_that_their_links_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        std::fs::create_dir(base.join("real")).unwrap();
        std::os::unix::fs::symlink("real", base.join("link")).unwrap();
        let object = |value: Value| value.as_object().unwrap().clone();
        let claim = object(json!({ "resource": "file:link/a.rs" }));
        let expected = format!("file:{}/real/a.rs", base.display());
        assert_eq!(
            localized("claim", claim, &base).unwrap()["resource"],
            expected
        );
        let task = object(json!({ "title": "t", "files_owned": ["link/a.rs"] }));
        assert_eq!(
            localized("create_task", task, &base).unwrap()["files_owned"],
            json!([expected])
        );
        let wrong = object(json!({ "resource": 5 }));
        assert_eq!(localized("claim", wrong.clone(), &base).unwrap(), wrong);
    }
}
