//! What callers and the runner share, and the one step all of them take.

use core::sync::atomic::Ordering;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, Weak};

use futures_channel::{mpsc, oneshot};
use mcp_authz_core::config::Config;
use mcp_authz_core::effect::{Effects, Settlement, TicketId, Visit, Work};
use mcp_authz_core::input::{Input, WaiterId};
use mcp_authz_core::session::{Session, Snapshot};

use super::Ports;
use super::runner::{self, Running};
use crate::arrivals::{Arrivals, Listening};
use crate::clock::Clock;
use crate::desk::{Aloud, Desk};
use crate::error::DriveError;
use crate::ports::{AsyncHttp, AsyncListener, Runtime};
use crate::publish::Published;
use crate::sync::{AtomicU64, Mutex, MutexGuard};
use crate::transport::Memory;

/// What a waiter's mailbox takes.
pub(super) type Settle = oneshot::Sender<Result<Settlement, DriveError>>;

pub(super) struct Shared<H: AsyncHttp, L: AsyncListener, R: Runtime> {
    pub(super) published: Published,
    pub(super) config: Arc<Config>,
    /// What was found out about the server's transport.
    pub(super) memory: Memory,
    pub(super) ports: Arc<Ports<H, L, R>>,
    state: Mutex<State>,
    waiters: AtomicU64,
}

pub(super) struct State {
    pub(super) session: Session,
    closed: bool,
    /// Nothing is set aside for it at rest.
    under_way: Option<Box<UnderWay>>,
}

/// What there is only while somebody works, waits or speaks.
#[derive(Default)]
pub(super) struct UnderWay {
    pub(super) desk: Desk,
    pub(super) queue: VecDeque<Work>,
    pub(super) mail: HashMap<WaiterId, Settle>,
    /// Told when no work is in flight.
    pub(super) quiet: Vec<oneshot::Sender<()>>,
    /// Wakes the runner, if one runs.
    pub(super) runner: Option<mpsc::Sender<()>>,
}

impl UnderWay {
    /// Settles everybody with what stopped the driver: nobody is left to settle them otherwise.
    fn give_up(&mut self, error: DriveError) {
        for (_, settle) in self.mail.drain() {
            let _nobody_left = settle.send(Err(error));
        }
        self.quiet.clear();
        self.desk.give_up();
    }

    fn over(&self) -> bool {
        self.desk.cleared()
            && self.queue.is_empty()
            && self.mail.is_empty()
            && self.quiet.is_empty()
            && self.runner.is_none()
    }
}

impl State {
    pub(super) fn under_way(&mut self) -> &mut UnderWay {
        self.under_way.get_or_insert_default()
    }

    /// Whether there is anything to run for.
    pub(super) fn restless(&self) -> bool {
        let queued = self.under_way.as_ref().is_some_and(|at| !at.queue.is_empty());
        queued || (!self.closed && self.session.deadline().is_some())
    }

    /// The runner is gone, and if it could not go on, nobody gets what they wait for.
    pub(super) fn left(&mut self, why: Option<DriveError>) {
        let at = self.under_way();
        at.runner = None;
        if let Some(why) = why {
            at.give_up(why);
        }
        self.rest();
    }

    /// Called after whatever may have been the last of what was under way.
    fn rest(&mut self) {
        // A closed desk has been cleared of pages that the session may still owe.
        let closed = self.closed;
        self.under_way.take_if(|at| !closed && at.over());
    }
}

/// Nobody is left who could give back the session's leases: others of this process wait for them.
impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Drop for Shared<H, L, R> {
    fn drop(&mut self) {
        let leave = self.lock().session.leave();
        self.ports.common.leave(leave);
    }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Shared<H, L, R> {
    pub(super) fn new(session: Session, ports: Arc<Ports<H, L, R>>) -> Self {
        let config = Arc::clone(session.config());
        let state = State { session, closed: false, under_way: None };
        let (published, waiters) = (Published::default(), AtomicU64::new(0));
        Self {
            published,
            config,
            memory: Memory::default(),
            ports,
            state: Mutex::new(state),
            waiters,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waiter(&self) -> WaiterId {
        WaiterId(self.waiters.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.ports.common.clock
    }

    pub(super) fn http(&self) -> &H {
        &self.ports.http
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.lock().session.snapshot()
    }

    /// Whether this one is still to be settled.
    pub(super) fn waits_for(&self, waiter: WaiterId) -> bool {
        self.lock().under_way.as_ref().is_some_and(|at| at.mail.contains_key(&waiter))
    }

    pub(super) fn visit(&self) -> Option<Visit> {
        self.lock().session.visit()
    }

    pub(super) fn arrivals(this: &Arc<Self>) -> Arrivals {
        // Weak: a listener must not keep alive the session whose end closes it.
        let weak: Weak<Self> = Arc::downgrade(this);
        Arrivals::new(move |callback, page| {
            if let Some(shared) = weak.upgrade() {
                let _dropped_with_its_page = shared.step(|desk| desk.arrival(callback, page));
            }
        })
    }

    /// Whether this thread may wait for the session; not from inside an observer.
    pub(super) fn may_wait(&self) -> Result<(), DriveError> {
        self.lock().under_way.as_ref().map_or(Ok(()), |at| at.desk.not_here())
    }

    /// Something to wait for until no work is in flight, unless that is so now.
    pub(super) fn quiet(&self) -> Option<oneshot::Receiver<()>> {
        let mut state = self.lock();
        let at = state.under_way.as_mut().filter(|at| at.runner.is_some())?;
        at.desk.not_here().ok()?;
        let (sender, receiver) = oneshot::channel();
        at.quiet.push(sender);
        // The runner may be asleep with nothing in flight.
        kick(at);
        Some(receiver)
    }

    pub(super) fn bound(&self, id: TicketId, bound: Option<Listening>) {
        let superfluous = self.lock().under_way().desk.bound(id, bound);
        drop(superfluous);
    }

    pub(super) fn cancel_all(self: &Arc<Self>) -> Result<(), DriveError> {
        let waiting: Vec<_> =
            self.lock().under_way.iter().flat_map(|at| at.mail.keys().copied()).collect();
        waiting.into_iter().try_for_each(|waiter| self.step(|_| Input::Cancel(waiter)))
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let open = state.under_way.as_mut().map(|at| {
            kick(at);
            at.desk.clear()
        });
        drop(state);
        drop(open);
    }

    /// One input under the lock; whoever takes it need not be the runner.
    pub(super) fn step(
        self: &Arc<Self>,
        input: impl FnOnce(&mut Desk) -> Input,
    ) -> Result<(), DriveError> {
        let mut state = self.lock();
        let env = self.ports.common.env()?;
        let input = input(&mut state.under_way().desk);
        let effects = state.session.handle(input, env)?;
        self.turn(state, effects);
        Ok(())
    }

    /// Performs the effects of a restored session.
    pub(super) fn begin(self: &Arc<Self>, effects: Effects) {
        self.turn(self.lock(), effects);
    }

    /// Says what there is to say, and settles in between, each word without the lock.
    fn speak(&self) {
        loop {
            let mut state = self.lock();
            let at = state.under_way();
            match at.desk.next_word() {
                None => return state.rest(),
                Some(Aloud::Settle(settlement)) => {
                    if let Some(settle) = at.mail.remove(&settlement.waiter) {
                        drop(state);
                        let _nobody_left = settle.send(Ok(settlement));
                    }
                }
                Some(word) => {
                    drop(state);
                    word.say(&*self.ports.common.observer);
                }
            }
        }
    }

    fn turn(self: &Arc<Self>, mut state: MutexGuard<'_, State>, effects: Effects) {
        let waits = state.session.deadline().is_some();
        let at = state.under_way();
        let idle = !waits && at.queue.is_empty();
        let sorted = at.desk.sort(effects, idle, &self.published);
        at.queue.retain(|work| !sorted.abandoned.contains(&work.id()));
        at.queue.extend(sorted.work);
        let runs = at.runner.is_some();
        let kicks = if runs {
            kick(at);
            None
        } else if state.restless() {
            let (sender, kicks) = mpsc::channel(1);
            state.under_way().runner = Some(sender);
            Some(kicks)
        } else {
            None
        };
        state.rest();
        drop(state);
        // Made here: whatever drops the task unpolled, a runtime that is gone among others, drops
        // the guard with it.
        let task = kicks.map(|kicks| runner::run(Running::new(Arc::clone(self)), kicks));
        if sorted.speak {
            self.speak();
        }
        if let Some(task) = task {
            self.ports.runtime.spawn(task);
        }
    }
}

fn kick(at: &mut UnderWay) {
    if let Some(runner) = &mut at.runner {
        let _kicked_already = runner.try_send(());
    }
}

/// A waiter's mailbox. Dropped unsettled, it cancels that one wait; a refresh or a login that others
/// share goes on.
pub(super) struct CancelOnDrop<H: AsyncHttp, L: AsyncListener, R: Runtime> {
    shared: Arc<Shared<H, L, R>>,
    waiter: WaiterId,
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> CancelOnDrop<H, L, R> {
    pub(super) fn new(shared: &Arc<Shared<H, L, R>>, waiter: WaiterId, settle: Settle) -> Self {
        shared.lock().under_way().mail.insert(waiter, settle);
        Self { shared: Arc::clone(shared), waiter }
    }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Drop for CancelOnDrop<H, L, R> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let unsettled = state.under_way().mail.remove(&self.waiter).is_some();
        state.rest();
        drop(state);
        if unsettled {
            let _without_random_bytes_it_times_out =
                self.shared.step(|_| Input::Cancel(self.waiter));
        }
    }
}
