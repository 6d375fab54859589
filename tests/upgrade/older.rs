//! Builds the programs of an earlier commit, once for all tests, below the target directory. If that is not possible, the
//! tests are skipped with a line; `CLAUDE_MESH_REQUIRE_OLDER=1` makes that a failure.
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::support::skip_unless_required;

/// The last commit whose programs know only version 1 of the schema.
const FIRST_SCHEMA: &str = "50ee9130e7f906307a3b7da124717826e322d843";

/// Returns the folder of the programs, or `None` after reporting why the calling test is skipped.
pub(super) fn programs() -> Option<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match BUILT.get_or_init(build) {
        Ok(folder) => Some(folder),
        Err(reason) => skip(reason),
    }
}

fn skip<T>(reason: &str) -> Option<T> {
    skip_unless_required(
        "a build of the first schema",
        reason,
        "CLAUDE_MESH_REQUIRE_OLDER",
    )
}

fn build() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first-schema");
    let source = folder.join("source");
    std::fs::create_dir_all(&source).map_err(|error| error.to_string())?;
    let archive = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "archive", FIRST_SCHEMA])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut archive = archive.map_err(|error| format!("git: {error}"))?;
    let unpacked = Command::new("tar")
        .arg("-x")
        .arg("-C")
        .arg(&source)
        .stdin(archive.stdout.take().expect("the stream is piped"))
        .output();
    let archived = archive.wait().is_ok_and(|status| status.success());
    if !archived || !unpacked.is_ok_and(|output| output.status.success()) {
        return Err(format!("no commit {FIRST_SCHEMA} in this checkout"));
    }
    let target = folder.join("target");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--bins", "--no-default-features"])
        .args(["--features", "server"])
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(&source)
        .output();
    match built {
        Ok(Output { status, .. }) if status.success() => Ok(target.join("debug")),
        Ok(Output { stderr, .. }) => Err(String::from_utf8_lossy(&stderr).into_owned()),
        Err(error) => Err(format!("cargo: {error}")),
    }
}
