//! What a program on one host tells the mesh on another about a project: the mesh cannot read its folders.
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::platform::git_checkout::{GitCheckout, head_commit};
use crate::platform::host_path::on_host;
use crate::platform::project::{OtherHostProject, Project, ProjectFile};

/// The longest text of a fact, in bytes.
const FACT_BYTES_MAX: usize = 4096;
/// The most topics.
const TOPICS_MAX: usize = 64;

/// The facts of a project, as its own host sees them. Paths are absolute paths of that host.
#[expect(missing_docs, reason = "the other fields are those of Project")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectFacts {
    pub path: String,
    pub start: String,
    pub name: String,
    #[serde(default)]
    pub worktree: Option<String>,
    #[serde(default)]
    pub git_root: Option<String>,
    #[serde(default)]
    pub git_common: Option<String>,
    #[serde(default)]
    pub git_branch: Option<String>,
    /// The commit that is checked out.
    #[serde(default)]
    pub git_head: Option<String>,
    /// The repository, as `host/path`; `None` outside git and for a repository without a clear remote.
    #[serde(default)]
    pub git_remote: Option<String>,
    #[serde(default)]
    pub role: Option<String>,
    #[serde(default)]
    pub topics: Vec<String>,
    /// Whether `.claude-mesh.json` names the peer.
    #[serde(default)]
    pub is_named: bool,
}

impl ProjectFacts {
    /// Reads the facts of a project of this machine.
    pub fn of(project: &Project) -> Self {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let git = GitCheckout::of(&project.path);
        Self {
            path: text(&project.path),
            start: text(&project.start),
            name: project.name.clone(),
            worktree: project.worktree.clone(),
            git_root: project.git_root.as_deref().map(text),
            git_common: project.git_common.as_deref().map(text),
            git_branch: git.as_ref().and_then(GitCheckout::branch),
            git_head: head_commit(&project.path),
            git_remote: git.as_ref().and_then(GitCheckout::remote),
            role: project.file.role.clone(),
            topics: project.file.topics.clone(),
            is_named: project.file.name.is_some(),
        }
    }

    /// Returns the project as the mesh stores it for that host; an error says which fact is unusable.
    pub fn into_project(self, host: &str) -> Result<Project, String> {
        self.check()?;
        let on_host = |path: &str| on_host(host, path);
        let folder = on_host(&self.path);
        let memory_scope = match (&self.git_remote, &self.git_common) {
            (Some(remote), _) => format!("git:{remote}"),
            (None, Some(common)) => on_host(common),
            (None, None) => folder.clone(),
        };
        let shared_scope = match (&self.git_remote, self.subfolder()) {
            (Some(_), "") => memory_scope.clone(),
            (Some(_), subfolder) => format!("{memory_scope}#{subfolder}"),
            (None, _) => folder.clone(),
        };
        Ok(Project {
            git_common: self
                .git_common
                .as_ref()
                .map(|_| PathBuf::from(&memory_scope)),
            git_root: self.git_root.as_deref().map(on_host).map(PathBuf::from),
            path: folder.into(),
            start: on_host(&self.start).into(),
            worktree: self.worktree,
            git_branch: self.git_branch,
            file: ProjectFile {
                name: self.is_named.then(|| self.name.clone()),
                role: self.role,
                topics: self.topics,
                enabled: None,
            },
            name: self.name,
            other_host: Some(OtherHostProject {
                host: host.to_owned(),
                shared_scope,
                memory_scope,
            }),
        })
    }

    /// Returns the folder of the project within its repository; empty for the top folder.
    fn subfolder(&self) -> &str {
        let root = self.git_root.as_deref().unwrap_or_default();
        let below = self.path.strip_prefix(root).unwrap_or_default();
        below.trim_matches('/')
    }

    fn check(&self) -> Result<(), String> {
        let optional = [
            ("worktree", &self.worktree),
            ("git_root", &self.git_root),
            ("git_common", &self.git_common),
            ("git_branch", &self.git_branch),
            ("git_head", &self.git_head),
            ("git_remote", &self.git_remote),
            ("role", &self.role),
        ];
        let required = [
            ("path", &self.path),
            ("start", &self.start),
            ("name", &self.name),
        ];
        let given = optional
            .iter()
            .filter_map(|(name, fact)| Some((*name, fact.as_ref()?)));
        for (name, fact) in required.into_iter().chain(given) {
            if fact.is_empty() || fact.len() > FACT_BYTES_MAX || fact.chars().any(char::is_control)
            {
                return Err(format!(
                    "\"{name}\" has 1 to {FACT_BYTES_MAX} bytes without control characters"
                ));
            }
        }
        for (name, path) in [("path", &self.path), ("start", &self.start)] {
            if !path.starts_with('/') || path.starts_with("//") {
                return Err(format!("\"{name}\" must be an absolute path"));
            }
        }
        if self.topics.len() > TOPICS_MAX {
            return Err(format!("at most {TOPICS_MAX} \"topics\""));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(remote: Option<&str>, path: &str) -> ProjectFacts {
        ProjectFacts {
            path: path.into(),
            start: path.into(),
            name: "api".into(),
            worktree: None,
            git_root: remote.map(|_| "/code/mono".into()),
            git_common: remote.map(|_| "/code/mono/.git".into()),
            git_branch: None,
            git_head: None,
            git_remote: remote.map(str::to_owned),
            role: None,
            topics: Vec::new(),
            is_named: false,
        }
    }

    #[test]
    fn clones_on_two_hosts_share_scopes_but_not_folders() {
        let project = |host| {
            facts(Some("github.com/t/mono"), "/code/mono/api")
                .into_project(host)
                .unwrap()
        };
        let (a, b) = (project("a"), project("b"));
        assert_eq!(a.shared_scope(), Path::new("git:github.com/t/mono#api"));
        assert_eq!(a.shared_scope(), b.shared_scope());
        assert_eq!(a.memory_scope_key(), "git:github.com/t/mono");
        assert_eq!(a.path.to_str(), Some("//a/code/mono/api"));
        assert_ne!(a.path.to_str(), b.path.to_str());
    }

    #[test]
    fn folder_without_remote_belongs_to_its_host() {
        let project = facts(None, "/code/mono/api").into_project("a").unwrap();
        assert_eq!(project.shared_scope().to_str(), Some("//a/code/mono/api"));
        assert_eq!(project.memory_scope_key(), "//a/code/mono/api");
    }

    #[test]
    fn unusable_facts_are_refused_by_name() {
        for path in ["work", "//b/work", "", "/a\nb"] {
            let problem = facts(None, path).into_project("a").unwrap_err();
            assert!(problem.starts_with("\"path\""), "{path:?}: {problem}");
        }
    }
}
