//! Finds out what project a folder belongs to, for naming the peer and its memories: the folder, its committed
//! `.claude-mesh.json`, its git checkout.
//!
//! The committed file may name and restrict, never widen: it cannot choose a mesh, a wake budget or a wall. Git is not
//! started; its files are read, because hooks start no process.
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::platform::fault::{Fault, FaultKind};
use crate::platform::file;
use crate::platform::git_checkout::GitCheckout;
use crate::platform::isolation;
use crate::platform::isolation::{MeshAddress, MeshLocation};
use crate::platform::settings::Settings;
use crate::platform::text::without_bom;

/// The name of the file that a project may commit.
pub const PROJECT_FILE_NAME: &str = ".claude-mesh.json";
/// The size limit of that file.
const PROJECT_FILE_BYTES_MAX: u64 = 64 * 1024;

/// A project folder with its file and its git checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The canonical folder of the project: the one with `.claude-mesh.json`, else `start`.
    pub path: PathBuf,
    /// The canonical folder of the session: `path`, or a folder below it.
    pub start: PathBuf,
    /// The name as written: from the environment, the file or the folder.
    pub name: String,
    /// The folder name of a linked git worktree, if this is one.
    pub worktree: Option<String>,
    /// The top folder of the git checkout.
    pub git_root: Option<PathBuf>,
    /// The repository that all worktrees share.
    pub git_common: Option<PathBuf>,
    /// The branch that is checked out, or the beginning of the commit id.
    pub git_branch: Option<String>,
    /// The content of the committed file.
    pub file: ProjectFile,
    /// What the mesh needs to know of a project on another host; `None` for one on this machine.
    pub other_host: Option<OtherHostProject>,
}

/// What is known of a project on another host besides its folders, which are stored as `//host/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherHostProject {
    /// The host, as its access key names it.
    pub host: String,
    /// What its state and its tasks belong to: its repository and the folder in it, else the folder of this host.
    pub shared_scope: String,
    /// What its memories belong to: its repository, else the folder of this host.
    pub memory_scope: String,
}

/// The content of `.claude-mesh.json`. Unknown keys are ignored, so that older programs accept newer files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(expecting = "an object")]
pub struct ProjectFile {
    /// The name of the peer.
    pub name: Option<String>,
    /// The role of the peer, at most 64 characters.
    pub role: Option<String>,
    /// Topics that the peer is subscribed to.
    #[serde(default)]
    pub topics: Vec<String>,
    /// `false` excludes the project from every mesh.
    pub enabled: Option<bool>,
}

impl Project {
    /// Reads the project of a folder. An invalid `.claude-mesh.json` is a fault, because it may say `enabled: false`.
    pub fn of(folder: &Path, settings: &Settings) -> Result<Self, Fault> {
        let start = folder
            .canonicalize()
            .map_err(|error| Fault::io("find the project folder", folder, error))?;
        let git = GitCheckout::of(&start);
        let (path, file) = find_project_file(&start, git.as_ref().map(|git| git.root.as_path()))?
            .unwrap_or_else(|| (start.clone(), ProjectFile::default()));
        let own_name = || {
            path.file_name()
                .map_or_else(|| "root".into(), |name| name.to_string_lossy().into_owned())
        };
        let (name, worktree) = match (&settings.name, &git) {
            (Some(name), _) => (name.clone(), None),
            (None, Some(git)) if git.linked => {
                let name = file.name.clone().unwrap_or_else(|| {
                    if path == git.root {
                        git.main_checkout_name()
                    } else {
                        own_name()
                    }
                });
                (
                    name,
                    git.root
                        .file_name()
                        .map(|name| name.to_string_lossy().into_owned()),
                )
            }
            (None, _) => (file.name.clone().unwrap_or_else(own_name), None),
        };
        Ok(Self {
            name,
            worktree,
            git_branch: git.as_ref().and_then(GitCheckout::branch),
            git_root: git.as_ref().map(|git| git.root.clone()),
            git_common: git.map(|git| git.common),
            file,
            path,
            start,
            other_host: None,
        })
    }

    /// Returns the mesh of the session, if it is in a file of this machine. The folder of the session decides, not that of the project: a committed file further
    /// up must not move the session out of its wall.
    pub fn mesh_location(&self, settings: &Settings) -> Result<MeshLocation, Fault> {
        isolation::mesh_location(settings, &self.start)
    }

    /// Returns where the mesh of the session is, by the same rule.
    pub fn mesh_address(&self, settings: &Settings) -> Result<MeshAddress, Fault> {
        isolation::mesh_address(settings, &self.start)
    }

    /// Returns what its state and its tasks belong to: its folder, or for a project on another host the repository with the
    /// folder in it.
    pub fn shared_scope(&self) -> &Path {
        match &self.other_host {
            Some(other) => Path::new(&other.shared_scope),
            None => &self.path,
        }
    }

    /// Returns the key under which its memories are stored: the repository that all worktrees share, outside git the folder.
    /// It is looked up at each call, because the folder can become a repository during a session.
    pub fn memory_scope_key(&self) -> String {
        if let Some(other) = &self.other_host {
            return other.memory_scope.clone();
        }
        let home = GitCheckout::of(&self.path).map_or_else(|| self.path.clone(), |git| git.common);
        home.to_string_lossy().into_owned()
    }

    /// Returns the key from before the folder became a repository, or from while it was one, if it differs.
    pub fn earlier_memory_scope_key(&self) -> Option<String> {
        if self.other_host.is_some() {
            return None;
        }
        let repository = self.path.join(".git");
        let earlier = if GitCheckout::of(&self.path).is_some() {
            &self.path
        } else {
            &repository
        };
        Some(earlier.to_string_lossy().into_owned())
            .filter(|earlier| *earlier != self.memory_scope_key())
    }

    /// Returns whether the project takes part in the mesh.
    pub fn is_enabled(&self) -> bool {
        self.file.enabled != Some(false)
    }
}

/// Searches from `start` upward to the top of the checkout; outside git only in `start` itself.
fn find_project_file(
    start: &Path,
    top: Option<&Path>,
) -> Result<Option<(PathBuf, ProjectFile)>, Fault> {
    let top = top.unwrap_or(start);
    for folder in start.ancestors() {
        let path = folder.join(PROJECT_FILE_NAME);
        match file::read(&path, PROJECT_FILE_BYTES_MAX) {
            Ok(content) => {
                return parse(&path, &content).map(|file| Some((folder.to_path_buf(), file)));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if file::is_unusable_file(&error) => {
                return Err(broken_file_fault(&path, &error.to_string()).with_source(error));
            }
            Err(error) => return Err(Fault::io("read", &path, error)),
        }
        if folder == top {
            break;
        }
    }
    Ok(None)
}

fn parse(path: &Path, content: &[u8]) -> Result<ProjectFile, Fault> {
    let mut file: ProjectFile = serde_json::from_slice(without_bom(content))
        .map_err(|error| broken_file_fault(path, &error.to_string()).with_source(error))?;
    // A name without a letter or a digit would fold to nothing.
    file.name = file
        .name
        .filter(|name| name.contains(char::is_alphanumeric));
    if file
        .role
        .as_ref()
        .is_some_and(|role| role.chars().count() > 64)
    {
        return Err(broken_file_fault(
            path,
            "\"role\" may have 64 characters at most",
        ));
    }
    Ok(file)
}

fn broken_file_fault(path: &Path, problem: &str) -> Fault {
    Fault::new(
        FaultKind::BrokenFile,
        format!("{} cannot be used: {problem}", path.display()),
        "write for example { \"name\": \"backend\" }; until then this project is not in the mesh",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::file::tests::make_pipe;
    use crate::platform::git_checkout::head_commit;
    use std::fs;

    struct Home(tempfile::TempDir, PathBuf);

    impl Home {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().canonicalize().unwrap();
            Self(folder, path)
        }

        fn write(&self, path: &str, content: &str) {
            let path = self.1.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn project(&self, path: &str) -> Result<Project, Fault> {
            let folder = self.1.join(path);
            fs::create_dir_all(&folder).unwrap();
            let settings =
                Settings::read(&|_| None, self.0.path().into(), None, folder.clone()).unwrap();
            Project::of(&folder, &settings)
        }
    }

    #[test]
    fn project_name_comes_from_its_file_or_else_its_folder() {
        let home = Home::new();
        assert_eq!(home.project("api").unwrap().name, "api");
        home.write("api/.claude-mesh.json", "{}");
        assert_eq!(home.project("api").unwrap().name, "api");
        home.write(
            "api/.claude-mesh.json",
            r#"{"name": "backend", "later": 1}"#,
        );
        assert_eq!(home.project("api").unwrap().name, "backend");
    }

    #[test]
    fn project_file_is_searched_up_to_the_checkout_root() {
        let home = Home::new();
        home.write(".claude-mesh.json", r#"{"name": "outside"}"#);
        home.write("repo/.git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(home.project("repo/src/deep").unwrap().name, "deep");
        home.write("repo/.claude-mesh.json", "{}");
        let project = home.project("repo/src/deep").unwrap();
        assert_eq!(
            (project.name.as_str(), project.path),
            ("repo", home.1.join("repo"))
        );
        assert_eq!(project.git_branch.as_deref(), Some("main"));
    }

    #[test]
    fn linked_worktree_has_the_main_checkout_name_and_its_own() {
        let home = Home::new();
        home.write("shop/.git/worktrees/hotfix/commondir", "../..\n");
        home.write(
            "shop/.git/worktrees/hotfix/HEAD",
            "ref: refs/heads/fix/one\n",
        );
        home.write(
            "trees/hotfix/.git",
            &format!(
                "gitdir: {}\n",
                home.1.join("shop/.git/worktrees/hotfix").display()
            ),
        );
        let project = home.project("trees/hotfix").unwrap();
        assert_eq!(
            (project.name.as_str(), project.worktree.as_deref()),
            ("shop", Some("hotfix"))
        );
        assert_eq!(project.git_common, Some(home.1.join("shop/.git")));
        assert_eq!(project.git_branch.as_deref(), Some("fix/one"));
    }

    #[test]
    fn head_commit_is_found_loose_packed_detached_and_in_worktree() {
        let home = Home::new();
        let head = |path: &str| head_commit(&home.1.join(path));
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        home.write("a/.git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(head("a"), None, "before the first commit");
        let refs = format!(
            "# pack-refs with: peeled\n{two} refs/heads/not-main\n{one} refs/heads/main\n^{two}\n"
        );
        home.write("a/.git/packed-refs", &refs);
        fs::create_dir_all(home.1.join("a/src")).unwrap();
        assert_eq!(head("a/src"), Some(one.clone()), "packed");
        home.write("a/.git/refs/heads/main", &format!("{two}\n"));
        assert_eq!(head("a"), Some(two.clone()), "loose before packed");
        home.write("a/.git/worktrees/w/commondir", "../..\n");
        home.write("a/.git/worktrees/w/HEAD", "ref: refs/heads/main\n");
        let pointer = format!("gitdir: {}\n", home.1.join("a/.git/worktrees/w").display());
        home.write("w/.git", &pointer);
        assert_eq!(head("w"), Some(two), "a linked worktree");
        home.write("a/.git/worktrees/w/HEAD", &format!("{one}\n"));
        assert_eq!(head("w"), Some(one), "detached");
        home.write("a/.git/worktrees/w/HEAD", "ref: ../../../../etc/passwd\n");
        assert_eq!(head("w"), None);
        assert_eq!(head_commit(Path::new("/nowhere/at/all")), None);
    }

    #[test]
    fn irregular_or_oversized_project_file_is_refused_at_once() {
        let home = Home::new();
        let path = home.1.join("api").join(PROJECT_FILE_NAME);
        let says = |problem: &str| {
            let fault = home.project("api").unwrap_err();
            assert_eq!(fault.kind, FaultKind::BrokenFile);
            assert!(fault.message.ends_with(problem), "{}", fault.message);
            fs::remove_file(&path).unwrap();
        };
        home.project("api").unwrap();
        make_pipe(&path);
        says("it is not a file");
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        says("it is not a file");
        home.write(
            "api/.claude-mesh.json",
            &format!("{{}}{}", " ".repeat(64 * 1024 - 1)),
        );
        says("it has more than 65536 bytes");
        home.write(
            "api/.claude-mesh.json",
            &format!("{{}}{}", " ".repeat(64 * 1024 - 2)),
        );
        home.project("api").unwrap();
    }

    #[test]
    fn fifo_or_oversized_git_file_does_not_block() {
        let home = Home::new();
        let head = |path: &str| head_commit(&home.1.join(path));
        fs::create_dir_all(home.1.join("a")).unwrap();
        make_pipe(&home.1.join("a/.git"));
        assert_eq!(home.project("a").unwrap().git_root, None);
        fs::create_dir_all(home.1.join("b/.git/refs/heads")).unwrap();
        make_pipe(&home.1.join("b/.git/HEAD"));
        assert_eq!(home.project("b").unwrap().git_branch, None);
        assert_eq!(head("b"), None);
        home.write("c/.git/HEAD", "ref: refs/heads/main\n");
        make_pipe(&home.1.join("c/.git/packed-refs"));
        assert_eq!(head("c"), None);
        home.write("d/.git", "gitdir: real\n");
        home.write("d/real/HEAD", &"x".repeat(10_000));
        make_pipe(&home.1.join("d/real/commondir"));
        let project = home.project("d").unwrap();
        assert_eq!((project.worktree, project.git_branch), (None, None));
    }

    #[test]
    fn broken_project_file_fault_gives_the_position() {
        let home = Home::new();
        home.write("api/.claude-mesh.json", "{\n \"name\": 7 }");
        let fault = home.project("api").unwrap_err();
        assert!(fault.message.contains("line 2"), "{}", fault.message);
        home.write("api/.claude-mesh.json", "[]");
        let fault = home.project("api").unwrap_err();
        assert!(
            fault.message.contains("expected an object"),
            "{}",
            fault.message
        );
        // Windows editors begin a file with this mark.
        home.write("api/.claude-mesh.json", "\u{feff}{\"enabled\": false}");
        assert!(!home.project("api").unwrap().is_enabled());
    }
}
