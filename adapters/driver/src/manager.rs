//! [`AuthorizationManager`]: one MCP server and one account of it, for tasks and for threads.

use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use mcp_authz_core::config;
use mcp_authz_core::effect::Forgotten;
use mcp_authz_core::failure::Failure;
use mcp_authz_core::granted::Granted;
use mcp_authz_core::scope::ScopeSet;

use crate::authorize::AuthorizeError;
use crate::error::DriveError;
use crate::faces::faces;
use crate::loops::{Loop, PortsOf};
use crate::person::{Hub, Person};
use crate::ports::{Common, Store};
use crate::session::{AuthSession, engine};
#[cfg(feature = "transport")]
use crate::transport::Settings;

mod builder;
#[cfg(feature = "transport")]
mod connect;
mod login;
mod setup;
mod steps;

pub use builder::ManagerBuilder;
#[cfg(feature = "transport")]
pub use connect::ConnectError;
use login::{Login, News, granted};
pub use setup::{PortsError, SetupError};
pub(crate) use setup::{json, request, written};
pub use steps::AuthorizationSession;

/// An adapter: the loop that its sessions run in, with ports and a store of sound defaults.
pub trait Platform: Sized {
    /// The loop that its sessions run in.
    type Loop: Loop<Adapter = Self>;
    /// Collects the settings of its client, from sound defaults on.
    type Builder: Default;

    /// Ports with sound defaults.
    ///
    /// # Errors
    /// The adapter's own error, such as that there is no runtime here.
    fn ports() -> Result<Arc<PortsOf<Self::Loop>>, PortsError>;

    /// A store in memory.
    fn store() -> Arc<dyn Store>;
}

/// An adapter for programs on a person's machine.
pub trait Home: Platform {
    /// The store in the folder where the person's programs keep their data.
    ///
    /// # Errors
    /// The folder cannot be used; the failure says why.
    fn store_at_home() -> Result<Arc<dyn Store>, Arc<Failure>>;

    /// The person at this machine, with a browser or a terminal.
    fn person() -> Arc<dyn Person>;
}

/// One MCP server and one account of it: the way in, for programs that want no more than that.
///
/// Clones are handles to the same one. Nothing is read or sent before somebody asks for something.
pub struct AuthorizationManager<S: Loop> {
    inner: Arc<Inner<S>>,
}

struct Inner<S: Loop> {
    config: config::ConfigBuilder,
    ports: Arc<PortsOf<S>>,
    common: Common,
    person: Option<Arc<dyn Person>>,
    current: ArcSwap<Current<S>>,
    replacing: Mutex<()>,
}

/// The session in use, and the redirect URI it has in place of the configured one.
struct Current<S: Loop> {
    redirect: Option<String>,
    session: AuthSession<S>,
    hub: Arc<Hub>,
}

impl<S: Loop> Clone for AuthorizationManager<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<S: Loop> AuthorizationManager<S> {
    /// The session behind it, with everything that needs more than these few calls.
    #[must_use]
    pub fn session(&self) -> AuthSession<S> {
        self.inner.current.load().session.clone()
    }

    /// Returns true if a request may bother a person: one was named when the manager was set up.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        self.inner.person.is_some()
    }

    /// The grant in use, live or not; `None` before a login, or a look into the store.
    #[must_use]
    pub fn granted(&self) -> Option<Arc<Granted>> {
        self.session().granted()
    }

    /// The settings of a connection that asks nobody but the manager's own person.
    #[cfg(feature = "transport")]
    pub(crate) fn settings(&self, settings: Settings) -> Settings {
        let may_ask = settings.may_ask && self.may_ask();
        settings.may_ask(may_ask)
    }

    /// The session for a redirect URI, which is the one in use from now on.
    fn session_for(&self, redirect: &str) -> Result<Arc<Current<S>>, Failure> {
        let Inner { config, ports, common, person, current, replacing } = &*self.inner;
        let _one_at_a_time = replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let held = current.load_full();
        if held.redirect.as_deref() == Some(redirect) {
            return Ok(held);
        }
        let made = Current::new(config, ports, common, person.as_ref(), Some(redirect))?;
        let made = Arc::new(made);
        current.store(Arc::clone(&made));
        Ok(made)
    }
}

impl<S: Loop<Adapter: Platform<Loop = S>>> AuthorizationManager<S> {
    /// A manager for an MCP URL, or for a whole configuration. Credentials are kept in memory, a
    /// login listens on loopback, and no person is bothered unless [`AuthorizationManager::log_in`]
    /// or [`AuthorizationSession::new`] asks for it.
    ///
    /// # Errors
    /// [`SetupError`] names what has to be changed.
    pub fn new(config: impl Into<config::ConfigBuilder>) -> Result<Self, SetupError> {
        Self::builder(config).build()
    }

    /// Sets up more than the configuration: the store, the ports, who hears and who is asked.
    pub fn builder(config: impl Into<config::ConfigBuilder>) -> ManagerBuilder<S> {
        config.into().into()
    }
}

faces! { AuthorizationManager {
    /// Logs in if that is needed: shows this person the page and waits for the outcome. With a usable
    /// grant, also one of another process in a shared store, nobody is asked.
    ///
    /// # Errors
    /// [`AuthorizeError`]: the failure says why there is no grant and what to do. A server that wants no
    /// login is `authorization_not_required`: go on without one.
    fn log_in(&self, person: &(impl Person + ?Sized)) -> Result<Arc<Granted>, AuthorizeError> {
        log_in(&self.inner, person)
    }

    /// Logs out, and says how far that came; see [`AuthSession::forget`].
    ///
    /// # Errors
    /// [`DriveError`] if the driver could not go on.
    fn forget(&self) -> Result<Forgotten, DriveError> {
        let session = self.session();
        async move { engine::forget(session.shared()).await }
    }
}}

async fn log_in<S: Loop>(
    inner: &Arc<Inner<S>>,
    person: &(impl Person + ?Sized),
) -> Result<Arc<Granted>, AuthorizeError> {
    let current = inner.current.load_full();
    let login = Login::begin(&current.session, &current.hub, ScopeSet::empty())?;
    loop {
        match login.next().await {
            News::Settled(settlement) => return granted(settlement),
            News::Page(visit) => person.show(visit, current.session.answers(visit)),
        }
    }
}

impl<S: Loop> Current<S> {
    fn new(
        config: &config::ConfigBuilder,
        ports: &Arc<PortsOf<S>>,
        common: &Common,
        person: Option<&Arc<dyn Person>>,
        redirect: Option<&str>,
    ) -> Result<Self, Failure> {
        let config = setup::config(config, redirect)?;
        let (common, hub) = setup::heard(common, person);
        let session = AuthSession::new(config, Arc::clone(ports), common);
        hub.answers_go_to(session.make_answers());
        Ok(Self { redirect: redirect.map(str::to_owned), session, hub })
    }
}

impl<S: Loop> fmt::Debug for AuthorizationManager<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationManager").field("session", &self.session()).finish()
    }
}
