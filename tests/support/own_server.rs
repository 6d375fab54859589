//! A PostgreSQL server of one test, which restarts it, kills it or fills its disk; and a standby of it.
use std::path::Path;
use std::process::{Command, Output};

use super::private_mounts::{private_mount_command, with_mounts};
use super::{PostgresServer, skip};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres/start");

/// A server with a data folder of its own. It is stopped, and its folder removed, when this is dropped.
pub(crate) struct OwnServer {
    folder: tempfile::TempDir,
    /// `postgres://mesh@127.0.0.1:PORT/mesh`
    pub(crate) url: String,
}

impl OwnServer {
    /// Starts a server; without PostgreSQL the test is reported as skipped.
    pub(crate) fn start(what: &str) -> Option<Self> {
        if std::env::var_os("CLAUDE_MESH_TEST_POSTGRES").is_none() {
            let reason =
                "CLAUDE_MESH_TEST_POSTGRES names no server, so this machine may have no PostgreSQL";
            skip(what, reason);
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let url = printed(&run(&[path(folder.path())]));
        Some(Self { folder, url })
    }

    /// Starts a server whose database is on a disk of this size, `16m` for example.
    pub(crate) fn on_small_disk(what: &str, size: &str) -> Option<Self> {
        if rustix::process::geteuid().as_raw() != 0 {
            skip(what, "only root mounts a disk for a server of another user");
            return None;
        }
        let how = private_mount_command(what)?;
        std::env::var_os("CLAUDE_MESH_TEST_POSTGRES").or_else(|| {
            skip(what, "CLAUDE_MESH_TEST_POSTGRES names no server");
            None
        })?;
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        std::fs::create_dir(&disk).unwrap();
        // The server keeps the mount, which nobody else sees.
        let mount = format!(
            "mount -t tmpfs -o size={size} tmpfs {0} && chown postgres {0} && exec {1} {2}",
            disk.display(),
            SCRIPT,
            folder.path().display()
        );
        let output = Command::new("sh")
            .args(["-c", &with_mounts(how, &mount)])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let server = Self {
            url: printed(&output),
            folder,
        };
        let admin = PostgresServer {
            url: server.url.clone(),
        };
        let admin = admin.admin();
        admin.execute(&format!(
            "CREATE TABLESPACE small LOCATION '{}'",
            disk.display()
        ));
        admin.execute("ALTER ROLE mesh SET default_tablespace TO small");
        Some(server)
    }

    /// Starts a standby. From then on the server acknowledges a commit when the standby has it.
    pub(crate) fn standby(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--standby", path(self.folder.path()), path(folder.path())];
        let url = printed(&run(&arguments));
        Self { folder, url }
    }

    /// Restarts the server; `mode` is `fast` or `immediate`.
    pub(crate) fn restart(&self, mode: &str) {
        run(&["--restart", mode, path(self.folder.path())]);
    }

    /// Kills the server at once.
    pub(crate) fn kill(&self) {
        run(&["--kill", path(self.folder.path())]);
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        run(&["--promote", path(self.folder.path())]);
    }

    /// Returns `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        let (_, address) = self.url.split_once('@').unwrap();
        address.split_once('/').unwrap().0
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = script().args(["--stop", path(self.folder.path())]).output();
    }
}

fn script() -> Command {
    Command::new(SCRIPT)
}

#[track_caller]
fn run(arguments: &[&str]) -> Output {
    let output = script().args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .trim()
        .to_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
