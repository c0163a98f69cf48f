//! The entry: what a program sets up once.

use std::sync::Arc;

use mcp_authz_core::Config;
use mcp_authz_core::session::Snapshot;
use mcp_authz_driver::client::{BuildError, Settings};
use mcp_authz_driver::hyper_http;
use mcp_authz_driver::manager::{Platform, PortsError};
use mcp_authz_driver::ports::{Common, Ports, Store};
use mcp_authz_driver::tasks::{self, Tasks};
use mcp_authz_driver::{self as driver, PortsOf, ResumeError};
use mcp_authz_host::store::Memory;

use crate::listener::Loopback;
use crate::runtime::AsyncStd;
/// Sends; see [`hyper_http::HyperHttp`].
pub type HyperHttp = hyper_http::HyperHttp<AsyncStd>;

/// What runs the sessions of a program on async-std.
type OnAsyncStd = Tasks<HyperHttp, Loopback, AsyncStd>;

/// A session on async-std; see [`driver::AuthSession`].
pub type AuthSession = driver::AuthSession<OnAsyncStd>;

/// One MCP server and one account of it; see [`driver::AuthorizationManager`].
pub type AuthorizationManager = driver::AuthorizationManager<OnAsyncStd>;

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

    fn ports() -> Result<Arc<PortsOf<OnAsyncStd>>, PortsError> {
        Ok(Client::builder().build()?.ports)
    }

    fn store() -> Arc<dyn Store> {
        Arc::new(Memory::new())
    }
}

/// For a manager: `AuthorizationManager::builder(url).ports(client)`.
impl From<Client> for Arc<PortsOf<OnAsyncStd>> {
    fn from(client: Client) -> Self {
        client.ports
    }
}

/// What all sessions of a program share: how it reaches the outside.
#[derive(Clone, Debug)]
pub struct Client {
    ports: Arc<PortsOf<OnAsyncStd>>,
}

impl Client {
    /// Starts with sound defaults: no proxy, Mozilla's roots.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A session for one MCP URL and account, with a store and an observer of its own. Nothing is read
    /// or sent yet.
    #[must_use]
    pub fn session(&self, config: Arc<Config>, common: impl Into<Arc<Common>>) -> AuthSession {
        AuthSession::new(config, Arc::clone(&self.ports), common)
    }

    /// Goes on with a session where a snapshot was taken.
    ///
    /// # Errors
    /// As [`driver::AuthSession::resume`].
    pub fn resume(
        &self,
        config: Arc<Config>,
        from: Snapshot,
        common: impl Into<Arc<Common>>,
    ) -> Result<AuthSession, ResumeError> {
        AuthSession::resume(config, from, Arc::clone(&self.ports), common)
    }

    /// The HTTP port alone, for a driver of one's own.
    #[must_use]
    pub fn http(&self) -> &HyperHttp {
        &self.ports.http
    }
}

/// Collects settings; nothing is checked before [`Builder::build`].
#[derive(Default)]
pub struct Builder {
    reach: Settings,
}

mcp_authz_driver::client_setters!(Builder);

impl Builder {
    /// Makes the client.
    ///
    /// # Errors
    /// [`BuildError`] names what has to be changed.
    pub fn build(self) -> Result<Client, BuildError> {
        let (http, listener, runtime) = (HyperHttp::new(AsyncStd, self.reach)?, Loopback, AsyncStd);
        Ok(Client { ports: Arc::new(Ports { http, listener, runtime }) })
    }
}
