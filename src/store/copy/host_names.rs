//! What the paths of a mesh in a file are called in a mesh of several machines: the file has paths of this machine, and a
//! session that joins a hub from this machine has the same paths with its host, or the remote of its repository.
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use rusqlite::types::Value;

use crate::model::state::Namespace;
use crate::platform::git_checkout::repository_of;
use crate::platform::host_path::on_host;

/// What a scope is of: the same text may be one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ScopeKind {
    Memories,
    /// State and tasks.
    Shared,
}

/// Gives the paths of this machine the name that its sessions have at a hub.
#[derive(Debug)]
pub(super) struct HostNames {
    host: String,
    /// The path that has the scope of each repository. Clones of the same repository keep scopes of their own, because their
    /// entries may have the same keys.
    owners: RefCell<HashMap<(ScopeKind, String), String>>,
}

impl HostNames {
    /// `host` is the host of the access key by which this machine will join.
    pub(super) fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            owners: RefCell::default(),
        }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Returns what all paths of the host begin with.
    pub(super) fn prefix(&self) -> String {
        on_host(&self.host, "/")
    }

    /// Keeps a scope that sessions of other hosts have used already for those.
    pub(super) fn reserve(&self, table: &str, text: &str) {
        let (kind, scope) = match table {
            "memory" => (ScopeKind::Memories, text.to_owned()),
            "state" => match Namespace::from_encoded(text).project {
                Some(project) => (ScopeKind::Shared, project),
                None => return,
            },
            _ => (ScopeKind::Shared, text.to_owned()),
        };
        let owner = scope.clone();
        self.owners.borrow_mut().insert((kind, scope), owner);
    }

    /// Returns the value that a column of a table gets.
    pub(super) fn rename(&self, table: &str, column: &str, value: Value) -> Value {
        let Value::Text(text) = value else {
            return value;
        };
        Value::Text(match (table, column) {
            ("peer", "project" | "git_root") => self.path(&text),
            ("peer", "git_common") | ("memory", "scope") => {
                self.scope_of(ScopeKind::Memories, &text)
            }
            ("task", "project") => self.scope_of(ScopeKind::Shared, &text),
            ("state", "namespace") => self.namespace(&text),
            ("fence", "resource") => self.resource(&text),
            ("task", "files_owned") => self.resources(text),
            _ => text,
        })
    }

    fn path(&self, text: &str) -> String {
        if is_of_this_machine(text) {
            on_host(&self.host, text)
        } else {
            text.to_owned()
        }
    }

    /// Returns the scope that a path has if it may have that of its repository.
    fn scope_of(&self, kind: ScopeKind, text: &str) -> String {
        let found = is_of_this_machine(text)
            .then(|| repository_of(Path::new(text)))
            .flatten();
        let Some((remote, below)) = found else {
            return self.path(text);
        };
        let scope = if kind == ScopeKind::Memories || below.is_empty() {
            format!("git:{remote}")
        } else {
            format!("git:{remote}#{below}")
        };
        let mut owners = self.owners.borrow_mut();
        let owner = owners.entry((kind, scope.clone()));
        let owner = owner.or_insert_with(|| text.to_owned());
        if owner == text {
            scope
        } else {
            self.path(text)
        }
    }

    fn namespace(&self, encoded: &str) -> String {
        let mut namespace = Namespace::from_encoded(encoded);
        namespace.project = namespace
            .project
            .map(|project| self.scope_of(ScopeKind::Shared, &project));
        namespace.encoded()
    }

    fn resource(&self, text: &str) -> String {
        let named = ["file:", "git:"].into_iter().find_map(|kind| {
            let path = text.strip_prefix(kind)?;
            Some(format!("{kind}{}", self.path(path)))
        });
        named.unwrap_or_else(|| text.to_owned())
    }

    fn resources(&self, list: String) -> String {
        let Ok(resources) = serde_json::from_str::<Vec<String>>(&list) else {
            return list;
        };
        let renamed: Vec<String> = resources.iter().map(|text| self.resource(text)).collect();
        serde_json::to_string(&renamed).unwrap_or(list)
    }
}

fn is_of_this_machine(text: &str) -> bool {
    text.starts_with('/') && !text.starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(names: &HostNames, table: &str, column: &str, text: &str) -> String {
        match names.rename(table, column, Value::Text(text.into())) {
            Value::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn paths_of_this_machine_get_its_host_and_others_stay() {
        let names = HostNames::new("desk");
        let cases = [
            ("peer", "project", "/nowhere/api", "//desk/nowhere/api"),
            ("peer", "project", "//laptop/api", "//laptop/api"),
            ("peer", "summary", "/nowhere/api", "/nowhere/api"),
            ("memory", "scope", "*", "*"),
            ("memory", "scope", "/nowhere/api", "//desk/nowhere/api"),
            (
                "state",
                "namespace",
                r#"["/nowhere","n"]"#,
                r#"["//desk/nowhere","n"]"#,
            ),
            ("state", "namespace", r#"["mesh"]"#, r#"["mesh"]"#),
            (
                "fence",
                "resource",
                "file:/nowhere/a.rs",
                "file://desk/nowhere/a.rs",
            ),
            ("fence", "resource", "port:5432", "port:5432"),
            ("fence", "resource", "git:/nowhere", "git://desk/nowhere"),
            ("fence", "resource", "git:main", "git:main"),
            (
                "task",
                "files_owned",
                r#"["file:/a","x"]"#,
                r#"["file://desk/a","x"]"#,
            ),
        ];
        for (table, column, text, expected) in cases {
            assert_eq!(renamed(&names, table, column, text), expected);
        }
    }

    #[test]
    fn second_clone_of_a_repository_keeps_its_own_scope() {
        let folder = tempfile::tempdir().unwrap();
        let clone = |name: &str| {
            let git = folder.path().join(name).join(".git");
            std::fs::create_dir_all(&git).unwrap();
            let config = "[remote \"origin\"]\n\turl = https://github.com/t/api.git\n";
            std::fs::write(git.join("config"), config).unwrap();
            std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
            folder.path().join(name).to_str().unwrap().to_owned()
        };
        let (first, second) = (clone("first"), clone("second"));
        let names = HostNames::new("desk");
        assert_eq!(
            renamed(&names, "task", "project", &first),
            "git:github.com/t/api"
        );
        assert_eq!(
            renamed(&names, "task", "project", &second),
            format!("//desk{second}")
        );
        assert_eq!(
            renamed(&names, "task", "project", &first),
            "git:github.com/t/api"
        );
        let part = format!("{first}/web");
        assert_eq!(
            renamed(&names, "task", "project", &part),
            "git:github.com/t/api#web"
        );
        let memories = format!("{second}/.git");
        assert_eq!(
            renamed(&names, "memory", "scope", &memories),
            "git:github.com/t/api"
        );
        let later = HostNames::new("desk");
        later.reserve("memory", "git:github.com/t/api");
        assert_eq!(
            renamed(&later, "memory", "scope", &memories),
            format!("//desk{memories}")
        );
    }
}
