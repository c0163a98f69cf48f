//! The entry: what a program sets up once.

use std::sync::Arc;

use mcp_authz_driver::client::{BuildError, Settings};
use mcp_authz_driver::manager::{Platform, PortsError};
use mcp_authz_driver::ports::{Ports, Store};
use mcp_authz_driver::threads::Threads;
use mcp_authz_driver::{self as driver, PortsOf};
use mcp_authz_host::listener::Loopback;
use mcp_authz_host::page::PageText;
use mcp_authz_host::store::MemoryStore;

use crate::http::UreqHttp;

/// The loop that runs the sessions of a program on ureq.
type OnUreq = Threads<UreqHttp, Loopback>;

/// The ports that all sessions of a program on ureq share, set up by a [`ClientBuilder`]; see
/// [`driver::client::Client`].
pub type Client = driver::client::Client<OnUreq>;

/// A session on ureq; see [`driver::AuthSession`].
pub type AuthSession = driver::AuthSession<OnUreq>;

/// One MCP server and one account of it; see [`driver::AuthorizationManager`].
pub type AuthorizationManager = driver::AuthorizationManager<OnUreq>;

/// Collects the parts of a manager; see [`driver::manager::ManagerBuilder`].
pub type ManagerBuilder = driver::manager::ManagerBuilder<OnUreq>;

/// One login, step by step; see [`driver::AuthorizationSession`].
pub type AuthorizationSession = driver::AuthorizationSession<OnUreq>;

/// A program's own requests, authorized; see [`driver::AuthorizedHttpClient`].
pub type AuthorizedHttpClient = driver::AuthorizedHttpClient<OnUreq>;

/// An MCP connection on ureq; see [`driver::transport::Transport`].
#[cfg(feature = "transport")]
pub type Transport = driver::transport::Transport<OnUreq>;

impl Platform for UreqHttp {
    type Loop = OnUreq;
    type Builder = ClientBuilder;

    fn ports() -> Result<Arc<PortsOf<OnUreq>>, PortsError> {
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
    /// use mcp_authz_ureq::host::page::{Outcome, PageText, Words};
    /// use mcp_authz_ureq::{AuthorizationManager, Client};
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
        let (http, runtime) = (UreqHttp::new(self.reach)?, ());
        let listener = Loopback::new().page_text(self.text);
        Ok(Client::new(Ports { http, listener, runtime }))
    }
}
