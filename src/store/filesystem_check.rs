//! Refuses file systems that cannot carry the database. WAL needs memory shared by all programs, which network and
//! pass-through file systems do not provide.
use std::path::Path;

use crate::platform::{Fault, FaultKind};

/// Refuses a folder on a file system that several programs cannot share safely.
pub(super) fn check(folder: &Path) -> Result<(), Fault> {
    let status = rustix::fs::statfs(folder)
        .map_err(|error| Fault::io("determine the file system of", folder, error.into()))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the magic number has 32 bits"
    )]
    match unsuitable_filesystem_name(status.f_type as u32) {
        None => Ok(()),
        Some(name) => Err(Fault::new(
            FaultKind::UnsuitableFilesystem,
            format!(
                "{} is on {name}, where several programs cannot share a database",
                folder.display()
            ),
            "set MESH_DB_PATH to a local disk, for example in ~/.claude-mesh/.env; nothing was changed",
        )),
    }
}

/// Returns the name of an unsuitable file system by its magic number.
fn unsuitable_filesystem_name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x0102_1997 => "9p (a folder of another system)",
        0x6573_5546 => "FUSE or virtiofs (a pass-through folder)",
        0x5346_414f | 0x7375_7245 => "AFS or Coda",
        0x00c3_6400 => "Ceph",
        0x0bd0_0bd0 => "Lustre",
        0x786f_4256 => "a VirtualBox shared folder",
        0xbacb_acbc => "a VMware shared folder",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_file_systems_are_accepted_and_network_ones_refused() {
        for (name, magic) in [
            ("ext4", 0xef53),
            ("btrfs", 0x9123_683e),
            ("tmpfs", 0x0102_1994),
            ("overlay", 0x794c_7630),
            ("xfs", 0x5846_5342),
        ] {
            assert_eq!(unsuitable_filesystem_name(magic), None, "{name}");
        }
        assert_eq!(unsuitable_filesystem_name(0x6969), Some("NFS"));
        assert!(unsuitable_filesystem_name(0x6573_5546).is_some());
        let folder = tempfile::tempdir().unwrap();
        check(folder.path()).unwrap();
    }
}
