//! A login that is under way, and the pages that it shows.

use core::future::{Future, poll_fn};
use core::task::{Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_authz_core::effect::{Settlement, Visit};
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::{Acquire, Input, WaiterId};
use mcp_authz_core::scope::ScopeSet;

use crate::authorize::AuthorizeError;
use crate::error::DriveError;
use crate::loops::{Driven as _, Loop};
use crate::person::{Hub, Pages, Watching};
use crate::session::AuthSession;

type Settled = Result<Settlement, DriveError>;

/// A login that is under way. Dropping it gives the wait up.
pub(super) struct Login<S: Loop> {
    pub(super) session: AuthSession<S>,
    waiter: WaiterId,
    pub(super) pages: Arc<Pages>,
    outcome: Arc<Outcome>,
    _watching: Watching,
}

/// The next event of a login.
pub(super) enum News<'a> {
    /// Its end.
    Settled(Settled),
    /// A page that was not shown yet.
    Page(&'a Visit),
}

/// How it ended, and who waits for news of it.
#[derive(Default)]
struct Outcome(Mutex<(Option<Settled>, Vec<Waker>)>);

impl Outcome {
    fn lock(&self) -> MutexGuard<'_, (Option<Settled>, Vec<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, settled: Settled) {
        self.lock().0 = Some(settled);
        self.wake();
    }

    fn wake(&self) {
        let waiting = core::mem::take(&mut self.lock().1);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl<S: Loop> Login<S> {
    pub(super) fn begin(
        session: &AuthSession<S>,
        hub: &Arc<Hub>,
        scopes: ScopeSet,
    ) -> Result<Self, DriveError> {
        let shared = session.shared();
        let waiter = shared.kept().waiter();
        let (pages, outcome) = (Arc::new(Pages::default()), Arc::new(Outcome::default()));
        let (weak, adds, wakes) =
            (Arc::downgrade(shared), Arc::clone(&pages), Arc::clone(&outcome));
        // Pages that come once the login is settled belong to other logins.
        let watching = hub.watch(move |visit| {
            let waits = weak.upgrade().is_some_and(|shared| shared.waits_for(waiter));
            if waits {
                adds.add(visit);
                wakes.wake();
            }
            waits
        });
        let acquire = Acquire { waiter, scopes, may_ask: true };
        let settles = Arc::clone(&outcome);
        let told = Box::new(move |settled| settles.settle(settled));
        shared.begin(waiter, Input::LogIn(acquire), told)?;
        // A page that nobody was shown yet comes by itself, and is not one to be opened twice.
        if let Some(visit) = session.visit().filter(|visit| hub.has_shown(visit)) {
            pages.add(visit);
        }
        Ok(Self { session: session.clone(), waiter, pages, outcome, _watching: watching })
    }

    /// Returns true if the outcome is known here.
    pub(super) fn is_over(&self) -> bool {
        self.outcome.lock().0.is_some()
    }

    /// The outcome, or the next page that was not shown yet.
    pub(super) fn next(&self) -> impl Future<Output = News<'_>> + Send {
        poll_fn(|context| {
            let mut outcome = self.outcome.lock();
            if let Some(settled) = &outcome.0 {
                return Poll::Ready(News::Settled(settled.clone()));
            }
            if let Some(visit) = self.pages.unseen() {
                return Poll::Ready(News::Page(visit));
            }
            if !outcome.1.iter().any(|waker| waker.will_wake(context.waker())) {
                outcome.1.push(context.waker().clone());
            }
            Poll::Pending
        })
    }
}

impl<S: Loop> Drop for Login<S> {
    fn drop(&mut self) {
        if !self.is_over() {
            let _without_random_bytes_it_times_out =
                self.session.shared().offer(|_| Input::Cancel(self.waiter));
        }
    }
}

pub(super) fn granted(settled: Settled) -> Result<Arc<Granted>, AuthorizeError> {
    settled?.outcome.map_err(AuthorizeError::Failed)
}
