//! Why an example ends before its job is done.

use std::sync::Arc;

use mcp_authz_core::effect::Why;
use mcp_authz_core::failure::{Failure, Remedy};
use mcp_authz_driver::DriveError;
use mcp_authz_driver::manager::SetupError;
use mcp_authz_driver::transport::TransportError;
use mcp_authz_tests::job::{Fault, Outcome, Report};

/// Whatever a call of the product says went wrong.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The MCP server did not answer.
    Unanswered(Why),
    /// The MCP client says so.
    Said(Box<Said>),
    /// Anything else, fit to be shown.
    Outcome(Box<Outcome>),
}

/// Words that may be a server's.
#[derive(Debug)]
pub(crate) struct Said {
    code: &'static str,
    text: String,
    quoted: String,
    remedy: Remedy,
}

impl Stop {
    /// The MCP client says so; `quoted` is what it quotes of the server, uncut.
    pub(crate) fn said(code: &'static str, text: String, quoted: String, remedy: Remedy) -> Self {
        Self::Said(Box::new(Said { code, text, quoted, remedy }))
    }

    fn setup(why: &str) -> Self {
        Self::Outcome(Box::new(Outcome::setup(why)))
    }

    /// The same as it is shown, without the words of a server that repeats a token.
    pub(super) fn outcome(self, report: &Report) -> Outcome {
        match self {
            Self::Unanswered(why) => report.unanswered(why),
            Self::Said(said) => report.failed(said.code, &said.text, &said.quoted, said.remedy),
            Self::Outcome(outcome) => *outcome,
        }
    }
}

impl From<TransportError> for Stop {
    fn from(error: TransportError) -> Self {
        let (code, text, remedy) = (error.code(), error.sentence(), error.remedy());
        let quoted = match error {
            TransportError::Authorization(failure) => return failure.into(),
            TransportError::Drive(error) => return error.into(),
            TransportError::Lost { why, .. } => return Self::Unanswered(why),
            TransportError::Rpc(error) => error.message,
            _ => String::new(),
        };
        Self::said(code, text, quoted, remedy)
    }
}

impl From<Arc<Failure>> for Stop {
    fn from(failure: Arc<Failure>) -> Self {
        Self::Outcome(Box::new(failure.into()))
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Outcome(Box::new(fault.into()))
    }
}

impl From<SetupError> for Stop {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Config(failure) | SetupError::Store(failure) => failure.into(),
            SetupError::Ports(error) => Self::setup(&error.to_string()),
            other => Self::setup(&other.to_string()),
        }
    }
}

impl From<DriveError> for Stop {
    fn from(error: DriveError) -> Self {
        Self::setup(&error.to_string())
    }
}
