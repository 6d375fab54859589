//! Mounts that only one process and its children see, for tests that need a full or read-only disk.
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::skip;

/// Returns how this user gets private mounts, or `None` after reporting why the calling test is skipped.
pub(crate) fn private_mount_command(what: &str) -> Option<&'static str> {
    let works = |how: &&&str| {
        let script = format!("{how} sh -c 'mount -t tmpfs -o size=300k tmpfs /mnt'");
        let tried = Command::new("sh")
            .args(["-c", &script])
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    };
    let found = ["unshare -m", "unshare -Urm"].iter().find(works).copied();
    if found.is_none() {
        skip(
            what,
            "this user may not mount anything, not even in a namespace of its own",
        );
    }
    found
}

/// Returns a script that runs `inner` with private mounts in the same process.
pub(crate) fn with_mounts(how: &str, inner: &str) -> String {
    format!("exec {how} /bin/sh -c '{inner}'")
}

/// Fills the disk of a file that is created.
pub(crate) fn fill_disk(filler: &Path) {
    let mut file = File::create(filler).unwrap();
    for size in [64 * 1024, 4 * 1024, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
