//! How a command ends, and its exit code: with the status of a command that printed its result, or with a failure that the
//! program prints.
use std::process::ExitCode;

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

impl CommandStatus {
    pub(super) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::NoAnswer => 3,
        })
    }
}

pub(super) type CommandResult = Result<CommandStatus, Failure>;
