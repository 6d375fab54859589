//! Reads the `.env` files for `Settings`, as an overlay: nothing is written into the process environment.
use std::cell::Cell;
use std::collections::HashMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::platform::fault::{Fault, FaultKind};
use crate::platform::setting_specs::ALL;
use crate::platform::text::without_bom;
use crate::platform::{file, permissions};

/// The size limit of an `.env` file. It may hold settings of many programs.
const BYTES_MAX: u64 = 1024 * 1024;

/// The settings in one file. Variables that are no settings are left out.
pub(super) type EnvValues = HashMap<String, String>;

/// Reads the nearest `.env` at or above the program's own folder, then the one in the claude-mesh folder.
pub(super) fn read_env_files(
    program: Option<&Path>,
    mesh_home: &Path,
) -> Result<Vec<(PathBuf, EnvValues)>, Fault> {
    let above = program.and_then(Path::parent).and_then(|folder| {
        folder
            .ancestors()
            .map(|folder| folder.join(".env"))
            .find(|path| path.is_file())
    });
    let own =
        Some(mesh_home.join(".env")).filter(|path| path.is_file() && above.as_ref() != Some(path));
    above
        .into_iter()
        .chain(own)
        .map(|path| read(&path).map(|values| (path, values)))
        .collect()
}

fn read(path: &Path) -> Result<EnvValues, Fault> {
    let failed = |error: std::io::Error| Fault::io("read", path, error);
    let file = file::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(Fault::new(
            FaultKind::Permission,
            format!(
                "{} belongs to user {}: its settings are not used",
                path.display(),
                metadata.uid()
            ),
            "move the program, or remove that file",
        ));
    }
    // It can name a program to run and the database of the mesh.
    permissions::check_not_writable_by_others(path, &metadata)?;
    let content = file::read_open(file, BYTES_MAX).map_err(failed)?;
    let lines_read = Cell::new(0);
    let lines = CountingLineReader {
        rest: without_bom(&content),
        lines_read: &lines_read,
    };
    let mut values = EnvValues::new();
    for line in dotenvy::from_read_iter(lines) {
        let (name, value) =
            line.map_err(|error| broken_file_fault(path, lines_read.get(), &error))?;
        if ALL.iter().any(|setting| setting.name == name) {
            values.insert(name, value);
        }
    }
    Ok(values)
}

/// The file may hold secrets, so the message gives the number of the line and not its text.
fn broken_file_fault(path: &Path, lines_read: usize, error: &dotenvy::Error) -> Fault {
    let (problem, extra_lines) = match error {
        dotenvy::Error::LineParse(text, _) => (
            "is not NAME=value",
            text.trim_end_matches('\n').matches('\n').count(),
        ),
        _ => ("is not UTF-8 text", 0),
    };
    Fault::new(
        FaultKind::BrokenFile,
        format!(
            "cannot read the settings in {}: line {} {problem}",
            path.display(),
            lines_read - extra_lines
        ),
        "write one NAME=value per line, with a closing quote for each that opens",
    )
}

/// Gives the parser one line at a time and counts them, because the parser does not.
struct CountingLineReader<'a> {
    rest: &'a [u8],
    lines_read: &'a Cell<usize>,
}

impl Read for CountingLineReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let line = self.rest.split_inclusive(|byte| *byte == b'\n').next();
        let line = line.unwrap_or_default();
        let size = line.len().min(buffer.len());
        buffer[..size].copy_from_slice(&line[..size]);
        self.rest = &self.rest[size..];
        if size > 0 && size == line.len() {
            self.lines_read.set(self.lines_read.get() + 1);
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &[u8]) -> String {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".env");
        std::fs::write(&path, content).unwrap();
        let fault = read_env_files(None, home.path()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::BrokenFile);
        let shown = path.display().to_string();
        assert!(fault.message.contains(&shown), "{}", fault.message);
        assert!(!fault.message.contains("hunter2"), "{}", fault.message);
        fault.message.replace(&shown, ".env")
    }

    #[test]
    fn env_file_ignores_a_byte_order_mark() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".env");
        std::fs::write(&path, "\u{feff}MESH_DB_PATH=/a/mesh.db\n").unwrap();
        let (_, values) = read_env_files(None, home.path()).unwrap().remove(0);
        assert_eq!(values["MESH_DB_PATH"], "/a/mesh.db");
    }

    #[test]
    fn env_file_error_gives_the_line_number_without_its_text() {
        let at = |line: usize| {
            format!("cannot read the settings in .env: line {line} is not NAME=value")
        };
        assert_eq!(message(b"MESH_DB_PATH='/hunter2\n"), at(1));
        assert_eq!(message(b"# a\n\nA=1\nhunter2\nB=2\n"), at(4));
        assert_eq!(message(b"A=1\nB='hunter2\nC=3\nD=4"), at(2));
        assert_eq!(message(b"A='1\n2'\nB=hunter2 x\nC=4\n"), at(3));
        let long = format!("A={}\nhunter2\n", "y".repeat(20_000));
        assert_eq!(message(long.as_bytes()), at(2));
        assert_eq!(
            message(b"A=1\nB=hunter2\xff\n"),
            "cannot read the settings in .env: line 2 is not UTF-8 text"
        );
    }
}
