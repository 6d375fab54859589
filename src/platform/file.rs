//! Reads files that others may have written: regular files only, and only up to a size limit.
//!
//! A committed link can lead to an endless device, and a pipe in the place of a file blocks its reader for good.
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a file for reading without blocking: a pipe without a writer opens at once and is empty.
pub fn open_nonblocking(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// Returns whether a file was not opened because this process, or the machine, has no descriptor left: it may exist.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

/// Opens a regular file for reading; links are followed.
pub fn open(path: &Path) -> io::Result<File> {
    let file = open_nonblocking(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file"))
    }
}

/// Returns the content of an open file of at most `bytes_max` bytes.
pub fn read_open(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut content)?;
    if content.len() as u64 > bytes_max {
        let problem = format!("it has more than {bytes_max} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, problem));
    }
    Ok(content)
}

/// Returns the content of a regular file of at most `bytes_max` bytes.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    read_open(open(path)?, bytes_max)
}

/// Returns whether an error of this module says that the file itself is unusable: not a regular file, or too long.
pub fn is_unusable_file(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::FileTooLarge
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Makes a pipe without a writer.
    pub(crate) fn make_pipe(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    }

    #[test]
    fn only_regular_files_within_the_size_limit_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "12345").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("/dev/zero", at("endless")).unwrap();
        make_pipe(&at("pipe"));
        std::fs::create_dir(at("folder")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for name in ["file", "link"] {
            assert_eq!(read(&at(name), 5).unwrap(), b"12345");
            let error = read(&at(name), 4).unwrap_err();
            assert_eq!(error.to_string(), "it has more than 4 bytes");
        }
        for name in ["endless", "pipe", "folder"] {
            let error = read(&at(name), 5).unwrap_err();
            assert_eq!(error.to_string(), "it is not a file", "{name}");
        }
        read(&at("socket"), 5).unwrap_err();
        assert_eq!(
            read(&at("none"), 5).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}
