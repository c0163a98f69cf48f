//! The interface of a session's loop to the layers above it, and the step that both loops take.

use core::future::Future;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use http::{Request, Uri};
use mcp_authz_core::config::Config;
use mcp_authz_core::effect::{Effects, Forgotten, Limits, Page, Settlement, Visit, Why, Work};
use mcp_authz_core::failure::Misuse;
use mcp_authz_core::input::{Callback, Input, WaiterId};
use mcp_authz_core::session::{Env, Session, Snapshot};

use crate::arrivals::Arrivals;
use crate::clock::Clock;
use crate::error::DriveError;
use crate::outbox::{Outbox, Word};
use crate::ports::{Common, Opened, Ports, Steps};
use crate::publish::Published;
use crate::reading::Incoming;
use crate::sync::{AtomicU64, Mutex, MutexGuard};
#[cfg(feature = "transport")]
use crate::transport::{Memory, Messages, Task};

/// A loop over one session: [`Threads`](crate::threads::Threads), or `Tasks` for async programs.
/// Everything above it is written once, async. The futures of threads block where they are polled.
pub trait Loop: Send + Sync + Sized + 'static {
    /// Its way to send.
    type Http: Send + Sync + 'static;
    /// Its way to listen.
    type Listener: Send + Sync + 'static;
    /// The runtime that spawns and sleeps for it; the unit type in a program without one.
    type Runtime: Send + Sync + 'static;
    /// The body of an answer, as it comes.
    type Body: Send + 'static;
    /// The type on which an adapter implements [`Platform`](crate::manager::Platform).
    type Adapter;

    /// The messages of a server, one by one.
    #[cfg(feature = "transport")]
    type Messages: From<Messages>;

    /// Those who do the work.
    type Workers: Workers;
    /// Those who are called to do it.
    type Hands;

    /// Makes one that rests.
    fn make(kept: KeptBy<Self>) -> Self;

    /// The parts that it keeps.
    fn kept(&self) -> &KeptBy<Self>;

    /// Calls hands for the work in the queue, under the lock. `attends`: the caller goes on to work.
    fn call(self: &Arc<Self>, state: &mut State<Self::Workers>, attends: bool) -> Self::Hands;

    /// Has them begin, without the lock.
    fn put_to_work(self: &Arc<Self>, hands: Self::Hands);

    /// Tells those who sleep to look again.
    fn turned(&self);

    /// Hands in an input and waits for the settlement. A caller that gives the future up cancels
    /// the wait.
    fn wait(
        self: &Arc<Self>,
        waiter: WaiterId,
        first: Input,
    ) -> impl Future<Output = Result<Settlement, DriveError>> + Send;

    /// Hands in an input for a wait that outlives the caller.
    fn begin(
        self: &Arc<Self>,
        waiter: WaiterId,
        first: Input,
        told: Settle,
    ) -> Result<(), DriveError>;

    /// Hands in what reached a redirect URI, and waits for the page.
    fn deliver(
        self: &Arc<Self>,
        callback: Callback,
    ) -> impl Future<Output = Result<Page, DriveError>> + Send + use<Self>;

    /// Logs out, and waits for the end of it.
    fn log_out(self: &Arc<Self>) -> impl Future<Output = Result<Forgotten, DriveError>> + Send;

    /// Sends a caller's own request.
    fn open(
        http: &Self::Http,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> impl Future<Output = Opened<Self::Body>> + Send;

    /// The proxy that a request to this URL goes through.
    fn proxy(http: &Self::Http, uri: &Uri) -> Option<Arc<str>>;

    /// Waits for the next piece of a body.
    fn piece(
        body: &mut Incoming<Self::Body>,
        within: Duration,
    ) -> impl Future<Output = Result<Option<Bytes>, Why>> + Send;

    /// Is ready after this time.
    #[cfg(feature = "transport")]
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Does something aside; drops it if that cannot be done.
    #[cfg(feature = "transport")]
    fn spawn(&self, task: Task);

    /// Reads the end of a body of which nothing more is wanted, noticed by nobody.
    #[cfg(feature = "transport")]
    fn finish(&self, body: Incoming<Self::Body>) -> impl Future<Output = ()> + Send;
}

/// The ports of a loop.
pub type PortsOf<S> = Ports<<S as Loop>::Http, <S as Loop>::Listener, <S as Loop>::Runtime>;

/// Takes the settlement of a wait, or why there is none.
pub(crate) type Settle = Box<dyn FnOnce(Result<Settlement, DriveError>) + Send>;

/// The parts of a session that both loops keep, with these workers and ports.
pub struct Kept<W, P> {
    pub(crate) published: Published,
    pub(crate) config: Arc<Config>,
    /// The facts that were found out about the server's transport.
    #[cfg(feature = "transport")]
    pub(crate) memory: Memory,
    pub(crate) ports: Arc<P>,
    pub(crate) common: Arc<Common>,
    state: Mutex<State<W>>,
    waiters: AtomicU64,
}

/// The state that only one thread at a time looks at.
pub struct State<W> {
    pub(crate) session: Session,
    /// Nothing is set aside for it at rest.
    under_way: Option<Box<UnderWay<W>>>,
}

/// The state that exists only while somebody works, waits or speaks.
pub(crate) struct UnderWay<W> {
    pub(crate) outbox: Outbox,
    pub(crate) queue: VecDeque<Work>,
    /// Mailboxes of those who wait.
    pub(crate) mail: HashMap<WaiterId, Settle>,
    pub(crate) workers: W,
    /// Nobody holds the session any more. Kept for good, and its outbox is cleared of pages that the
    /// session may still owe.
    closed: bool,
    /// Makes a trace of the session. It is here and not beside the session, which is no larger for it
    /// at rest; while a trace is made, all of this stays.
    steps: Option<Box<dyn Steps>>,
}

/// Those who do the work of a session.
pub trait Workers: Default + Send {
    /// Returns true if nobody works or waits.
    fn gone(&self) -> bool;
    /// Has whoever waits for work look again.
    fn kick(&mut self);
}

/// The parts that a loop keeps.
pub(crate) type KeptBy<S> = Kept<<S as Loop>::Workers, PortsOf<S>>;
/// Its state, held.
pub(crate) type Guard<'a, S> = MutexGuard<'a, State<<S as Loop>::Workers>>;

impl<W: Workers> UnderWay<W> {
    fn new(steps: Option<Box<dyn Steps>>) -> Self {
        let (outbox, queue, mail) = (Outbox::default(), VecDeque::new(), HashMap::new());
        Self { outbox, queue, mail, workers: W::default(), closed: false, steps }
    }
}

impl<W: Workers> State<W> {
    /// Takes one step.
    fn handle(&mut self, input: Input, env: Env) -> Result<Effects, Misuse> {
        let steps = self.under_way.as_deref_mut().and_then(|at| at.steps.as_mut());
        handle(&mut self.session, steps, input, env)
    }

    pub(crate) fn under_way(&mut self) -> &mut UnderWay<W> {
        self.under_way.get_or_insert_with(|| Box::new(UnderWay::new(None)))
    }

    /// The state of what is under way, if anything is.
    pub(crate) fn busy(&mut self) -> Option<&mut UnderWay<W>> {
        self.under_way.as_deref_mut()
    }

    /// Called after whatever may have been the last of what was under way.
    pub(crate) fn rest(&mut self) {
        self.under_way.take_if(|at| {
            let nothing = at.queue.is_empty() && at.mail.is_empty() && at.outbox.cleared();
            !at.closed && at.steps.is_none() && nothing && at.workers.gone()
        });
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.under_way.as_ref().is_some_and(|at| at.closed)
    }
}

/// Takes one step of a session, and shows it to whoever makes a trace.
pub(crate) fn handle(
    session: &mut Session,
    mut steps: Option<&mut Box<dyn Steps>>,
    input: Input,
    env: Env,
) -> Result<Effects, Misuse> {
    if let Some(steps) = &mut steps {
        steps.given(&env, &input);
    }
    let effects = session.handle(input, env)?;
    if let Some(steps) = steps {
        steps.done(&effects);
    }
    Ok(effects)
}

impl<W: Workers, P> Kept<W, P> {
    pub(crate) fn new(
        session: Session,
        steps: Option<Box<dyn Steps>>,
        ports: Arc<P>,
        common: Arc<Common>,
    ) -> Self {
        let config = Arc::clone(session.config());
        let under_way = steps.map(|steps| Box::new(UnderWay::new(Some(steps))));
        let state = Mutex::new(State { session, under_way });
        Self {
            published: Published::default(),
            config,
            #[cfg(feature = "transport")]
            memory: Memory::default(),
            ports,
            common,
            state,
            waiters: AtomicU64::new(0),
        }
    }
}

impl<W, P> Kept<W, P> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn waiter(&self) -> WaiterId {
        WaiterId(self.waiters.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.common.clock
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.lock().session.snapshot()
    }

    pub(crate) fn visit(&self) -> Option<Visit> {
        self.lock().session.visit()
    }

    /// Returns an error if this thread may not wait for the session because it is inside an
    /// observer.
    pub(crate) fn may_wait(&self) -> Result<(), DriveError> {
        self.lock().under_way.as_ref().map_or(Ok(()), |at| at.outbox.not_here())
    }

    fn waiting(&self) -> Vec<WaiterId> {
        self.lock().under_way.iter().flat_map(|at| at.mail.keys().copied()).collect()
    }
}

/// Nobody is left who could give back the session's leases: others of this process wait for them.
impl<W, P> Drop for Kept<W, P> {
    fn drop(&mut self) {
        let leave = self.lock().session.leave();
        self.common.leave(leave);
    }
}

/// The steps that both loops do alike.
pub(crate) trait Driven: Loop {
    fn lock(&self) -> Guard<'_, Self> {
        self.kept().lock()
    }

    /// Returns true if this waiter is still to be settled.
    fn waits_for(&self, waiter: WaiterId) -> bool {
        self.lock().busy().is_some_and(|at| at.mail.contains_key(&waiter))
    }

    fn arrivals(self: &Arc<Self>) -> Arrivals {
        // Weak: a listener must not keep alive the session whose end closes it.
        let weak = Arc::downgrade(self);
        Arrivals::new(move |callback, page| {
            if let Some(this) = weak.upgrade() {
                let _dropped_with_its_page = this.offer(|outbox| outbox.arrival(callback, page));
            }
        })
    }

    fn cancel(self: &Arc<Self>) -> Result<(), DriveError> {
        let waiting = self.kept().waiting();
        waiting.into_iter().try_for_each(|waiter| self.offer(|_| Input::Cancel(waiter)))
    }

    fn close(&self) {
        let mut state = self.lock();
        let at = state.under_way();
        at.closed = true;
        at.workers.kick();
        let open = at.outbox.clear();
        drop(state);
        self.turned();
        drop(open);
    }

    /// A mailbox for a waiter.
    fn enter(&self, waiter: WaiterId, settle: Settle) -> Result<(), DriveError> {
        let mut state = self.lock();
        let at = state.under_way();
        at.outbox.not_here()?;
        at.mail.insert(waiter, settle);
        Ok(())
    }

    /// Hands in an input for which nobody here waits.
    fn offer(self: &Arc<Self>, input: impl FnOnce(&mut Outbox) -> Input) -> Result<(), DriveError> {
        self.step(input, false)
    }

    /// One input under the lock; whoever takes it need not be the one who does the work.
    fn step(
        self: &Arc<Self>,
        input: impl FnOnce(&mut Outbox) -> Input,
        attends: bool,
    ) -> Result<(), DriveError> {
        let mut state = self.lock();
        let env = self.kept().common.env()?;
        let input = input(&mut state.under_way().outbox);
        let effects = state.handle(input, env)?;
        self.turn(state, effects, attends);
        Ok(())
    }

    /// Performs the effects of a restored session.
    fn resume(self: &Arc<Self>, effects: Effects) {
        self.turn(self.lock(), effects, false);
    }

    fn turn(self: &Arc<Self>, mut state: Guard<'_, Self>, effects: Effects, attends: bool) {
        let waits = state.session.deadline().is_some();
        let at = state.under_way();
        let idle = !waits && at.queue.is_empty();
        let sorted = at.outbox.sort(effects, idle, &self.kept().published);
        at.queue.retain(|work| !sorted.abandoned.contains(&work.id()));
        at.queue.extend(sorted.work);
        let hands = self.call(&mut state, attends);
        state.rest();
        drop(state);
        self.turned();
        if sorted.speak {
            self.speak();
        }
        self.put_to_work(hands);
    }

    /// Says what there is to say, and settles in between, each word without the lock.
    fn speak(&self) {
        loop {
            let mut state = self.lock();
            match state.under_way().outbox.next_word() {
                None => {
                    state.rest();
                    drop(state);
                    // Threads that found nobody active but the speaker look again.
                    return self.turned();
                }
                Some(Word::Settle(settlement)) => {
                    let mail = state.under_way().mail.remove(&settlement.waiter);
                    drop(state);
                    if let Some(settle) = mail {
                        settle(Ok(settlement));
                        self.turned();
                    }
                }
                Some(word) => {
                    drop(state);
                    word.say(&*self.kept().common.observer);
                }
            }
        }
    }
}

impl<S: Loop> Driven for S {}
