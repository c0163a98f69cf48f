//! [`AuthorizedHttpClient`]: a program's own requests to its MCP server, for tasks and for threads.

use core::fmt;

use http::{Method, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exchange::{Exchange, ExchangeError};
use crate::faces::faces;
use crate::loops::Loop;
use crate::manager::{self, AuthorizationManager};
use crate::reading::Streamed;
use crate::session::engine;

/// Sends requests with the token on them, to the MCP server and what else of its origin may see the
/// token (D4). A refusal is healed by a refresh, or by the manager's person, and the request is sent
/// once more; no redirect is followed.
pub struct AuthorizedHttpClient<S: Loop> {
    manager: AuthorizationManager<S>,
    http: Option<S::Http>,
}

impl<S: Loop> AuthorizedHttpClient<S> {
    /// Sends through the manager's own port, or through another one: it must follow no redirect of
    /// itself. A client that does has been where an answer leads to before that is refused here, and
    /// with the token, if it is on the same host.
    pub const fn new(manager: AuthorizationManager<S>, http: Option<S::Http>) -> Self {
        Self { manager, http }
    }

    /// The manager whose token is used.
    #[must_use]
    pub const fn manager(&self) -> &AuthorizationManager<S> {
        &self.manager
    }
}

faces! { AuthorizedHttpClient {
    /// Gets a URL. The body of the answer is read as it comes.
    ///
    /// # Errors
    /// [`ExchangeError`] says whether it may have been executed and what to do; `origin_mismatch` if
    /// the URL is not one that may see the token.
    fn get(&self, url: &str) -> Result<Streamed<B>, ExchangeError> {
        send(self, manager::request(Method::GET, url, None))
    }

    /// Posts a JSON text to a URL.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get`].
    fn post(&self, url: &str, json: impl Into<Vec<u8>>) -> Result<Streamed<B>, ExchangeError> {
        send(self, manager::request(Method::POST, url, Some(json.into())))
    }

    /// Sends any request, without an `Authorization` field of its own.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get`].
    fn request(&self, request: Request<Vec<u8>>) -> Result<Streamed<B>, ExchangeError> {
        send(self, Ok(request))
    }

    /// As [`AuthorizedHttpClient::request`], with all that can be said of one.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get`].
    fn exchange(&self, exchange: Exchange) -> Result<Streamed<B>, ExchangeError> {
        open(self, exchange)
    }

    /// Gets a URL and reads the JSON of a successful answer.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get`]; [`ExchangeError::Unfit`] if it is no success or no such JSON.
    fn get_json<T: DeserializeOwned>(&self, url: &str) -> Result<T, ExchangeError> {
        read(self, manager::request(Method::GET, url, None))
    }

    /// Posts a value as JSON and reads the JSON of a successful answer.
    ///
    /// # Errors
    /// As [`AuthorizedHttpClient::get_json`].
    fn post_json<T: DeserializeOwned>(
        &self,
        url: &str,
        value: &(impl Serialize + ?Sized + Sync),
    ) -> Result<T, ExchangeError> {
        let json = manager::written(value);
        read(self, json.and_then(|json| manager::request(Method::POST, url, Some(json))))
    }
}}

type Asked = Result<Request<Vec<u8>>, ExchangeError>;

async fn send<S: Loop>(
    client: &AuthorizedHttpClient<S>,
    request: Asked,
) -> Result<Streamed<S::Body>, ExchangeError> {
    open(client, Exchange::new(request?)).await
}

async fn open<S: Loop>(
    client: &AuthorizedHttpClient<S>,
    exchange: Exchange,
) -> Result<Streamed<S::Body>, ExchangeError> {
    let exchange = exchange.may_ask_if_unsaid(client.manager.may_ask());
    engine::open(client.manager.session().shared(), client.http.as_ref(), exchange).await
}

async fn read<S: Loop, T: DeserializeOwned>(
    client: &AuthorizedHttpClient<S>,
    request: Asked,
) -> Result<T, ExchangeError> {
    let exchange = Exchange::new(request?).may_ask(client.manager.may_ask());
    let session = client.manager.session();
    let answer = engine::exchange(session.shared(), client.http.as_ref(), exchange).await?;
    manager::json(&answer)
}

impl<S: Loop> Clone for AuthorizedHttpClient<S>
where
    S::Http: Clone,
{
    fn clone(&self) -> Self {
        Self { manager: self.manager.clone(), http: self.http.clone() }
    }
}

impl<S: Loop> fmt::Debug for AuthorizedHttpClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizedHttpClient")
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}
