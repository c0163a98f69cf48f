//! Why a request has no result, whether it may have been executed, and what to do.

use core::fmt;
use std::sync::Arc;

use http::StatusCode;
use mcp_authz_core::effect::Why;
use mcp_authz_core::failure::{Failure, Kind, Remedy};
use serde_json::Value;

use crate::error::DriveError;
use crate::exchange::ExchangeError;

/// Characters of a server's message that are shown.
const SHOWN: usize = 512;

/// A JSON-RPC error, as the server wrote it: never to be trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    /// The code.
    pub code: i64,
    /// The message.
    pub message: String,
    /// The data, if there were any.
    pub data: Option<Value>,
}

impl RpcError {
    /// The `error` member of a response.
    pub(crate) fn read(error: &Value) -> Self {
        Self {
            code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
            message: error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
            data: error.get("data").cloned(),
        }
    }
}

/// Why there is no result.
///
/// [`TransportError::maybe_executed`] says whether the server may have acted on the request, and
/// [`TransportError::remedy`] what to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TransportError {
    /// The server answered with a JSON-RPC error.
    Rpc(RpcError),
    /// No token could be had that the server accepts; the failure says what to do.
    Authorization(Arc<Failure>),
    /// No answer came, or the stream broke off before it and could not be resumed.
    Lost {
        /// What happened last.
        why: Why,
        /// Whether the server may have acted on the request. If so, and if that would harm, find
        /// out before it is sent again (TRANS-17).
        maybe_executed: bool,
    },
    /// The server forgot the session: while an answer was awaited, or again and again (TRANS-19).
    /// The next request begins a new one.
    SessionLost {
        /// Whether the server may have acted on the request.
        maybe_executed: bool,
    },
    /// The server answered with an HTTP status that means nothing in the protocol.
    Status(StatusCode),
    /// The answer is no JSON-RPC, or not the one that was awaited. What is wrong with it.
    Malformed(&'static str),
    /// An event or an answer is over [`Bounds::event`](super::Bounds::event) (HOST-262).
    TooLarge,
    /// No protocol revision is known to both sides. The server's, as far as it named them.
    Version(Vec<String>),
    /// There is no MCP endpoint at this URL: what it answered to `initialize`.
    NoEndpoint(StatusCode),
    /// HTTP+SSE announced an endpoint of another origin, or none; nothing was sent there (TRANS-33).
    Endpoint,
    /// The session id has characters that none may have (TRANS-18, HOST-266).
    SessionId,
    /// The revision that is spoken has no such thing.
    Unsupported(&'static str),
    /// What the caller handed in cannot be sent. What is wrong with it.
    Invalid(&'static str),
    /// The transport was closed.
    Closed,
    /// The driver could not go on.
    Drive(DriveError),
}

impl TransportError {
    /// The stable code, in `snake_case`: one of the failures' own, or one that begins with `mcp_`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rpc(_) => "mcp_error",
            Self::Authorization(failure) => failure.kind().code(),
            Self::Lost { .. } => "mcp_lost",
            Self::SessionLost { .. } => "mcp_session_lost",
            Self::Status(status) if status.is_redirection() => Kind::RedirectRefused.code(),
            Self::Status(status) if transient(*status) => Kind::Transient.code(),
            Self::Status(_) => "mcp_status",
            Self::Malformed(_) => "mcp_malformed",
            Self::TooLarge => Kind::LimitExceeded.code(),
            Self::Version(_) => "mcp_version",
            Self::NoEndpoint(_) => "mcp_no_endpoint",
            Self::Endpoint => Kind::OriginMismatch.code(),
            Self::SessionId => "mcp_session_id",
            Self::Unsupported(_) => "mcp_unsupported",
            Self::Invalid(_) => Kind::ConfigInvalid.code(),
            Self::Closed => "mcp_closed",
            Self::Drive(error) => error.failure().kind().code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Authorization(failure) => failure.remedy(),
            Self::Drive(error) => error.failure().remedy(),
            Self::Lost { .. } | Self::SessionLost { .. } => Remedy::Retry { after: None },
            Self::Status(status) if transient(*status) => Remedy::Retry { after: None },
            Self::Status(status) if status.is_redirection() => Remedy::Configure,
            Self::NoEndpoint(_)
            | Self::Endpoint
            | Self::Version(_)
            | Self::Invalid(_)
            | Self::Unsupported(_)
            | Self::Closed => Remedy::Configure,
            Self::Rpc(_)
            | Self::Status(_)
            | Self::Malformed(_)
            | Self::TooLarge
            | Self::SessionId => Remedy::Report,
        }
    }

    /// Whether the server may have acted on the request although there is no result: then find out
    /// before sending again what must not be done twice.
    #[must_use]
    pub const fn maybe_executed(&self) -> bool {
        match self {
            Self::Lost { maybe_executed, .. } | Self::SessionLost { maybe_executed } => {
                *maybe_executed
            }
            Self::Rpc(_) | Self::Malformed(_) | Self::TooLarge => true,
            Self::Status(status) => status.as_u16() >= 500,
            Self::Authorization(_)
            | Self::Version(_)
            | Self::NoEndpoint(_)
            | Self::Endpoint
            | Self::SessionId
            | Self::Unsupported(_)
            | Self::Invalid(_)
            | Self::Closed
            | Self::Drive(_) => false,
        }
    }

    /// Whether what is remembered of a server may be wrong (TRANS-29).
    pub(crate) const fn of_the_era(&self) -> bool {
        matches!(self, Self::NoEndpoint(_) | Self::Version(_) | Self::Malformed(_) | Self::Rpc(_))
            || matches!(self, Self::Status(status) if status.as_u16() < 500)
    }
}

/// Whether the same request may be answered otherwise later.
fn transient(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// Nothing of what a server answered to a refused request is kept.
impl From<ExchangeError> for TransportError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Unsent(failure) | ExchangeError::Refused { failure, .. } => {
                Self::Authorization(failure)
            }
            ExchangeError::Lost { why: Why::BodyTooLarge, .. } => Self::TooLarge,
            ExchangeError::Lost { why, sent } => Self::Lost { why, maybe_executed: sent },
            ExchangeError::Drive(error) => Self::Drive(error),
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |executed: bool| if executed { "; the server may have acted on it" } else { "" };
        match self {
            Self::Rpc(error) => {
                let said: String = error.message.chars().take(SHOWN).collect();
                write!(f, "the server answered with error {}: {}", error.code, said.escape_debug())
            }
            Self::Authorization(failure) => failure.fmt(f),
            Self::Lost { why, maybe_executed } => {
                write!(f, "no answer: {}{}", why.kind().code(), told(*maybe_executed))
            }
            Self::SessionLost { maybe_executed } => {
                write!(f, "the server forgot the session{}", told(*maybe_executed))
            }
            Self::Status(status) => write!(f, "the server answered {}", status.as_u16()),
            Self::Malformed(what) => write!(f, "the answer cannot be read: {what}"),
            Self::TooLarge => f.write_str("an answer is over its limit"),
            Self::Version(named) => {
                write!(f, "no protocol revision is known to both sides; the server's: {named:?}")
            }
            Self::NoEndpoint(status) => {
                write!(f, "there is no MCP endpoint at this URL: it answered {}", status.as_u16())
            }
            Self::Endpoint => f.write_str("the stream announced no endpoint of its own origin"),
            Self::SessionId => f.write_str("the session id has characters that none may have"),
            Self::Unsupported(what) | Self::Invalid(what) => f.write_str(what),
            Self::Closed => f.write_str("the transport was closed"),
            Self::Drive(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for TransportError {}
