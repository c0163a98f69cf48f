//! How a manager is set up, and why that failed; what is pure of a login and of requests.

use core::fmt;
use std::sync::Arc;

use http::{Method, Request, Uri};
use mcp_authz_core::config::{self, Config, scheme_missing};
use mcp_authz_core::effect::{Page, Visit};
use mcp_authz_core::failure::{Failure, Kind};
use mcp_authz_core::granted::Granted;
use mcp_authz_core::scope::ScopeSet;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::authorize::{AuthorizeError, failed};
use crate::exchange::ExchangeError;
use crate::person::{Hub, Person};
use crate::ports::{Answer, Common, Observer};

/// Why there is no manager.
#[non_exhaustive]
pub enum SetupError {
    /// The configuration is refused; the failure names the setting.
    Config(Arc<Failure>),
    /// The runtime's ports could not be made: its own error says why.
    Ports(PortsError),
    /// The store cannot be used; the failure names the folder.
    Store(Arc<Failure>),
}

/// An adapter's own error.
pub type PortsError = Box<dyn core::error::Error + Send + Sync>;

impl From<Failure> for SetupError {
    fn from(failure: Failure) -> Self {
        Self::Config(Arc::new(failure))
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(failure) | Self::Store(failure) => failure.fmt(f),
            Self::Ports(error) => error.fmt(f),
        }
    }
}

/// As `Display`: a `main` that returns it shows this.
impl fmt::Debug for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for SetupError {}

crate::diagnosed!(SetupError, this => match this {
    SetupError::Config(failure) | SetupError::Store(failure) => Arc::clone(failure),
    SetupError::Ports(error) => {
        Arc::new(Failure::new(Kind::ConfigInvalid, "SEC-12").with_hint(&error.to_string()))
    }
});

/// The configuration of a manager.
pub(super) fn named(config: config::ConfigBuilder) -> config::ConfigBuilder {
    // A manager has a store in any case, if only in memory: a second session of it, with another
    // redirect URI, finds there what the first one was granted.
    let config = config.persistent(true);
    match program() {
        Some(name) => config.program(&name),
        None => config,
    }
}

/// The name of the program that runs: people are asked for consent to it, not to this library.
pub(super) fn program() -> Option<String> {
    let file = std::env::current_exe().ok()?;
    let name = file.file_stem()?.to_str()?;
    let shown = |byte: u8| matches!(byte, b' '..=b'~');
    (!name.is_empty() && name.len() <= 64 && name.bytes().all(shown)).then(|| name.to_owned())
}

/// The parts of one session, and the hub that hears everything of it.
pub(crate) fn heard(common: &Common, person: Option<&Arc<dyn Person>>) -> (Common, Arc<Hub>) {
    let hub = Arc::new(Hub::new(Arc::clone(&common.observer), person.cloned()));
    let observer: Arc<dyn Observer> = Arc::<Hub>::clone(&hub);
    (Common { observer, ..common.clone() }, hub)
}

/// The configuration with another redirect URI, if one is named.
pub(crate) fn config(
    settings: &config::ConfigBuilder,
    redirect: Option<&str>,
) -> Result<Arc<Config>, Failure> {
    match redirect {
        Some(uri) => settings.clone().redirect_uri(uri).build(),
        None => settings.clone().build(),
    }
}

/// A request to a URL that is still a text.
pub(crate) fn request(
    method: Method,
    url: &str,
    json: Option<Vec<u8>>,
) -> Result<Request<Vec<u8>>, ExchangeError> {
    let malformed = || ExchangeError::from(failed(Kind::UrlMalformed, "USE-07"));
    let uri: Uri = url.parse().map_err(|_| match scheme_missing(url) {
        Some(failure) => ExchangeError::Unsent(Arc::new(failure)),
        None => malformed(),
    })?;
    let mut request = Request::builder().method(method).uri(uri);
    request = request.header(http::header::ACCEPT, "application/json, text/event-stream");
    if json.is_some() {
        request = request.header(http::header::CONTENT_TYPE, "application/json");
    }
    request.body(json.unwrap_or_default()).map_err(|_| malformed())
}

/// The scopes that a caller names.
pub(crate) fn scopes(tokens: &[&str]) -> Result<ScopeSet, AuthorizeError> {
    ScopeSet::from_tokens(tokens.iter().copied())
        .map_err(|_| failed(Kind::ConfigInvalid, "SCOPE-11"))
}

/// A value as JSON.
pub(crate) fn written(value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, ExchangeError> {
    serde_json::to_vec(value).map_err(|_| failed(Kind::ConfigInvalid, "TRANS-02").into())
}

/// The value in a successful answer.
pub(crate) fn json<T: DeserializeOwned>(answer: &Answer) -> Result<T, ExchangeError> {
    let unfit = || ExchangeError::Unfit { status: answer.status() };
    if !answer.status().is_success() {
        return Err(unfit());
    }
    serde_json::from_slice(answer.body()).map_err(|_| unfit())
}

/// The outcome of a login as the page of its callback tells it; `None` if the caller must still
/// wait for the end of the login. A login that came after the session's own is `over` for the
/// session, and only its page tells of it.
pub(crate) fn told(
    page: Page,
    over: bool,
    granted: Option<Arc<Granted>>,
    next: Option<Visit>,
) -> Option<Result<Arc<Granted>, AuthorizeError>> {
    match page {
        Page::Refused(kind) => Some(Err(refused(kind))),
        Page::Untrusted { failure, .. } => Some(Err(AuthorizeError::Failed(failure))),
        Page::OneMoreStep(_) => next.map(|visit| Err(AuthorizeError::OneMoreStep(Box::new(visit)))),
        Page::Authorized(_) if over => {
            Some(granted.ok_or_else(|| refused(Kind::ReauthorizationRequired)))
        }
        Page::Denied(_) if over => Some(Err(refused(Kind::AuthorizationDenied))),
        Page::Failed { kind, .. } if over => Some(Err(refused(kind))),
        Page::Authorized(_) | Page::Denied(_) | Page::Failed { .. } => None,
    }
}

/// A callback was not taken; the login waits for another one.
pub(crate) fn refused(kind: Kind) -> AuthorizeError {
    failed(kind, "AUTHZ-12")
}
