//! Replies that could not be delivered because the hub was out of reach: files that only their owner can read, one for each
//! reply, which are sent when the hub answers again. What a model has written once it does not write again.
//!
//! A file is bound to the URL and the key with which the reply was to be sent: it is never sent to another hub or under another
//! key.
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::platform::hub_location::HubLocation;
use crate::platform::id::{QuestionId, SessionId};
use crate::platform::process::ProcessKey;
use crate::platform::{Fault, FaultKind, file, permissions};
use crate::tools::JsonObject;

/// How many bytes the replies to one hub may have together.
const SPOOL_BYTES_MAX: u64 = 1024 * 1024;
/// How long a reply is kept, in milliseconds.
pub(super) const KEEP_MS: i64 = 7 * 24 * 3600 * 1000;
/// What the file of a reply ends with.
const EXTENSION: &str = "json";
/// The file that says why the hub refuses to take the replies.
const REFUSAL: &str = "refused";

/// A reply that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SpooledReply {
    /// The hub to which it is sent.
    pub(super) url: String,
    /// The id of the key under which it is sent.
    pub(super) key_id: String,
    /// By which the hub recognizes a repetition.
    pub(super) idempotency_key: String,
    /// The session that wrote it.
    pub(super) session: SessionId,
    /// The arguments of `reply_to_peer`.
    pub(super) arguments: JsonObject,
    /// In wall milliseconds.
    pub(super) written_at_ms: i64,
    /// The program that wrote it, and sends it as long as it runs.
    pub(super) writer: ProcessKey,
    /// The boot in which that program runs.
    pub(super) boot: String,
}

/// A file of the spool.
pub(super) struct SpoolFile {
    pub(super) path: PathBuf,
    /// `None` if it cannot be read.
    pub(super) reply: Option<SpooledReply>,
}

/// What the spool of one hub holds, for `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledReplies {
    /// The folder with the files.
    pub folder: PathBuf,
    /// The hub; empty if no file can be read.
    pub url: String,
    /// How many replies there are.
    pub count: usize,
    /// When the oldest was written, in wall milliseconds.
    pub oldest_at_ms: i64,
    /// The ids of the keys under which they are to be sent.
    pub key_ids: Vec<String>,
    /// Why the hub refuses them, if it does.
    pub refusal: Option<String>,
    /// The files that cannot be read.
    pub unreadable: Vec<PathBuf>,
}

/// Returns the folder with the replies to a hub.
pub(super) fn folder(mesh_home: &Path, hub: &HubLocation) -> PathBuf {
    let name = hub.key_file.file_stem().unwrap_or_default();
    root(mesh_home).join(name)
}

fn root(mesh_home: &Path) -> PathBuf {
    mesh_home.join("run/spool")
}

impl SpooledReply {
    /// Returns the question that it answers.
    pub(super) fn question(&self) -> Option<QuestionId> {
        let id = self.arguments.get("question_id").and_then(Value::as_str)?;
        id.parse().ok()
    }

    /// Stores a reply durably, unless the same one of this session is kept already. Returns its file; refuses it if the spool
    /// would become too large.
    pub(super) fn keep(&self, folder: &Path) -> Result<PathBuf, Fault> {
        let content = serde_json::to_vec(self).expect("a reply can be written as JSON");
        let files = list(folder)?;
        let is_same = |file: &&SpoolFile| {
            file.reply.as_ref().is_some_and(|kept| {
                (kept.session, &kept.arguments) == (self.session, &self.arguments)
            })
        };
        if let Some(same) = files.iter().find(is_same) {
            return Ok(same.path.clone());
        }
        let sizes = files.iter().filter_map(|file| file.path.metadata().ok());
        let bytes = sizes.map(|metadata| metadata.len()).sum::<u64>() + content.len() as u64;
        if bytes > SPOOL_BYTES_MAX {
            return Err(Fault::new(
                FaultKind::Other,
                format!(
                    "{} would have more than {SPOOL_BYTES_MAX} bytes",
                    folder.display()
                ),
                "`claude-mesh doctor` says why its replies were not sent",
            ));
        }
        let path = folder.join(format!("{}.{EXTENSION}", self.idempotency_key));
        permissions::create_folder(folder)?;
        permissions::replace_file_durably(&path, &content)?;
        Ok(path)
    }
}

/// Returns the files of a spool, oldest first. A missing folder has none; one that others may write is refused.
pub(super) fn list(folder: &Path) -> Result<Vec<SpoolFile>, Fault> {
    let metadata = match folder.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Fault::io("read", folder, error)),
    };
    permissions::check_owner_and_mode(folder, &metadata)?;
    let entries = std::fs::read_dir(folder).map_err(|error| Fault::io("read", folder, error))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == EXTENSION))
        .collect();
    // The names are ids that grow with time.
    paths.sort();
    let files = paths.into_iter().map(|path| SpoolFile {
        reply: read(&path),
        path,
    });
    Ok(files.collect())
}

fn read(path: &Path) -> Option<SpooledReply> {
    let content = file::read(path, SPOOL_BYTES_MAX).ok()?;
    serde_json::from_slice(&content).ok()
}

/// Records why the hub refuses the replies; `None` if it does not any more.
pub(super) fn set_refusal(folder: &Path, problem: Option<&str>) {
    let path = folder.join(REFUSAL);
    // Only `doctor` reads it.
    let _ = match problem {
        Some(problem) => permissions::replace_file(&path, problem.as_bytes()),
        None => std::fs::remove_file(&path).map_err(|error| Fault::io("remove", &path, error)),
    };
}

/// Returns what is kept for all hubs, for `doctor`.
pub fn spooled_replies(mesh_home: &Path) -> Result<Vec<SpooledReplies>, Fault> {
    let Ok(folders) = std::fs::read_dir(root(mesh_home)) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for folder in folders.filter_map(|entry| Some(entry.ok()?.path())) {
        let files = list(&folder)?;
        if !files.is_empty() {
            found.push(summary(folder, files));
        }
    }
    found.sort_by(|one, other| one.folder.cmp(&other.folder));
    Ok(found)
}

fn summary(folder: PathBuf, files: Vec<SpoolFile>) -> SpooledReplies {
    let (mut replies, mut unreadable) = (Vec::new(), Vec::new());
    for SpoolFile { path, reply } in files {
        match reply {
            Some(reply) => replies.push(reply),
            None => unreadable.push(path),
        }
    }
    let mut key_ids: Vec<String> = replies.iter().map(|reply| reply.key_id.clone()).collect();
    key_ids.sort();
    key_ids.dedup();
    SpooledReplies {
        url: replies
            .first()
            .map_or_else(String::new, |reply| reply.url.clone()),
        count: replies.len(),
        oldest_at_ms: replies
            .iter()
            .map(|reply| reply.written_at_ms)
            .min()
            .unwrap_or(0),
        key_ids,
        refusal: file::read(&folder.join(REFUSAL), 4096)
            .ok()
            .map(|text| String::from_utf8_lossy(&text).into_owned()),
        unreadable,
        folder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;

    fn reply(key: &str, answer: &str) -> SpooledReply {
        let arguments = json!({ "question_id": "q", "answer": answer });
        SpooledReply {
            url: "https://mesh.example".into(),
            key_id: "k1".into(),
            idempotency_key: key.into(),
            session: "0".repeat(26).parse().unwrap(),
            arguments: arguments.as_object().unwrap().clone(),
            written_at_ms: 1000,
            writer: ProcessKey { pid: 1, started: 1 },
            boot: "b".into(),
        }
    }

    #[test]
    fn replies_are_private_in_order_and_each_kept_once() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("run/spool/mesh.example");
        let second = reply("02", "b").keep(&folder).unwrap();
        let first = reply("01", "a").keep(&folder).unwrap();
        assert_eq!(reply("03", "a").keep(&folder).unwrap(), first);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&first), mode(&folder)), (0o600, 0o700));
        let files = list(&folder).unwrap();
        let paths: Vec<_> = files.iter().map(|file| &file.path).collect();
        assert_eq!(paths, [&first, &second]);
        assert_eq!(files[0].reply, Some(reply("01", "a")));
    }

    #[test]
    fn spool_refuses_what_would_make_it_too_large() {
        let home = tempfile::tempdir().unwrap();
        let long = "x".repeat(600 * 1024);
        reply("01", &long).keep(home.path()).unwrap();
        let fault = reply("02", &format!("{long}y")).keep(home.path());
        assert!(fault.unwrap_err().message.contains("more than"));
        assert_eq!(list(home.path()).unwrap().len(), 1);
    }

    #[test]
    fn doctor_learns_what_is_kept_and_why_it_is_refused() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(spooled_replies(home.path()).unwrap(), []);
        let folder = home.path().join("run/spool/mesh.example");
        reply("01", "a").keep(&folder).unwrap();
        std::fs::write(folder.join("02.json"), "{").unwrap();
        set_refusal(&folder, Some("the key was revoked"));
        let found = spooled_replies(home.path()).unwrap();
        assert_eq!((found.len(), found[0].count), (1, 1));
        assert_eq!(found[0].unreadable, [folder.join("02.json")]);
        assert_eq!(found[0].refusal.as_deref(), Some("the key was revoked"));
        set_refusal(&folder, None);
        assert_eq!(spooled_replies(home.path()).unwrap()[0].refusal, None);
    }
}
