//! How a command ends: with the status of a command that printed its result, or with a failure that the program prints.
use crate::cli::error::Failure;

/// The status of a command that printed its own result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommandStatus {
    Done,
    /// Refused or failed.
    Refused,
    /// Asked, but there is no answer.
    NoAnswer,
}

pub(super) type CommandResult = Result<CommandStatus, Failure>;
