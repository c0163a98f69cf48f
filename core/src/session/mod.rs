//! The only public machine: who waits, what runs for them, what is held and published.
//!
//! Decides the order of stages, who is settled with what, and what a refusal by the MCP server
//! means; refuses to decide anything about a document, a request or a store, which the stages do.

mod flow;
mod history;
pub(crate) mod lanes;
mod memory;
pub(crate) mod plan;
mod scopes;
mod snapshot;
mod waiters;

use core::fmt;
use std::sync::Arc;

use crate::config::Config;
use crate::effect::{Effects, Page, Purpose, Settlement, TicketId, Told};
use crate::entropy::{Draw, Entropy};
use crate::failure::{Failure, Kind, Misuse};
use crate::granted::Granted;
use crate::input::{Acquire, Answer, ArrivalId, Arrived, Callback, Challenge, Input};
use crate::input::{Value, WaiterId, is_refusal};
use crate::machine::Signal;
use crate::note::Note;
use crate::record::{Grant, Held};
use crate::scope::ScopeSet;
use crate::session::lanes::{Cause, Flow, Goal, Lane, Stage};
use crate::session::plan::{Standing, Start, Verdict, verdict};
use crate::session::snapshot::Body;
use crate::session::waiters::{Waiting, Want};
use crate::time::{Awaited, Deadline, Monotonic, Timestamp};
use crate::wire::authorize::{self, CallbackParams};
use crate::wire::challenge::read_challenge;
use crate::wire::url::ServerUrl;

pub use snapshot::{RestoreError, Snapshot};

/// Logins one caller may see succeed without being served by them.
const MOST_LOGINS: u8 = 3;

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

/// One MCP URL and account: everything that is known, held and under way for it.
///
/// A pure value: [`Session::handle`] takes what happened and gives back what is to be done. It
/// never blocks, never fails for the world's sake and never panics.
pub struct Session {
    config: Arc<Config>,
    body: Body,
    waiters: Vec<Waiting>,
    late: Vec<lanes::Late>,
}

/// Shows what it is for and what it waits for; what is held and the requests stay out.
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

/// The step under way: its time, its randomness, and what it has brought about so far.
pub(crate) struct Now {
    pub(crate) wall: Timestamp,
    pub(crate) mono: Monotonic,
    pub(crate) draw: Draw,
    pub(crate) out: Effects,
}

impl Now {
    fn note(&mut self, note: Note) {
        self.out.told.push(Told::Note(note));
    }
}

impl Session {
    /// A session that knows nothing yet. With a persistent configuration the first input makes it
    /// read the store.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        let body = Body::new(&config);
        Self { config, body, waiters: Vec::new(), late: Vec::new() }
    }

    /// Takes one input and gives back everything to be done about it, in order.
    ///
    /// # Errors
    /// [`Misuse`] if this input may not be given now; the state is unchanged. Correct the caller.
    pub fn handle(&mut self, input: Input, env: Env) -> Result<Effects, Misuse> {
        self.check(&input, &env)?;
        let mut now = self.enter(env);
        match input {
            Input::Acquire(acquire) => self.acquire(acquire),
            Input::Challenge(challenge) => self.challenge(challenge, &mut now),
            Input::Callback { arrival, callback } => self.callback(arrival, callback, &mut now),
            Input::Answer(answer) => self.answer(answer, &mut now),
            Input::Cancel(waiter) => self.cancel(waiter, &mut now),
            Input::Forget => self.forget(&mut now),
            Input::Wake => {}
        }
        self.expire(&mut now);
        self.settle(&mut now);
        Ok(now.out)
    }

    /// When to send [`Input::Wake`] if nothing else happens, and what is waited for; `None` if
    /// nothing is under way, and nothing is left that the store has refused.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        // What the store refused is offered to it again when its lane is free.
        let free = self.body.machine.is_none() && self.config.persistent;
        let again = free.then(|| self.body.memory.store_again(self.body.mono)).flatten();
        let again = again.map(|at| Deadline { at, reason: Awaited::Backoff });
        [&self.body.machine, &self.body.person]
            .into_iter()
            .flatten()
            .filter_map(|flow| flow.parking.as_ref())
            .map(|parking| Deadline { at: parking.until, reason: parking.awaited })
            .chain(again)
            .min_by_key(|deadline| deadline.at)
    }

    /// The grant that is published now.
    #[must_use]
    pub fn granted(&self) -> Option<&Arc<Granted>> {
        self.body.memory.published.as_ref()
    }

    /// The configuration this session was made with.
    #[must_use]
    pub const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// How many callers are not settled yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    fn check(&self, input: &Input, env: &Env) -> Result<(), Misuse> {
        if env.entropy.broken() || self.body.marks.contains(&env.entropy.mark()) {
            return Err(Misuse::EntropyRepeated);
        }
        if env.mono < self.body.mono {
            return Err(Misuse::ClockWentBack);
        }
        let waiter = match input {
            Input::Acquire(acquire) => Some(acquire.waiter),
            Input::Challenge(challenge) => {
                if !is_refusal(challenge.status, &challenge.headers) {
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

    fn enter(&mut self, env: Env) -> Now {
        self.body.enter(&env);
        Now {
            wall: env.wall,
            mono: env.mono,
            draw: Draw::new(env.entropy),
            out: Effects { told: Vec::with_capacity(8), work: Vec::new() },
        }
    }

    fn acquire(&mut self, acquire: Acquire) {
        let memory = &self.body.memory;
        // Who may ask a person wants a login; anybody else tries it, and the server decides.
        let useless =
            memory.useless.filter(|useless| acquire.may_ask && Some(*useless) == memory.current());
        let want = Want {
            cause: Cause::Asked,
            may_ask: acquire.may_ask,
            scopes: acquire.scopes.clone(),
            wanted: acquire.scopes,
            over: useless,
            since: memory.current(),
            again: false,
            logins: 0,
            pointer: None,
            challenged: None,
            operation: "".into(),
        };
        self.park(acquire.waiter, want);
    }

    fn park(&mut self, id: WaiterId, want: Want) {
        self.waiters.push(Waiting { id, want, lane: None });
    }

    /// A refusal by the MCP server: what kind of want it makes, or that nothing helps.
    fn challenge(&mut self, challenge: Challenge, now: &mut Now) {
        let current = self.body.memory.current();
        let read = read_challenge(&challenge.headers, false);
        if let Some(read) = &read {
            for (kind, rule) in read.faults() {
                let subject = "WWW-Authenticate".to_owned();
                now.note(Note::Dropped { kind, rule, subject });
            }
        }
        let insufficient = read.as_ref().is_some_and(|read| read.error_is("insufficient_scope"));
        let mut challenged = read.as_ref().and_then(|read| read.scopes()?.ok());
        if !self.config.refresh_tokens
            && let Some(scopes) = &mut challenged
            && scopes.contains("offline_access")
        {
            // Nobody wants the refresh token that it stands for (SCOPE-10, REF-15).
            *scopes = scopes::without_offline(scopes);
            let subject = "offline_access".to_owned();
            now.note(Note::Dropped { kind: Kind::LimitExceeded, rule: "SCOPE-10", subject });
        }
        let pointer = read.as_ref().and_then(|read| {
            let text = read.resource_metadata.as_ref()?.to_string();
            match ServerUrl::read(&text, "resource_metadata", &self.config.reach) {
                Ok(url) => Some(url),
                Err(failure) => {
                    let subject = failure.subject().unwrap_or_default().to_owned();
                    let (kind, rule) = (failure.kind(), failure.rule());
                    now.note(Note::Dropped { kind, rule, subject });
                    None
                }
            }
        });
        let outdated = challenge.epoch < current;
        if challenge.status == 401 && challenge.epoch.is_some() && !outdated {
            let memory = &mut self.body.memory;
            let token = memory.published.as_ref().map(|granted| granted.access_token().clone());
            memory.refused = token;
        }
        let cause = match challenge.status.as_u16() {
            401 => Cause::Refused,
            403 if insufficient => Cause::StepUp,
            _ => {
                let rule = if challenge.status == 403 { "STEP-11" } else { "STEP-14" };
                return self.refuse(challenge.waiter, Failure::new(Kind::Forbidden, rule), now);
            }
        };
        // The caller has had a fresh token for this very request, and it did not help (STEP-12).
        let again = cause == Cause::Refused && challenge.again && !outdated;
        if again {
            self.retire(now);
            if pointer.is_some() || !self.body.memory.may_have_moved() {
                return self.refuse(challenge.waiter, unhelped(), now);
            }
        }
        let mut want = Want {
            cause,
            may_ask: challenge.may_ask,
            scopes: ScopeSet::empty(),
            wanted: ScopeSet::empty(),
            over: challenge.epoch,
            since: challenge.epoch,
            again,
            logins: 0,
            pointer,
            challenged,
            operation: challenge.operation.into(),
        };
        if cause == Cause::StepUp {
            match self.step_up(&want, now.mono) {
                Ok(scopes) => want.scopes = scopes,
                // What it lacks has been asked for since, perhaps for somebody else.
                Err(_) if outdated => {}
                Err(failure) => return self.refuse(challenge.waiter, failure, now),
            }
        }
        self.park(challenge.waiter, want);
    }

    /// A fresh token was refused: from now on only those get it who ask the session.
    fn retire(&mut self, now: &mut Now) {
        let memory = &mut self.body.memory;
        if memory.useless != memory.current() {
            memory.useless = memory.current();
            memory.republish(&self.config);
            now.out.told.push(Told::Publish(memory.published.clone()));
        }
    }

    /// What a step-up must have asked for, or why there is none (STEP-07, STEP-08).
    fn step_up(&self, want: &Want, mono: Monotonic) -> Result<ScopeSet, Failure> {
        let scopes = want.challenged.clone().unwrap_or_default();
        let asked = self.body.memory.requested();
        let adds = match &want.challenged {
            Some(scopes) => asked.is_none_or(|asked| !asked.covers(scopes)),
            // The resource's own list may add something; that is known after discovery.
            None => true,
        };
        if !adds {
            let ineffective = self.body.history.stepped_up(&want.operation, &scopes, mono);
            let kind = if ineffective { Kind::StepUpIneffective } else { Kind::Forbidden };
            return Err(Failure::new(kind, "STEP-08"));
        }
        Ok(scopes)
    }

    fn refuse(&mut self, waiter: WaiterId, failure: Failure, now: &mut Now) {
        now.out.told.push(Told::Settle(Settlement {
            waiter,
            outcome: Err(Arc::new(failure)),
            unsaved: false,
        }));
    }

    /// Something reached the redirect URI. It is matched by `state` alone; what matches nothing is
    /// refused politely and changes nothing (ISS-04, ISS-05).
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
        if let Some(mut flow) = self.body.person.take() {
            flow.arrivals.push(arrival);
            self.run(Lane::Person, flow, Signal::Callback(params), now);
        }
        let waits = |flow: &Flow| matches!(flow.stage, Some(Stage::Authorization(_)));
        if !self.body.person.as_ref().is_some_and(waits) {
            self.body.spend(state);
        }
    }

    fn unmatched(&self, params: &CallbackParams) -> (Kind, &'static str) {
        let spent = params.state.as_ref().is_some_and(|state| self.body.spent.contains(state));
        if spent { (Kind::CallbackUsed, "ISS-05") } else { (Kind::StateMismatch, "ISS-04") }
    }

    fn answer(&mut self, answer: Answer, now: &mut Now) {
        let Answer { ticket, value } = answer;
        let signal = match value {
            Value::Reply(reply) => Signal::Reply(reply),
            Value::Bound(bound) => Signal::Bound(bound),
            Value::Stored(stored) => Signal::Stored(stored),
            Value::Signed(signature) => Signal::Signed(signature),
        };
        for lane in [Lane::Machine, Lane::Person] {
            if self.lane(lane).as_ref().is_some_and(|flow| flow.awaits(ticket))
                && let Some(flow) = self.lane(lane).take()
            {
                return self.run(lane, flow, signal, now);
            }
        }
        self.late(ticket, signal, now);
    }

    /// A caller no longer waits. A login nobody waits for any more is ended, unless it has sent
    /// something that cannot be had again; a refresh goes on in any case.
    fn cancel(&mut self, waiter: WaiterId, now: &mut Now) {
        let Some(at) = self.waiters.iter().position(|waiting| waiting.id == waiter) else {
            return;
        };
        let lane = self.waiters.remove(at).lane;
        // A login that was restored has no callers yet: only its last one can end it.
        let last =
            lane == Some(Lane::Person) && !self.waiters.iter().any(|waiting| waiting.lane == lane);
        if last && let Some(flow) = self.body.person.take_if(|flow| !flow.spending()) {
            let failure = Failure::new(Kind::Cancelled, "HOST-195");
            self.end(Lane::Person, flow, Err(failure), now);
        }
        if last && let Some(flow) = &mut self.body.person {
            flow.orphaned = true;
        }
        self.refuse(waiter, Failure::new(Kind::Cancelled, "HOST-195"), now);
    }

    /// Log-out: nothing that is still out can bring the grant back (HOST-242).
    fn forget(&mut self, now: &mut Now) {
        // Whatever may be in the store by now, or get there yet.
        let mut lost = Vec::new();
        for lane in [Lane::Person, Lane::Machine] {
            // A log-out that is under way goes on.
            let other = |flow: &mut Flow| !matches!(flow.goal, Goal::Forget);
            if let Some(flow) = self.lane(lane).take_if(other) {
                lost.extend(flow.grants());
                let failure = Failure::new(Kind::Cancelled, "HOST-242");
                self.end(lane, flow, Err(failure), now);
            }
        }
        self.late.clear();
        let memory = &mut self.body.memory;
        let had = memory.published.take().is_some();
        lost.extend(memory.grant.take());
        memory.unsaved = false;
        if had {
            now.out.told.push(Told::Publish(None));
        }
        // What the store has is dropped too, even if nobody has read it yet.
        if self.config.persistent {
            let under_way = self.body.machine.is_some();
            for held in lost {
                memory.must_forget(emptied(held), under_way);
            }
            memory.forget_found |= !memory.recalled;
            memory.forget_after = None;
            self.forget_again(now);
        }
    }

    /// A log-out is tried until it has reached the store.
    fn forget_again(&mut self, now: &mut Now) {
        let memory = &mut self.body.memory;
        if self.body.machine.is_none() && memory.to_be_forgotten(now.mono) {
            memory.postpone_forget(now.mono);
            let mut flow = Flow::new(Goal::Forget);
            flow.ground.minted = memory.to_forget.first().cloned();
            flow.ground.looked = flow.ground.minted.is_some();
            self.launch(Lane::Machine, flow, now);
        }
    }

    /// Gives every flow whose deadline has come its signal.
    fn expire(&mut self, now: &mut Now) {
        for lane in [Lane::Machine, Lane::Person] {
            let due = |flow: &mut Flow| {
                flow.parking.as_ref().is_some_and(|parking| parking.until <= now.mono)
            };
            if let Some(flow) = self.lane(lane).take_if(due) {
                self.give_up(&flow, now);
                self.run(lane, flow, Signal::Expired, now);
            }
        }
    }

    /// Settles whom it can and starts what the others need, until nothing changes.
    fn settle(&mut self, now: &mut Now) {
        let mut at = 0;
        while let Some(waiting) = self.waiters.get(at) {
            match verdict(waiting.want.wish(), self.standing(&waiting.want, now)) {
                Verdict::Use => {
                    let id = waiting.id;
                    self.waiters.remove(at);
                    self.grant(id, now);
                }
                Verdict::Fail(kind, rule) => {
                    let id = waiting.id;
                    self.waiters.remove(at);
                    self.refuse(id, Failure::new(kind, rule), now);
                }
                Verdict::Await(lane, start) => {
                    // Logins that succeed and never cover the want would follow each other for ever.
                    if lane == Lane::Person && waiting.want.logins >= MOST_LOGINS {
                        let id = waiting.id;
                        self.waiters.remove(at);
                        self.refuse(id, Failure::new(Kind::StepUpLimit, "STEP-09"), now);
                        continue;
                    }
                    if self.free(lane) {
                        let id = waiting.id;
                        let goal = match start {
                            Start::Recall => Goal::Recall,
                            Start::Refresh => Goal::Refresh(waiting.want.refresh()),
                            Start::Relist => Goal::Relist,
                            Start::Login => Goal::Login(waiting.want.login()),
                        };
                        if let Err(failure) = self.may_start(&goal, now.mono) {
                            self.waiters.remove(at);
                            self.refuse(id, failure, now);
                            continue;
                        }
                        self.join(at, lane);
                        // A flow that ends at once changes everybody's verdict.
                        let ended = self.start(lane, goal, now);
                        at = if ended { 0 } else { at.saturating_add(1) };
                    } else {
                        self.join(at, lane);
                        at = at.saturating_add(1);
                    }
                }
            }
        }
        self.forget_again(now);
        self.save_again(now);
        self.refresh_ahead(now);
    }

    const fn free(&self, lane: Lane) -> bool {
        match lane {
            Lane::Machine => self.body.machine.is_none(),
            Lane::Person => self.body.person.is_none(),
        }
    }

    fn join(&mut self, at: usize, lane: Lane) {
        if let Some(waiting) = self.waiters.get_mut(at) {
            waiting.lane = Some(lane);
        }
        if lane == Lane::Person
            && let Some(flow) = &mut self.body.person
        {
            flow.orphaned = false;
        }
    }

    /// A step-up is counted when it starts, and not again for those who join it.
    fn may_start(&mut self, goal: &Goal, mono: Monotonic) -> Result<(), Failure> {
        match goal {
            Goal::Login(login) if login.cause == Cause::StepUp => {
                let scopes = login.challenged.clone().unwrap_or_default();
                self.body.history.may_step_up(&login.operation, &scopes, mono)
            }
            _ => Ok(()),
        }
    }

    fn grant(&mut self, waiter: WaiterId, now: &mut Now) {
        let memory = &self.body.memory;
        let outcome = match &memory.published {
            Some(granted) => Ok(Arc::clone(granted)),
            None => Err(Arc::new(Failure::new(Kind::ReauthorizationRequired, "STEP-12"))),
        };
        let unsaved = memory.unsaved;
        now.out.told.push(Told::Settle(Settlement { waiter, outcome, unsaved }));
    }

    fn standing(&self, want: &Want, now: &Now) -> Standing {
        let memory = &self.body.memory;
        let granted = memory.published.as_ref();
        // While a login at another issuer is under way, what is held is for the old one (BIND-06).
        let moved =
            self.body.person.as_ref().is_some_and(|flow| flow.ground.previous_issuer.is_some());
        // A refresh has just been tried for this token, and what it brought was refused.
        let useless = want.cause == Cause::Asked && want.over.is_some();
        Standing {
            recalled: memory.recalled || !self.config.persistent,
            current: memory.current(),
            live: granted.is_some_and(|granted| !granted.life().over(now.wall, now.mono)),
            covers: memory.requested().is_some_and(|asked| asked.covers(&want.scopes))
                || want.scopes.is_empty(),
            refreshable: !moved && !useless && memory.refreshable(&self.config, now.wall, now.mono),
            rested: memory.rested(now.mono),
            moved: moved || memory.moved_lately(now.mono),
            minted: memory.newly_minted(now.mono),
        }
    }

    /// Starts a refresh ahead of time; callers keep using the live token meanwhile.
    fn refresh_ahead(&mut self, now: &mut Now) {
        let memory = &self.body.memory;
        if self.body.machine.is_none()
            && memory.ageing(now.wall, now.mono)
            && memory.rested(now.mono)
            && memory.refreshable(&self.config, now.wall, now.mono)
        {
            self.start(Lane::Machine, Goal::Refresh(lanes::RefreshGoal::default()), now);
        }
    }

    /// A record that the store refused is offered to it again while the process lives (HOST-229).
    fn save_again(&mut self, now: &mut Now) {
        let memory = &mut self.body.memory;
        if self.body.machine.is_none()
            && memory.to_be_saved(now.mono)
            && let Some(held) = memory.grant.clone()
        {
            memory.postpone_save(now.mono);
            let binding = memory.binding.clone();
            let over = memory.over.clone();
            self.keep(held, over, binding, now);
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut Option<Flow> {
        match lane {
            Lane::Machine => &mut self.body.machine,
            Lane::Person => &mut self.body.person,
        }
    }

    /// Remembers a token request that is given up, so that its late answer is not lost (TOK-04).
    fn give_up(&mut self, flow: &Flow, now: &mut Now) {
        // During a pause nothing is out: what came before it was answered, or given up then.
        let out = flow.parking.as_ref().filter(|parking| parking.awaited != Awaited::Backoff);
        let Some(ticket) = out.and_then(|parking| parking.ticket) else {
            return;
        };
        now.out.told.push(Told::Abandon(ticket));
        self.await_late(flow, ticket, self.body.memory.epoch);
    }

    /// `epoch` is that of the newest grant that its answer is newer than.
    fn await_late(&mut self, flow: &Flow, ticket: TicketId, epoch: u64) {
        if let Some(Stage::Token(_)) = &flow.stage
            && let Some(template) = self.template(flow)
        {
            let login = matches!(flow.goal, Goal::Login(_));
            let purpose = if login { Purpose::CodeExchange } else { Purpose::Refresh };
            const MOST_LATE: usize = 4;
            if self.late.len() >= MOST_LATE {
                self.late.remove(0);
            }
            let binding = self.binding(flow);
            let logins = self.body.memory.logins;
            self.late.push(lanes::Late { ticket, purpose, template, binding, logins, epoch });
        }
    }

    fn template(&self, flow: &Flow) -> Option<crate::record::Grant> {
        match flow.goal {
            Goal::Login(_) => self.login_template(flow),
            _ => self.body.memory.grant.as_ref().map(|held| held.value.clone()),
        }
    }

    fn late(&mut self, ticket: TicketId, signal: Signal, now: &mut Now) {
        let at = self.late.iter().position(|late| late.ticket == ticket);
        let Some(late) = at.map(|at| self.late.remove(at)) else {
            return now.note(Note::Late { kept: false });
        };
        // The refresh it belongs to is still being tried: it ends with this answer, if the answer
        // brought something. An error may be about a token that the attempt after it replaces.
        let tried = |flow: &mut Flow| {
            late.purpose == Purpose::Refresh && matches!(flow.stage, Some(Stage::Token(_)))
        };
        if !self.passed(&late)
            && self.came_late(&late, &signal, now).is_some()
            && let Some(mut flow) = self.body.machine.take_if(tried)
        {
            if let Some(ticket) = flow.parking.take().and_then(|parking| parking.ticket) {
                now.out.told.push(Told::Abandon(ticket));
                // It was sent later, so what it brings is newer than what this answer brings.
                self.await_late(&flow, ticket, self.body.memory.epoch.saturating_add(1));
            }
            return self.run(Lane::Machine, flow, signal, now);
        }
        let kept = self.adopt_late(late, &signal, now);
        now.note(Note::Late { kept });
    }
}

/// A grant without its tokens, as it is kept after a log-out.
fn emptied(mut held: Held<Grant>) -> Held<Grant> {
    held.value.access_token = None;
    held.value.refresh_token = None;
    held.value.rejected = true;
    held
}

/// A fresh token did not help; what could be tried by machines has been (STEP-12).
fn unhelped() -> Failure {
    Failure::new(Kind::UnauthorizedAfterRefresh, "STEP-12")
}

fn stray(arrival: ArrivalId, kind: Kind, rule: &'static str, now: &mut Now) {
    now.note(Note::Stray { kind, rule });
    now.out.told.push(Told::Page { arrival, page: Page::Refused(kind) });
}
