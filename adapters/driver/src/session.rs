//! [`AuthSession`]: a session that many callers share, for tasks and for threads.

use core::fmt;
#[cfg(feature = "async")]
use core::future::Future;
use std::sync::{Arc, Weak};

use http::response::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};
use mcp_authz_core::config::Config;
use mcp_authz_core::effect::{Forgotten, Page, Settlement, Visit};
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::{Callback, Input, Refusal};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::{Session, Snapshot};

use crate::arrivals::Arrivals;
use crate::authorize::{AuthorizeError, Authorized, Seen};
use crate::error::{DriveError, ResumeError};
use crate::exchange::{Exchange, ExchangeError};
use crate::faces::faces;
use crate::loops::{Driven as _, Kept, Loop, PortsOf};
use crate::parked::block_on;
use crate::person::Answers;
use crate::ports::{Answer, Common, Http, Listener, Steps};
#[cfg(feature = "async")]
use crate::ports::{AsyncHttp, AsyncListener, Runtime};
use crate::reading::Streamed;
#[cfg(feature = "async")]
use crate::tasks::Tasks;
use crate::threads::Threads;

pub(crate) mod engine;

/// A session that tasks or threads share. Clones are handles to the same one; when the last is
/// dropped its listener closes. Work that is in flight then is done to its end, and a lease that is
/// left is given back: one short call of the store, on the thread that drops last or where the work
/// ended.
pub struct AuthSession<S: Loop> {
    last: Arc<Last<S>>,
}

struct Last<S: Loop>(Arc<S>);

impl<S: Loop> Drop for Last<S> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<S: Loop> Clone for AuthSession<S> {
    fn clone(&self) -> Self {
        Self { last: Arc::clone(&self.last) }
    }
}

impl<S: Loop> fmt::Debug for AuthSession<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let published = &self.shared().kept().published;
        f.debug_struct("AuthSession").field("published", published).finish()
    }
}

impl<S: Loop> AuthSession<S> {
    /// A session that holds nothing yet. Nothing is read or sent before it is asked for something.
    /// Sessions may share their ports.
    pub fn new(
        config: Arc<Config>,
        ports: impl Into<Arc<PortsOf<S>>>,
        common: impl Into<Arc<Common>>,
    ) -> Self {
        let common = common.into();
        let steps = common.steps(&config);
        Self::over(Session::new(config), steps, ports.into(), common)
    }

    /// Goes on where a snapshot was taken, perhaps by another process.
    ///
    /// # Errors
    /// [`ResumeError`]: the snapshot is of another configuration or cannot be read, so start with
    /// [`AuthSession::new`]; or there were no random bytes.
    pub fn resume(
        config: Arc<Config>,
        from: Snapshot,
        ports: impl Into<Arc<PortsOf<S>>>,
        common: impl Into<Arc<Common>>,
    ) -> Result<Self, ResumeError> {
        let common = common.into();
        let env = common.env().map_err(ResumeError::Drive)?;
        let mut steps = common.steps(&config);
        if let Some(steps) = &mut steps {
            steps.restored(&env, &from);
        }
        let (session, effects) =
            Session::restore(config, from, env).map_err(ResumeError::Restore)?;
        if let Some(steps) = &mut steps {
            steps.done(&effects);
        }
        let this = Self::over(session, steps, ports.into(), common);
        this.shared().resume(effects);
        Ok(this)
    }

    fn over(
        session: Session,
        steps: Option<Box<dyn Steps>>,
        ports: Arc<PortsOf<S>>,
        common: Arc<Common>,
    ) -> Self {
        let shared = S::make(Kept::new(session, steps, ports, common));
        Self { last: Arc::new(Last(Arc::new(shared))) }
    }

    pub(crate) fn shared(&self) -> &Arc<S> {
        &self.last.0
    }

    /// Where a listener of the program's own may report what arrives.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        self.shared().arrivals()
    }

    /// The page that a person is asked to visit now, for those who come after it was opened.
    #[must_use]
    pub fn visit(&self) -> Option<Visit> {
        self.shared().kept().visit()
    }

    /// Says that this page can be shown to nobody: there is no browser, and nobody to open it by hand.
    /// The login that waits at it ends with `browser_refused` at once.
    ///
    /// # Errors
    /// As [`AuthSession::cancel`].
    pub fn unshown(&self, visit: &Visit) -> Result<(), DriveError> {
        self.shared().offer(|_| Input::Unshown(visit.clone()))
    }

    /// Where the answer to a page goes.
    pub(crate) fn answers(&self, visit: &Visit) -> Answers {
        self.make_answers()(visit)
    }

    /// The same for every page to come, without keeping the session alive.
    pub(crate) fn make_answers(&self) -> impl Fn(&Visit) -> Answers + Send + Sync + use<S> {
        let weak = Arc::downgrade(self.shared());
        let arrivals = self.arrivals();
        move |visit| {
            let (asked, url) = (Weak::clone(&weak), visit.url().to_owned());
            let waits = move || asked.upgrade()?.kept().visit();
            let (told, page) = (Weak::clone(&weak), visit.clone());
            let unshown = move || {
                if let Some(shared) = told.upgrade() {
                    let _without_random_bytes_it_times_out =
                        shared.offer(|_| Input::Unshown(page.clone()));
                }
            };
            let awaited = move || waits().is_some_and(|at| at.url() == url);
            Answers::new(arrivals.clone(), awaited, unshown)
        }
    }

    /// Settles every caller that waits now with `cancelled`.
    ///
    /// # Errors
    /// [`DriveError`] if the driver could not go on.
    pub fn cancel(&self) -> Result<(), DriveError> {
        self.shared().cancel()
    }

    /// The URL of the MCP server, as it was configured.
    #[must_use]
    pub fn mcp_url(&self) -> &str {
        self.shared().kept().config.mcp_url()
    }

    /// The grant that is published now, live or not.
    #[must_use]
    pub fn granted(&self) -> Option<Arc<Granted>> {
        self.shared().kept().published.granted()
    }

    /// The session as it stands, to be resumed later or elsewhere.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared().kept().snapshot()
    }
}

faces! { AuthSession {
    /// A grant that can be used now, waiting for it if need be. With a live token this is ready at
    /// once and takes no lock. Without `may_ask` no person is bothered and the answer may be
    /// `reauthorization_required`.
    ///
    /// # Errors
    /// [`DriveError`] if the driver could not go on; the settlement says what became of the request.
    fn acquire(&self, scopes: &ScopeSet, may_ask: bool) -> Result<Settlement, DriveError> {
        engine::acquire(self.shared(), scopes, may_ask)
    }

    /// A login that somebody asks for by name, before any request was refused. With a usable grant
    /// this is [`AuthSession::acquire`]; else the server is asked whether it wants a login at all, and
    /// one that does not is `authorization_not_required`.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    fn log_in(&self, scopes: &ScopeSet) -> Result<Settlement, DriveError> {
        engine::log_in(self.shared(), scopes)
    }

    /// Reports a refused request and waits for a grant that may be accepted. Then repeat the
    /// request; should it be refused once more, the next refusal takes what the settlement says that
    /// the request has had.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    fn challenge(&self, refusal: Refusal) -> Result<Settlement, DriveError> {
        engine::challenge(self.shared(), refusal)
    }

    /// Takes the verdict of every answer to a request with these headers: of a refusal by the MCP
    /// server the session makes a refresh or a login, once for all who are refused. Every other
    /// answer is final at once.
    ///
    /// # Errors
    /// [`AuthorizeError`]: no grant could be had that might be accepted, or the answer leads out of
    /// the token area and must not be followed with these headers (HOST-055). The answer stands.
    fn seen(
        &self,
        sent: &Authorized,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Seen, AuthorizeError> {
        engine::seen(self.shared(), sent, status, headers)
    }

    /// Sends a request to the MCP server with the token, and once more after a refusal that could be
    /// healed.
    ///
    /// # Errors
    /// [`ExchangeError`] says whether it may have been executed and what to do.
    fn exchange(&self, exchange: Exchange) -> Result<Answer, ExchangeError> {
        engine::exchange(self.shared(), None, exchange)
    }

    /// As [`AuthSession::exchange`], and stops reading once `enough`, which is shown each piece of
    /// the body with its head, says yes.
    ///
    /// # Errors
    /// As [`AuthSession::exchange`].
    fn exchange_until(
        &self,
        exchange: Exchange,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Result<Answer, ExchangeError> {
        engine::exchange_until(self.shared(), None, exchange, enough)
    }

    /// As [`AuthSession::exchange`], and returns as soon as there is the head of an answer that is no
    /// refusal; its body is read as it comes.
    ///
    /// # Errors
    /// As [`AuthSession::exchange`].
    fn open(&self, exchange: Exchange) -> Result<Streamed<B>, ExchangeError> {
        engine::open(self.shared(), None, exchange)
    }

    /// Logs out: what is held is dropped at once. In the end the server has been asked to revoke the
    /// tokens and the store to remove them, as far as that could be done.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    fn forget(&self) -> Result<Forgotten, DriveError> {
        engine::forget(self.shared())
    }
}}

#[cfg(feature = "async")]
impl<H: AsyncHttp, L: AsyncListener, R: Runtime> AuthSession<Tasks<H, L, R>> {
    /// The headers for a request that the caller sends with a client of its own. With a live token
    /// this is ready at once, takes no lock and allocates nothing. No person is bothered yet: while
    /// there is no token the request goes without, and the server's refusal names what it wants.
    /// Show the answer to [`AuthSession::seen`].
    ///
    /// # Errors
    /// [`AuthorizeError`]: the URL is not one that may see the token (`origin_mismatch`, USE-07), or
    /// the failure says what to do; do not send the request.
    #[inline]
    pub async fn authorize(
        &self,
        method: &Method,
        uri: &Uri,
    ) -> Result<Authorized, AuthorizeError> {
        match engine::at_hand(self.shared(), uri) {
            Some(granted) => Ok(Authorized::over(Some(granted), method, uri, false)),
            None => engine::authorize(self.shared(), method, uri, false).await,
        }
    }

    /// Hands in what reached a redirect URI that somebody else serves, or what a person pasted, and
    /// waits for the page to show for it. It is handed in at once, whether or not the future is
    /// polled.
    ///
    /// # Errors
    /// [`DriveError::Stalled`] if no page is to be shown because no login waits any more;
    /// [`DriveError::Reentered`] if it is awaited inside [`Observer::told`]: spawn it there.
    ///
    /// [`Observer::told`]: crate::ports::Observer::told
    pub fn deliver(
        &self,
        callback: Callback,
    ) -> impl Future<Output = Result<Page, DriveError>> + Send + use<H, L, R> {
        let page = self.shared().deliver(callback);
        // Held, since the answer is to be had only while the session lives.
        let session = self.clone();
        async move {
            let page = page.await;
            drop(session);
            page
        }
    }

    /// Waits until no work is in flight: what was granted is saved then. Before the runtime ends.
    /// It waits for no person, and not at all inside an observer, whom the work may wait for.
    pub async fn quiet(&self) {
        if let Some(quiet) = self.shared().quiet() {
            let _or_the_runner_is_gone = quiet.await;
        }
    }
}

impl<H: Http, L: Listener> AuthSession<Threads<H, L>> {
    /// The headers for a request that the caller sends with a client of its own. With a live token
    /// this is ready at once, takes no lock and allocates nothing. No person is bothered yet: while
    /// there is no token the request goes without, and the server's refusal names what it wants.
    /// Show the answer to [`AuthSession::seen`].
    ///
    /// # Errors
    /// [`AuthorizeError`]: the URL is not one that may see the token (`origin_mismatch`, USE-07), or
    /// the failure says what to do; do not send the request.
    #[inline]
    pub fn authorize(&self, method: &Method, uri: &Uri) -> Result<Authorized, AuthorizeError> {
        match engine::at_hand(self.shared(), uri) {
            Some(granted) => Ok(Authorized::over(Some(granted), method, uri, false)),
            None => self.authorize_later(method, uri),
        }
    }

    /// Apart, so that nearly every request sets nothing aside for what only this one needs.
    #[cold]
    fn authorize_later(&self, method: &Method, uri: &Uri) -> Result<Authorized, AuthorizeError> {
        block_on(engine::authorize(self.shared(), method, uri, false))
    }

    /// Hands in what reached a redirect URI that somebody else serves, or what a person pasted, and
    /// waits for the page to show for it.
    ///
    /// # Errors
    /// [`DriveError::Stalled`] if no page is to be shown because no login waits any more;
    /// [`DriveError::Reentered`] inside an observer: nothing was handed in, so report it through
    /// [`AuthSession::arrivals`] there.
    pub fn deliver(&self, callback: Callback) -> Result<Page, DriveError> {
        block_on(self.shared().deliver(callback))
    }

    /// Waits until no work is in flight: what was granted is saved then. Before the process ends.
    /// It waits for no person.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub fn quiet(&self) -> Result<(), DriveError> {
        self.shared().quiet()
    }
}
