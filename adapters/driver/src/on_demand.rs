//! The driver for async programs.
//!
//! There is neither a task that always lives nor an election among callers. A caller takes its own
//! step under the lock and starts a runner if none runs; the runner does the work, and leaves under
//! the lock when nothing is in flight and the session has no deadline. So an idle session costs no
//! task, and a caller that is dropped takes nothing with it but its own wait.

use core::fmt;
use core::future::Future;
use std::sync::{Arc, Weak};

use futures_channel::oneshot;
use http::response::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};
use mcp_authz_core::config::Config;
use mcp_authz_core::effect::{Forgotten, Page, Settlement, Visit};
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::{Acquire, Callback, Challenge, Input, Refusal, WaiterId};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::{Session, Snapshot};

use crate::arrivals::{Arrivals, PageSink};
use crate::authorize::{AuthorizeError, Authorized, Seen};
use crate::error::{DriveError, ResumeError};
use crate::exchange::{Exchange, ExchangeError, answered};
use crate::person::Answers;
use crate::ports::{Answer, AsyncHttp, AsyncListener, Common, Runtime};
use crate::publish::at_once;
use crate::reading::{Incoming, Reading, Streamed};

mod http_client;
mod http_sse;
mod manager;
mod runner;
mod shared;
mod transport;

pub use http_sse::{HttpSse, HttpSseSender};
pub use transport::{Messages, Transport};

pub use http_client::{Answered, AuthorizedHttpClient};
pub use manager::{
    AuthorizationManager, AuthorizationSession, Builder, Platform, PlatformPorts, PlatformSession,
};

use shared::{CancelOnDrop, Shared};

/// Everything an async driver performs effects through.
#[derive(Clone, Debug)]
pub struct Ports<H, L, R> {
    /// Sends.
    pub http: H,
    /// Listens on the redirect URI.
    pub listener: L,
    /// Spawns and sleeps.
    pub runtime: R,
    /// The rest.
    pub common: Common,
}

/// A session that tasks share. Clones are handles to the same one; when the last is dropped its
/// listener closes. What is in flight then is done to its end, and whatever lease is left is given
/// back: one short call of the store on the thread that drops last, or with its runtime.
pub struct AuthSession<H: AsyncHttp, L: AsyncListener, R: Runtime> {
    last: Arc<Last<H, L, R>>,
}

struct Last<H: AsyncHttp, L: AsyncListener, R: Runtime>(Arc<Shared<H, L, R>>);

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Drop for Last<H, L, R> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Clone for AuthSession<H, L, R> {
    fn clone(&self) -> Self {
        Self { last: Arc::clone(&self.last) }
    }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> fmt::Debug for AuthSession<H, L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSession").field("published", &self.shared().published).finish()
    }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> AuthSession<H, L, R> {
    /// A session that holds nothing yet. Nothing is read or sent before it is asked for something.
    /// Sessions may share their ports.
    pub fn new(config: Arc<Config>, ports: impl Into<Arc<Ports<H, L, R>>>) -> Self {
        let shared = Shared::new(Session::new(config), ports.into());
        Self { last: Arc::new(Last(Arc::new(shared))) }
    }

    /// Goes on where a snapshot was taken, perhaps by another process.
    ///
    /// # Errors
    /// [`ResumeError`]: the snapshot is of another configuration or cannot be read, so start with
    /// [`AuthSession::new`]; or there were no random bytes.
    pub fn resume(
        config: Arc<Config>,
        from: Snapshot,
        ports: impl Into<Arc<Ports<H, L, R>>>,
    ) -> Result<Self, ResumeError> {
        let ports = ports.into();
        let env = ports.common.env().map_err(ResumeError::Drive)?;
        let (session, effects) =
            Session::restore(config, from, env).map_err(ResumeError::Restore)?;
        let shared = Arc::new(Shared::new(session, ports));
        shared.begin(effects);
        Ok(Self { last: Arc::new(Last(shared)) })
    }

    fn shared(&self) -> &Arc<Shared<H, L, R>> {
        &self.last.0
    }

    /// A grant that can be used now, waiting for it if need be. With a live token this is ready at
    /// once and takes no lock. Without `may_ask` no person is bothered and the answer may be
    /// `reauthorization_required`.
    ///
    /// # Errors
    /// [`DriveError`] if the driver could not go on; the settlement says what became of the request.
    pub async fn acquire(
        &self,
        scopes: &ScopeSet,
        may_ask: bool,
    ) -> Result<Settlement, DriveError> {
        let shared = self.shared();
        if let Some((granted, nudge)) = shared.published.live(scopes, shared.clock()) {
            if nudge {
                // Without random bytes no refresh begins, and the token is as live as before.
                let _or_not_yet = shared.step(|_| Input::Wake);
            }
            return Ok(at_once(granted));
        }
        let waiter = shared.waiter();
        let scopes = scopes.clone();
        self.wait(waiter, Input::Acquire(Acquire { waiter, scopes, may_ask })).await
    }

    /// A login that somebody asks for by name, before any request was refused. With a usable grant
    /// this is [`AuthSession::acquire`]; else the server is asked whether it wants a login at all, and
    /// one that does not is `authorization_not_required`.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub async fn log_in(&self, scopes: &ScopeSet) -> Result<Settlement, DriveError> {
        if self.shared().published.live(scopes, self.shared().clock()).is_some() {
            return self.acquire(scopes, true).await;
        }
        let waiter = self.shared().waiter();
        let acquire = Acquire { waiter, scopes: scopes.clone(), may_ask: true };
        self.wait(waiter, Input::LogIn(acquire)).await
    }

    /// Reports a refused request and waits for a grant that may be accepted. Then repeat the
    /// request; should it be refused once more, the next refusal takes what the settlement says that
    /// the request has had.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub async fn challenge(&self, refusal: Refusal) -> Result<Settlement, DriveError> {
        let waiter = self.shared().waiter();
        self.wait(waiter, Input::Challenge(Challenge { waiter, refusal })).await
    }

    /// Asks for a login in the name of somebody who takes the answer later.
    fn queue_up(
        &self,
        scopes: &ScopeSet,
    ) -> (WaiterId, impl Future<Output = Result<Settlement, DriveError>> + Send + use<H, L, R>)
    {
        let waiter = self.shared().waiter();
        let acquire = Acquire { waiter, scopes: scopes.clone(), may_ask: true };
        let session = self.clone();
        (waiter, async move { session.wait(waiter, Input::LogIn(acquire)).await })
    }

    /// Whether this one is still to be settled, without keeping the session alive.
    fn waits_for(&self, waiter: WaiterId) -> impl Fn() -> bool + Send + 'static {
        let weak = Arc::downgrade(self.shared());
        move || weak.upgrade().is_some_and(|shared| shared.waits_for(waiter))
    }

    async fn wait(&self, waiter: WaiterId, first: Input) -> Result<Settlement, DriveError> {
        self.shared().may_wait()?;
        let (settle, settled) = oneshot::channel();
        let cancel = CancelOnDrop::new(self.shared(), waiter, settle);
        self.shared().step(|_| first)?;
        let settlement = settled.await.unwrap_or(Err(DriveError::Stopped));
        drop(cancel);
        settlement
    }

    /// What goes on a request that the caller sends with a client of its own. With a live token this
    /// is ready at once, takes no lock and allocates nothing. No person is bothered yet: while there
    /// is no token the request goes without, and the server's refusal names what it wants. Show the
    /// answer to [`AuthSession::seen`].
    ///
    /// # Errors
    /// [`AuthorizeError`]: the URL is not one that may see the token (`origin_mismatch`, USE-07), or
    /// the failure says what to do; do not send the request.
    pub async fn authorize(
        &self,
        method: &Method,
        uri: &Uri,
    ) -> Result<Authorized, AuthorizeError> {
        self.authorized(method, uri, false).await
    }

    async fn authorized(
        &self,
        method: &Method,
        uri: &Uri,
        announced: bool,
    ) -> Result<Authorized, AuthorizeError> {
        let granted = Authorized::grant(self.acquire(&ScopeSet::empty(), false).await?.outcome)?;
        Authorized::new(&self.shared().config, granted, method, uri, announced)
    }

    /// Takes the verdict of every answer to a request with these headers: of a refusal by the MCP
    /// server the session makes a refresh or a login, once for all who are refused. Every other
    /// answer is final at once.
    ///
    /// # Errors
    /// [`AuthorizeError`]: no grant could be had that might be accepted, or the answer leads out of
    /// the token area and must not be followed with these headers (HOST-055). The answer stands.
    pub async fn seen(
        &self,
        sent: &Authorized,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Seen, AuthorizeError> {
        let published = &self.shared().published;
        match sent.refusal(status, headers, published.accepted())? {
            Some(refusal) => {
                let settlement = self.challenge(refusal).await?;
                sent.healed(&self.shared().config, settlement)
            }
            None => {
                if status.is_success() {
                    published.accepted_with(sent.epoch());
                }
                Ok(Seen::Final)
            }
        }
    }

    /// Sends a request to the MCP server with the token, and once more after a refusal that could be
    /// healed.
    ///
    /// # Errors
    /// [`ExchangeError`] says whether it may have been executed and what to do.
    pub async fn exchange(&self, exchange: Exchange) -> Result<Answer, ExchangeError> {
        self.exchange_until(exchange, &mut |_: &Parts, _: &[u8]| false).await
    }

    /// As [`AuthSession::exchange`], and stops reading once `enough`, which is shown each piece of
    /// the body with its head, says yes.
    ///
    /// # Errors
    /// As [`AuthSession::exchange`].
    pub async fn exchange_until(
        &self,
        exchange: Exchange,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Result<Answer, ExchangeError> {
        let (answer, reading) = self.opened(self.shared().http(), &exchange).await?;
        answered(reading.rest_async(answer, enough).await)
    }

    /// As [`AuthSession::exchange`], and returns as soon as there is the head of an answer that is no
    /// refusal; its body is read as it comes.
    ///
    /// # Errors
    /// As [`AuthSession::exchange`].
    pub async fn open(&self, exchange: Exchange) -> Result<Streamed<H::Body>, ExchangeError> {
        self.open_through(self.shared().http(), exchange).await
    }

    /// [`AuthSession::open`] through another port than the session's own.
    pub(crate) async fn open_through(
        &self,
        http: &H,
        exchange: Exchange,
    ) -> Result<Streamed<H::Body>, ExchangeError> {
        self.opened(http, &exchange).await.map(|(answer, _)| answer)
    }

    /// [`AuthSession::exchange`] through another port than the session's own.
    pub(crate) async fn exchange_through(
        &self,
        http: &H,
        exchange: Exchange,
    ) -> Result<Answer, ExchangeError> {
        let (answer, reading) = self.opened(http, &exchange).await?;
        answered(reading.rest_async(answer, &mut |_, _| false).await)
    }

    async fn opened(
        &self,
        http: &H,
        exchange: &Exchange,
    ) -> Result<(Streamed<H::Body>, Reading), ExchangeError> {
        exchange.check()?;
        let asked = exchange.asked();
        let mut sent = exchange
            .describe(self.authorized(asked.method(), asked.uri(), exchange.is_announced()).await?);
        loop {
            let reading = Reading::new(exchange.within());
            let opened = http.open(exchange.request(&sent), exchange.within()).await;
            let answer = opened.map_err(ExchangeError::lost)?.map(Incoming::open);
            let answer = exchange.noted(&sent, answer);
            if !sent.concerned(answer.status(), answer.headers()) {
                if answer.status().is_success() {
                    self.shared().published.accepted_with(sent.epoch());
                }
                return Ok((answer, reading));
            }
            // Read at once: what a person makes of it may take minutes.
            let answer = reading.refusal_async(answer).await;
            sent = match self.seen(&sent, answer.status(), answer.headers()).await {
                Ok(Seen::Again(again)) => again,
                Ok(Seen::Final) => {
                    return Ok((answer.map(Incoming::whole), Reading::new(exchange.within())));
                }
                Err(error) => return Err(ExchangeError::after(answer, error)),
            };
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
        let (sender, page) = oneshot::channel();
        let sink = PageSink::new(move |page| {
            let _nobody_left = sender.send(page);
        });
        let handed_in = self.shared().step(|desk| desk.arrival(callback, sink));
        // Held, since the answer is to be had only while the session lives.
        let session = self.clone();
        async move {
            handed_in?;
            session.shared().may_wait()?;
            let page = page.await.map_err(|_| DriveError::Stalled);
            drop(session);
            page
        }
    }

    /// Where a listener of the program's own may report what arrives.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        Shared::arrivals(self.shared())
    }

    /// The page that a person is asked to visit now, for those who come after it was opened.
    #[must_use]
    pub fn visit(&self) -> Option<Visit> {
        self.shared().visit()
    }

    /// Says that this page can be shown to nobody: there is no browser, and nobody to open it by hand.
    /// The login that waits at it ends with `browser_refused` at once.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub fn unshown(&self, visit: &Visit) -> Result<(), DriveError> {
        self.shared().step(|_| Input::Unshown(visit.clone()))
    }

    /// Where the answer to a page goes.
    pub(crate) fn answers(&self, visit: &Visit) -> Answers {
        self.make_answers()(visit)
    }

    /// The same for every page to come, without keeping the session alive.
    pub(crate) fn make_answers(&self) -> impl Fn(&Visit) -> Answers + Send + Sync + 'static {
        let weak = Arc::downgrade(self.shared());
        let arrivals = self.arrivals();
        move |visit| {
            let (asked, url) = (Weak::clone(&weak), visit.url().to_owned());
            let waits = move || asked.upgrade()?.visit();
            let (told, page) = (Weak::clone(&weak), visit.clone());
            let unshown = move || {
                if let Some(shared) = told.upgrade() {
                    let _without_random_bytes_it_times_out =
                        shared.step(|_| Input::Unshown(page.clone()));
                }
            };
            let awaited = move || waits().is_some_and(|at| at.url() == url);
            Answers::new(arrivals.clone(), awaited, unshown)
        }
    }

    /// Settles every caller that waits now with `cancelled`.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub fn cancel(&self) -> Result<(), DriveError> {
        self.shared().cancel_all()
    }

    /// Logs out: what is held is dropped at once. When the future is ready the server has been asked
    /// to revoke the tokens and the store to remove them, as far as that could be done.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub async fn forget(&self) -> Result<Forgotten, DriveError> {
        self.shared().may_wait()?;
        self.shared().memory.farewell();
        let (sender, forgotten) = oneshot::channel();
        let farewell = Box::new(move |forgotten| {
            let _nobody_left = sender.send(forgotten);
        });
        self.shared().step(|desk| desk.log_out(farewell))?;
        forgotten.await.map_err(|_| DriveError::Stopped)
    }

    /// Waits until no work is in flight: what was granted is saved then. Before the runtime ends.
    /// It waits for no person, and not at all inside an observer, whom the work may wait for.
    pub async fn quiet(&self) {
        if let Some(quiet) = self.shared().quiet() {
            let _or_the_runner_is_gone = quiet.await;
        }
    }

    /// The URL of the MCP server, as it was configured.
    #[must_use]
    pub fn mcp_url(&self) -> &str {
        self.shared().config.mcp_url()
    }

    /// The grant that is published now, live or not.
    #[must_use]
    pub fn granted(&self) -> Option<Arc<Granted>> {
        self.shared().published.granted()
    }

    /// The session as it stands, to be resumed later or elsewhere.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared().snapshot()
    }
}
