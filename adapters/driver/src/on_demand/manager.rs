//! [`AuthorizationManager`] and [`AuthorizationSession`]: logging in, for async programs.

use core::fmt;
use core::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use futures_channel::mpsc;
use futures_util::future::{BoxFuture, Either, FutureExt, Shared, select};
use futures_util::stream::StreamExt as _;
use mcp_authz_core::config;
use mcp_authz_core::effect::{Forgotten, Settlement, Visit};
use mcp_authz_core::failure::Failure;
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::Callback;
use mcp_authz_core::scope::ScopeSet;

use super::{AuthSession, Ports, Transport};
use crate::authorize::AuthorizeError;
use crate::error::DriveError;
use crate::manager::{self, PortsError, Settings, SetupError};
use crate::person::{Hub, Pages, Person, Watching};
use crate::ports::{AsyncHttp, AsyncListener, Observer, Runtime, Store};
use crate::transport::{self, TransportError};

/// A runtime with the ports that belong to it: what an adapter is.
pub trait Platform: Runtime + Clone {
    /// Its way to send.
    type Http: AsyncHttp + Clone;
    /// Its way to listen.
    type Listener: AsyncListener + Clone;

    /// Ports with sound defaults.
    ///
    /// # Errors
    /// The adapter's own error, such as that there is no runtime here.
    fn ports() -> Result<Arc<PlatformPorts<Self>>, PortsError>;
}

/// The ports of a platform.
pub type PlatformPorts<R> = Ports<<R as Platform>::Http, <R as Platform>::Listener, R>;

/// A session on a platform.
pub type PlatformSession<R> = AuthSession<<R as Platform>::Http, <R as Platform>::Listener, R>;

/// One MCP server and one account of it: the way in, for programs that want no more than that.
///
/// Clones are handles to the same one. Nothing is read or sent before somebody asks for something.
pub struct AuthorizationManager<R: Platform> {
    inner: Arc<Inner<R>>,
}

struct Inner<R: Platform> {
    config: config::Builder,
    ports: Arc<PlatformPorts<R>>,
    person: Option<Arc<dyn Person>>,
    current: ArcSwap<Current<R>>,
    replacing: Mutex<()>,
}

/// The session in use, and the redirect URI it has in place of the configured one.
struct Current<R: Platform> {
    redirect: Option<String>,
    session: PlatformSession<R>,
    hub: Arc<Hub>,
}

impl<R: Platform> Clone for AuthorizationManager<R> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<R: Platform> AuthorizationManager<R> {
    /// A manager for an MCP URL, or for a whole configuration. Credentials are kept in memory, a
    /// login listens on loopback, and no person is bothered unless [`AuthorizationManager::authorize`]
    /// or [`AuthorizationSession::new`] asks for it.
    ///
    /// # Errors
    /// [`SetupError`] names what has to be changed.
    pub fn new(config: impl Into<config::Builder>) -> Result<Self, SetupError> {
        Self::builder(config).build()
    }

    /// Sets up more than the configuration: the store, the ports, who hears and who is asked.
    pub fn builder(config: impl Into<config::Builder>) -> Builder<R> {
        Builder { settings: Settings::new(config.into()), ports: None }
    }

    /// The session behind it, with everything that needs more than these few calls.
    #[must_use]
    pub fn session(&self) -> PlatformSession<R> {
        self.inner.current.load().session.clone()
    }

    /// Logs in if that is needed: shows this person the page and waits for the outcome. With a usable
    /// grant, also one of another process in a shared store, nobody is asked.
    ///
    /// # Errors
    /// [`AuthorizeError`]: the failure says why there is no grant and what to do. A server that wants no
    /// login is `authorization_not_required`: go on without one.
    pub async fn authorize(
        &self,
        person: &(impl Person + ?Sized),
    ) -> Result<Arc<Granted>, AuthorizeError> {
        let current = self.inner.current.load_full();
        let session = &current.session;
        let login = Login::begin(&current, &ScopeSet::empty());
        loop {
            match login.next().await {
                Either::Left(settlement) => return granted(settlement),
                Either::Right(visit) => person.show(visit, session.answers(visit)),
            }
        }
    }

    /// Opens an MCP connection; see [`Transport::connect`]. If it needs a login, the manager's own person
    /// is asked, if the settings let it; without one that fails with `reauthorization_required`.
    ///
    /// # Errors
    /// [`TransportError`] says what to do.
    pub async fn connect(
        &self,
        settings: transport::Settings,
    ) -> Result<Transport<R::Http, R::Listener, R>, TransportError> {
        let may_ask = settings.may_ask && self.may_ask();
        Transport::connect(self.session(), settings.may_ask(may_ask)).await
    }

    /// Whether a request may bother a person: one was named when the manager was set up.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        self.inner.person.is_some()
    }

    /// The grant in use, live or not; `None` before a login, or a look into the store.
    #[must_use]
    pub fn granted(&self) -> Option<Arc<Granted>> {
        self.session().granted()
    }

    /// Logs out, and says how far that came; see [`AuthSession::forget`].
    ///
    /// # Errors
    /// [`DriveError`] if the driver could not go on.
    pub async fn forget(&self) -> Result<Forgotten, DriveError> {
        self.session().forget().await
    }

    /// The session for a redirect URI, which is the one in use from now on.
    fn session_for(&self, redirect: &str) -> Result<Arc<Current<R>>, Failure> {
        let Inner { config, ports, person, current, replacing } = &*self.inner;
        let _one_at_a_time = replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let held = current.load_full();
        if held.redirect.as_deref() == Some(redirect) {
            return Ok(held);
        }
        let made = Arc::new(Current::new(config, ports, person.as_ref(), Some(redirect))?);
        current.store(Arc::clone(&made));
        Ok(made)
    }
}

impl<R: Platform> Current<R> {
    fn new(
        config: &config::Builder,
        ports: &Arc<PlatformPorts<R>>,
        person: Option<&Arc<dyn Person>>,
        redirect: Option<&str>,
    ) -> Result<Self, Failure> {
        let config = manager::config(config, redirect)?;
        let (common, hub) = manager::heard(&ports.common, person);
        let Ports { http, listener, runtime, .. } = &**ports;
        let (http, listener, runtime) = (http.clone(), listener.clone(), runtime.clone());
        let session = AuthSession::new(config, Ports { http, listener, runtime, common });
        hub.answers_go_to(session.make_answers());
        Ok(Self { redirect: redirect.map(str::to_owned), session, hub })
    }
}

impl<R: Platform> fmt::Debug for AuthorizationManager<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationManager").field("session", &self.session()).finish()
    }
}

/// Collects what a manager is made of; nothing is checked before [`Builder::build`].
pub struct Builder<R: Platform> {
    settings: Settings,
    ports: Option<Arc<PlatformPorts<R>>>,
}

impl<R: Platform> Builder<R> {
    /// Where credentials are kept; in memory unless said.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.settings.store = Some(Arc::new(store));
        self
    }

    /// Who is told what happens, beside the persons who are shown pages.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }

    /// Who is shown the page if a request of an authorized client or transport needs a login.
    /// Unless there is one such a request fails with `reauthorization_required`.
    #[must_use]
    pub fn person(mut self, person: impl Person + 'static) -> Self {
        self.settings.person = Some(Arc::new(person));
        self
    }

    /// The ports to use, of an adapter's client that was set up in its own way: proxy, certificate
    /// authorities, HTTP client.
    #[must_use]
    pub fn ports(mut self, ports: impl Into<Arc<PlatformPorts<R>>>) -> Self {
        self.ports = Some(ports.into());
        self
    }

    /// Makes the manager. Nothing is read or sent yet.
    ///
    /// # Errors
    /// [`SetupError`] names what has to be changed.
    pub fn build(self) -> Result<AuthorizationManager<R>, SetupError> {
        let from = self.ports.map_or_else(R::ports, Ok).map_err(SetupError::Ports)?;
        let common = self.settings.common(&from.common);
        let ports = Arc::new(Ports {
            http: from.http.clone(),
            listener: from.listener.clone(),
            runtime: from.runtime.clone(),
            common,
        });
        let Settings { config, person, .. } = self.settings;
        let current = Current::new(&config, &ports, person.as_ref(), None)?;
        let current = ArcSwap::from_pointee(current);
        let inner = Inner { config, ports, person, current, replacing: Mutex::default() };
        Ok(AuthorizationManager { inner: Arc::new(inner) })
    }
}

impl<R: Platform> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

type Settled = Shared<BoxFuture<'static, Result<Settlement, DriveError>>>;

/// A login that is under way, and the pages that it shows. Dropping it gives the wait up.
struct Login {
    settled: Settled,
    pages: Arc<Pages>,
    hub: Arc<Hub>,
    _watching: Watching,
}

impl Login {
    fn begin<R: Platform>(current: &Current<R>, scopes: &ScopeSet) -> Self {
        let Current { session, hub, .. } = current;
        let pages = Arc::new(Pages::default());
        let (waiter, settled) = session.queue_up(scopes);
        let (adds, waits) = (Arc::clone(&pages), session.waits_for(waiter));
        // What pages come once it is settled are for others to be shown.
        let watching = hub.watch(move |visit| {
            let waits = waits();
            if waits {
                adds.add(visit);
            }
            waits
        });
        let settled = settled.boxed().shared();
        // Begun here, or a login that is under way already could end unseen.
        let _not_yet = settled.clone().now_or_never();
        // A page that nobody was shown yet comes by itself, and is not one to be opened twice.
        if let Some(visit) = session.visit().filter(|visit| hub.has_shown(visit)) {
            pages.add(visit);
        }
        Self { settled, pages, hub: Arc::clone(hub), _watching: watching }
    }

    /// Whether the outcome is known here.
    fn is_over(&self) -> bool {
        self.settled.peek().is_some()
    }

    /// The outcome, or the next page that was not shown yet.
    async fn next(&self) -> Either<Result<Settlement, DriveError>, &Visit> {
        let (sender, mut news) = mpsc::unbounded();
        // The login's own watcher, which has begun earlier, has added the page by then.
        let _watching = self.hub.watch(move |_| {
            let _nobody_left = sender.unbounded_send(());
            false
        });
        loop {
            if let Some(visit) = self.pages.unseen().filter(|_| !self.is_over()) {
                return Either::Right(visit);
            }
            let page = news.next();
            match select(self.settled.clone(), pin!(page)).await {
                Either::Right((Some(()), _)) => {}
                // The hub holds a sender for as long as this is watched.
                Either::Right((None, settled)) => return Either::Left(settled.await),
                Either::Left((settlement, _)) => return Either::Left(settlement),
            }
        }
    }
}

fn granted(settlement: Result<Settlement, DriveError>) -> Result<Arc<Granted>, AuthorizeError> {
    settlement?.outcome.map_err(AuthorizeError::Failed)
}

/// One login, step by step, for programs that show the page and receive the callback themselves.
/// Dropping it gives the login up.
pub struct AuthorizationSession<R: Platform> {
    manager: AuthorizationManager<R>,
    session: PlatformSession<R>,
    login: Login,
}

impl<R: Platform> AuthorizationSession<R> {
    /// Discovers, registers and makes the authorization request for these scopes (none for those that
    /// the server names), with a redirect URI that the program serves itself. With a usable grant
    /// nothing of this happens; see [`AuthorizationSession::credentials`].
    ///
    /// The manager uses that URI from now on: a later login, of its own person too, comes back there,
    /// so go on serving it and hand what arrives to its session's `deliver`.
    ///
    /// # Errors
    /// [`AuthorizeError`]: the failure says what was asked, what was answered, and what to do.
    pub async fn new(
        manager: AuthorizationManager<R>,
        scopes: &[&str],
        redirect_uri: &str,
    ) -> Result<Self, AuthorizeError> {
        let scopes = manager::scopes(scopes)?;
        let current = manager
            .session_for(redirect_uri)
            .map_err(|failure| AuthorizeError::Failed(Arc::new(failure)))?;
        let login = Login::begin(&current, &scopes);
        if let Either::Left(settlement) = login.next().await {
            granted(settlement)?;
        }
        Ok(Self { manager, session: current.session.clone(), login })
    }

    /// The page that the person has to visit now; `None` if there is a usable grant already. It is
    /// another one after [`AuthorizeError::OneMoreStep`].
    #[must_use]
    pub fn get_authorization_url(&self) -> Option<&str> {
        self.visit().map(Visit::url)
    }

    /// The page with what to tell the person beside it: who asks, for what, and whom.
    #[must_use]
    pub fn visit(&self) -> Option<&Visit> {
        self.login.pages.last()
    }

    /// Takes what reached the redirect URI, or what the person pasted: the redirected URL, its query,
    /// or, weaker, a code alone (D11). Exchanges the code, and waits until the tokens are saved.
    ///
    /// # Errors
    /// [`AuthorizeError`]: this callback was refused and the login waits for another (`state_mismatch`,
    /// `iss_mismatch` and the like), or the login has failed; the failure says what to do. With
    /// [`AuthorizeError::OneMoreStep`] the login goes on with the page in it. After the end of this
    /// login it is that of a later one of the manager, which uses the same redirect URI.
    pub async fn handle_callback(
        &self,
        callback: impl Into<Callback>,
    ) -> Result<Arc<Granted>, AuthorizeError> {
        let over = self.login.is_over();
        let told = match self.session.deliver(callback.into()).await {
            Ok(page) => {
                let next = if over { self.session.visit() } else { self.visit().cloned() };
                manager::told(page, over, self.credentials(), next)
            }
            // No page is shown once the login is over; how it ended is known.
            Err(DriveError::Stalled) => None,
            Err(error) => return Err(error.into()),
        };
        match told {
            Some(told) => told,
            None => self.wait().await,
        }
    }

    /// Waits for the outcome of a login whose callback is handed in elsewhere.
    ///
    /// # Errors
    /// [`AuthorizeError`]: the failure says why there is no grant and what to do. With
    /// [`AuthorizeError::OneMoreStep`] the login goes on with a page that nobody was given yet: show
    /// it, and wait once more.
    pub async fn wait(&self) -> Result<Arc<Granted>, AuthorizeError> {
        self.session.shared().may_wait()?;
        match self.login.next().await {
            Either::Left(settlement) => granted(settlement),
            Either::Right(visit) => Err(AuthorizeError::OneMoreStep(Box::new(visit.clone()))),
        }
    }

    /// The grant, once there is one.
    #[must_use]
    pub fn credentials(&self) -> Option<Arc<Granted>> {
        self.session.granted()
    }

    /// The manager, to make clients and transports of.
    #[must_use]
    pub const fn manager(&self) -> &AuthorizationManager<R> {
        &self.manager
    }
}

impl<R: Platform> fmt::Debug for AuthorizationSession<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = &self.login.pages;
        f.debug_struct("AuthorizationSession").field("visit", pages).finish_non_exhaustive()
    }
}
