//! The entry: what a program sets up once.

use core::fmt;
use std::sync::Arc;

use http::HeaderValue;
use mcp_authz_core::Config;
use mcp_authz_core::failure::{Failure, Kind};
use mcp_authz_core::session::Snapshot;
use mcp_authz_driver::ResumeError;
use mcp_authz_driver::dial::{self, Lookup};
use mcp_authz_driver::hyper_http::{HyperHttp, Proxy, Settings};
use mcp_authz_driver::manager::PortsError;
use mcp_authz_driver::on_demand::{self, Platform, Ports};
use mcp_authz_driver::ports::{Common, Observer, Signer, Store};
use mcp_authz_driver::tls::{self, Roots};
use mcp_authz_host::store::Memory;
use tokio::runtime::Handle;

use crate::http::TokioHttp;
use crate::listener::Loopback;
use crate::runtime::Tokio;

/// A session on tokio; see [`on_demand::AuthSession`].
pub type AuthSession = on_demand::AuthSession<TokioHttp, Loopback, Tokio>;

/// One MCP server and one account of it; see [`on_demand::AuthorizationManager`].
pub type AuthorizationManager = on_demand::AuthorizationManager<Tokio>;

/// One login, step by step; see [`on_demand::AuthorizationSession`].
pub type AuthorizationSession = on_demand::AuthorizationSession<Tokio>;

/// A program's own requests, authorized; see [`on_demand::AuthorizedHttpClient`].
pub type AuthorizedHttpClient = on_demand::AuthorizedHttpClient<Tokio>;

impl Platform for Tokio {
    type Http = TokioHttp;
    type Listener = Loopback;

    fn ports() -> Result<Arc<Ports<TokioHttp, Loopback, Self>>, PortsError> {
        Ok(Client::builder().build()?.ports)
    }
}

/// For a manager: `AuthorizationManager::builder(url).ports(client)`.
impl From<Client> for Arc<Ports<TokioHttp, Loopback, Tokio>> {
    fn from(client: Client) -> Self {
        client.ports
    }
}

/// An MCP connection on tokio; see [`on_demand::Transport`].
pub type Transport = on_demand::Transport<TokioHttp, Loopback, Tokio>;

/// A bare HTTP+SSE stream on tokio; see [`on_demand::HttpSse`].
pub type HttpSse = on_demand::HttpSse<TokioHttp, Loopback, Tokio>;

/// What all sessions of a program share: connections, the store, who is told what happens.
#[derive(Clone, Debug)]
pub struct Client {
    ports: Arc<Ports<TokioHttp, Loopback, Tokio>>,
}

impl Client {
    /// Starts with sound defaults: the runtime one is in, no proxy, Mozilla's roots, credentials in
    /// memory.
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
    pub fn http(&self) -> &TokioHttp {
        &self.ports.http
    }
}

/// Collects settings; nothing is checked before [`Builder::build`].
pub struct Builder {
    common: Common,
    lookup: Arc<dyn Lookup>,
    roots: Roots,
    user_agent: HeaderValue,
    proxy: Option<String>,
    #[cfg(feature = "reqwest")]
    ready_made: Option<reqwest::Client>,
    runtime: Option<Handle>,
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
            #[cfg(feature = "reqwest")]
            ready_made: None,
            runtime: None,
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
    pub fn proxy(mut self, url: &str) -> Self {
        self.proxy = Some(url.to_owned());
        self
    }

    /// The `User-Agent` of every request that names none.
    #[must_use]
    pub fn user_agent(mut self, user_agent: HeaderValue) -> Self {
        self.user_agent = user_agent;
        self
    }

    /// The runtime to spawn on; the one that [`Builder::build`] is called in unless said.
    #[must_use]
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
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
        let tls = tls::client_config(&self.roots).map_err(|_| BuildError::Roots)?;
        let proxy = self.proxy.as_deref();
        let proxy = proxy.map(|url| Proxy::parse(url).ok_or(BuildError::Proxy)).transpose()?;
        let (lookup, user_agent) = (self.lookup, self.user_agent);
        let http = HyperHttp::new(runtime.clone(), Settings { lookup, tls, user_agent, proxy });
        let http = TokioHttp::from(http);
        #[cfg(feature = "reqwest")]
        let http = self.ready_made.map_or(http, TokioHttp::from);
        let listener = Loopback::new(runtime.clone());
        Ok(Client { ports: Arc::new(Ports { http, listener, runtime, common: self.common }) })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("roots", &self.roots).finish_non_exhaustive()
    }
}

/// The openings that weaken a check. There is one, of feature `reqwest`.
#[derive(Debug)]
pub struct Danger(#[cfg_attr(not(feature = "reqwest"), expect(dead_code))] Builder);

impl Danger {
    /// Sends everything through this client as it is. Its resolver, redirects, proxies, cookies and
    /// connection limits are beyond reach: names are not judged by the addresses they lead to, and
    /// an answer whose URL is another than was asked for is refused only after the client went
    /// there.
    #[must_use]
    #[cfg(feature = "reqwest")]
    pub fn ready_made_client(mut self, client: reqwest::Client) -> Builder {
        self.0.ready_made = Some(client);
        self.0
    }
}

/// The settings make no client.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// Built outside a runtime: name one, or build inside.
    NoRuntime,
    /// No given root certificate can be used: name others.
    Roots,
    /// The proxy is no http or https URL.
    Proxy,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRuntime => f.write_str("there is no tokio runtime here"),
            Self::Roots => f.write_str("no usable root certificate"),
            Self::Proxy => f.write_str("the proxy is no http or https URL"),
        }
    }
}

impl core::error::Error for BuildError {}

mcp_authz_driver::diagnosed!(BuildError, this => Arc::new(
    Failure::new(Kind::ConfigInvalid, "SEC-12").with_hint(&this.to_string()),
));
