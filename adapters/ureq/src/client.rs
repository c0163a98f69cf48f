//! The entry: what a program sets up once.

use std::sync::Arc;

use mcp_authz_core::Config;
use mcp_authz_core::session::Snapshot;
use mcp_authz_driver::client::{BuildError, Settings};
use mcp_authz_driver::manager::{Platform, PortsError};
use mcp_authz_driver::ports::{Common, Ports, Store};
use mcp_authz_driver::threads::Threads;
use mcp_authz_driver::{self as driver, PortsOf, ResumeError};
use mcp_authz_host::listener::Loopback;
use mcp_authz_host::store::Memory;

use crate::http::UreqHttp;
/// What runs the sessions of a program on ureq.
type OnUreq = Threads<UreqHttp, Loopback>;

/// A session on ureq; see [`driver::AuthSession`].
pub type AuthSession = driver::AuthSession<OnUreq>;

/// One MCP server and one account of it; see [`driver::AuthorizationManager`].
pub type AuthorizationManager = driver::AuthorizationManager<OnUreq>;

/// One login, step by step; see [`driver::AuthorizationSession`].
pub type AuthorizationSession = driver::AuthorizationSession<OnUreq>;

/// A program's own requests, authorized; see [`driver::AuthorizedHttpClient`].
pub type AuthorizedHttpClient = driver::AuthorizedHttpClient<OnUreq>;

/// An MCP connection on ureq; see [`driver::transport::Transport`].
#[cfg(feature = "transport")]
pub type Transport = driver::transport::Transport<OnUreq>;

impl Platform for UreqHttp {
    type Loop = OnUreq;

    fn ports() -> Result<Arc<PortsOf<OnUreq>>, PortsError> {
        Ok(Client::builder().build()?.ports)
    }

    fn store() -> Arc<dyn Store> {
        Arc::new(Memory::new())
    }
}

/// For a manager: `AuthorizationManager::builder(url).ports(client)`.
impl From<Client> for Arc<PortsOf<OnUreq>> {
    fn from(client: Client) -> Self {
        client.ports
    }
}

/// What all sessions of a program share: how it reaches the outside.
#[derive(Clone, Debug)]
pub struct Client {
    ports: Arc<PortsOf<OnUreq>>,
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
    pub fn http(&self) -> &UreqHttp {
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
        let (http, listener, runtime) = (UreqHttp::new(self.reach)?, Loopback, ());
        Ok(Client { ports: Arc::new(Ports { http, listener, runtime }) })
    }
}
