//! Recognizes the git commands that change the working tree, the index or the branch of everyone who works in it.
use std::path::{Path, PathBuf};

use super::shell_command::{SimpleCommand, commands_of_program, entered};

/// The commands of git that one session must not run while another works in the same working tree.
const GUARDED: [&str; 8] = [
    "commit", "checkout", "switch", "stash", "reset", "rebase", "merge", "clean",
];
/// More such commands in one shell command are not looked at.
const COMMANDS_MAX: usize = 32;

/// A git command that changes a working tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitCommand {
    /// Its name, like `commit`.
    pub name: &'static str,
    /// A folder of the working tree: relative to the one in which the shell starts, absolute, or below `~`.
    pub folder: PathBuf,
}

impl GitCommand {
    /// Returns the first such command of each folder in a shell command, as far as its text shows it.
    pub fn in_shell_command(script: &str) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for command in commands_of_program("git", script) {
            if let Some(command) = guarded(&command)
                && all.iter().all(|before| before.folder != command.folder)
                && all.len() < COMMANDS_MAX
            {
                all.push(command);
            }
        }
        all
    }

    /// Returns its folder, if a shell that starts in `base` runs it.
    pub fn folder_from(&self, base: &Path, home: Option<&Path>) -> PathBuf {
        match (self.folder.strip_prefix("~"), home) {
            (Ok(below), Some(home)) => home.join(below),
            (Ok(_), None) => base.to_owned(),
            (Err(_), _) => base.join(&self.folder),
        }
    }
}

fn guarded(command: &SimpleCommand) -> Option<GitCommand> {
    let mut folder = command.folder.clone();
    let mut tree = command
        .assignments
        .iter()
        .rfind(|(name, _)| name == "GIT_WORK_TREE")
        .map(|(_, value)| value.as_str());
    let mut words = command.words[1..].iter().map(String::as_str);
    let name = loop {
        match words.next()? {
            "-C" => folder = entered(&folder, words.next()?),
            "--work-tree" => tree = words.next(),
            "-c" | "--git-dir" | "--namespace" | "--config-env" | "--attr-source" => {
                words.next();
            }
            word => match word.strip_prefix("--work-tree=") {
                Some(given) => tree = Some(given),
                None if word.starts_with('-') => {}
                None => break word,
            },
        }
    };
    if let Some(tree) = tree {
        folder = entered(&folder, tree);
    }
    let name = GUARDED.into_iter().find(|guarded| *guarded == name)?;
    let arguments: Vec<&str> = words.collect();
    (!only_shows(name, &arguments)).then_some(GitCommand { name, folder })
}

/// Returns whether the command with these arguments changes nothing.
fn only_shows(name: &str, arguments: &[&str]) -> bool {
    let first = arguments.first().copied().unwrap_or_default();
    let is_dry = |argument: &&str| {
        *argument == "--dry-run"
            || (name == "clean"
                && argument.starts_with('-')
                && !argument.starts_with("--")
                && argument.contains('n'))
    };
    match name {
        _ if matches!(first, "-h" | "--help") => true,
        "stash" => matches!(first, "list" | "show"),
        "commit" | "clean" => arguments.iter().any(is_dry),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(script: &str, expected: &[(&str, &str)]) {
        let found = GitCommand::in_shell_command(script);
        let found: Vec<_> = found
            .iter()
            .map(|command| (command.name, command.folder.to_str().unwrap()))
            .collect();
        assert_eq!(found, expected, "{script}");
    }

    #[test]
    fn guarded_commands_are_found_with_their_folder() {
        for name in GUARDED {
            check(&format!("git {name}"), &[(name, "")]);
        }
        let cases = [
            ("git commit -m 'one; two'", "commit", ""),
            ("cd x && git commit", "commit", "x"),
            ("cd x; cd ../y\ngit commit", "commit", "x/../y"),
            ("(cd x && ls) ; git reset --hard", "reset", ""),
            ("(cd x && git reset)", "reset", "x"),
            ("pushd /srv/api && git stash", "stash", "/srv/api"),
            ("cd && git clean -fd", "clean", "~"),
            ("cd ~/api && git clean -fd", "clean", "~/api"),
            ("cd \"$DIR\" && git merge x", "merge", ""),
            ("git -C 'my dir' switch main", "switch", "my dir"),
            (
                "git -C a -C b --no-pager -c x.y=1 checkout main",
                "checkout",
                "a/b",
            ),
            ("git --git-dir=/r/.git --work-tree=/w reset", "reset", "/w"),
            ("GIT_WORK_TREE=/w git checkout -- .", "checkout", "/w"),
            ("A=1 B=\"x y\" /usr/bin/git rebase main", "rebase", ""),
            ("env -i A=1 git stash pop", "stash", ""),
            ("timeout 60 nice -n 5 git merge x", "merge", ""),
            ("yes | git clean -fdx 2>&1 | tail -3", "clean", ""),
            ("make && git \\\n  commit -am done &", "commit", ""),
            ("if test -f a; then git commit; fi", "commit", ""),
            ("for f in *; do git checkout $f; done", "checkout", ""),
            ("! git merge x || { git reset; }", "merge", ""),
            ("echo \"$(cd b && git stash)\"", "stash", "b"),
            ("x=`git stash`", "stash", ""),
            ("bash -lc 'cd w && git commit -m x'", "commit", "w"),
            ("eval \"git commit\"", "commit", ""),
            (
                "git commit -m \"$(cat <<'EOF'\nIt's (one\nEOF\n)\"",
                "commit",
                "",
            ),
            ("cat <<EOF > f; git commit\nx\nEOF", "commit", ""),
            ("sudo -u ada git commit 2>err >out </dev/null", "commit", ""),
        ];
        for (script, name, folder) in cases {
            check(script, &[(name, folder)]);
        }
        check(
            "git -C a commit; git -C b commit; git -C a reset",
            &[("commit", "a"), ("commit", "b")],
        );
    }

    #[test]
    fn commands_that_change_no_working_tree_pass() {
        for script in [
            "",
            "ls",
            "git status && git diff; git log --oneline | head",
            "git push origin main",
            "git stash list",
            "git stash show -p",
            "git clean -nd",
            "git clean --dry-run",
            "git commit --dry-run",
            "git reset --help",
            "echo git commit",
            "echo 'x; git commit'",
            "grep -rn \"git commit\" docs",
            "# git commit",
            "ls # git commit",
            "cat > f <<'EOF'\ngit commit\nEOF",
            "cat <<-A <<B\n\tgit commit\n\tA\ngit reset\nB\nls",
            "echo x > git commit",
            "digit commit",
            "git",
            "git -C",
            "git commit-tree x",
        ] {
            check(script, &[]);
        }
    }

    #[test]
    fn folders_begin_at_the_folder_of_the_shell_or_at_home() {
        let of = |script: &str| {
            let command = GitCommand::in_shell_command(script).remove(0);
            command.folder_from(Path::new("/p"), Some(Path::new("/home/ada")))
        };
        assert_eq!(of("git commit"), Path::new("/p/"));
        assert_eq!(of("cd x && git commit"), Path::new("/p/x"));
        assert_eq!(of("git -C /x commit"), Path::new("/x"));
        assert_eq!(of("cd ~/x && git commit"), Path::new("/home/ada/x"));
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        for script in [
            "git $(",
            "git `",
            "git '",
            "git \\",
            "git <<",
            "git <<X",
            "git \"$(",
            "((((git commit",
            "))))git",
            "git $(git $(git $(git $(git $(git $(git $(git $(git $(git commit",
        ] {
            GitCommand::in_shell_command(script);
        }
        let long = "git -C a commit;".repeat(10_000);
        assert_eq!(GitCommand::in_shell_command(&long).len(), 1);
        let many: Vec<String> = (0..100).map(|n| format!("git -C {n} commit")).collect();
        assert_eq!(
            GitCommand::in_shell_command(&many.join(";")).len(),
            COMMANDS_MAX
        );
    }
}
