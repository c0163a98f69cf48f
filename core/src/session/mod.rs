//! The only public machine: the callers that wait, the flows that run for them, and the grant that
//! is held and published.
//!
//! It decides the order of stages, the outcome for each caller, and the meaning of a refusal by the
//! MCP server. It decides nothing about a document, a request or a store: the stages do.
//!
//! | file | holds |
//! | --- | --- |
//! | `mod` | the one entry: inputs in, effects out |
//! | `plan` | two pure choices: the answer to one caller, the next chore of a free lane |
//! | `settle`, `refusal`, `waiters` | the callers that wait, and the meaning of a refusal |
//! | `lanes`, `flow`, `ending` | the two lanes: how a flow is run, and how it ends |
//! | `login`, `asks`, `enrolment`, `scopes` | the events and the requests of a login |
//! | `renewal`, `tokens` | the events and the requests of a refresh; the grant of an answer |
//! | `errands` | the events and the requests of the small flows |
//! | `remembered`, `memory` | the session's memory, and its one writer |
//! | `custody` | whether the store has the newest tokens |
//! | `saving`, `late` | the outcome of writes, and answers that come too late |
//! | `log_out`, `farewell`, `parting` | grants that are dropped, given back and removed |
//! | `giving_back`, `owed` | leases and intents that are given back to the store |
//! | `history`, `hints`, `recent` | pages that were shown, hints on failures, repeated values |
//! | `body`, `snapshot` | everything but the callers; stopping and going on |

mod asks;
mod body;
mod custody;
mod ending;
mod enrolment;
mod errands;
mod farewell;
mod flow;
mod giving_back;
mod hints;
mod history;
pub(crate) mod lanes;
mod late;
mod log_out;
mod login;
mod memory;
mod owed;
mod parting;
pub(crate) mod plan;
mod recent;
mod refusal;
mod remembered;
mod renewal;
mod saving;
mod scopes;
mod settle;
mod snapshot;
mod tokens;
mod waiters;

use core::fmt;
use std::sync::Arc;

use crate::config::Config;
use crate::effect::{Effects, Holder, Page, Settlement, StoreRequest, TicketId, Told, Visit};
use crate::entropy::{Draw, Entropy};
use crate::failure::{Failure, Kind, Misuse};
use crate::flow::login::Cause;
use crate::granted::Granted;
use crate::input::{Acquire, Answer, ArrivalId, Arrived, Callback, Had, Input};
use crate::input::{Value, WaiterId, is_refusal};
use crate::machine::Signal;
use crate::note::Note;
use crate::rare::Rare;
use crate::session::body::Body;
use crate::session::lanes::{Flow, Lane};
use crate::session::owed::Owed;
use crate::session::waiters::{Named, Waiting, Want};
use crate::stage::Stage;
use crate::time::{Awaited, Deadline, Monotonic, Timestamp};
use crate::wire::authorize::{self, CallbackParams};

pub(crate) use recent::stands_for;
pub use snapshot::{RestoreError, Snapshot};

/// The time and the randomness of one step.
#[derive(Debug)]
pub struct Env {
    /// The wall clock.
    pub wall: Timestamp,
    /// A clock that never goes back.
    pub mono: Monotonic,
    /// Fresh random bytes.
    pub entropy: Entropy,
}

/// One MCP URL and account, with everything that is known, held and under way for it.
///
/// It is a pure value: [`Session::handle`] takes an event and gives back the effects to carry out.
/// It never blocks and never panics. It fails only if its caller misuses it.
pub struct Session {
    /// The host's configuration.
    config: Arc<Config>,
    body: Body,
    /// The callers that are not settled yet.
    waiters: Rare<Vec<Waiting>>,
    /// Token requests that were given up, and whose answers may come late.
    late: Rare<Vec<lanes::Late>>,
    /// The name under which this session takes leases in this process, once it has taken one.
    holder: Option<Holder>,
    /// Leases and intents that are to be given back to the store.
    owed: Rare<Owed>,
}

/// Shows the configuration, the published grant and the deadline. Secrets and requests stay out.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("config", &self.config)
            .field("granted", &self.body.memory.published)
            .field("deadline", &self.deadline())
            .field("waiting", &self.waiters.len())
            .finish_non_exhaustive()
    }
}

/// The step under way: its time, its randomness, and its effects so far.
pub(crate) struct Now {
    /// The number of stages that it has moved.
    steps: u32,
    pub(crate) wall: Timestamp,
    pub(crate) mono: Monotonic,
    /// The source of its random bytes.
    pub(crate) draw: Draw,
    /// The effects that it has brought about.
    pub(crate) out: Effects,
}

/// The most stages that one input may move. No input is known to move more than a few dozen. A
/// state in which stages would follow each other for ever is a bug of ours, and must not take the
/// program with it.
const MOST_STEPS: u32 = 1_000;

impl Now {
    /// Counts a stage, and returns true if it may be moved in this step (STEP-16).
    pub(crate) const fn may_step(&mut self) -> bool {
        self.steps = self.steps.saturating_add(1);
        self.steps <= MOST_STEPS
    }

    fn note(&mut self, note: Note) {
        self.out.told.push(Told::Note(note));
    }
}

impl Session {
    /// A session that knows nothing yet. With a persistent configuration the first input makes it
    /// read the store.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        Self::with(config, Body::new())
    }

    /// A session with this body, and without callers.
    fn with(config: Arc<Config>, body: Body) -> Self {
        let (waiters, late, owed) = (Rare::default(), Rare::default(), Rare::default());
        Self { config, body, waiters, late, holder: None, owed }
    }

    /// Takes one input and gives back everything to be done about it, in order.
    ///
    /// # Errors
    /// [`Misuse`] if this input may not be given now; the state is unchanged. Correct the caller.
    pub fn handle(&mut self, input: Input, env: Env) -> Result<Effects, Misuse> {
        self.check(&input, &env)?;
        let mut now = self.enter(env);
        match input {
            Input::Acquire(acquire) => self.acquire(acquire, Cause::Asked, &now),
            Input::LogIn(acquire) => self.acquire(acquire, Cause::Named, &now),
            Input::Challenge(challenge) => self.challenge(challenge, &mut now),
            Input::Callback { arrival, callback } => self.callback(arrival, callback, &mut now),
            Input::Unshown(visit) => self.unshown(&visit, &mut now),
            Input::Answer(answer) => self.answer(answer, &mut now),
            Input::Cancel(waiter) => self.cancel(waiter, &mut now),
            Input::Forget => self.forget(&mut now),
            Input::Wake => {}
        }
        self.expire(&mut now);
        self.settle(&mut now);
        self.tidy();
        Ok(now.out)
    }

    /// The time at which to send [`Input::Wake`] if nothing else happens, and the reason to wait.
    /// `None` if nothing is under way, and nothing is left to be done later.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        let chore = self.chore_due().map(|at| Deadline { at, reason: Awaited::Backoff });
        [&self.body.background, &self.body.person]
            .into_iter()
            .flatten()
            .filter_map(|flow| flow.parking.as_ref())
            .map(|parking| Deadline { at: parking.until, reason: parking.awaited })
            .chain(chore)
            .min_by_key(|deadline| deadline.at)
    }

    /// The grant that is published now.
    #[must_use]
    pub fn granted(&self) -> Option<&Arc<Granted>> {
        self.body.memory.published.as_ref()
    }

    /// The page that a person is asked to visit now, for callers that come after it was opened;
    /// marked as reissued. `None` if no login waits for a callback.
    #[must_use]
    pub fn visit(&self) -> Option<Visit> {
        match &self.body.person.as_ref()?.stage {
            Some(Stage::Authorization(authorization)) => authorization.page(&self.config),
            _ => None,
        }
    }

    /// The configuration this session was made with.
    #[must_use]
    pub const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The request that ends this session's leases at the store, for a session that is dropped in a
    /// process that lives on. `None` if the session never asked for a lease. Where the process
    /// ends, the store knows.
    #[must_use]
    pub fn leave(&self) -> Option<StoreRequest> {
        self.holder.map(|holder| StoreRequest::Leave { holder })
    }

    /// How many callers are not settled yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// Checks that this input may be given now.
    fn check(&self, input: &Input, env: &Env) -> Result<(), Misuse> {
        if env.entropy.broken() || self.body.marks.contains(env.entropy.mark()) {
            return Err(Misuse::EntropyRepeated);
        }
        // An answer comes only once. One whose time was read before its turn came is taken all the
        // same.
        if env.mono < self.body.mono && !matches!(input, Input::Answer(_)) {
            return Err(Misuse::ClockWentBack);
        }
        let waiter = match input {
            Input::Acquire(acquire) | Input::LogIn(acquire) => Some(acquire.waiter),
            Input::Challenge(challenge) => {
                if !is_refusal(challenge.refusal.status, &challenge.refusal.headers) {
                    return Err(Misuse::NotARefusal);
                }
                Some(challenge.waiter)
            }
            _ => None,
        };
        if waiter.is_some_and(|id| self.waiters.iter().any(|waiting| waiting.id == id)) {
            return Err(Misuse::WaiterInUse);
        }
        Ok(())
    }

    /// Begins a step.
    fn enter(&mut self, env: Env) -> Now {
        self.body.enter(env.wall, env.mono, env.entropy.mark());
        Now {
            steps: 0,
            wall: env.wall,
            mono: self.body.mono,
            draw: Draw::new(env.entropy),
            out: Effects { told: Vec::with_capacity(8), work: Vec::new() },
        }
    }

    /// Frees the parts that a step has emptied.
    fn tidy(&mut self) {
        self.body.tidy();
        self.waiters.tidy();
        self.late.tidy();
        self.owed.tidy();
    }

    /// A caller asks for a grant, or for a login.
    fn acquire(&mut self, acquire: Acquire, cause: Cause, now: &Now) {
        let memory = &self.body.memory;
        // A refresh did not help, or no refresh is possible.
        let useless = (memory.learnt.useless.is_some()
            && memory.learnt.useless == memory.current())
            || (memory.brought_back() && !memory.refreshable(&self.config, now.wall, now.mono));
        // A caller that may ask a person wants a login. Any other caller tries the token, and the
        // server decides.
        let newer_than = memory.current().filter(|_| acquire.may_ask && useless);
        let want = Want {
            cause,
            may_ask: acquire.may_ask,
            scopes: acquire.scopes.clone(),
            wanted: acquire.scopes,
            newer_than,
            since: memory.current(),
            had: Had::default(),
            flows: 0,
            logins: 0,
            again: false,
            reads: memory.reads,
            pointer: None,
            challenged: None,
            named: Named::default(),
            operation: "".into(),
        };
        self.park(acquire.waiter, want);
    }

    /// Adds a caller to those that wait.
    fn park(&mut self, id: WaiterId, want: Want) {
        self.waiters.push(Waiting { id, want, lane: None });
    }

    /// Settles a caller with a failure.
    fn refuse(&mut self, waiter: WaiterId, failure: Failure, now: &mut Now) {
        now.out.told.push(Told::Settle(Settlement {
            waiter,
            outcome: Err(Arc::new(failure)),
            unsaved: false,
            had: Had::default(),
        }));
    }

    /// A callback has reached the redirect URI. It is matched by `state` alone. A callback that
    /// matches nothing is refused politely and changes nothing (ISS-04, ISS-05).
    fn callback(&mut self, arrival: ArrivalId, callback: Callback, now: &mut Now) {
        let (params, bare) = match callback.0 {
            Arrived::Query(text) => (authorize::read_callback(text.expose()), false),
            Arrived::BareCode(_) if self.config.strict() => {
                return stray(arrival, Kind::CallbackMalformed, "D11", now);
            }
            Arrived::BareCode(code) => (CallbackParams::bare_code(code), true),
        };
        let Some(Stage::Authorization(waiting)) =
            self.body.person.as_ref().and_then(|flow| flow.stage.as_ref())
        else {
            let (kind, rule) = self.unmatched(&params);
            return stray(arrival, kind, rule, now);
        };
        let ours = match &params.state {
            Some(state) => waiting.awaits(state),
            None if bare && !waiting.takes_bare_code() => {
                return stray(arrival, Kind::IssMissing, "D11", now);
            }
            None => bare,
        };
        if !ours {
            let (kind, rule) = self.unmatched(&params);
            return stray(arrival, kind, rule, now);
        }
        let state = params.state.clone();
        let parties = waiting.parties(&self.config);
        if let Some(mut flow) = self.body.person.take() {
            flow.arrivals.push((arrival, parties));
            self.run(Lane::Person, flow, Signal::Callback(params), now);
        }
        let waits = |flow: &Flow| matches!(flow.stage, Some(Stage::Authorization(_)));
        if !self.body.person.as_ref().is_some_and(|flow| waits(flow)) {
            self.body.spend(state.as_ref());
        }
    }

    /// Nobody has seen this page, and nobody will. A page at which no login waits now is an earlier
    /// login's.
    fn unshown(&mut self, visit: &Visit, now: &mut Now) {
        let waits = self.visit().is_some_and(|at| at.url == visit.url);
        if waits && let Some(flow) = self.body.person.take() {
            self.run(Lane::Person, flow, Signal::Unshown, now);
        }
    }

    /// The kind and rule of a callback that matches no login: its `state` was spent, or is unknown.
    fn unmatched(&self, params: &CallbackParams) -> (Kind, &'static str) {
        let spent = params.state.as_ref().is_some_and(|state| self.body.has_spent(state));
        if spent { (Kind::CallbackUsed, "ISS-05") } else { (Kind::StateMismatch, "ISS-04") }
    }

    /// Returns true if the answer to this work may bring tokens, so that each part of the answer
    /// counts.
    fn spends(&self, ticket: TicketId) -> bool {
        let spends =
            |flow: &Flow| flow.awaits(ticket) && matches!(flow.stage, Some(Stage::Token(_)));
        let flows = [&self.body.background, &self.body.person];
        self.late.iter().any(|late| late.ticket == ticket)
            || flows.into_iter().flatten().any(|flow| spends(flow))
    }

    /// Gives an answer to the flow that waits for it, or takes it in as a late one.
    fn answer(&mut self, answer: Answer, now: &mut Now) {
        let Answer { ticket, value, proxy } = answer;
        if let (Value::Reply(_), Some(proxy)) = (&value, &proxy) {
            self.went_through(proxy, now);
        }
        let signal = match value {
            Value::Reply(reply) if self.spends(ticket) => Signal::Reply(reply),
            Value::Reply(reply) => Signal::Reply(reply.whole()),
            Value::Bound(bound) => Signal::Bound(bound),
            Value::Stored(stored) => Signal::Stored(stored),
            Value::Signed(signature) => Signal::Signed(signature),
        };
        for lane in [Lane::Background, Lane::Person] {
            if self.lane(lane).as_ref().is_some_and(|flow| flow.awaits(ticket))
                && let Some(flow) = self.lane(lane).take()
            {
                return self.run(lane, flow, signal, now);
            }
        }
        self.late(ticket, signal, now);
    }

    /// A caller no longer waits. A login that nobody waits for any more is ended, unless it has
    /// sent something that cannot be had again. A refresh goes on in any case.
    fn cancel(&mut self, waiter: WaiterId, now: &mut Now) {
        let Some(at) = self.waiters.iter().position(|waiting| waiting.id == waiter) else {
            return;
        };
        let lane = self.waiters.remove(at).lane;
        // A login that was restored has no callers yet: only its last one can end it.
        let last =
            lane == Some(Lane::Person) && !self.waiters.iter().any(|waiting| waiting.lane == lane);
        if last && let Some(flow) = self.body.person.take_if(|flow| !flow.spends()) {
            let failure = Failure::new(Kind::Cancelled, "HOST-195");
            self.stop(Lane::Person, flow, failure, now);
        }
        if last && let Some(flow) = &mut self.body.person {
            flow.orphaned = true;
        }
        self.refuse(waiter, Failure::new(Kind::Cancelled, "HOST-195"), now);
    }

    /// Gives every flow whose deadline has come its signal.
    fn expire(&mut self, now: &mut Now) {
        for lane in [Lane::Background, Lane::Person] {
            let due = |flow: &mut Box<Flow>| {
                flow.parking.as_ref().is_some_and(|parking| parking.until <= now.mono)
            };
            if let Some(flow) = self.lane(lane).take_if(due) {
                self.give_up(&flow, now);
                self.run(lane, flow, Signal::Expired, now);
            }
        }
    }

    /// The place of the flow in this lane.
    fn lane(&mut self, lane: Lane) -> &mut Option<Box<Flow>> {
        match lane {
            Lane::Background => &mut self.body.background,
            Lane::Person => &mut self.body.person,
        }
    }
}

/// Refuses a callback that belongs to no login.
fn stray(arrival: ArrivalId, kind: Kind, rule: &'static str, now: &mut Now) {
    now.note(Note::Stray { kind, rule });
    now.out.told.push(Told::Page { arrival, page: Page::Refused(kind) });
}
