//! [`AuthorizedHttpClient`]: a program's own requests to its MCP server, for async programs.

use core::fmt;

use http::{Method, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::manager::{AuthorizationManager, Platform};
use crate::exchange::{Exchange, ExchangeError};
use crate::manager;
use crate::ports::{Answer, AsyncHttp};
use crate::reading::Streamed;

/// Sends requests with the token on them, to the MCP server and what else of its origin may see the
/// token (D4). A refusal is healed by a refresh, or by the manager's person, and the request is sent
/// once more; no redirect is followed.
pub struct AuthorizedHttpClient<R: Platform> {
    manager: AuthorizationManager<R>,
    http: Option<R::Http>,
}

impl<R: Platform> AuthorizedHttpClient<R> {
    /// Sends through the manager's own port, or through another one: it must follow no redirect of
    /// itself. A client that does has been where an answer leads to before that is refused here, and
    /// with the token, if it is on the same host.
    pub const fn new(manager: AuthorizationManager<R>, http: Option<R::Http>) -> Self {
        Self { manager, http }
    }

    /// Gets a URL. The body of the answer is read as it comes.
    ///
    /// # Errors
    /// [`ExchangeError`] says whether it may have been executed and what to do; `origin_mismatch` if
    /// the URL is not one that may see the token.
    pub async fn get(&self, url: &str) -> Result<Answered<R>, ExchangeError> {
        self.request(manager::request(Method::GET, url, None)?).await
    }

    /// Posts a JSON text to a URL.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get`].
    pub async fn post(
        &self,
        url: &str,
        json: impl Into<Vec<u8>>,
    ) -> Result<Answered<R>, ExchangeError> {
        self.request(manager::request(Method::POST, url, Some(json.into()))?).await
    }

    /// Sends any request, without an `Authorization` field of its own.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get`].
    pub async fn request(&self, request: Request<Vec<u8>>) -> Result<Answered<R>, ExchangeError> {
        self.exchange(Exchange::new(request)).await
    }

    /// As [`AuthorizedHttpClient::request`], with all that can be said of one.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get`].
    pub async fn exchange(&self, exchange: Exchange) -> Result<Answered<R>, ExchangeError> {
        let exchange = exchange.may_ask_if_unsaid(self.manager.may_ask());
        let session = self.manager.session();
        match &self.http {
            Some(http) => session.open_through(http, exchange).await,
            None => session.open(exchange).await,
        }
    }

    /// Gets a URL and reads the JSON of a successful answer.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get`]; [`ExchangeError::Unfit`] if it is no success or no such JSON.
    pub async fn get_json<T: DeserializeOwned>(&self, url: &str) -> Result<T, ExchangeError> {
        manager::json(&self.whole(manager::request(Method::GET, url, None)?).await?)
    }

    /// Posts a value as JSON and reads the JSON of a successful answer.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get_json`].
    pub async fn post_json<T: DeserializeOwned>(
        &self,
        url: &str,
        value: &(impl Serialize + ?Sized + Sync),
    ) -> Result<T, ExchangeError> {
        let json = manager::written(value)?;
        manager::json(&self.whole(manager::request(Method::POST, url, Some(json))?).await?)
    }

    async fn whole(&self, request: Request<Vec<u8>>) -> Result<Answer, ExchangeError> {
        let exchange = Exchange::new(request).may_ask(self.manager.may_ask());
        let session = self.manager.session();
        match &self.http {
            Some(http) => session.exchange_through(http, exchange).await,
            None => session.exchange(exchange).await,
        }
    }

    /// The manager whose token is used.
    #[must_use]
    pub const fn manager(&self) -> &AuthorizationManager<R> {
        &self.manager
    }
}

/// An answer whose body is read as it comes.
pub type Answered<R> = Streamed<<<R as Platform>::Http as AsyncHttp>::Body>;

impl<R: Platform> Clone for AuthorizedHttpClient<R> {
    fn clone(&self) -> Self {
        Self { manager: self.manager.clone(), http: self.http.clone() }
    }
}

impl<R: Platform> fmt::Debug for AuthorizedHttpClient<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizedHttpClient")
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}
