//! The callers' own requests: the token goes on, and a refusal goes to the session.
//!
//! The requests never pass through the session; only their refusal does. The code here is the same
//! for blocking and async callers; each adds a loop of a few lines around it.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use http::header::AUTHORIZATION;
#[cfg(feature = "transport")]
use http::{Extensions, HeaderValue, Response};
use http::{Request, StatusCode};
use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Reply, Why};
#[cfg(feature = "transport")]
use mcp_authz_core::failure::Said;
use mcp_authz_core::failure::{Failure, Kind};

use crate::authorize::{AuthorizeError, Authorized, failed};
use crate::dial;
use crate::error::DriveError;
use crate::ports::{Answer, Unanswered};

/// One request of the caller's own.
pub struct Exchange {
    request: Request<Vec<u8>>,
    operation: Option<Arc<str>>,
    /// Unless said, what the sender thinks of it.
    may_ask: Option<bool>,
    announced: bool,
    limits: Limits,
}

impl Exchange {
    /// A request to the MCP server, without an `Authorization` field.
    #[must_use]
    pub fn new(request: Request<Vec<u8>>) -> Self {
        Self { request, operation: None, may_ask: None, announced: false, limits: limits() }
    }

    /// Names what is attempted (method plus tool, prompt or resource), so that the retry limits
    /// count per operation (STEP-10). The HTTP method and path unless said.
    #[must_use]
    pub fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Sets whether a person may be bothered. The default is yes; for an `AuthorizedHttpClient`,
    /// only if its manager has a person.
    #[must_use]
    pub const fn may_ask(mut self, may_ask: bool) -> Self {
        self.may_ask = Some(may_ask);
        self
    }

    /// The same, unless it was said already.
    pub(crate) const fn may_ask_if_unsaid(mut self, may_ask: bool) -> Self {
        if self.may_ask.is_none() {
            self.may_ask = Some(may_ask);
        }
        self
    }

    /// Other limits than [`limits`].
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Says that the server announced this URL on an authorized HTTP+SSE stream, for which it is in
    /// the token area then, if it is of the server's own origin (TRANS-33, D4).
    #[must_use]
    #[cfg(feature = "transport")]
    pub(crate) const fn announced(mut self) -> Self {
        self.announced = true;
        self
    }

    pub(crate) const fn is_announced(&self) -> bool {
        self.announced
    }

    /// Before anything is done about it. Two such fields would let the server choose between tokens
    /// (HOST-259).
    pub(crate) fn check(&self) -> Result<(), AuthorizeError> {
        if self.request.headers().contains_key(AUTHORIZATION) {
            return Err(failed(Kind::ConfigInvalid, "HOST-259"));
        }
        Ok(())
    }

    pub(crate) const fn asked(&self) -> &Request<Vec<u8>> {
        &self.request
    }

    pub(crate) const fn within(&self) -> &Limits {
        &self.limits
    }

    /// Adds the caller's settings for this request to the headers that go on it.
    pub(crate) fn describe(&self, authorized: Authorized) -> Authorized {
        let authorized = authorized.may_ask(self.may_ask.unwrap_or(true));
        match &self.operation {
            Some(operation) => authorized.operation(Arc::clone(operation)),
            None => authorized,
        }
    }

    /// An answer with a note of what it may say back, unless it is a success.
    #[cfg(feature = "transport")]
    pub(crate) fn noted<B>(&self, authorized: &Authorized, mut answer: Response<B>) -> Response<B> {
        if !answer.status().is_success() {
            let own = self.request.headers().values().filter(|value| value.is_sensitive());
            let token = authorized.headers().map(|(_, value)| value);
            answer.extensions_mut().insert(Sent::new(own.chain(token).cloned()));
        }
        answer
    }

    /// The request to send.
    pub(crate) fn request(&self, authorized: &Authorized) -> Request<Vec<u8>> {
        let mut request = self.request.clone();
        for (name, value) in authorized.headers() {
            request.headers_mut().insert(name, value.clone());
        }
        request
    }
}

/// The secrets that went on the request of an answer.
#[cfg(feature = "transport")]
#[derive(Clone)]
pub(crate) struct Sent(Arc<[HeaderValue]>);

#[cfg(feature = "transport")]
impl Sent {
    pub(crate) fn new(secrets: impl IntoIterator<Item = HeaderValue>) -> Self {
        Self(secrets.into_iter().collect())
    }

    /// Those of an answer with these extensions.
    pub(crate) fn of(extensions: &Extensions) -> &[HeaderValue] {
        extensions.get::<Self>().map(|sent| &*sent.0).unwrap_or_default()
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
        proxy: true,
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
        /// The server's answer.
        answer: Box<Answer>,
    },
    /// No whole answer came. It is not sent again by itself: the server may have acted on it unless
    /// `sent` is false (HOST-254).
    Lost {
        /// The reason why no whole answer came.
        why: Why,
        /// True if the request may have reached the server.
        sent: bool,
    },
    /// An answer came whole, and is not the JSON that was asked for.
    Unfit {
        /// Its status; a success holds something else than was expected.
        status: StatusCode,
    },
    /// The driver could not go on.
    Drive(DriveError),
}

impl From<DriveError> for ExchangeError {
    fn from(error: DriveError) -> Self {
        Self::Drive(error)
    }
}

/// Nothing was sent.
impl From<AuthorizeError> for ExchangeError {
    fn from(error: AuthorizeError) -> Self {
        error.failure_or().map_or_else(Self::Drive, Self::Unsent)
    }
}

impl ExchangeError {
    /// There is no answer. A proxy that is the reason is named: nothing was sent through it.
    pub(crate) fn lost(Unanswered { why, sent }: Unanswered, proxy: Option<Arc<str>>) -> Self {
        match proxy {
            Some(proxy) if dial::is_about_proxy(why) && !sent => {
                let failure = Failure::lost(why, "HOST-254");
                Self::Unsent(Arc::new(failure.with_subject(&format!("proxy {proxy}"))))
            }
            _ => Self::Lost { why, sent },
        }
    }

    /// Something was sent, and this came back. Its words are kept, if the failure has none yet
    /// (TRANS-90).
    pub(crate) fn after(answer: Answer, error: AuthorizeError) -> Self {
        match error.failure_or() {
            Ok(failure) => {
                #[cfg(feature = "transport")]
                let failure = match words(&answer) {
                    Some(said) if failure.said().is_none() => {
                        Arc::new(Arc::unwrap_or_clone(failure).with_said(said))
                    }
                    _ => failure,
                };
                Self::Refused { failure, answer: Box::new(answer) }
            }
            Err(error) => Self::Drive(error),
        }
    }
}

impl fmt::Debug for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent(failure) => f.debug_tuple("Unsent").field(failure).finish(),
            // The server's answer may quote the request, so that only the caller may show it.
            Self::Refused { failure, answer } => f
                .debug_struct("Refused")
                .field("failure", failure)
                .field("status", &answer.status())
                .finish_non_exhaustive(),
            Self::Lost { why, sent } => {
                f.debug_struct("Lost").field("why", why).field("sent", sent).finish()
            }
            Self::Unfit { status } => f.debug_struct("Unfit").field("status", status).finish(),
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
                write!(f, "no answer: {}; the server may have acted on it", why.sentence())
            }
            Self::Lost { why, sent: false } => write!(f, "not sent: {}", why.sentence()),
            Self::Unfit { status } => {
                write!(f, "the server answered {status}, and not with the JSON that was expected")
            }
            Self::Drive(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ExchangeError {}

crate::diagnosed!(ExchangeError, this => match this {
    ExchangeError::Unsent(failure) | ExchangeError::Refused { failure, .. } => Arc::clone(failure),
    ExchangeError::Lost { why, .. } => Arc::new(Failure::lost(*why, "HOST-254")),
    ExchangeError::Unfit { .. } => Arc::new(Failure::new(Kind::JsonMalformed, "TRANS-02")),
    ExchangeError::Drive(error) => error.diagnosis(),
});

/// The words of a refusal.
#[cfg(feature = "transport")]
fn words(answer: &Answer) -> Option<Said> {
    let description = Some(crate::transport::words(answer, answer.body())?);
    let status = Some(answer.status().as_u16());
    Some(Said { error: "other".to_owned(), description, status })
}

/// The answer, or that none came.
pub(crate) fn answered(reply: Reply) -> Result<Answer, ExchangeError> {
    match reply.whole() {
        Reply::Answered(answer) => Ok(answer),
        Reply::NotSent(why) => Err(ExchangeError::Lost { why, sent: false }),
        Reply::MaybeSent(why) => Err(ExchangeError::Lost { why, sent: true }),
    }
}

#[cfg(test)]
mod tests {
    use mcp_authz_core::Config;

    use super::*;

    const CANARY: &str = "c4n4ry";

    #[test]
    fn every_error_has_a_code_a_remedy_and_says_why() {
        let lost = |why, sent| ExchangeError::Lost { why, sent };
        let failed = || Arc::new(Failure::new(Kind::AuthorizationDenied, "SEC-17"));
        for (error, code, remedy, said) in [
            (lost(Why::Resolve, false), "transient", "retry", "not sent: the name of the server"),
            (lost(Why::PlainHttp, false), "tls", "configure", "not sent: this port speaks plain"),
            (lost(Why::Broken, true), "transient", "retry", "no answer: the connection broke off"),
            (ExchangeError::Unsent(failed()), "authorization_denied", "ask_user", "authorization_"),
            (
                ExchangeError::Unfit { status: StatusCode::OK },
                "json_malformed",
                "report",
                "the server answered 200",
            ),
            (ExchangeError::Drive(DriveError::Stopped), "cancelled", "ask_user", "the runtime"),
        ] {
            assert_eq!((error.code(), error.remedy().name()), (code, remedy), "{error}");
            assert!(error.to_string().starts_with(said), "{error}");
            assert_eq!(error.failure().unwrap().code(), code, "{error}");
        }
    }

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
        let config = Config::builder("https://mcp.example:8443/mcp").build().unwrap();
        let asked = Request::post(format!("https://mcp.example:8443/mcp?k={CANARY}")).body(vec![]);
        let asked = Exchange::new(asked.unwrap());
        let (method, uri) = (asked.asked().method(), asked.asked().uri());
        let authorized = Authorized::new(&config, None, method, uri, false).unwrap();
        let refusal = authorized.refusal(answer.status(), answer.headers(), None).unwrap().unwrap();
        let failure = Arc::new(Failure::new(Kind::AuthorizationDenied, "SEC-17"));
        let error = ExchangeError::Refused { failure, answer: Box::new(answer) };
        for said in [
            said,
            format!("{authorized:?}"),
            format!("{refusal:?}"),
            format!("{error:?}"),
            error.to_string(),
        ] {
            assert!(!said.contains(CANARY) && !said.contains("99, 52"), "{said}");
        }
        assert!(format!("{error:?}").contains("401"));
    }
}
