//! [`AuthorizationManager`] and [`AuthorizationSession`]: logging in, for blocking programs.

use core::fmt;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use arc_swap::ArcSwap;
use mcp_authz_core::config;
use mcp_authz_core::effect::{Forgotten, Settlement, Visit};
use mcp_authz_core::failure::Failure;
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::{Callback, WaiterId};
use mcp_authz_core::scope::ScopeSet;

use super::AuthSession;
#[cfg(feature = "transport")]
use super::Transport;
use crate::authorize::AuthorizeError;
use crate::error::DriveError;
use crate::manager::{self, PortsError, Settings, SetupError};
use crate::person::{Hub, Pages, Person, Watching};
use crate::ports::{Common, Http, Listener, Observer, Store};
#[cfg(feature = "transport")]
use crate::transport::{self, TransportError};

/// A way to send with the ports that belong to it: what an adapter is.
pub trait Platform: Http + Clone {
    /// Its way to listen.
    type Listener: Listener + Clone;

    /// Ports with sound defaults.
    ///
    /// # Errors
    /// The adapter's own error.
    fn ports() -> Result<Ports<Self, Self::Listener>, PortsError>;
}

/// Everything a blocking driver performs effects through.
#[derive(Clone, Debug)]
pub struct Ports<H, L> {
    /// Sends.
    pub http: H,
    /// Listens on the redirect URI.
    pub listener: L,
    /// The rest.
    pub common: Common,
}

/// A session on a platform.
pub type PlatformSession<H> = AuthSession<H, <H as Platform>::Listener>;

/// One MCP server and one account of it: the way in, for programs that want no more than that.
///
/// Clones are handles to the same one. Nothing is read or sent before somebody asks for something.
pub struct AuthorizationManager<H: Platform> {
    inner: Arc<Inner<H>>,
}

struct Inner<H: Platform> {
    config: config::Builder,
    ports: Ports<H, H::Listener>,
    person: Option<Arc<dyn Person>>,
    current: ArcSwap<Current<H>>,
    replacing: Mutex<()>,
}

/// The session in use, and the redirect URI it has in place of the configured one.
struct Current<H: Platform> {
    redirect: Option<String>,
    session: PlatformSession<H>,
    hub: Arc<Hub>,
}

impl<H: Platform> Clone for AuthorizationManager<H> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<H: Platform> AuthorizationManager<H> {
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
    pub fn builder(config: impl Into<config::Builder>) -> Builder<H> {
        Builder { settings: Settings::new(config.into()), ports: None }
    }

    /// The session behind it, with everything that needs more than these few calls.
    #[must_use]
    pub fn session(&self) -> PlatformSession<H> {
        self.inner.current.load().session.clone()
    }

    /// Logs in if that is needed: shows this person the page and waits for the outcome. With a usable
    /// grant, also one of another process in a shared store, nobody is asked.
    ///
    /// # Errors
    /// [`AuthorizeError`]: the failure says why there is no grant and what to do. A server that wants no
    /// login is `authorization_not_required`: go on without one.
    pub fn authorize(
        &self,
        person: &(impl Person + ?Sized),
    ) -> Result<Arc<Granted>, AuthorizeError> {
        let current = self.inner.current.load_full();
        let session = &current.session;
        let login = Login::begin(&current, ScopeSet::empty())?;
        while let Some(visit) = login.next() {
            person.show(visit, session.answers(visit));
        }
        login.outcome()
    }

    /// Opens an MCP connection; see [`Transport::connect`]. If it needs a login, the manager's own person
    /// is asked, if the settings let it; without one that fails with `reauthorization_required`.
    ///
    /// # Errors
    /// [`TransportError`] says what to do.
    #[cfg(feature = "transport")]
    pub fn connect(
        &self,
        settings: transport::Settings,
    ) -> Result<Transport<H, H::Listener>, TransportError> {
        let may_ask = settings.may_ask && self.may_ask();
        Transport::connect(self.session(), settings.may_ask(may_ask))
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
    pub fn forget(&self) -> Result<Forgotten, DriveError> {
        self.session().forget()
    }

    /// The session for a redirect URI, which is the one in use from now on.
    fn session_for(&self, redirect: &str) -> Result<Arc<Current<H>>, Failure> {
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

impl<H: Platform> Current<H> {
    fn new(
        config: &config::Builder,
        ports: &Ports<H, H::Listener>,
        person: Option<&Arc<dyn Person>>,
        redirect: Option<&str>,
    ) -> Result<Self, Failure> {
        let config = manager::config(config, redirect)?;
        let Ports { http, listener, common } = ports.clone();
        let (common, hub) = manager::heard(&common, person);
        let session = AuthSession::new(config, http, listener, common);
        hub.answers_go_to(session.make_answers());
        Ok(Self { redirect: redirect.map(str::to_owned), session, hub })
    }
}

impl<H: Platform> fmt::Debug for AuthorizationManager<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationManager").field("session", &self.session()).finish()
    }
}

/// Collects what a manager is made of; nothing is checked before [`Builder::build`].
pub struct Builder<H: Platform> {
    settings: Settings,
    ports: Option<Ports<H, H::Listener>>,
}

impl<H: Platform> Builder<H> {
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
    pub fn ports(mut self, ports: impl Into<Ports<H, H::Listener>>) -> Self {
        self.ports = Some(ports.into());
        self
    }

    /// Makes the manager. Nothing is read or sent yet.
    ///
    /// # Errors
    /// [`SetupError`] names what has to be changed.
    pub fn build(self) -> Result<AuthorizationManager<H>, SetupError> {
        let from = self.ports.map_or_else(H::ports, Ok).map_err(SetupError::Ports)?;
        let common = self.settings.common(&from.common);
        let ports = Ports { common, ..from };
        let Settings { config, person, .. } = self.settings;
        let current = Current::new(&config, &ports, person.as_ref(), None)?;
        let current = ArcSwap::from_pointee(current);
        let inner = Inner { config, ports, person, current, replacing: Mutex::default() };
        Ok(AuthorizationManager { inner: Arc::new(inner) })
    }
}

impl<H: Platform> fmt::Debug for Builder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

/// A login that is under way, and the pages that it shows. Dropping it gives the wait up.
struct Login<H: Platform> {
    session: PlatformSession<H>,
    waiter: WaiterId,
    pages: Arc<Pages>,
    events: Mutex<Receiver<Event>>,
    settled: OnceLock<Result<Settlement, DriveError>>,
    _watching: Watching,
}

enum Event {
    /// There is another page.
    Page,
    Settled(Result<Settlement, DriveError>),
}

impl<H: Platform> Login<H> {
    fn begin(current: &Current<H>, scopes: ScopeSet) -> Result<Self, DriveError> {
        let Current { session, hub, .. } = current;
        let (sender, events) = mpsc::channel();
        let (pages, waiter) = (Arc::new(Pages::default()), session.shared().waiter());
        let (adds, waits, news) = (Arc::clone(&pages), session.waits_for(waiter), sender.clone());
        // What pages come once it is settled are for others to be shown.
        let watching = hub.watch(move |visit| {
            let waits = waits();
            if waits {
                adds.add(visit);
                let _nobody_left = news.send(Event::Page);
            }
            waits
        });
        let place = session.queue_up(waiter, scopes)?;
        // A page that nobody was shown yet comes by itself, and is not one to be opened twice.
        if let Some(visit) = session.visit().filter(|visit| hub.has_shown(visit)) {
            pages.add(visit);
        }
        let wait = move || {
            let _nobody_left = sender.send(Event::Settled(place.settled()));
        };
        let login = Self {
            session: session.clone(),
            waiter,
            pages,
            events: Mutex::new(events),
            settled: OnceLock::new(),
            _watching: watching,
        };
        // Without a thread the login is dropped, and so given up.
        let waiting = thread::Builder::new().name("mcp-authz-login".to_owned()).spawn(wait);
        waiting.map_err(|_| DriveError::Stopped)?;
        Ok(login)
    }

    /// Whether the outcome is known here.
    fn is_over(&self) -> bool {
        self.settled.get().is_some()
    }

    /// The next page that was not shown yet; `None` once the login is settled.
    fn next(&self) -> Option<&Visit> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while self.settled.get().is_none() {
            if let Some(visit) = self.pages.unseen() {
                return Some(visit);
            }
            match events.recv().unwrap_or(Event::Settled(Err(DriveError::Stopped))) {
                Event::Page => {}
                Event::Settled(settlement) => {
                    let _once = self.settled.set(settlement);
                }
            }
        }
        None
    }

    /// How it ended, once it has.
    fn outcome(&self) -> Result<Arc<Granted>, AuthorizeError> {
        let settled = self.settled.get().cloned().unwrap_or(Err(DriveError::Stopped));
        settled?.outcome.map_err(AuthorizeError::Failed)
    }
}

impl<H: Platform> Drop for Login<H> {
    fn drop(&mut self) {
        if self.settled.get().is_none() {
            let _without_random_bytes_it_times_out = self.session.give_up(self.waiter);
        }
    }
}

/// One login, step by step, for programs that show the page and receive the callback themselves.
/// Dropping it gives the login up.
pub struct AuthorizationSession<H: Platform> {
    manager: AuthorizationManager<H>,
    login: Login<H>,
}

impl<H: Platform> AuthorizationSession<H> {
    /// Discovers, registers and makes the authorization request for these scopes (none for those that
    /// the server names), with a redirect URI that the program serves itself. With a usable grant
    /// nothing of this happens; see [`AuthorizationSession::credentials`].
    ///
    /// The manager uses that URI from now on: a later login, of its own person too, comes back there,
    /// so go on serving it and hand what arrives to its session's `deliver`.
    ///
    /// # Errors
    /// [`AuthorizeError`]: the failure says what was asked, what was answered, and what to do.
    pub fn new(
        manager: AuthorizationManager<H>,
        scopes: &[&str],
        redirect_uri: &str,
    ) -> Result<Self, AuthorizeError> {
        let scopes = manager::scopes(scopes)?;
        let current = manager
            .session_for(redirect_uri)
            .map_err(|failure| AuthorizeError::Failed(Arc::new(failure)))?;
        let login = Login::begin(&current, scopes)?;
        if login.next().is_none() {
            login.outcome()?;
        }
        Ok(Self { manager, login })
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
    pub fn handle_callback(
        &self,
        callback: impl Into<Callback>,
    ) -> Result<Arc<Granted>, AuthorizeError> {
        let over = self.login.is_over();
        let session = &self.login.session;
        let told = match session.deliver(callback.into()) {
            Ok(page) => {
                let next = if over { session.visit() } else { self.visit().cloned() };
                manager::told(page, over, self.credentials(), next)
            }
            // No page is shown once the login is over; how it ended is known.
            Err(DriveError::Stalled) => None,
            Err(error) => return Err(error.into()),
        };
        told.unwrap_or_else(|| self.wait())
    }

    /// Waits for the outcome of a login whose callback is handed in elsewhere.
    ///
    /// # Errors
    /// [`AuthorizeError`]: the failure says why there is no grant and what to do. With
    /// [`AuthorizeError::OneMoreStep`] the login goes on with a page that nobody was given yet: show
    /// it, and wait once more.
    pub fn wait(&self) -> Result<Arc<Granted>, AuthorizeError> {
        self.login.session.shared().may_wait()?;
        match self.login.next() {
            Some(visit) => Err(AuthorizeError::OneMoreStep(Box::new(visit.clone()))),
            None => self.login.outcome(),
        }
    }

    /// The grant, once there is one.
    #[must_use]
    pub fn credentials(&self) -> Option<Arc<Granted>> {
        self.login.session.granted()
    }

    /// The manager, to make clients and transports of.
    #[must_use]
    pub const fn manager(&self) -> &AuthorizationManager<H> {
        &self.manager
    }
}

impl<H: Platform> fmt::Debug for AuthorizationSession<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = &self.login.pages;
        f.debug_struct("AuthorizationSession").field("visit", pages).finish_non_exhaustive()
    }
}
