//! What the threads share: the session, the mailboxes, the work, and the rule who does it.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock, PoisonError, Weak};

use mcp_authz_core::config::Config;
use mcp_authz_core::effect::{Effects, Forgotten, Settlement, Visit, Work};
use mcp_authz_core::input::{Input, WaiterId};
use mcp_authz_core::session::{Session, Snapshot};

use crate::arrivals::Arrivals;
use crate::desk::{Aloud, Desk};
use crate::error::DriveError;
use crate::ports::{Common, Http, Listener};
use crate::publish::Published;
use crate::sync::{AtomicU64, Condvar, Mutex, MutexGuard, helper};
#[cfg(feature = "transport")]
use crate::transport::Memory;
use crate::work;

/// How long a thread sleeps at most while others work and the session has no deadline.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

pub(super) struct Shared<H: Http, L: Listener> {
    pub(super) published: Published,
    pub(super) config: Arc<Config>,
    /// What was found out about the server's transport.
    #[cfg(feature = "transport")]
    pub(super) memory: Memory,
    pub(super) http: H,
    pub(super) common: Common,
    listener: L,
    state: Mutex<State>,
    /// Notified after every step: a new deadline concerns sleepers too.
    turned: Condvar,
    waiters: AtomicU64,
}

struct State {
    session: Session,
    closed: bool,
    /// Nothing is set aside for it at rest.
    under_way: Option<Box<UnderWay>>,
}

/// What there is only while somebody works, waits or speaks.
#[derive(Default)]
struct UnderWay {
    desk: Desk,
    queue: VecDeque<Work>,
    mail: HashMap<WaiterId, Option<Settlement>>,
    /// Threads in the loop, and how many of them sleep.
    attending: usize,
    idle: usize,
    /// Pieces of work that are being done.
    busy: usize,
}

impl UnderWay {
    /// Whether somebody is yet to hand something in, or to settle somebody. Whatever ends this
    /// notifies.
    const fn active(&self) -> bool {
        self.busy > 0 || self.desk.speaking()
    }

    fn over(&self) -> bool {
        let nobody = self.attending == 0 && self.busy == 0;
        nobody && self.queue.is_empty() && self.mail.is_empty() && self.desk.cleared()
    }
}

impl State {
    fn under_way(&mut self) -> &mut UnderWay {
        self.under_way.get_or_insert_default()
    }

    /// Counts in helpers for what nobody is free to attend to, one piece less if the caller goes on
    /// to attend; says how many.
    fn call_help(&mut self, attends: bool) -> usize {
        let waits = !self.closed && self.session.deadline().is_some();
        let at = self.under_way();
        let forsaken = at.attending == 0 && waits;
        let unattended = at.queue.len().saturating_sub(at.idle).max(usize::from(forsaken));
        let helpers = unattended.saturating_sub(usize::from(attends));
        at.attending = at.attending.saturating_add(helpers);
        helpers
    }

    /// Called after whatever may have been the last of what was under way.
    fn rest(&mut self) {
        // A closed desk has been cleared of pages that the session may still owe.
        let closed = self.closed;
        self.under_way.take_if(|at| !closed && at.over());
    }
}

/// Why a thread is in the loop, and so when it leaves.
#[derive(Clone, Copy)]
enum Purpose<'a> {
    Wait(WaiterId),
    /// Until this is there.
    LogOut(&'a OnceLock<Forgotten>),
    Help,
    Quiet,
}

#[allow(
    clippy::large_enum_variant,
    reason = "moved once, from the queue to the thread that does it"
)]
enum Next {
    Do(Work),
    Wake,
    Leave(Option<Settlement>),
}

impl<H: Http, L: Listener> Shared<H, L> {
    pub(super) fn new(session: Session, http: H, listener: L, common: Common) -> Self {
        let config = Arc::clone(session.config());
        let state = State { session, closed: false, under_way: None };
        let (published, turned) = (Published::default(), Condvar::new());
        let (state, waiters) = (Mutex::new(state), AtomicU64::new(0));
        Self {
            published,
            config,
            #[cfg(feature = "transport")]
            memory: Memory::default(),
            http,
            common,
            listener,
            state,
            turned,
            waiters,
        }
    }

    pub(super) fn waiter(&self) -> WaiterId {
        WaiterId(self.waiters.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.lock().session.snapshot()
    }

    pub(super) fn visit(&self) -> Option<Visit> {
        self.lock().session.visit()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn arrivals(this: &Arc<Self>) -> Arrivals {
        // Weak: a listener must not keep alive the session whose end closes it.
        let weak: Weak<Self> = Arc::downgrade(this);
        Arrivals::new(move |callback, page| {
            if let Some(shared) = weak.upgrade() {
                let _dropped_with_its_page = shared.offer(|desk| desk.arrival(callback, page));
            }
        })
    }

    /// Hands in an input and waits for a waiter's settlement.
    pub(super) fn wait(
        self: &Arc<Self>,
        me: WaiterId,
        first: Input,
    ) -> Result<Settlement, DriveError> {
        self.queue_up(me, first)?.settled()
    }

    /// Hands in an input for a waiter, whose place may be taken by another thread.
    pub(super) fn queue_up(
        self: &Arc<Self>,
        me: WaiterId,
        first: Input,
    ) -> Result<Place<H, L>, DriveError> {
        {
            let mut state = self.lock();
            let at = state.under_way();
            at.desk.not_here()?;
            at.mail.insert(me, None);
        }
        let seat = self.seat(Some(me));
        self.step(|_| first, false)?;
        Ok(Place { seat, me })
    }

    /// Hands in an input for which nobody on this thread waits.
    pub(super) fn offer(
        self: &Arc<Self>,
        input: impl FnOnce(&mut Desk) -> Input,
    ) -> Result<(), DriveError> {
        self.step(input, true)
    }

    /// Performs the effects of a restored session.
    pub(super) fn begin(self: &Arc<Self>, effects: Effects) {
        self.turn(self.lock(), effects, true);
    }

    /// Whether this one is still to be settled.
    pub(super) fn waits_for(&self, waiter: WaiterId) -> bool {
        let state = self.lock();
        let mail = state.under_way.as_ref().and_then(|at| at.mail.get(&waiter));
        mail.is_some_and(Option::is_none)
    }

    /// Whether this thread may wait for the session; not from inside an observer.
    pub(super) fn may_wait(&self) -> Result<(), DriveError> {
        self.lock().under_way.as_ref().map_or(Ok(()), |at| at.desk.not_here())
    }

    pub(super) fn quiet(self: &Arc<Self>) -> Result<(), DriveError> {
        self.may_wait()?;
        self.seat(None).attend(Purpose::Quiet).map(|_| ())
    }

    /// Logs out, and attends until that has ended.
    pub(super) fn forget(self: &Arc<Self>) -> Result<Forgotten, DriveError> {
        self.may_wait()?;
        #[cfg(feature = "transport")]
        self.memory.farewell();
        let heard = Arc::new(OnceLock::new());
        let hears = Arc::clone(&heard);
        let farewell = Box::new(move |forgotten| {
            let _only_once = hears.set(forgotten);
        });
        let seat = self.seat(None);
        self.step(|desk| desk.log_out(farewell), false)?;
        seat.attend(Purpose::LogOut(&heard))?;
        heard.get().cloned().ok_or(DriveError::Stalled)
    }

    pub(super) fn cancel(self: &Arc<Self>) -> Result<(), DriveError> {
        let waiting: Vec<_> =
            self.lock().under_way.iter().flat_map(|at| at.mail.keys().copied()).collect();
        waiting.into_iter().try_for_each(|waiter| self.step(|_| Input::Cancel(waiter), true))
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let open = state.under_way.as_mut().map(|at| at.desk.clear());
        drop(state);
        self.turned.notify_all();
        drop(open);
    }

    /// One input under the lock. With `call_help`, work that no thread is free for gets one.
    fn step(
        self: &Arc<Self>,
        input: impl FnOnce(&mut Desk) -> Input,
        call_help: bool,
    ) -> Result<(), DriveError> {
        let mut state = self.lock();
        let env = self.common.env()?;
        let input = input(&mut state.under_way().desk);
        let effects = state.session.handle(input, env)?;
        self.turn(state, effects, call_help);
        Ok(())
    }

    fn turn(self: &Arc<Self>, mut state: MutexGuard<'_, State>, effects: Effects, call_help: bool) {
        let waits = state.session.deadline().is_some();
        let at = state.under_way();
        let idle = !waits && at.queue.is_empty();
        let sorted = at.desk.sort(effects, idle, &self.published);
        at.queue.retain(|work| !sorted.abandoned.contains(&work.id()));
        at.queue.extend(sorted.work);
        let helpers = state.call_help(!call_help);
        state.rest();
        drop(state);
        self.turned.notify_all();
        if sorted.speak {
            self.speak();
        }
        (0..helpers).for_each(|_| self.help());
    }

    /// Says what there is to say, and settles in between, each word without the lock.
    fn speak(&self) {
        loop {
            let mut state = self.lock();
            let at = state.under_way();
            match at.desk.next_word() {
                None => {
                    state.rest();
                    drop(state);
                    // Who found nobody active but the speaker looks again.
                    return self.turned.notify_all();
                }
                Some(Aloud::Settle(settlement)) => {
                    if let Some(mail) = at.mail.get_mut(&settlement.waiter) {
                        *mail = Some(settlement);
                    }
                    drop(state);
                    self.turned.notify_all();
                }
                Some(word) => {
                    drop(state);
                    word.say(&*self.common.observer);
                }
            }
        }
    }

    /// A helper thread, already counted as attending.
    fn help(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        let attend = move || {
            // Without random bytes a ticket is dropped, and its wait's deadline heals it.
            let _healed = Seat { shared, waiter: None }.attend(Purpose::Help);
        };
        if helper().spawn(attend).is_err() {
            // The work stays in the queue for whoever attends next.
            let mut state = self.lock();
            let at = state.under_way();
            at.attending = at.attending.saturating_sub(1);
            state.rest();
        }
    }

    fn seat(self: &Arc<Self>, waiter: Option<WaiterId>) -> Seat<H, L> {
        let mut state = self.lock();
        let at = state.under_way();
        at.attending = at.attending.saturating_add(1);
        drop(state);
        Seat { shared: Arc::clone(self), waiter }
    }

    /// One piece of work that was counted as being done, up to its step.
    fn perform(self: &Arc<Self>, work: Work) -> Result<(), DriveError> {
        let _busy = Busy(self);
        let keep = |id, bound| {
            let superfluous = self.lock().under_way().desk.bound(id, bound);
            drop(superfluous);
        };
        let arrivals = Self::arrivals(self);
        let input = work::perform(work, &self.http, &self.listener, &self.common, arrivals, keep);
        self.step(|_| input, false)
    }

    /// What a thread in the loop does next, asleep until there is something.
    fn next(&self, purpose: Purpose<'_>) -> Result<Next, DriveError> {
        let mut state = self.lock();
        loop {
            let deadline = state.session.deadline();
            let closed = state.closed;
            let at = state.under_way();
            if let Purpose::Wait(me) = purpose
                && let Some(mail) = at.mail.get_mut(&me)
                && let Some(settlement) = mail.take()
            {
                return Ok(Next::Leave(Some(settlement)));
            }
            if let Purpose::LogOut(heard) = purpose
                && heard.get().is_some()
            {
                return Ok(Next::Leave(None));
            }
            if let Some(work) = at.queue.pop_front() {
                at.busy = at.busy.saturating_add(1);
                return Ok(Next::Do(work));
            }
            match purpose {
                Purpose::Quiet if !at.active() => return Ok(Next::Leave(None)),
                Purpose::Help if closed || at.idle > 0 || deadline.is_none() => {
                    return Ok(Next::Leave(None));
                }
                Purpose::Wait(_) | Purpose::LogOut(_) if deadline.is_none() && !at.active() => {
                    return Err(DriveError::Stalled);
                }
                _ => {}
            }
            let now = self.common.clock.mono();
            let left = deadline.map_or(LONGEST_SLEEP, |deadline| now.until(deadline.at));
            if left.is_zero() {
                return Ok(Next::Wake);
            }
            at.idle = at.idle.saturating_add(1);
            let slept = self.turned.wait_timeout(state, left);
            state = slept.unwrap_or_else(PoisonError::into_inner).0;
            let at = state.under_way();
            at.idle = at.idle.saturating_sub(1);
        }
    }
}

/// Nobody is left who could give back the session's leases: others of this process wait for them.
impl<H: Http, L: Listener> Drop for Shared<H, L> {
    fn drop(&mut self) {
        let leave = self.lock().session.leave();
        self.common.leave(leave);
    }
}

/// A piece of work being done. However that ends, whoever waits for quiet looks again.
struct Busy<'a, H: Http, L: Listener>(&'a Shared<H, L>);

impl<H: Http, L: Listener> Drop for Busy<'_, H, L> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let at = state.under_way();
        at.busy = at.busy.saturating_sub(1);
        state.rest();
        drop(state);
        self.0.turned.notify_all();
    }
}

/// A waiter's place. Whoever takes it waits, and does what work there is.
pub(super) struct Place<H: Http, L: Listener> {
    seat: Seat<H, L>,
    me: WaiterId,
}

impl<H: Http, L: Listener> Place<H, L> {
    pub(super) fn settled(self) -> Result<Settlement, DriveError> {
        self.seat.attend(Purpose::Wait(self.me))?.ok_or(DriveError::Stalled)
    }
}

/// A place in the loop. Leaving it, for whatever reason, hands what is unattended to a helper.
struct Seat<H: Http, L: Listener> {
    shared: Arc<Shared<H, L>>,
    waiter: Option<WaiterId>,
}

impl<H: Http, L: Listener> Seat<H, L> {
    fn attend(self, purpose: Purpose<'_>) -> Result<Option<Settlement>, DriveError> {
        loop {
            match self.shared.next(purpose)? {
                Next::Leave(settlement) => return Ok(settlement),
                Next::Do(work) => self.shared.perform(work)?,
                Next::Wake => self.shared.step(|_| Input::Wake, false)?,
            }
        }
    }
}

impl<H: Http, L: Listener> Drop for Seat<H, L> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let at = state.under_way();
        if let Some(me) = self.waiter {
            at.mail.remove(&me);
        }
        at.attending = at.attending.saturating_sub(1);
        let helpers = state.call_help(false);
        state.rest();
        drop(state);
        (0..helpers).for_each(|_| self.shared.help());
    }
}
