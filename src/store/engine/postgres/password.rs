//! Reads the password of a location from a file: one with the password alone, or one of libpq.
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::platform::{Fault, FaultKind, file};

const DEFAULT_PORT: u16 = 5432;
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where the password of a location is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PasswordSource {
    /// The server asks for none.
    #[default]
    Nowhere,
    /// The first line of a file.
    File(PathBuf),
    /// A file of libpq, with lines of `host:port:database:user:password`. It may be missing.
    PassFile(PathBuf),
}

impl PasswordSource {
    /// Returns the password for a location, if there is one. A file that others may read is refused.
    pub(super) fn find(&self, config: &Config) -> Result<Option<String>, Fault> {
        match self {
            Self::Nowhere => Ok(None),
            Self::File(path) => {
                let text = read_private(path)?;
                let password = text.lines().next().unwrap_or_default();
                if password.is_empty() {
                    let problem = format!("{} has no password in its first line", path.display());
                    return Err(Fault::new(FaultKind::BrokenFile, problem, ""));
                }
                Ok(Some(password.to_owned()))
            }
            Self::PassFile(path) => {
                if !path.exists() {
                    return Ok(None);
                }
                let text = read_private(path)?;
                Ok(text.lines().find_map(|line| password_of(line, config)))
            }
        }
    }
}

/// Reads a file that its owner alone may read.
fn read_private(path: &Path) -> Result<String, Fault> {
    let fault = |error| Fault::io("read", path, error);
    let file = file::open(path).map_err(fault)?;
    let mode = file.metadata().map_err(fault)?.mode();
    if mode & 0o077 != 0 {
        let shown = path.display();
        return Err(Fault::new(
            FaultKind::Permission,
            format!(
                "{shown} has a password and others may read it (mode {:o}): refused",
                mode & 0o7777
            ),
            format!("`chmod go-rwx {shown}` makes it yours alone"),
        ));
    }
    let content = file::read_open(file, FILE_BYTES_MAX).map_err(fault)?;
    String::from_utf8(content).map_err(|error| {
        let problem = format!("{} is not a text", path.display());
        Fault::new(FaultKind::BrokenFile, problem, "").with_source(error)
    })
}

/// Returns the password of a line that fits.
fn password_of(line: &str, config: &Config) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let fields = fields(line);
    let [host, port, database, user, password] = fields.as_slice() else {
        return None;
    };
    let is_host = config.get_hosts().iter().any(|candidate| match candidate {
        Host::Tcp(name) => fits(host, name),
        Host::Unix(folder) => host == "localhost" || fits(host, &folder.to_string_lossy()),
    });
    let ports = config.get_ports();
    let is_port = fits(port, &DEFAULT_PORT.to_string()) && ports.is_empty()
        || ports
            .iter()
            .any(|candidate| fits(port, &candidate.to_string()));
    let is_found = is_host
        && is_port
        && fits(database, config.get_dbname().unwrap_or_default())
        && fits(user, config.get_user().unwrap_or_default());
    is_found.then(|| password.clone())
}

fn fits(field: &str, value: &str) -> bool {
    field == "*" || field == value
}

/// Splits a line at its colons; a backslash quotes the next character. The password is the rest of the line.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        let last = fields.last_mut().expect("it has one from the beginning");
        match c {
            '\\' => last.extend(characters.next()),
            ':' => fields.push(String::new()),
            c => last.push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn config() -> Config {
        "postgres://ada@db:5433/mesh".parse().unwrap()
    }

    #[test]
    fn first_line_of_a_passfile_that_fits_has_the_password() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("pgpass");
        let text = "# comment\nother:*:*:ada:no\ndb:5433:mesh:ada:a\\:b\\\\c\n*:*:*:*:later\n";
        std::fs::write(&path, text).unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, private).unwrap();
        let source = PasswordSource::PassFile(path);
        assert_eq!(source.find(&config()).unwrap().as_deref(), Some("a:b\\c"));
    }

    #[test]
    fn password_file_that_others_may_read_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("password");
        std::fs::write(&path, "secret\nmore").unwrap();
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&path, open).unwrap();
        let source = PasswordSource::File(path.clone());
        let fault = source.find(&config()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permission);
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, private).unwrap();
        assert_eq!(source.find(&config()).unwrap().as_deref(), Some("secret"));
    }
}
