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
#[non_exhaustive]
pub struct RpcError {
    /// The code.
    pub code: i64,
    /// The message.
    pub message: String,
    /// The data, if there were any.
    pub data: Option<Value>,
}

impl RpcError {
    /// Reads the `error` member of a response.
    #[must_use]
    pub fn read(error: &Value) -> Self {
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
#[derive(Clone)]
#[non_exhaustive]
pub enum TransportError {
    /// The server answered with a JSON-RPC error.
    Rpc(RpcError),
    /// No token could be had that the server accepts; the failure says what to do.
    Authorization(Arc<Failure>),
    /// No answer came, or the stream broke off before it and could not be resumed.
    Lost {
        /// The last thing that went wrong.
        why: Why,
        /// True if the server may have acted on the request. If acting on it twice would harm, find
        /// out before it is sent again (TRANS-17).
        maybe_executed: bool,
    },
    /// The server forgot the session: while an answer was awaited, or again and again (TRANS-19).
    /// The next request begins a new one.
    SessionLost {
        /// True if the server may have acted on the request.
        maybe_executed: bool,
    },
    /// The server answered with an HTTP status that means nothing in the protocol.
    Status {
        /// The status.
        status: StatusCode,
        /// The server's words about it: escaped, cut, and never to be trusted.
        said: Option<String>,
    },
    /// The answer is no JSON-RPC, or not the one that was awaited. The text says what is wrong with
    /// it.
    Malformed(&'static str),
    /// An event or an answer is over [`Bounds::event`](super::Bounds::event) (HOST-262).
    TooLarge,
    /// No protocol revision is known to both sides. The server's, as far as it named them.
    Version(Vec<String>),
    /// There is no MCP endpoint at this URL: what it answered to `initialize`.
    NoEndpoint(StatusCode),
    /// HTTP+SSE announced an endpoint of another origin, one that can be read in two ways, or none;
    /// nothing was sent there (TRANS-33, HOST-328).
    Endpoint,
    /// The session id has characters that none may have, or there are two (TRANS-18, HOST-266).
    SessionId,
    /// The revision that is spoken has no such thing.
    Unsupported(&'static str),
    /// The caller's input cannot be sent. The text says what is wrong with it.
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
            Self::Status { status, .. } if status.is_redirection() => Kind::RedirectRefused.code(),
            Self::Status { status, .. } if transient(*status) => Kind::Transient.code(),
            Self::Status { .. } => "mcp_status",
            Self::Malformed(_) => "mcp_malformed",
            Self::TooLarge => Kind::LimitExceeded.code(),
            Self::Version(_) => "mcp_version",
            Self::NoEndpoint(_) => "mcp_no_endpoint",
            Self::Endpoint => Kind::OriginMismatch.code(),
            Self::SessionId => "mcp_session_id",
            Self::Unsupported(_) => "mcp_unsupported",
            Self::Invalid(_) => Kind::ConfigInvalid.code(),
            Self::Closed => "mcp_closed",
            Self::Drive(error) => error.code(),
        }
    }

    /// The remedy: the action that may mend it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Authorization(failure) => failure.remedy(),
            Self::Drive(error) => error.remedy(),
            Self::Lost { why, .. } => why.remedy(),
            Self::SessionLost { .. } => Remedy::Retry { after: None },
            Self::Status { status, .. } if transient(*status) => Remedy::Retry { after: None },
            Self::Status { status, .. } if status.is_redirection() => Remedy::Configure,
            Self::Status { status: StatusCode::NOT_IMPLEMENTED, .. }
            | Self::NoEndpoint(_)
            | Self::Endpoint
            | Self::Version(_)
            | Self::Invalid(_)
            | Self::Unsupported(_)
            | Self::Closed => Remedy::Configure,
            Self::Rpc(_)
            | Self::Status { .. }
            | Self::Malformed(_)
            | Self::TooLarge
            | Self::SessionId => Remedy::Report,
        }
    }

    /// The failure behind it, which says which rule failed and what to do; `None` where the MCP server
    /// said what went wrong, or spoke otherwise than it must.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<Failure>> {
        match self {
            Self::Authorization(failure) => Some(Arc::clone(failure)),
            Self::Drive(error) => error.failure(),
            Self::Lost { why, .. } => Some(Arc::new(Failure::lost(*why, "TRANS-17"))),
            Self::TooLarge => Some(Arc::new(Failure::new(Kind::LimitExceeded, "HOST-262"))),
            Self::Endpoint => Some(Arc::new(Failure::new(Kind::OriginMismatch, "TRANS-33"))),
            _ => None,
        }
    }

    /// Returns true if the server may have acted on the request although there is no result. Find
    /// out then before sending a request again that must not be done twice.
    #[must_use]
    pub const fn maybe_executed(&self) -> bool {
        match self {
            Self::Lost { maybe_executed, .. } | Self::SessionLost { maybe_executed } => {
                *maybe_executed
            }
            Self::Rpc(_) | Self::Malformed(_) | Self::TooLarge => true,
            Self::Status { status, .. } => status.as_u16() >= 500,
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

    /// Returns true if the remembered facts about a server may be wrong (TRANS-29).
    pub(crate) const fn of_the_era(&self) -> bool {
        matches!(self, Self::NoEndpoint(_) | Self::Version(_) | Self::Malformed(_) | Self::Rpc(_))
            || matches!(self, Self::Status { status, .. } if status.as_u16() < 500)
    }
}

/// No answer came to what was sent, or it broke off.
pub(crate) const fn lost(why: Why) -> TransportError {
    match why {
        Why::BodyTooLarge => TransportError::TooLarge,
        _ => TransportError::Lost { why, maybe_executed: true },
    }
}

/// Returns true if the same request may be answered otherwise later.
fn transient(status: StatusCode) -> bool {
    // A server that does not know the method will not learn it.
    (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// Nothing of what a server answered to a refused request is kept but the words in the failure.
impl From<ExchangeError> for TransportError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Unsent(failure) | ExchangeError::Refused { failure, .. } => {
                Self::Authorization(failure)
            }
            ExchangeError::Lost { why: Why::BodyTooLarge, .. } => Self::TooLarge,
            ExchangeError::Lost { why, sent } => Self::Lost { why, maybe_executed: sent },
            ExchangeError::Unfit { status } => Self::Status { status, said: None },
            ExchangeError::Drive(error) => Self::Drive(error),
        }
    }
}

impl TransportError {
    /// One sentence for people, without its full stop. It quotes the server where the server said
    /// something, escaped and cut.
    #[must_use]
    pub fn sentence(&self) -> String {
        let told = |executed: bool| if executed { "; the server may have acted on it" } else { "" };
        match self {
            Self::Rpc(error) => {
                let said: String = error.message.chars().take(SHOWN).collect();
                format!("the server answered with error {}: {}", error.code, said.escape_debug())
            }
            Self::Authorization(failure) => failure.sentence().to_owned(),
            Self::Lost { why, maybe_executed } => {
                format!("{}{}", why.sentence(), told(*maybe_executed))
            }
            Self::SessionLost { maybe_executed } => {
                format!("the server forgot the session{}", told(*maybe_executed))
            }
            Self::Status { status, said: Some(said) } => {
                format!("the server answered {}: {said}", status.as_u16())
            }
            Self::Status { status, said: None } => {
                format!("the server answered {}", status.as_u16())
            }
            Self::Malformed(what) => format!("the answer cannot be read: {what}"),
            Self::TooLarge => "an answer is over its limit".to_owned(),
            Self::Version(named) => {
                format!("no protocol revision is known to both sides; the server's: {named:?}")
            }
            Self::NoEndpoint(status) => {
                format!("there is no MCP endpoint at this URL: it answered {}", status.as_u16())
            }
            Self::Endpoint => {
                "the stream announced no endpoint that is plainly of its own origin".to_owned()
            }
            Self::SessionId => {
                "the session id has characters that none may have, or there are two".to_owned()
            }
            Self::Unsupported(what) | Self::Invalid(what) => (*what).to_owned(),
            Self::Closed => "the transport was closed".to_owned(),
            Self::Drive(error) => error.to_string(),
        }
    }

    /// The advice in words; `None` where the remedy says all there is.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::Authorization(failure) => return failure.advice(),
            Self::Lost { why, .. } => return Failure::lost(*why, "TRANS-17").advice(),
            Self::Rpc(_) => "read the server's words, and correct the request",
            Self::Status { status, .. } if status.is_redirection() => {
                "give the URL that it leads to: no token may follow a redirect"
            }
            Self::Status { status, .. } if transient(*status) => return None,
            Self::NoEndpoint(_) => "check the path of the URL",
            Self::Status { .. } | Self::Malformed(_) => {
                "check that this is the URL of an MCP server"
            }
            Self::Version(_) => "see if there is a newer version of this program",
            Self::Closed => "connect again",
            Self::Endpoint | Self::SessionId | Self::TooLarge => return None,
            Self::SessionLost { .. } | Self::Unsupported(_) | Self::Invalid(_) => return None,
            Self::Drive(_) => return None,
        })
    }

    /// Writes the whole error; the place, if any, follows the sentence.
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, place: &str) -> fmt::Result {
        match self {
            Self::Authorization(failure) => fmt::Display::fmt(failure, f),
            Self::Drive(error) => fmt::Display::fmt(error, f),
            _ => {
                write!(f, "{}: {}{place}; ", self.code(), self.sentence())?;
                match self.advice() {
                    Some(advice) => f.write_str(advice),
                    None => fmt::Display::fmt(&self.remedy(), f),
                }
            }
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "")
    }
}

/// As `Display`: a `main` that returns it shows this.
impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for TransportError {}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    #[test]
    fn every_error_has_a_code_a_remedy_and_says_whether_it_was_executed() {
        let status = |status| TransportError::Status {
            status: StatusCode::from_u16(status).unwrap(),
            said: None,
        };
        let rpc = RpcError { code: -32601, message: "no".to_owned(), data: None };
        let denied = Arc::new(Failure::new(Kind::AuthorizationDenied, "SEC-17"));
        for (error, code, remedy, executed) in [
            (TransportError::Rpc(rpc), "mcp_error", "report", true),
            (TransportError::Authorization(denied), "authorization_denied", "ask_user", false),
            (
                TransportError::Lost { why: Why::Broken, maybe_executed: true },
                "mcp_lost",
                "retry",
                true,
            ),
            (
                TransportError::Lost { why: Why::Connect, maybe_executed: false },
                "mcp_lost",
                "retry",
                false,
            ),
            (
                TransportError::Lost { why: Why::PlainHttp, maybe_executed: false },
                "mcp_lost",
                "configure",
                false,
            ),
            (
                TransportError::SessionLost { maybe_executed: false },
                "mcp_session_lost",
                "retry",
                false,
            ),
            (status(503), "transient", "retry", true),
            (status(429), "transient", "retry", false),
            (status(302), "redirect_refused", "configure", false),
            (status(501), "mcp_status", "configure", true),
            (status(418), "mcp_status", "report", false),
            (TransportError::Malformed("x"), "mcp_malformed", "report", true),
            (TransportError::TooLarge, "limit_exceeded", "report", true),
            (TransportError::Version(Vec::new()), "mcp_version", "configure", false),
            (
                TransportError::NoEndpoint(StatusCode::NOT_FOUND),
                "mcp_no_endpoint",
                "configure",
                false,
            ),
            (TransportError::Endpoint, "origin_mismatch", "configure", false),
            (TransportError::SessionId, "mcp_session_id", "report", false),
            (TransportError::Unsupported("x"), "mcp_unsupported", "configure", false),
            (TransportError::Invalid("x"), "config_invalid", "configure", false),
            (TransportError::Closed, "mcp_closed", "configure", false),
            (TransportError::Drive(DriveError::Stopped), "cancelled", "ask_user", false),
        ] {
            assert_eq!(error.code(), code, "{error}");
            assert_eq!(error.remedy().name(), remedy, "{error}");
            assert_eq!(error.maybe_executed(), executed, "{error}");
            assert!(!error.to_string().is_empty());
            // Errors of the MCP server have no failure of ours behind them.
            let ours = !code.starts_with("mcp_") || code == "mcp_lost";
            let ours = ours
                && !matches!(error, TransportError::Status { .. } | TransportError::Invalid(_));
            assert_eq!(error.failure().is_some(), ours, "{error}");
            if let Some(failure) = error.failure() {
                assert_eq!(failure.remedy(), error.remedy(), "{error}");
                assert!(failure.code() == code || code == "mcp_lost", "{error}");
            }
            if let TransportError::Lost { why, .. } = error {
                assert!(error.to_string().contains(why.sentence()), "{error}");
            }
        }
    }

    #[test]
    fn what_a_server_answered_to_a_refused_request_is_not_kept() {
        let failure = Arc::new(Failure::new(Kind::Forbidden, "STEP-03"));
        let answer = Response::builder().status(403).header("x", "c4n4ry");
        let answer = Box::new(answer.body(b"c4n4ry".to_vec()).unwrap());
        let error = TransportError::from(ExchangeError::Refused { failure, answer });
        assert!(!format!("{error:?} {error}").contains("c4n4ry"));
        assert_eq!(error.code(), "forbidden");
    }

    #[test]
    fn a_servers_message_is_cut_and_escaped_where_it_is_shown() {
        let message = format!("\u{1b}[31m\n{}", "x".repeat(10_000));
        let shown = TransportError::Rpc(RpcError { code: 1, message, data: None }).to_string();
        assert!(shown.len() < 1_000 && !shown.contains(['\u{1b}', '\n']), "{shown}");
    }
}
