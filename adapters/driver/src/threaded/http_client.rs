//! [`AuthorizedHttpClient`]: a program's own requests to its MCP server, for blocking programs.

use core::fmt;

use http::{Method, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::manager::{AuthorizationManager, Platform};
use crate::exchange::{Exchange, ExchangeError};
use crate::manager;
use crate::ports::{Answer, Body};
use crate::reading::Streamed;

/// Sends requests with the token on them, to the MCP server and what else of its origin may see the
/// token (D4). A refusal is healed by a refresh, or by the manager's person, and the request is sent
/// once more; no redirect is followed.
pub struct AuthorizedHttpClient<H: Platform> {
    manager: AuthorizationManager<H>,
    http: Option<H>,
}

impl<H: Platform> AuthorizedHttpClient<H> {
    /// Sends through the manager's own port, or through another one: it must follow no redirect of
    /// itself. A client that does has been where an answer leads to before that is refused here, and
    /// with the token, if it is on the same host.
    pub const fn new(manager: AuthorizationManager<H>, http: Option<H>) -> Self {
        Self { manager, http }
    }

    /// Gets a URL. The body of the answer is read as it comes.
    ///
    /// # Errors
    /// [`ExchangeError`] says whether it may have been executed and what to do; `origin_mismatch` if
    /// the URL is not one that may see the token.
    pub fn get(&self, url: &str) -> Result<Answered, ExchangeError> {
        self.request(manager::request(Method::GET, url, None)?)
    }

    /// Posts a JSON text to a URL.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get`].
    pub fn post(&self, url: &str, json: impl Into<Vec<u8>>) -> Result<Answered, ExchangeError> {
        self.request(manager::request(Method::POST, url, Some(json.into()))?)
    }

    /// Sends any request, without an `Authorization` field of its own.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get`].
    pub fn request(&self, request: Request<Vec<u8>>) -> Result<Answered, ExchangeError> {
        self.exchange(Exchange::new(request))
    }

    /// As [`AuthorizedHttpClient::request`], with all that can be said of one.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get`].
    pub fn exchange(&self, exchange: Exchange) -> Result<Answered, ExchangeError> {
        let exchange = exchange.may_ask_if_unsaid(self.manager.may_ask());
        let session = self.manager.session();
        match &self.http {
            Some(http) => session.open_through(http, exchange),
            None => session.open(exchange),
        }
    }

    /// Gets a URL and reads the JSON of a successful answer.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get`]; [`ExchangeError::Unfit`] if it is no success or no such JSON.
    pub fn get_json<T: DeserializeOwned>(&self, url: &str) -> Result<T, ExchangeError> {
        manager::json(&self.whole(manager::request(Method::GET, url, None)?)?)
    }

    /// Posts a value as JSON and reads the JSON of a successful answer.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get_json`].
    pub fn post_json<T: DeserializeOwned>(
        &self,
        url: &str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<T, ExchangeError> {
        let json = manager::written(value)?;
        manager::json(&self.whole(manager::request(Method::POST, url, Some(json))?)?)
    }

    fn whole(&self, request: Request<Vec<u8>>) -> Result<Answer, ExchangeError> {
        let exchange = Exchange::new(request).may_ask(self.manager.may_ask());
        let session = self.manager.session();
        match &self.http {
            Some(http) => session.exchange_through(http, exchange),
            None => session.exchange(exchange),
        }
    }

    /// The manager whose token is used.
    #[must_use]
    pub const fn manager(&self) -> &AuthorizationManager<H> {
        &self.manager
    }
}

/// An answer whose body is read as it comes.
pub type Answered = Streamed<Box<dyn Body>>;

impl<H: Platform> Clone for AuthorizedHttpClient<H> {
    fn clone(&self) -> Self {
        Self { manager: self.manager.clone(), http: self.http.clone() }
    }
}

impl<H: Platform> fmt::Debug for AuthorizedHttpClient<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizedHttpClient")
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}
