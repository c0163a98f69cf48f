//! The entry: what a program sets up once.

use core::fmt;
use std::sync::Arc;

use http::HeaderValue;
use mcp_authz_core::Config;
use mcp_authz_core::session::Snapshot;
use mcp_authz_driver::ResumeError;
use mcp_authz_driver::dial::{self, Lookup};
use mcp_authz_driver::hyper_http::{self, Proxy, Settings};
use mcp_authz_driver::manager::PortsError;
use mcp_authz_driver::on_demand::{self, Platform, Ports};
use mcp_authz_driver::ports::{Common, Observer, Signer, Store};
use mcp_authz_driver::tls::{self, Roots, RootsUnusable};
use mcp_authz_host::store::Memory;

use crate::listener::Loopback;
use crate::runtime::AsyncStd;

/// Sends; see [`hyper_http::HyperHttp`].
pub type HyperHttp = hyper_http::HyperHttp<AsyncStd>;

/// A session on async-std; see [`on_demand::AuthSession`].
pub type AuthSession = on_demand::AuthSession<HyperHttp, Loopback, AsyncStd>;

/// One MCP server and one account of it; see [`on_demand::AuthorizationManager`].
pub type AuthorizationManager = on_demand::AuthorizationManager<AsyncStd>;

/// One login, step by step; see [`on_demand::AuthorizationSession`].
pub type AuthorizationSession = on_demand::AuthorizationSession<AsyncStd>;

/// A program's own requests, authorized; see [`on_demand::AuthorizedHttpClient`].
pub type AuthorizedHttpClient = on_demand::AuthorizedHttpClient<AsyncStd>;

impl Platform for AsyncStd {
    type Http = HyperHttp;
    type Listener = Loopback;

    fn ports() -> Result<Arc<Ports<HyperHttp, Loopback, Self>>, PortsError> {
        Ok(Client::builder().build()?.ports)
    }
}

/// For a manager: `AuthorizationManager::builder(url).ports(client)`.
impl From<Client> for Arc<Ports<HyperHttp, Loopback, AsyncStd>> {
    fn from(client: Client) -> Self {
        client.ports
    }
}

/// An MCP connection on async-std; see [`on_demand::Transport`].
pub type Transport = on_demand::Transport<HyperHttp, Loopback, AsyncStd>;

/// A bare HTTP+SSE stream on async-std; see [`on_demand::HttpSse`].
pub type HttpSse = on_demand::HttpSse<HyperHttp, Loopback, AsyncStd>;

/// What all sessions of a program share: connections, the store, who is told what happens.
#[derive(Clone, Debug)]
pub struct Client {
    ports: Arc<Ports<HyperHttp, Loopback, AsyncStd>>,
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
        AuthSession::new(config, Arc::clone(&self.ports))
    }

    /// Goes on with a session where a snapshot was taken.
    ///
    /// # Errors
    /// As [`on_demand::AuthSession::resume`].
    pub fn resume(&self, config: Arc<Config>, from: Snapshot) -> Result<AuthSession, ResumeError> {
        AuthSession::resume(config, from, Arc::clone(&self.ports))
    }

    /// The HTTP port alone, for a driver of one's own.
    #[must_use]
    pub fn http(&self) -> &HyperHttp {
        &self.ports.http
    }
}

/// Collects settings; nothing is checked before [`Builder::build`].
pub struct Builder {
    common: Common,
    lookup: Arc<dyn Lookup>,
    roots: Roots,
    user_agent: HeaderValue,
    proxy: Option<Proxy>,
}

impl Default for Builder {
    fn default() -> Self {
        let user_agent = concat!("mcp-authz/", env!("CARGO_PKG_VERSION"));
        Self {
            common: Common { store: Arc::new(Memory::new()), ..Common::default() },
            lookup: Arc::new(dial::System),
            roots: Roots::default(),
            user_agent: HeaderValue::from_static(user_agent),
            proxy: None,
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
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// The `User-Agent` of every request that names none.
    #[must_use]
    pub fn user_agent(mut self, user_agent: HeaderValue) -> Self {
        self.user_agent = user_agent;
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// [`RootsUnusable`] if no given root can be used: name others.
    pub fn build(self) -> Result<Client, RootsUnusable> {
        let tls = tls::client_config(&self.roots)?;
        let (lookup, user_agent, proxy) = (self.lookup, self.user_agent, self.proxy);
        let settings = Settings { lookup, tls, user_agent, proxy };
        let http = HyperHttp::new(AsyncStd, settings);
        let (listener, runtime, common) = (Loopback, AsyncStd, self.common);
        Ok(Client { ports: Arc::new(Ports { http, listener, runtime, common }) })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("roots", &self.roots).finish_non_exhaustive()
    }
}
