//! The entry: what a program sets up once.

use core::fmt;
use std::sync::Arc;

use mcp_authz_core::Config;
use mcp_authz_core::session::Snapshot;
use mcp_authz_driver::ResumeError;
use mcp_authz_driver::dial::{self, Lookup};
use mcp_authz_driver::manager::PortsError;
use mcp_authz_driver::ports::{Common, Observer, Signer, Store};
use mcp_authz_driver::threaded::{self, Platform, Ports};
use mcp_authz_driver::tls::{self, Roots, RootsUnusable};
use mcp_authz_host::listener::Loopback;
use mcp_authz_host::store::Memory;

use crate::http::UreqHttp;

/// A session on ureq; see [`threaded::AuthSession`].
pub type AuthSession = threaded::AuthSession<UreqHttp, Loopback>;

/// One MCP server and one account of it; see [`threaded::AuthorizationManager`].
pub type AuthorizationManager = threaded::AuthorizationManager<UreqHttp>;

/// One login, step by step; see [`threaded::AuthorizationSession`].
pub type AuthorizationSession = threaded::AuthorizationSession<UreqHttp>;

/// A program's own requests, authorized; see [`threaded::AuthorizedHttpClient`].
pub type AuthorizedHttpClient = threaded::AuthorizedHttpClient<UreqHttp>;

impl Platform for UreqHttp {
    type Listener = Loopback;

    fn ports() -> Result<Ports<Self, Loopback>, PortsError> {
        Ok(Client::builder().build()?.into())
    }
}

/// For a manager: `AuthorizationManager::builder(url).ports(client)`.
impl From<Client> for Ports<UreqHttp, Loopback> {
    fn from(client: Client) -> Self {
        Self { http: client.http, listener: Loopback, common: client.common }
    }
}

/// An MCP connection on ureq; see [`threaded::Transport`].
#[cfg(feature = "transport")]
pub type Transport = threaded::Transport<UreqHttp, Loopback>;

/// What all sessions of a program share: connections, the store, who is told what happens.
#[derive(Clone, Debug)]
pub struct Client {
    http: UreqHttp,
    common: Common,
}

impl Client {
    /// Starts with sound defaults: no proxy, Mozilla's roots, credentials in memory.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A session for one MCP URL and account. Nothing is read or sent yet.
    #[must_use]
    pub fn session(&self, config: Arc<Config>) -> AuthSession {
        let common = self.common.clone();
        AuthSession::new(config, self.http.clone(), Loopback, common)
    }

    /// Goes on with a session where a snapshot was taken.
    ///
    /// # Errors
    /// As [`threaded::AuthSession::resume`].
    pub fn resume(&self, config: Arc<Config>, from: Snapshot) -> Result<AuthSession, ResumeError> {
        AuthSession::resume(config, from, self.http.clone(), Loopback, self.common.clone())
    }

    /// The HTTP port alone, for a driver of one's own.
    #[must_use]
    pub const fn http(&self) -> &UreqHttp {
        &self.http
    }
}

/// Collects settings; nothing is checked before [`Builder::build`].
pub struct Builder {
    common: Common,
    lookup: Arc<dyn Lookup>,
    roots: Roots,
    proxy: Option<ureq::Proxy>,
    user_agent: String,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            common: Common { store: Arc::new(Memory::new()), ..Common::default() },
            lookup: Arc::new(dial::System),
            roots: Roots::default(),
            proxy: None,
            user_agent: concat!("mcp-authz/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl Builder {
    /// Where credentials are kept. Only used by configurations that are persistent.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.common.store = Arc::new(store);
        self
    }

    /// Who signs with the host's keys.
    #[must_use]
    pub fn signer(mut self, signer: impl Signer) -> Self {
        self.common.signer = Arc::new(signer);
        self
    }

    /// Who is told what happens and shows pages to the person.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.common.observer = Arc::new(observer);
        self
    }

    /// All ports that are alike in every driver, at once.
    #[must_use]
    pub fn common(mut self, common: Common) -> Self {
        self.common = common;
        self
    }

    /// How names are looked up.
    #[must_use]
    pub fn lookup(mut self, lookup: Arc<dyn Lookup>) -> Self {
        self.lookup = lookup;
        self
    }

    /// Which certificate authorities are trusted.
    #[must_use]
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// Sends everything through an HTTP proxy, which then looks names up itself: the address rule
    /// is asked about IP literals only.
    #[must_use]
    pub fn proxy(mut self, proxy: ureq::Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// The `User-Agent` of every request that names none.
    #[must_use]
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        user_agent.clone_into(&mut self.user_agent);
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// [`RootsUnusable`] if no given root can be used: name others.
    pub fn build(self) -> Result<Client, RootsUnusable> {
        // Made once to be checked: ureq builds its own from the same parts.
        tls::client_config(&self.roots)?;
        let http = UreqHttp::new(self.lookup, &self.roots, self.proxy, self.user_agent)?;
        Ok(Client { http, common: self.common })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("roots", &self.roots).finish_non_exhaustive()
    }
}
