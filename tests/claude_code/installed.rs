//! Finds the Claude Code version that these tests are written for, or installs it from npm, once for all tests.
//!
//! It is below the target directory, or in `CLAUDE_MESH_TEST_CLAUDE_DIR`; npm is used only if it is not there. If it cannot
//! be installed, the tests are skipped with a line; `CLAUDE_MESH_REQUIRE_CLAUDE=1` makes that a failure.
//! `CLAUDE_MESH_TEST_CLAUDE_VERSION` names another version, which gets a folder of its own: `.ci/run` reports what the tests
//! say of the newest one.
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::skip_unless_required;

/// The version whose behaviour the tests rely on.
const VERSION: &str = "2.1.329";
const BINARY: &str = "node_modules/@anthropic-ai/claude-code-linux-x64/claude";

/// Returns the version that is tested.
pub(super) fn version() -> &'static str {
    static TESTED: OnceLock<String> = OnceLock::new();
    TESTED.get_or_init(|| {
        let chosen = env::var("CLAUDE_MESH_TEST_CLAUDE_VERSION");
        let chosen = chosen.ok().filter(|version| !version.is_empty());
        chosen.unwrap_or_else(|| VERSION.to_owned())
    })
}

/// Returns the binary, or `None` after reporting why the calling test is skipped.
pub(crate) fn claude() -> Option<&'static Path> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match FOUND.get_or_init(find_or_install) {
        Ok(binary) => Some(binary),
        Err(reason) => skip(reason),
    }
}

pub(crate) fn skip<T>(reason: &str) -> Option<T> {
    skip_unless_required("real Claude Code", reason, "CLAUDE_MESH_REQUIRE_CLAUDE")
}

fn find_or_install() -> Result<PathBuf, String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("the tests know only its Linux x86-64 build".to_owned());
    }
    let chosen = env::var_os("CLAUDE_MESH_TEST_CLAUDE_DIR").filter(|folder| !folder.is_empty());
    let mut folder = chosen.map_or_else(below_target, PathBuf::from);
    if version() != VERSION {
        folder.push(version());
    }
    let binary = folder.join(BINARY);
    if is_complete(&binary) {
        return Ok(binary);
    }
    let shown = folder.display();
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {shown}: {error}"))?;
    // Another test program may be installing right now.
    let lock =
        File::create(folder.join("install.lock")).and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(|error| format!("cannot lock {shown}: {error}"))?;
    if !is_complete(&binary) {
        install(&folder)?;
    }
    is_complete(&binary)
        .then_some(binary)
        .ok_or_else(|| format!("npm left no working {BINARY} in {shown}"))
}

fn below_target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("claude-code")
}

/// An incomplete download does not start; another version reports itself.
fn is_complete(binary: &Path) -> bool {
    let said = Command::new(binary)
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    said.is_ok_and(|said| said.status.success() && said.stdout.starts_with(version().as_bytes()))
}

fn install(folder: &Path) -> Result<(), String> {
    let npm = Command::new("npm")
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefer-offline",
        ])
        .args([
            "--fetch-retries=1",
            "--fetch-retry-mintimeout=1000",
            "--prefix",
        ])
        .arg(folder)
        .arg(format!("@anthropic-ai/claude-code@{}", version()))
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    let npm = npm.map_err(|error| format!("cannot run npm: {error}"))?;
    if npm.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&npm.stderr);
    let first = complaint.lines().find(|line| line.contains("error"));
    Err(format!(
        "npm install failed: {}",
        first.unwrap_or("no reason given")
    ))
}
