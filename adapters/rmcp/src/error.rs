//! Why a message did not arrive, or nothing came back.

use core::fmt;
use std::sync::Arc;

use http::StatusCode;
use mcp_authz_core::effect::Why;
use mcp_authz_core::failure::{Failure, Kind, Remedy};
use mcp_authz_driver::exchange::ExchangeError;
use rmcp::service::ClientInitializeError;
use rmcp::transport::streamable_http_client::StreamableHttpError;
use tokio::task::JoinError;

/// The errors on the way to the MCP server, authorization included.
///
/// rmcp hands it out as [`StreamableHttpError::Client`] and wraps that several times;
/// [`Error::within`] finds it again.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There was no answer, or none that could be had with any grant: it says whether the message
    /// may have been executed and what to do.
    Exchange(ExchangeError),
    /// The message that was to be sent, or the answer that came, breaks a rule; the failure names
    /// the rule and says what to do.
    Failed(Arc<Failure>),
    /// The answer broke off. The message may have been executed; it is not sent again by itself.
    Broken(Why),
    /// The server refused the message with this status and without an error that MCP knows.
    Status {
        /// The status.
        status: StatusCode,
        /// The server's words: escaped, cut, and never to be trusted.
        said: Option<String>,
    },
    /// The server does not speak HTTP+SSE: its stream is none, or does not begin with an endpoint.
    NoEndpoint,
    /// The transport is closed. Make another one.
    Closed,
    /// The task of the transport is gone: a bug, or the end of the runtime.
    Join(JoinError),
}

impl Error {
    /// The error of this crate among what an error of rmcp was caused by.
    ///
    /// ```
    /// # fn advise(error: rmcp::ServiceError) {
    /// if let Some(error) = mcp_authz_rmcp::Error::within(&error)
    ///     && let Some(failure) = error.failure()
    /// {
    ///     eprintln!("{failure}: {:?}", failure.remedy());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn within<'a>(error: &'a (dyn core::error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            if let Some(StreamableHttpError::Client(found)) =
                error.downcast_ref::<StreamableHttpError<Self>>()
            {
                return Some(found);
            }
            // These two say that they have no source, and have one.
            next = match error.downcast_ref::<ClientInitializeError>() {
                Some(ClientInitializeError::TransportError { error, .. }) => Some(error),
                Some(ClientInitializeError::LegacyFallbackFailed { fallback, .. }) => {
                    Some(fallback.as_ref())
                }
                _ => error.source(),
            };
        }
        None
    }

    /// The failure behind it, which says what was asked, which rule failed and what to do; `None`
    /// if the server failed rather than the authorization or the connection.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<Failure>> {
        match self {
            Self::Failed(failure) => Some(Arc::clone(failure)),
            Self::Exchange(error) => error.failure(),
            Self::Broken(why) => Some(Arc::new(Failure::lost(*why, "TRANS-17"))),
            Self::Status { .. } | Self::NoEndpoint | Self::Closed | Self::Join(_) => None,
        }
    }

    /// The stable code, in `snake_case`: one of the failures' own, or one that begins with `mcp_`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match (self, self.failure()) {
            (_, Some(failure)) => failure.code(),
            (Self::Status { .. }, _) => "mcp_status",
            (Self::NoEndpoint, _) => "mcp_no_endpoint",
            (Self::Join(_), _) => Kind::Cancelled.code(),
            _ => "mcp_closed",
        }
    }

    /// The remedy: the action that may mend it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match (self, self.failure()) {
            (_, Some(failure)) => failure.remedy(),
            (Self::Status { status, .. }, _) if status.is_server_error() => {
                Remedy::Retry { after: None }
            }
            (Self::Status { .. }, _) => Remedy::Report,
            _ => Remedy::Configure,
        }
    }

    pub(crate) fn failed(kind: Kind, rule: &'static str) -> Self {
        Self::Failed(Arc::new(Failure::new(kind, rule)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(error) => error.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
            Self::Broken(why) => write!(f, "the answer broke off: {}", why.sentence()),
            Self::Status { status, said: None } => write!(f, "the server answered {status}"),
            Self::Status { status, said: Some(said) } => {
                write!(f, "the server answered {status}: {said}")
            }
            Self::NoEndpoint => f.write_str("the server does not speak HTTP+SSE"),
            Self::Closed => f.write_str("the transport is closed"),
            Self::Join(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Exchange(error) => Some(error),
            Self::Join(error) => error.source(),
            _ => None,
        }
    }
}
