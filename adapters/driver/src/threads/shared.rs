//! The state that threads share: the session, the mailboxes, the work, and the rule who does it.

use core::time::Duration;
use std::sync::{Arc, OnceLock, PoisonError};

use mcp_authz_core::effect::{Settlement, Work};
use mcp_authz_core::input::{Input, WaiterId};

use crate::error::DriveError;
use crate::loops::{Driven as _, Kept, State, UnderWay, Workers};
use crate::ports::{Http, Listener, Ports};
use crate::sync::{Condvar, helper};
use crate::work;

/// How long a thread sleeps at most while others work and the session has no deadline.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// The loop of blocking programs.
pub struct Threads<H, L> {
    pub(super) kept: Kept<Hands, Ports<H, L>>,
    /// Notified after every step: a new deadline concerns sleepers too.
    pub(super) turned: Condvar,
}

/// The threads in the loop.
#[derive(Default)]
pub struct Hands {
    attending: usize,
    /// How many of them sleep.
    idle: usize,
    /// Pieces of work that are being done.
    busy: usize,
}

impl Workers for Hands {
    fn gone(&self) -> bool {
        self.attending == 0 && self.busy == 0
    }

    fn kick(&mut self) {}
}

impl UnderWay<Hands> {
    /// Returns true if somebody is yet to hand something in, or to settle somebody. The step that
    /// ends this notifies the waiting threads.
    const fn active(&self) -> bool {
        self.workers.busy > 0 || self.outbox.speaking()
    }
}

impl State<Hands> {
    /// Counts in helpers for what nobody is free to attend to, one piece less if the caller goes on
    /// to attend; says how many.
    pub(super) fn call_help(&mut self, attends: bool) -> usize {
        let waits = !self.is_closed() && self.session.deadline().is_some();
        let at = self.under_way();
        let hands = &mut at.workers;
        let forsaken = hands.attending == 0 && waits;
        let unattended = at.queue.len().saturating_sub(hands.idle).max(usize::from(forsaken));
        let helpers = unattended.saturating_sub(usize::from(attends));
        hands.attending = hands.attending.saturating_add(helpers);
        helpers
    }
}

/// Why a thread is in the loop, and so when it leaves.
#[derive(Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// Until this is so.
    Wait(&'a dyn Fn() -> bool),
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
    Leave,
}

impl<H: Http, L: Listener> Threads<H, L> {
    /// Hands in an input for a waiter, whose place may be taken by another thread.
    pub(super) fn queue_up(
        self: &Arc<Self>,
        me: WaiterId,
        first: Input,
    ) -> Result<Place<H, L>, DriveError> {
        let settled = Arc::new(OnceLock::new());
        let mail = Arc::clone(&settled);
        let settle = move |settlement| {
            let _only_once = mail.set(settlement);
        };
        self.enter(me, Box::new(settle))?;
        let seat = self.seat(Some(me));
        self.step(|_| first, true)?;
        Ok(Place { seat, settled })
    }

    pub(crate) fn quiet(self: &Arc<Self>) -> Result<(), DriveError> {
        self.kept.may_wait()?;
        self.seat(None).attend(Purpose::Quiet)
    }

    /// A helper thread, already counted as attending.
    pub(super) fn help(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        let attend = move || {
            // Without random bytes a ticket is dropped, and its wait's deadline heals it.
            let _healed = Seat { shared, waiter: None }.attend(Purpose::Help);
        };
        if helper().spawn(attend).is_err() {
            // The work stays in the queue for whoever attends next.
            let mut state = self.lock();
            let at = state.under_way();
            at.workers.attending = at.workers.attending.saturating_sub(1);
            state.rest();
        }
    }

    pub(super) fn seat(self: &Arc<Self>, waiter: Option<WaiterId>) -> Seat<H, L> {
        let mut state = self.lock();
        let at = state.under_way();
        at.workers.attending = at.workers.attending.saturating_add(1);
        drop(state);
        Seat { shared: Arc::clone(self), waiter }
    }

    /// One piece of work that was counted as being done, up to its step.
    fn perform(self: &Arc<Self>, work: Work) -> Result<(), DriveError> {
        let _busy = Busy(self);
        let keep = |id, bound| {
            let superfluous = self.lock().under_way().outbox.bound(id, bound);
            drop(superfluous);
        };
        let Ports { http, listener, .. } = &*self.kept.ports;
        let input = work::perform(work, http, listener, &self.kept.common, self.arrivals(), keep);
        self.step(|_| input, true)
    }

    /// The next thing that a thread in the loop does; the thread sleeps until there is something.
    fn next(&self, purpose: Purpose<'_>) -> Result<Next, DriveError> {
        let mut state = self.lock();
        loop {
            let deadline = state.session.deadline();
            let closed = state.is_closed();
            let at = state.under_way();
            if let Purpose::Wait(over) = purpose
                && over()
            {
                return Ok(Next::Leave);
            }
            if let Some(work) = at.queue.pop_front() {
                at.workers.busy = at.workers.busy.saturating_add(1);
                return Ok(Next::Do(work));
            }
            match purpose {
                Purpose::Quiet if !at.active() => return Ok(Next::Leave),
                Purpose::Help if closed || at.workers.idle > 0 || deadline.is_none() => {
                    return Ok(Next::Leave);
                }
                Purpose::Wait(_) if deadline.is_none() && !at.active() => {
                    return Err(DriveError::Stalled);
                }
                _ => {}
            }
            let now = self.kept.clock().mono();
            let left = deadline.map_or(LONGEST_SLEEP, |deadline| now.until(deadline.at));
            if left.is_zero() {
                return Ok(Next::Wake);
            }
            at.workers.idle = at.workers.idle.saturating_add(1);
            let slept = self.turned.wait_timeout(state, left);
            state = slept.unwrap_or_else(PoisonError::into_inner).0;
            let at = state.under_way();
            at.workers.idle = at.workers.idle.saturating_sub(1);
        }
    }
}

/// A piece of work being done. However that ends, whoever waits for quiet looks again.
struct Busy<'a, H: Http, L: Listener>(&'a Threads<H, L>);

impl<H: Http, L: Listener> Drop for Busy<'_, H, L> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let at = state.under_way();
        at.workers.busy = at.workers.busy.saturating_sub(1);
        state.rest();
        drop(state);
        self.0.turned.notify_all();
    }
}

/// A waiter's place. The thread that takes it waits, and does the work that there is.
pub(super) struct Place<H: Http, L: Listener> {
    seat: Seat<H, L>,
    settled: Arc<OnceLock<Result<Settlement, DriveError>>>,
}

impl<H: Http, L: Listener> Place<H, L> {
    pub(super) fn settled(self) -> Result<Settlement, DriveError> {
        let Self { seat, settled } = self;
        seat.attend(Purpose::Wait(&|| settled.get().is_some()))?;
        settled.get().cloned().unwrap_or(Err(DriveError::Stalled))
    }
}

/// A place in the loop. Leaving it, for whatever reason, hands what is unattended to a helper.
pub(super) struct Seat<H: Http, L: Listener> {
    shared: Arc<Threads<H, L>>,
    waiter: Option<WaiterId>,
}

impl<H: Http, L: Listener> Seat<H, L> {
    pub(super) fn attend(self, purpose: Purpose<'_>) -> Result<(), DriveError> {
        loop {
            match self.shared.next(purpose)? {
                Next::Leave => return Ok(()),
                Next::Do(work) => self.shared.perform(work)?,
                Next::Wake => self.shared.step(|_| Input::Wake, true)?,
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
        at.workers.attending = at.workers.attending.saturating_sub(1);
        let helpers = state.call_help(false);
        state.rest();
        drop(state);
        (0..helpers).for_each(|_| self.shared.help());
    }
}
