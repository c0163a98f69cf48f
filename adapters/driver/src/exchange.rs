//! The callers' own requests: the token goes on, and a refusal goes to the session.
//!
//! The requests never pass through the session; only their refusal does. What is here is the same for
//! blocking and async callers; each adds a loop of a few lines around it.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use http::header::{AUTHORIZATION, LOCATION};
use http::response::Parts;
use http::{HeaderMap, Request, StatusCode};
use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Reply, Why};
use mcp_authz_core::failure::{Failure, Kind};
use mcp_authz_core::granted::{Area, Granted};
use mcp_authz_core::input::{Challenge, Epoch, WaiterId, is_refusal};
use url::Url;

use crate::error::DriveError;
use crate::ports::Answer;

/// Refusals after which one request is given up whatever the session says: one refresh and the
/// step-ups that are possible for one operation fit below.
const MOST_ATTEMPTS: u32 = 5;

/// One request of the caller's own.
pub struct Exchange {
    request: Request<Vec<u8>>,
    operation: String,
    may_ask: bool,
    limits: Limits,
}

impl Exchange {
    /// A request to the MCP server, without an `Authorization` field. A person may be asked if the
    /// server wants a login.
    #[must_use]
    pub fn new(request: Request<Vec<u8>>) -> Self {
        let operation = format!("{} {}", request.method(), request.uri().path());
        Self { request, operation, may_ask: true, limits: limits() }
    }

    /// Names what is attempted (method plus tool, prompt or resource), so that the retry limits
    /// count per operation (STEP-10). The HTTP method and path unless said.
    #[must_use]
    pub fn operation(mut self, operation: &str) -> Self {
        operation.clone_into(&mut self.operation);
        self
    }

    /// Whether a person may be bothered.
    #[must_use]
    pub const fn may_ask(mut self, may_ask: bool) -> Self {
        self.may_ask = may_ask;
        self
    }

    /// Other limits than [`limits`].
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.request.uri();
        // Not the authority, which may hold a password.
        f.debug_struct("Exchange")
            .field("method", self.request.method())
            .field("scheme", &uri.scheme_str())
            .field("host", &uri.host())
            .field("port", &uri.port_u16())
            .field("path", &uri.path())
            .finish_non_exhaustive()
    }
}

/// The limits of a caller's own request unless it names others. Its address is the person's own
/// choice, so any may be dialled.
#[must_use]
pub const fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(10),
        total: Duration::from_secs(300),
        head: 64 * 1024,
        fields: 128,
        body: 4 * 1024 * 1024,
        addresses: Addresses::Any,
    }
}

/// A request of a caller that the MCP server refused: a [`Challenge`] for which a driver has yet to
/// choose the waiter.
#[derive(Clone)]
pub struct Refusal {
    /// The epoch of the token that it carried; `None` if it carried none.
    pub epoch: Option<Epoch>,
    /// 401, 403 or 400.
    pub status: StatusCode,
    /// All headers of the answer.
    pub headers: HeaderMap,
    /// What was attempted, for the retry limits.
    pub operation: String,
    /// Whether it was already a repetition after a refusal.
    pub again: bool,
    /// Whether a person may be bothered.
    pub may_ask: bool,
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("epoch", &self.epoch)
            .field("status", &self.status)
            .field("operation", &self.operation)
            .field("again", &self.again)
            .field("may_ask", &self.may_ask)
            .finish_non_exhaustive()
    }
}

impl Refusal {
    pub(crate) fn challenge(self, waiter: WaiterId) -> Challenge {
        let Self { epoch, status, headers, operation, again, may_ask } = self;
        Challenge { waiter, epoch, status, headers, operation, again, may_ask }
    }
}

/// Why a caller's own request brought no answer.
#[non_exhaustive]
pub enum ExchangeError {
    /// It was not sent; the failure says what to do.
    Unsent(Arc<Failure>),
    /// The server refused it and no grant could be had that it might accept, or sent it elsewhere.
    Refused {
        /// Why not, and what to do.
        failure: Arc<Failure>,
        /// What the server answered.
        answer: Box<Answer>,
    },
    /// No whole answer came. It is not sent again by itself: the server may have acted on it unless
    /// `sent` is false (HOST-254).
    Lost {
        /// What happened.
        why: Why,
        /// Whether it may have reached the server.
        sent: bool,
    },
    /// The driver could not go on.
    Drive(DriveError),
}

impl From<DriveError> for ExchangeError {
    fn from(error: DriveError) -> Self {
        Self::Drive(error)
    }
}

impl fmt::Debug for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent(failure) => f.debug_tuple("Unsent").field(failure).finish(),
            // What the server answered may quote the request, and is the caller's to show.
            Self::Refused { failure, answer } => f
                .debug_struct("Refused")
                .field("failure", failure)
                .field("status", &answer.status())
                .finish_non_exhaustive(),
            Self::Lost { why, sent } => {
                f.debug_struct("Lost").field("why", why).field("sent", sent).finish()
            }
            Self::Drive(error) => f.debug_tuple("Drive").field(error).finish(),
        }
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent(failure) => failure.fmt(f),
            Self::Refused { failure, answer } => {
                write!(f, "the server answered {}; {failure}", answer.status())
            }
            Self::Lost { why, sent: true } => {
                write!(f, "no answer: {}; the server may have acted on it", why.kind().code())
            }
            Self::Lost { why, sent: false } => write!(f, "not sent: {}", why.kind().code()),
            Self::Drive(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ExchangeError {}

/// One request on its way to an answer.
pub(crate) struct Attempt {
    exchange: Exchange,
    granted: Option<Arc<Granted>>,
    attempts: u32,
}

/// What an answer means.
pub(crate) enum Verdict {
    Done(Answer),
    Refused(Answer, Refusal),
}

impl Attempt {
    pub(crate) fn new(exchange: Exchange) -> Result<Self, ExchangeError> {
        // Two such fields would let the server choose between tokens (HOST-259).
        if exchange.request.headers().contains_key(AUTHORIZATION) {
            return Err(unsent(Kind::ConfigInvalid, "HOST-259"));
        }
        Ok(Self { exchange, granted: None, attempts: 0 })
    }

    pub(crate) fn limits(&self) -> Limits {
        self.exchange.limits.clone()
    }

    /// Goes on without a token if there is none to be had without a person: the server's refusal
    /// names what it wants. Everything else that stands in the way is the caller's to know.
    pub(crate) fn without(failure: Arc<Failure>) -> Result<(), ExchangeError> {
        match failure.kind() {
            Kind::ReauthorizationRequired => Ok(()),
            _ => Err(ExchangeError::Unsent(failure)),
        }
    }

    /// The request to send, with the token if there is one and it may go there (USE-07).
    pub(crate) fn request(
        &mut self,
        granted: Option<Arc<Granted>>,
    ) -> Result<Request<Vec<u8>>, ExchangeError> {
        let mut request = self.exchange.request.clone();
        self.granted = granted;
        self.attempts = self.attempts.saturating_add(1);
        if let Some(granted) = &self.granted {
            if !granted.area().covers(&request.uri().to_string()) {
                return Err(unsent(Kind::OriginMismatch, "USE-07"));
            }
            request.headers_mut().insert(AUTHORIZATION, granted.authorization().clone());
        }
        Ok(request)
    }

    pub(crate) fn read(&self, reply: Reply) -> Result<Verdict, ExchangeError> {
        let answer = match reply {
            Reply::Answered(answer) => answer,
            Reply::NotSent(why) => return Err(ExchangeError::Lost { why, sent: false }),
            Reply::MaybeSent(why) => return Err(ExchangeError::Lost { why, sent: true }),
        };
        if let Some(granted) = &self.granted
            && leads_out(&self.exchange.request, &answer, granted.area())
        {
            let failure = Arc::new(Failure::new(Kind::OriginMismatch, "HOST-055"));
            return Err(ExchangeError::Refused { failure, answer: Box::new(answer) });
        }
        if self.attempts >= MOST_ATTEMPTS || !is_refusal(answer.status(), answer.headers()) {
            return Ok(Verdict::Done(answer));
        }
        let refusal = Refusal {
            epoch: self.granted.as_deref().map(Granted::epoch),
            status: answer.status(),
            headers: answer.headers().clone(),
            operation: self.exchange.operation.clone(),
            again: self.attempts > 1,
            may_ask: self.exchange.may_ask,
        };
        Ok(Verdict::Refused(answer, refusal))
    }
}

/// Whether an answer sends a request with a token to where the token may not go. A redirect within
/// the token area is an answer like others; it is not followed here either.
fn leads_out(request: &Request<Vec<u8>>, answer: &Answer, area: &Area) -> bool {
    let Some(location) =
        answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection())
    else {
        return false;
    };
    let target = Url::parse(&request.uri().to_string())
        .ok()
        .zip(location.to_str().ok())
        .and_then(|(base, location)| base.join(location).ok());
    target.is_none_or(|target| !area.covers(target.as_str()))
}

/// What the caller watches, without the body of a refusal, which would spoil its event decoder.
pub(crate) fn unrefused(
    enough: &mut (impl FnMut(&Parts, &[u8]) -> bool + ?Sized),
) -> impl FnMut(&Parts, &[u8]) -> bool {
    |head, piece| !is_refusal(head.status, &head.headers) && enough(head, piece)
}

fn unsent(kind: Kind, rule: &'static str) -> ExchangeError {
    ExchangeError::Unsent(Arc::new(Failure::new(kind, rule)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "c4n4ry";

    #[test]
    fn debug_shows_no_secret() {
        let request = Request::post(format!("https://u:{CANARY}@mcp.example:8443/mcp?k={CANARY}"))
            .header("x-api-key", CANARY)
            .body(CANARY.as_bytes().to_vec())
            .unwrap();
        let exchange = Exchange::new(request).operation("tools/list");
        let said = format!("{exchange:?}");
        for part in ["POST", "mcp.example", "8443", "/mcp"] {
            assert!(said.contains(part), "{said}");
        }
        let body = CANARY.as_bytes().to_vec();
        let answer =
            http::Response::builder().status(401).header("set-cookie", CANARY).body(body).unwrap();
        let mut attempt = Attempt::new(exchange).unwrap();
        attempt.request(None).unwrap();
        let Ok(Verdict::Refused(answer, refusal)) = attempt.read(Reply::Answered(answer)) else {
            panic!("a 401 is a refusal");
        };
        let failure = Arc::new(Failure::new(Kind::AuthorizationDenied, "SEC-17"));
        let error = ExchangeError::Refused { failure, answer: Box::new(answer) };
        for said in [said, format!("{refusal:?}"), format!("{error:?}"), error.to_string()] {
            assert!(!said.contains(CANARY) && !said.contains("99, 52"), "{said}");
        }
        assert!(format!("{error:?}").contains("401"));
    }
}
