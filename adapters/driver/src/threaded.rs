//! The driver for threads that share a session.
//!
//! The session's lock is held for [`Session::handle`], publishing and handing out settlements, never
//! for work. A caller that waits does whatever work there is; what nobody is free to do goes to a
//! helper thread that lives as long as there is something to attend to. So no caller waits behind
//! another's person, and a refresh outlives the caller that began it.

use core::fmt;
use std::sync::{Arc, mpsc};

use http::response::Parts;
use mcp_authz_core::config::Config;
use mcp_authz_core::effect::{Page, Settlement};
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::{Acquire, Callback, Input};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::{Session, Snapshot};

use crate::arrivals::{Arrivals, PageSink};
use crate::error::{DriveError, ResumeError};
use crate::exchange::{Attempt, Exchange, ExchangeError, Refusal, Verdict, unrefused};
use crate::ports::{Answer, Common, Http, Listener};

mod shared;

use shared::Shared;

/// A session that threads share. Clones are handles to the same one; when the last is dropped its
/// listener closes.
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
        let waiter = shared.waiter();
        if let Some((granted, nudge)) = shared.published.live(scopes, &*shared.common.clock) {
            if nudge {
                shared.offer(|_| Input::Wake)?;
            }
            return Ok(Settlement { waiter, outcome: Ok(granted), unsaved: false });
        }
        let scopes = scopes.clone();
        shared.wait(waiter, Input::Acquire(Acquire { waiter, scopes, may_ask }))
    }

    /// Reports a refused request and waits for a grant that may be accepted. Then repeat the
    /// request, with `again` set should it be refused once more.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub fn challenge(&self, refusal: Refusal) -> Result<Settlement, DriveError> {
        let waiter = self.shared().waiter();
        self.shared().wait(waiter, Input::Challenge(refusal.challenge(waiter)))
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
        let mut attempt = Attempt::new(exchange)?;
        let mut granted = match self.acquire(&ScopeSet::empty(), false)?.outcome {
            Ok(granted) => Some(granted),
            Err(failure) => Attempt::without(failure).map(|()| None)?,
        };
        loop {
            let request = attempt.request(granted)?;
            let reply =
                self.shared().http.exchange(request, &attempt.limits(), &mut unrefused(enough));
            match attempt.read(reply)? {
                Verdict::Done(answer) => return Ok(answer),
                Verdict::Refused(answer, refusal) => match self.challenge(refusal)?.outcome {
                    Ok(healed) => granted = Some(healed),
                    Err(failure) => {
                        return Err(ExchangeError::Refused { failure, answer: Box::new(answer) });
                    }
                },
            }
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

    /// Settles every caller that waits now with `cancelled`.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub fn cancel(&self) -> Result<(), DriveError> {
        self.shared().cancel()
    }

    /// Logs out: what is held is dropped and marked so in the store, which is done on return.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub fn forget(&self) -> Result<(), DriveError> {
        self.shared().may_wait()?;
        self.shared().offer(|_| Input::Forget)?;
        self.quiet()
    }

    /// Waits until no work is in flight: what was granted is saved then. Before the process ends.
    /// It waits for no person.
    ///
    /// # Errors
    /// As [`AuthSession::acquire`].
    pub fn quiet(&self) -> Result<(), DriveError> {
        self.shared().quiet()
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
