//! The driver for threads that share a session.
//!
//! The session's lock is held for [`Session::handle`], publishing and handing out settlements, never
//! for work. A caller that waits does whatever work there is; what nobody is free to do goes to a
//! helper thread that lives as long as there is something to attend to. So no caller waits behind
//! another's person, and a refresh outlives the caller that began it.

use core::fmt;
use std::sync::{Arc, Weak, mpsc};

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
use crate::ports::{Answer, Body, Common, Http, Listener};
use crate::publish::at_once;
use crate::reading::{Incoming, Reading, Streamed};

mod http_client;
mod manager;
mod shared;
#[cfg(feature = "transport")]
mod transport;

#[cfg(feature = "transport")]
pub use transport::{Messages, Transport};

pub use http_client::{Answered, AuthorizedHttpClient};
pub use manager::{
    AuthorizationManager, AuthorizationSession, Builder, Platform, PlatformSession, Ports,
};
use shared::{Place, Shared};

/// A session that threads share. Clones are handles to the same one; when the last is dropped its
/// listener closes. What is in flight then is done to its end by a helper thread, and whatever lease
/// is left is given back: one short call of the store on the thread that drops last.
pub struct AuthSession<H: Http, L: Listener> {
    last: Arc<Last<H, L>>,
}

struct Last<H: Http, L: Listener>(Arc<Shared<H, L>>);

impl<H: Http, L: Listener> Drop for Last<H, L> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<H: Http, L: Listener> Clone for AuthSession<H, L> {
    fn clone(&self) -> Self {
        Self { last: Arc::clone(&self.last) }
    }
}

impl<H: Http, L: Listener> fmt::Debug for AuthSession<H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSession").field("published", &self.shared().published).finish()
    }
}

impl<H: Http, L: Listener> AuthSession<H, L> {
    /// A session that holds nothing yet. Nothing is read or sent before it is asked for something.
    pub fn new(config: Arc<Config>, http: H, listener: L, common: Common) -> Self {
        let shared = Shared::new(Session::new(config), http, listener, common);
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
        http: H,
        listener: L,
        common: Common,
    ) -> Result<Self, ResumeError> {
        let env = common.env().map_err(ResumeError::Drive)?;
        let (session, effects) =
            Session::restore(config, from, env).map_err(ResumeError::Restore)?;
        let shared = Arc::new(Shared::new(session, http, listener, common));
        shared.begin(effects);
        Ok(Self { last: Arc::new(Last(shared)) })
    }

    fn shared(&self) -> &Arc<Shared<H, L>> {
        &self.last.0
    }

    /// A grant that can be used now, waiting for it if need be. With a live token this takes no
    /// lock. Without `may_ask` no person is bothered and the answer may be
    /// `reauthorization_required`.
    ///
    /// # Errors
    /// [`DriveError`] if the driver could not go on; the settlement says what became of the request.
    pub fn acquire(&self, scopes: &ScopeSet, may_ask: bool) -> Result<Settlement, DriveError> {
        let shared = self.shared();
        if let Some((granted, nudge)) = shared.published.live(scopes, &*shared.common.clock) {
            if nudge {
                // Without random bytes no refresh begins, and the token is as live as before.
                let _or_not_yet = shared.offer(|_| Input::Wake);
            }
            return Ok(at_once(granted));
        }
        let waiter = shared.waiter();
        let scopes = scopes.clone();
        shared.wait(waiter, Input::Acquire(Acquire { waiter, scopes, may_ask }))
    }

    /// A login that somebody asks for by name, before any request was refused. With a usable grant
    /// this is [`AuthSession::acquire`]; else the server is asked whether it wants a login at all, and
    /// one that does not is `authorization_not_required`.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub fn log_in(&self, scopes: &ScopeSet) -> Result<Settlement, DriveError> {
        if self.shared().published.live(scopes, &*self.shared().common.clock).is_some() {
            return self.acquire(scopes, true);
        }
        let waiter = self.shared().waiter();
        let acquire = Acquire { waiter, scopes: scopes.clone(), may_ask: true };
        self.shared().wait(waiter, Input::LogIn(acquire))
    }

    /// Reports a refused request and waits for a grant that may be accepted. Then repeat the
    /// request; should it be refused once more, the next refusal takes what the settlement says that
    /// the request has had.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub fn challenge(&self, refusal: Refusal) -> Result<Settlement, DriveError> {
        let waiter = self.shared().waiter();
        self.shared().wait(waiter, Input::Challenge(Challenge { waiter, refusal }))
    }

    /// What goes on a request that the caller sends with a client of its own. With a live token this
    /// is ready at once, takes no lock and allocates nothing. No person is bothered yet: while there
    /// is no token the request goes without, and the server's refusal names what it wants. Show the
    /// answer to [`AuthSession::seen`].
    ///
    /// # Errors
    /// [`AuthorizeError`]: the URL is not one that may see the token (`origin_mismatch`, USE-07), or
    /// the failure says what to do; do not send the request.
    pub fn authorize(&self, method: &Method, uri: &Uri) -> Result<Authorized, AuthorizeError> {
        self.authorized(method, uri, false)
    }

    fn authorized(
        &self,
        method: &Method,
        uri: &Uri,
        announced: bool,
    ) -> Result<Authorized, AuthorizeError> {
        let granted = Authorized::grant(self.acquire(&ScopeSet::empty(), false)?.outcome)?;
        Authorized::new(&self.shared().config, granted, method, uri, announced)
    }

    /// Takes the verdict of every answer to a request with these headers: of a refusal by the MCP
    /// server the session makes a refresh or a login, once for all who are refused. Every other
    /// answer is final at once.
    ///
    /// # Errors
    /// [`AuthorizeError`]: no grant could be had that might be accepted, or the answer leads out of
    /// the token area and must not be followed with these headers (HOST-055). The answer stands.
    pub fn seen(
        &self,
        sent: &Authorized,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Seen, AuthorizeError> {
        let published = &self.shared().published;
        match sent.refusal(status, headers, published.accepted())? {
            Some(refusal) => {
                let settlement = self.challenge(refusal)?;
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
    pub fn exchange(&self, exchange: Exchange) -> Result<Answer, ExchangeError> {
        self.exchange_until(exchange, &mut |_, _| false)
    }

    /// As [`AuthSession::exchange`], and stops reading once `enough`, which is shown each piece of
    /// the body with its head, says yes.
    ///
    /// # Errors
    /// As [`AuthSession::exchange`].
    pub fn exchange_until(
        &self,
        exchange: Exchange,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Result<Answer, ExchangeError> {
        let (answer, reading) = self.opened(&self.shared().http, &exchange)?;
        answered(reading.rest(answer, enough))
    }

    /// As [`AuthSession::exchange`], and returns as soon as there is the head of an answer that is no
    /// refusal; its body is read as it comes.
    ///
    /// # Errors
    /// As [`AuthSession::exchange`].
    pub fn open(&self, exchange: Exchange) -> Result<Streamed<Box<dyn Body>>, ExchangeError> {
        self.open_through(&self.shared().http, exchange)
    }

    /// [`AuthSession::open`] through another port than the session's own.
    pub(crate) fn open_through(
        &self,
        http: &H,
        exchange: Exchange,
    ) -> Result<Streamed<Box<dyn Body>>, ExchangeError> {
        self.opened(http, &exchange).map(|(answer, _)| answer)
    }

    /// [`AuthSession::exchange`] through another port than the session's own.
    pub(crate) fn exchange_through(
        &self,
        http: &H,
        exchange: Exchange,
    ) -> Result<Answer, ExchangeError> {
        let (answer, reading) = self.opened(http, &exchange)?;
        answered(reading.rest(answer, &mut |_, _| false))
    }

    fn opened(
        &self,
        http: &H,
        exchange: &Exchange,
    ) -> Result<(Streamed<Box<dyn Body>>, Reading), ExchangeError> {
        exchange.check()?;
        let asked = exchange.asked();
        let mut sent = exchange.describe(self.authorized(
            asked.method(),
            asked.uri(),
            exchange.is_announced(),
        )?);
        loop {
            let reading = Reading::new(exchange.within());
            let opened = http.open(exchange.request(&sent), exchange.within());
            let answer = opened.map_err(ExchangeError::lost)?.map(Incoming::open);
            #[cfg(feature = "transport")]
            let answer = exchange.noted(&sent, answer);
            if !sent.concerned(answer.status(), answer.headers()) {
                if answer.status().is_success() {
                    self.shared().published.accepted_with(sent.epoch());
                }
                return Ok((answer, reading));
            }
            // Read at once: what a person makes of it may take minutes.
            let answer = reading.refusal(answer);
            sent = match self.seen(&sent, answer.status(), answer.headers()) {
                Ok(Seen::Again(again)) => again,
                Ok(Seen::Final) => {
                    return Ok((answer.map(Incoming::whole), Reading::new(exchange.within())));
                }
                Err(error) => return Err(ExchangeError::after(answer, error)),
            };
        }
    }

    /// Hands in what reached a redirect URI that somebody else serves, or what a person pasted, and
    /// waits for the page to show for it.
    ///
    /// # Errors
    /// [`DriveError::Stalled`] if no page is to be shown because no login waits any more;
    /// [`DriveError::Reentered`] inside [`Observer::told`], where nothing may wait: report it
    /// through [`AuthSession::arrivals`] there.
    ///
    /// [`Observer::told`]: crate::ports::Observer::told
    pub fn deliver(&self, callback: Callback) -> Result<Page, DriveError> {
        self.shared().may_wait()?;
        let (sender, page) = mpsc::channel();
        let sink = PageSink::new(move |page| {
            let _nobody_left = sender.send(page);
        });
        self.shared().offer(|desk| desk.arrival(callback, sink))?;
        page.recv().map_err(|_| DriveError::Stalled)
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
        self.shared().offer(|_| Input::Unshown(visit.clone()))
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
                        shared.offer(|_| Input::Unshown(page.clone()));
                }
            };
            let awaited = move || waits().is_some_and(|at| at.url() == url);
            Answers::new(arrivals.clone(), awaited, unshown)
        }
    }

    /// Asks for a login in the name of somebody whose place another thread will take.
    fn queue_up(&self, waiter: WaiterId, scopes: ScopeSet) -> Result<Place<H, L>, DriveError> {
        let acquire = Acquire { waiter, scopes, may_ask: true };
        self.shared().queue_up(waiter, Input::LogIn(acquire))
    }

    /// Whether this one is still to be settled, without keeping the session alive.
    fn waits_for(&self, waiter: WaiterId) -> impl Fn() -> bool + Send + 'static {
        let weak = Arc::downgrade(self.shared());
        move || weak.upgrade().is_some_and(|shared| shared.waits_for(waiter))
    }

    /// Settles this one with `cancelled`, unless it is settled already.
    fn give_up(&self, waiter: WaiterId) -> Result<(), DriveError> {
        self.shared().offer(|_| Input::Cancel(waiter))
    }

    /// Settles every caller that waits now with `cancelled`.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub fn cancel(&self) -> Result<(), DriveError> {
        self.shared().cancel()
    }

    /// Logs out: what is held is dropped at once. On return the server has been asked to revoke the
    /// tokens and the store to remove them, as far as that could be done.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub fn forget(&self) -> Result<Forgotten, DriveError> {
        self.shared().forget()
    }

    /// Waits until no work is in flight: what was granted is saved then. Before the process ends.
    /// It waits for no person.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub fn quiet(&self) -> Result<(), DriveError> {
        self.shared().quiet()
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
