//! The entry: what a program sets up once.

use std::sync::Arc;

use mcp_authz_driver::client::{BuildError, Settings};
use mcp_authz_driver::hyper_http::HyperHttp;
use mcp_authz_driver::manager::{Platform, PortsError};
use mcp_authz_driver::ports::{Ports, Store};
use mcp_authz_driver::tasks::{self, Tasks};
use mcp_authz_driver::{self as driver, PortsOf};
use mcp_authz_host::page::PageText;
use mcp_authz_host::store::MemoryStore;
use tokio::runtime::Handle;

use crate::http::TokioHttp;
use crate::listener::Loopback;
use crate::runtime::Tokio;

/// The loop that runs the sessions of a program on tokio.
type OnTokio = Tasks<TokioHttp, Loopback, Tokio>;

/// The ports that all sessions of a program on tokio share, set up by a [`ClientBuilder`]; see
/// [`driver::client::Client`].
pub type Client = driver::client::Client<OnTokio>;

/// A session on tokio; see [`driver::AuthSession`].
pub type AuthSession = driver::AuthSession<OnTokio>;

/// One MCP server and one account of it; see [`driver::AuthorizationManager`].
pub type AuthorizationManager = driver::AuthorizationManager<OnTokio>;

/// Collects the parts of a manager; see [`driver::manager::ManagerBuilder`].
pub type ManagerBuilder = driver::manager::ManagerBuilder<OnTokio>;

/// One login, step by step; see [`driver::AuthorizationSession`].
pub type AuthorizationSession = driver::AuthorizationSession<OnTokio>;

/// A program's own requests, authorized; see [`driver::AuthorizedHttpClient`].
pub type AuthorizedHttpClient = driver::AuthorizedHttpClient<OnTokio>;

/// An MCP connection on tokio; see [`driver::transport::Transport`].
pub type Transport = driver::transport::Transport<OnTokio>;

/// A bare HTTP+SSE stream on tokio; see [`tasks::HttpSse`].
pub type HttpSse = tasks::HttpSse<TokioHttp, Loopback, Tokio>;

impl Platform for Tokio {
    type Loop = OnTokio;
    type Builder = ClientBuilder;

    fn ports() -> Result<Arc<PortsOf<OnTokio>>, PortsError> {
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
    #[cfg(feature = "reqwest")]
    ready_made: Option<reqwest::Client>,
    runtime: Option<Handle>,
    text: PageText,
}

mcp_authz_driver::client_setters!(ClientBuilder);

impl ClientBuilder {
    /// The runtime to spawn on; the one that [`ClientBuilder::build`] is called in unless said.
    #[must_use]
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// The words of the pages that a browser shows at the end of a login, in place of the built-in
    /// ones.
    ///
    /// ```
    /// use mcp_authz_tokio::host::page::{Outcome, PageText, Words};
    /// use mcp_authz_tokio::{AuthorizationManager, Client};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let done = Words::new().title("Welcome back").next("Acme Mail has your letters now.");
    /// let text = PageText::new().words(Outcome::Authorized, done);
    /// let client = Client::builder().page_text(text).build()?;
    /// let manager = AuthorizationManager::builder("https://mcp.example/mcp").ports(client).build()?;
    /// # let _ = manager;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn page_text(mut self, text: PageText) -> Self {
        self.text = text;
        self
    }

    /// The openings that weaken a check.
    #[must_use]
    pub const fn danger(self) -> Danger {
        Danger(self)
    }

    /// Makes the client.
    ///
    /// # Errors
    /// [`BuildError`] names what has to be changed.
    pub fn build(self) -> Result<Client, BuildError> {
        let runtime = self.runtime.map_or_else(Handle::try_current, Ok);
        let runtime = Tokio::new(runtime.map_err(|_| BuildError::NoRuntime)?);
        let http = TokioHttp::from(HyperHttp::new(runtime.clone(), self.reach)?);
        #[cfg(feature = "reqwest")]
        let http = self.ready_made.map_or(http, TokioHttp::from);
        let listener = Loopback::new(runtime.clone()).page_text(self.text);
        Ok(Client::new(Ports { http, listener, runtime }))
    }
}

/// The openings that weaken a check. There is one, of feature `reqwest`.
#[derive(Debug)]
pub struct Danger(#[cfg_attr(not(feature = "reqwest"), expect(dead_code))] ClientBuilder);

impl Danger {
    /// Sends everything through this client as it is. Its resolver, redirects, proxies, cookies and
    /// connection limits are beyond reach: names are not judged by the addresses they lead to, and
    /// an answer whose URL is another than was asked for is refused only after the client went
    /// there.
    #[must_use]
    #[cfg(feature = "reqwest")]
    pub fn ready_made_client(mut self, client: reqwest::Client) -> ClientBuilder {
        self.0.ready_made = Some(client);
        self.0
    }
}
