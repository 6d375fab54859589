//! The location of a mesh on a PostgreSQL server: `postgres://user@host:port/database?schema=team&sslmode=verify-full`.
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::password::PasswordSource;
use crate::platform::{Fault, FaultKind};

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
const DEFAULT_SCHEMA: &str = "claude_mesh";
/// The longest name of a schema that PostgreSQL keeps.
const SCHEMA_CHARS_MAX: usize = 63;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 2;
/// How long sent bytes may stay without an acknowledgement before the connection counts as lost.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(15);

/// A checked location. It is shown without user and password.
#[derive(Clone)]
pub struct PostgresLocation {
    config: Config,
    schema: String,
    is_verified: bool,
    root_certificates: Option<PathBuf>,
}

/// What a URL says beside what the client library reads.
#[derive(Debug, Default)]
struct Parameters {
    schema: Option<String>,
    ssl_mode: Option<String>,
    root_certificates: Option<PathBuf>,
    /// The parameters for the library.
    others: Vec<String>,
}

impl PostgresLocation {
    /// Parses a location. No message contains what a URL has before its host.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            return Err(unusable("it does not begin with postgres://"));
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let parameters = Parameters::parse(query)?;
        let url = format!("{base}?{}", parameters.others.join("&"));
        // The error of the library is no source: it could repeat a part of the URL.
        let mut config: Config = url
            .parse()
            .map_err(|_| unusable("it is not postgres://user@host:port/database"))?;
        if config.get_password().is_some() {
            return Err(Fault::new(
                FaultKind::Setting,
                "the location of PostgreSQL contains a password",
                PASSWORD_HINT,
            ));
        }
        if config.get_hosts().is_empty() {
            return Err(unusable("it names no host"));
        }
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(unusable("it names no database after the host"));
        }
        let is_loopback = config.get_hosts().iter().all(is_loopback);
        let is_verified = match parameters.ssl_mode.as_deref() {
            None => !is_loopback,
            Some("verify-full") => true,
            Some("disable") => false,
            Some(_) => return Err(unusable("sslmode is neither verify-full nor disable")),
        };
        configure(&mut config, is_verified);
        Ok(Self {
            config,
            schema: checked_schema(parameters.schema)?,
            is_verified,
            root_certificates: parameters.root_certificates,
        })
    }

    /// Returns the same location with the password of the user, where `source` has one. A location without a user gets the
    /// name of the system's user, as programs of PostgreSQL do.
    pub fn with_password(mut self, source: &PasswordSource) -> Result<Self, Fault> {
        if let Some(password) = source.find(&self.config)? {
            self.config.password(password);
        }
        Ok(self)
    }

    /// Returns the name of the schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Returns the name of the database.
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }

    pub(super) fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// Returns whether connections are encrypted and the certificate of the server is checked.
    pub(super) fn is_verified(&self) -> bool {
        self.is_verified
    }

    pub(super) fn root_certificates(&self) -> Option<&PathBuf> {
        self.root_certificates.as_ref()
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }
}

const PASSWORD_HINT: &str = "leave it out: it is read from the file that PGPASSFILE names (or ~/.pgpass), or from a password file";

fn configure(config: &mut Config, is_verified: bool) {
    config
        .ssl_mode(if is_verified {
            SslMode::Require
        } else {
            SslMode::Disable
        })
        .target_session_attrs(TargetSessionAttrs::Any)
        .application_name("claude-mesh")
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(TCP_USER_TIMEOUT);
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
}

/// A name that needs no quotation, so that it reads the same everywhere.
fn checked_schema(schema: Option<String>) -> Result<String, Fault> {
    let schema = schema.unwrap_or_else(|| DEFAULT_SCHEMA.to_owned());
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_usable = schema.chars().all(is_plain)
        && schema.starts_with(|c: char| c.is_ascii_lowercase())
        && schema.len() <= SCHEMA_CHARS_MAX
        && !schema.starts_with("pg_")
        && schema != "information_schema";
    if is_usable {
        return Ok(schema);
    }
    Err(unusable(
        "schema is not a name of up to 63 lowercase letters, digits and underscores that begins with a letter",
    ))
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let name = name.trim_matches(['[', ']']);
            let address: Option<IpAddr> = name.parse().ok();
            name == "localhost" || address.is_some_and(|address| address.is_loopback())
        }
    }
}

fn unusable(problem: &str) -> Fault {
    Fault::new(
        FaultKind::Setting,
        format!("the location of PostgreSQL cannot be used: {problem}"),
        "write it as postgres://user@host:5432/database?schema=team",
    )
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, Fault> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = || {
                let text = percent_decode_str(value).decode_utf8();
                text.map(String::from)
                    .map_err(|_| unusable("a parameter is not UTF-8"))
            };
            match name {
                "schema" => parameters.schema = Some(decoded()?),
                "sslmode" => parameters.ssl_mode = Some(decoded()?),
                "sslrootcert" => parameters.root_certificates = Some(decoded()?.into()),
                "host" | "connect_timeout" => parameters.others.push(pair.to_owned()),
                "password" => {
                    let problem = "the location of PostgreSQL contains a password";
                    return Err(Fault::new(FaultKind::Setting, problem, PASSWORD_HINT));
                }
                _ => {
                    return Err(unusable(
                        "its parameters are schema, sslmode, sslrootcert, host and connect_timeout",
                    ));
                }
            }
        }
        Ok(parameters)
    }
}

impl fmt::Display for PostgresLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        let ports = self.config.get_ports();
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => write!(f, "{separator}{name}:{port}")?,
                Host::Unix(folder) => write!(f, "{separator}[{}]:{port}", folder.display())?,
            }
        }
        write!(f, "/{}?schema={}", self.database(), self.schema)
    }
}

impl fmt::Debug for PostgresLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_is_shown_without_user_and_checked_off_loopback() {
        let away = PostgresLocation::parse("postgres://mesh@db.example/mesh?schema=team").unwrap();
        assert_eq!(
            away.to_string(),
            "postgres://db.example:5432/mesh?schema=team"
        );
        assert_eq!(format!("{away:?}"), away.to_string());
        assert!(away.is_verified());
        let plain = "postgres://mesh@db.example/mesh?sslmode=disable";
        assert!(!PostgresLocation::parse(plain).unwrap().is_verified());
        for near in ["localhost", "127.0.0.1:5433", "[::1]"] {
            let near = PostgresLocation::parse(&format!("postgresql://u@{near}/mesh")).unwrap();
            assert!(!near.is_verified(), "{near}");
            assert_eq!(near.schema(), "claude_mesh");
        }
        let two = PostgresLocation::parse("postgres://u@a:1,b:2/mesh").unwrap();
        assert_eq!(
            two.to_string(),
            "postgres://a:1,b:2/mesh?schema=claude_mesh"
        );
    }

    #[test]
    fn unusable_location_is_refused_without_its_password() {
        let cases = [
            ("mysql://u@h/d", "postgres://"),
            ("postgres://u:hunter2@h/d", "contains a password"),
            ("postgres://u@h/d?password=hunter2", "contains a password"),
            ("postgres://u@h", "names no database"),
            ("postgres://u@h:port-hunter2/d", "it is not postgres://"),
            ("postgres:///d", "names no host"),
            ("postgres://u@h/d?sslmode=prefer", "sslmode"),
            ("postgres://u@h/d?schema=Team", "schema"),
            ("postgres://u@h/d?schema=pg_team", "schema"),
            ("postgres://u@h/d?hunter2=1", "parameters"),
        ];
        for (text, expected) in cases {
            let fault = PostgresLocation::parse(text).unwrap_err();
            assert!(fault.message.contains(expected), "{text}: {fault}");
            assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
            assert!(!fault.hint.is_empty(), "{text}");
        }
    }
}
