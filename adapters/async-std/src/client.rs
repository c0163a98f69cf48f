//! The entry: what a program sets up once.

use std::sync::Arc;

use mcp_authz_driver::client::{BuildError, Settings};
use mcp_authz_driver::hyper_http;
use mcp_authz_driver::manager::{Platform, PortsError};
use mcp_authz_driver::ports::{Ports, Store};
use mcp_authz_driver::tasks::{self, Tasks};
use mcp_authz_driver::{self as driver, PortsOf};
use mcp_authz_host::page::PageText;
use mcp_authz_host::store::MemoryStore;

use crate::listener::Loopback;
use crate::runtime::AsyncStd;

/// Sends; see [`hyper_http::HyperHttp`].
pub type HyperHttp = hyper_http::HyperHttp<AsyncStd>;

/// The loop that runs the sessions of a program on async-std.
type OnAsyncStd = Tasks<HyperHttp, Loopback, AsyncStd>;

/// The ports that all sessions of a program on async-std share, set up by a [`ClientBuilder`]; see
/// [`driver::client::Client`].
pub type Client = driver::client::Client<OnAsyncStd>;

/// A session on async-std; see [`driver::AuthSession`].
pub type AuthSession = driver::AuthSession<OnAsyncStd>;

/// One MCP server and one account of it; see [`driver::AuthorizationManager`].
pub type AuthorizationManager = driver::AuthorizationManager<OnAsyncStd>;

/// Collects the parts of a manager; see [`driver::manager::ManagerBuilder`].
pub type ManagerBuilder = driver::manager::ManagerBuilder<OnAsyncStd>;

/// One login, step by step; see [`driver::AuthorizationSession`].
pub type AuthorizationSession = driver::AuthorizationSession<OnAsyncStd>;

/// A program's own requests, authorized; see [`driver::AuthorizedHttpClient`].
pub type AuthorizedHttpClient = driver::AuthorizedHttpClient<OnAsyncStd>;

/// An MCP connection on async-std; see [`driver::transport::Transport`].
pub type Transport = driver::transport::Transport<OnAsyncStd>;

/// A bare HTTP+SSE stream on async-std; see [`tasks::HttpSse`].
pub type HttpSse = tasks::HttpSse<HyperHttp, Loopback, AsyncStd>;

impl Platform for AsyncStd {
    type Loop = OnAsyncStd;
    type Builder = ClientBuilder;

    fn ports() -> Result<Arc<PortsOf<OnAsyncStd>>, PortsError> {
        Ok(Client::builder().build()?.into())
    }

    fn store() -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }
}

/// Collects settings; nothing is checked before [`ClientBuilder::build`]. They are the same on each runtime.
///
/// Time limits are none of them: those of a session's own requests are its configuration's
/// ([`times`](mcp_authz_core::config::ConfigBuilder::times)), and a caller's own requests carry theirs
/// ([`limits`](mcp_authz_driver::exchange::limits)).
#[derive(Default)]
pub struct ClientBuilder {
    reach: Settings,
    text: PageText,
}

mcp_authz_driver::client_setters!(ClientBuilder);

impl ClientBuilder {
    /// The words of the pages that a browser shows at the end of a login, in place of the built-in
    /// ones.
    ///
    /// ```
    /// use mcp_authz_async_std::host::page::{Outcome, PageText, Words};
    /// use mcp_authz_async_std::{AuthorizationManager, Client};
    ///
    /// let done = Words::new().title("Welcome back").next("Acme Mail has your letters now.");
    /// let text = PageText::new().words(Outcome::Authorized, done);
    /// let client = Client::builder().page_text(text).build()?;
    /// let manager = AuthorizationManager::builder("https://mcp.example/mcp").ports(client).build()?;
    /// # let _ = manager;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn page_text(mut self, text: PageText) -> Self {
        self.text = text;
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// [`BuildError`] names what has to be changed.
    pub fn build(self) -> Result<Client, BuildError> {
        let (http, runtime) = (HyperHttp::new(AsyncStd, self.reach)?, AsyncStd);
        let listener = Loopback::new().page_text(self.text);
        Ok(Client::new(Ports { http, listener, runtime }))
    }
}
