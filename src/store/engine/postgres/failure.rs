//! Converts errors of tokio-postgres: a kind that callers branch on, what failed, and what can be done about it.
use std::error::Error as _;
use std::sync::Arc;

use tokio_postgres::error::{DbError, Severity};

use super::super::error::{EngineError, ServedError};
use super::location::PostgresLocation;
use crate::platform::FaultKind;

type Description = (FaultKind, String, &'static str);

/// Returns the error of an operation on the server.
pub(super) fn failure(location: &PostgresLocation, error: tokio_postgres::Error) -> EngineError {
    let description = match error.as_db_error() {
        Some(reported) => describe(location, reported),
        None if is_connection_lost(&error) => away(with_cause(&error)),
        None => (FaultKind::Other, with_cause(&error), ""),
    };
    described(location, error, description)
}

/// Returns whether the server has ended the connection, or it was lost on the way.
pub(super) fn is_connection_lost(error: &tokio_postgres::Error) -> bool {
    if let Some(reported) = error.as_db_error() {
        let severity = reported.parsed_severity();
        return matches!(severity, Some(Severity::Fatal | Severity::Panic));
    }
    let cause = error.source();
    error.is_closed() || cause.is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

/// Returns the error of opening a connection.
pub(super) fn connect_failure(
    location: &PostgresLocation,
    error: tokio_postgres::Error,
) -> EngineError {
    let description = match error.as_db_error() {
        Some(reported) => describe(location, reported),
        None => describe_connection(location, &error),
    };
    described(location, error, description)
}

fn described(
    location: &PostgresLocation,
    error: tokio_postgres::Error,
    (kind, problem, hint): Description,
) -> EngineError {
    served(ServedError {
        kind,
        problem: format!("cannot use {location}: {problem}"),
        hint,
        source: Some(Box::new(error)),
    })
}

/// Returns the error of a server that cannot be used, without an error of the client.
pub(super) fn unusable(
    location: &PostgresLocation,
    kind: FaultKind,
    (problem, hint): (&str, &'static str),
) -> EngineError {
    served(ServedError {
        kind,
        problem: format!("cannot use {location}: {problem}"),
        hint,
        source: None,
    })
}

/// Returns the error of a connection that the server closes at once.
pub(super) fn closed(location: &PostgresLocation) -> EngineError {
    let problem = "the server has closed the connection";
    let (kind, problem, hint) = away(problem.into());
    unusable(location, kind, (&problem, hint))
}

/// Returns the error of a commit whose outcome is not known.
pub(super) fn lost_commit(
    location: &PostgresLocation,
    error: tokio_postgres::Error,
) -> EngineError {
    served(ServedError {
        kind: FaultKind::OutcomeUnknown,
        problem: format!(
            "cannot use {location}: the connection was lost during a commit, so it is not known whether the change is stored"
        ),
        hint: "look whether it is stored before you repeat it",
        source: Some(Box::new(error)),
    })
}

fn served(error: ServedError) -> EngineError {
    EngineError::Served(Arc::new(error))
}

fn describe(location: &PostgresLocation, reported: &DbError) -> Description {
    let message = reported.message();
    match reported.code().code() {
        // lock_not_available, serialization_failure, deadlock_detected, query_canceled
        "55P03" | "40001" | "40P01" | "57014" => busy(),
        "53100" => (
            FaultKind::DiskFull,
            "the disk of the database server is full".into(),
            "free some space there; nothing was changed",
        ),
        "53300" => (
            FaultKind::Busy,
            format!("the server has too many connections ({message})"),
            "close programs that use it or raise its max_connections; with PgBouncer between, use session mode and raise its pool_size",
        ),
        "28P01" | "28000" => (
            FaultKind::Permission,
            format!("the server refuses this user: {message}"),
            "check the user in the URL, and its password in the file that PGPASSFILE names (or ~/.pgpass) or in the password file",
        ),
        "42501" => (
            FaultKind::Permission,
            format!("the role lacks a right: {message}"),
            "an owner of the database runs GRANT CREATE ON DATABASE, or CREATE SCHEMA with AUTHORIZATION for this role",
        ),
        "25006" => read_only(),
        // admin_shutdown, crash_shutdown, cannot_connect_now
        "57P01" | "57P02" | "57P03" => away(message.to_owned()),
        "3D000" => (
            FaultKind::Other,
            format!("database {} does not exist", location.database()),
            "create it with createdb, or correct the URL",
        ),
        "XX001" | "XX002" => (
            FaultKind::DatabaseCorrupted,
            format!("the server reports damage: {message}"),
            "the operators of the server restore it from their backup",
        ),
        code => (FaultKind::Other, format!("{message} ({code})"), ""),
    }
}

/// Describes a server that is away.
fn away(problem: String) -> Description {
    (
        FaultKind::Unreachable,
        problem,
        "check that the server runs and that this machine reaches it; its log says why it has ended",
    )
}

/// Describes a lock that others held for too long.
pub(super) fn busy() -> Description {
    (
        FaultKind::Busy,
        "another program holds the write lock".into(),
        "try again; if this persists, close the program that keeps a transaction open",
    )
}

/// Describes a server that accepts no writes.
pub(super) fn read_only() -> Description {
    (
        FaultKind::Permission,
        "the server is read-only: it is a standby, or default_transaction_read_only is on".into(),
        "use the URL of the primary server; several hosts can be named, separated by commas",
    )
}

fn with_cause(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Describes an error that the client has found. The library has no kind for a password that is asked for and not given.
fn describe_connection(location: &PostgresLocation, error: &tokio_postgres::Error) -> Description {
    let text = with_cause(error);
    let is_network = error
        .source()
        .is_none_or(<dyn std::error::Error>::is::<std::io::Error>);
    if !is_network && !location.has_password() {
        return (
            FaultKind::Permission,
            text,
            "the password is read from the file that PGPASSFILE names (or ~/.pgpass), as host:port:database:user:password, or from a password file",
        );
    }
    (
        FaultKind::Unreachable,
        text,
        "check that the server runs, that host and port are right and that this machine may connect",
    )
}
