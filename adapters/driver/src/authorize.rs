//! For callers with an HTTP client of their own: what goes on a request, and what its answer means.
//!
//! [`exchange`](crate::exchange) is the same two steps around a request that the driver sends.

use core::fmt;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderName, LOCATION};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use mcp_authz_core::config::Config;
use mcp_authz_core::effect::{Settlement, Visit};
use mcp_authz_core::failure::{Failure, Kind};
use mcp_authz_core::granted::{Granted, reads_one_way};
use mcp_authz_core::input::{Epoch, Had, Refusal, is_refusal};
use url::Url;

use crate::error::DriveError;
use crate::publish::Published;

/// Refusals after which one request is given up whatever the session says, which says so before.
const MOST_ATTEMPTS: u8 = 8;

/// The headers for one request to the MCP server. Keep them until the answer is there, and show
/// both to the session's `seen`: the epoch tells the session which token was refused, however late.
#[derive(Clone)]
pub struct Authorized {
    granted: Option<Arc<Granted>>,
    method: Method,
    /// Of a URL at the MCP server's own origin, which all that are let through are. It is moved with
    /// every request of a caller, and the origin would be half of it.
    path: PathAndQuery,
    operation: Option<Arc<str>>,
    may_ask: bool,
    /// The URL was announced on an authorized stream of the server.
    announced: bool,
    attempt: u8,
    /// The part of the settlements of its refusals that the request has had.
    had: Had,
}

/// The meaning of an answer for its request.
#[derive(Clone, Debug)]
pub enum Seen {
    /// The answer is the caller's to read: it is no refusal, or the request was repeated often
    /// enough.
    Final,
    /// It was refused, and so not executed: send it once more, with these headers.
    Again(Authorized),
}

/// Why there is nothing to put on a request.
#[derive(Clone)]
#[non_exhaustive]
pub enum AuthorizeError {
    /// The failure says what to do.
    Failed(Arc<Failure>),
    /// The login goes on with another page, as where the server had forgotten the registration that the
    /// one before was for (REG-21). Show the person this page, and hand in its callback as that of the
    /// first. Only step-by-step logins end a call so.
    OneMoreStep(Box<Visit>),
    /// The driver could not go on.
    Drive(DriveError),
}

impl Authorized {
    /// Refuses what may not carry the token (USE-07). Without one, only the MCP server's own origin
    /// is asked what it wants: another's answer is not its refusal. `announced` says that the server
    /// named the URL on an authorized HTTP+SSE stream, for which it is in the area then (D4).
    pub(crate) fn new(
        config: &Config,
        granted: Option<Arc<Granted>>,
        method: &Method,
        uri: &Uri,
        announced: bool,
    ) -> Result<Self, AuthorizeError> {
        if !config.admits(granted.as_deref(), uri, announced) {
            return Err(failed(Kind::OriginMismatch, "USE-07"));
        }
        Ok(Self::over(granted, method, uri, announced))
    }

    /// The same for a URI that was judged before.
    #[inline]
    pub(crate) fn over(
        granted: Option<Arc<Granted>>,
        method: &Method,
        uri: &Uri,
        announced: bool,
    ) -> Self {
        // One without a path has no scheme either, and is let through nowhere.
        let path = uri.path_and_query().cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let (method, attempt, had) = (method.clone(), 1, Had::default());
        Self { granted, method, path, operation: None, may_ask: true, announced, attempt, had }
    }

    /// Goes on without a token if there is none to be had without a person: the server's refusal
    /// names what it wants. Everything else that stands in the way is the caller's to know.
    pub(crate) fn grant(
        outcome: Result<Arc<Granted>, Arc<Failure>>,
    ) -> Result<Option<Arc<Granted>>, AuthorizeError> {
        match outcome {
            Ok(granted) => Ok(Some(granted)),
            Err(failure) if failure.mended_by_login() => Ok(None),
            Err(failure) => Err(AuthorizeError::Failed(failure)),
        }
    }

    /// The headers to set on the request, each in place of one that is there: one for a Bearer
    /// token, none while there is no token, when the server is asked what it wants. The values are
    /// marked sensitive.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, &HeaderValue)> {
        self.granted.iter().map(|granted| (AUTHORIZATION, granted.authorization()))
    }

    /// The epoch of the token; `None` without one.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.granted.as_deref().map(Granted::epoch)
    }

    /// The grant behind the headers.
    #[must_use]
    pub const fn granted(&self) -> Option<&Arc<Granted>> {
        self.granted.as_ref()
    }

    /// Returns true if the headers are for a request that was refused before.
    #[must_use]
    pub const fn again(&self) -> bool {
        self.attempt > 1
    }

    /// Names what is attempted (method plus tool, prompt or resource), so that the retry limits
    /// count per operation (STEP-10). The HTTP method and path unless said.
    #[must_use]
    pub fn operation(mut self, operation: impl Into<Arc<str>>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Sets whether a person may be bothered if the request is refused. The default is yes.
    #[must_use]
    pub const fn may_ask(mut self, may_ask: bool) -> Self {
        self.may_ask = may_ask;
        self
    }

    /// Returns true if the session has to see the answer, and not only the caller.
    pub(crate) fn concerned(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        is_refusal(status, headers) || self.leads_out(status, headers)
    }

    /// The refusal that an answer is, if it is one that the session can do something about. Of a
    /// success it is noted that the token was accepted: nothing else says so.
    pub(crate) fn verdict(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        published: &Published,
    ) -> Result<Option<Refusal>, AuthorizeError> {
        if status.is_success() {
            published.accepted_with(self.epoch());
            return Ok(None);
        }
        self.refusal(status, headers, published.accepted())
    }

    /// `accepted` is the newest epoch with which a request succeeded.
    pub(crate) fn refusal(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        accepted: Option<Epoch>,
    ) -> Result<Option<Refusal>, AuthorizeError> {
        if self.leads_out(status, headers) {
            return Err(failed(Kind::OriginMismatch, "HOST-055"));
        }
        if self.attempt >= MOST_ATTEMPTS || !is_refusal(status, headers) {
            return Ok(None);
        }
        let operation = match &self.operation {
            Some(operation) => operation.as_ref().to_owned(),
            None => format!("{} {}", self.method, self.path.path()),
        };
        Ok(Some(Refusal {
            epoch: self.epoch(),
            status,
            headers: headers.clone(),
            operation,
            accepted,
            had: self.had,
            may_ask: self.may_ask,
        }))
    }

    /// The same request with the grant that its refusal led to.
    pub(crate) fn healed(
        &self,
        config: &Config,
        settlement: Settlement,
    ) -> Result<Seen, AuthorizeError> {
        let Settlement { outcome, had, .. } = settlement;
        let granted = outcome.map_err(AuthorizeError::Failed)?;
        let uri = Uri::try_from(granted.url(self.path.as_str()));
        let uri = uri.map_err(|_| failed(Kind::OriginMismatch, "USE-07"))?;
        let Self { operation, may_ask, attempt, .. } = self.clone();
        let anew = Self::new(config, Some(granted), &self.method, &uri, self.announced)?;
        let attempt = attempt.saturating_add(1);
        Ok(Seen::Again(Self { operation, may_ask, attempt, had, ..anew }))
    }

    /// Returns true if an answer sends a request with a token to a place where the token may not
    /// go. A redirect within the token area is an answer like others; nobody here follows one. Its
    /// text is judged before it is resolved, which takes dot segments out (HOST-328).
    fn leads_out(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let Some(granted) = &self.granted else { return false };
        let Some(location) = headers.get(LOCATION).filter(|_| status.is_redirection()) else {
            return false;
        };
        let target = Url::parse(&granted.url(self.path.as_str()))
            .ok()
            .zip(location.to_str().ok().filter(|location| reads_one_way(location)))
            .and_then(|(base, location)| base.join(location).ok());
        let target = target.and_then(|target| Uri::try_from(target.as_str()).ok());
        target.is_none_or(|target| !granted.covers(&target))
    }
}

/// Shows neither the token nor the query.
impl fmt::Debug for Authorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized")
            .field("epoch", &self.epoch())
            .field("method", &self.method)
            .field("path", &self.path.path())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl From<DriveError> for AuthorizeError {
    fn from(error: DriveError) -> Self {
        Self::Drive(error)
    }
}

impl fmt::Display for AuthorizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            Self::OneMoreStep(visit) => write!(
                f,
                "the login goes on with another page at {}: show it, and hand in what comes of it",
                visit.authorization_host
            ),
            Self::Drive(error) => error.fmt(f),
        }
    }
}

/// As `Display`: a `main` that returns it shows this.
impl fmt::Debug for AuthorizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for AuthorizeError {}

crate::diagnosed!(AuthorizeError, this => match this {
    AuthorizeError::Failed(failure) => Arc::clone(failure),
    AuthorizeError::OneMoreStep(_) => one_more_step(),
    AuthorizeError::Drive(error) => error.diagnosis(),
});

impl AuthorizeError {
    /// The failure, for those who show no pages.
    pub(crate) fn failure_or(self) -> Result<Arc<Failure>, DriveError> {
        match self {
            Self::Failed(failure) => Ok(failure),
            Self::OneMoreStep(_) => Ok(one_more_step()),
            Self::Drive(error) => Err(error),
        }
    }
}

fn one_more_step() -> Arc<Failure> {
    Arc::new(Failure::new(Kind::ReauthorizationRequired, "REG-21"))
}

pub(crate) fn failed(kind: Kind, rule: &'static str) -> AuthorizeError {
    AuthorizeError::Failed(Arc::new(Failure::new(kind, rule)))
}
