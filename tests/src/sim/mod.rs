//! The simulator: the core under a virtual clock with scripted randomness, against the server model
//! or against answers a script gives by hand. No sockets, no sleeping.
//!
//! Every script can be run a second time with a restart after each step: the session is written
//! out, read back and taken up again, its callers ask anew, and the script must pass all the same.

mod script;
mod store;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use mcp_authz_core::config::ConfigBuilder;
use mcp_authz_core::effect::{
    Bound, Call, Forgotten, Listen, Page, Purpose, RecordKind, Reply, Settlement, StoreOp,
    StoreRequest, Stored, Ticket, TicketId, Told, Visit, Work,
};
use mcp_authz_core::entropy::Entropy;
use mcp_authz_core::failure::Misuse;
use mcp_authz_core::input::{
    Acquire, ArrivalId, Callback, Challenge, Epoch, Had, Refusal, WaiterId,
};
use mcp_authz_core::note::{Edge, Note};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::{Env, Session, Snapshot};
use mcp_authz_core::time::{Awaited, Monotonic, Timestamp};
use mcp_authz_core::{Config, Effects, Granted, Input};
use sha2::{Digest, Sha256};

pub use script::{Asked, Visited};
pub use store::Store;

use crate::model::{Model, Settings};

/// The wall clock when a script begins: 2026-08-01T00:00:00Z.
pub const BEGINNING: i64 = 1_785_542_400;

/// Is shown all that the sessions of a simulator are given and do.
pub trait Witness {
    /// A session begins.
    fn begin(&mut self, config: &Config);
    /// It is given an input.
    fn given(&mut self, env: &Env, input: &Input);
    /// It goes on where a snapshot was taken.
    fn restored(&mut self, env: &Env, from: &Snapshot);
    /// These are the effects.
    fn done(&mut self, effects: &Effects);
}

/// Makes a witness for each simulator.
type Witnesses = Box<dyn Fn() -> Box<dyn Witness>>;

thread_local! {
    static WITNESSES: RefCell<Option<Witnesses>> = const { RefCell::new(None) };
}

/// Shows all simulators that begin in `run` to witnesses.
pub fn witnessed<T>(
    witnesses: impl Fn() -> Box<dyn Witness> + 'static,
    run: impl FnOnce() -> T,
) -> T {
    WITNESSES.set(Some(Box::new(witnesses)));
    let done = run();
    WITNESSES.set(None);
    done
}

/// Whoever looks, if anybody does.
struct Watched(Option<Box<dyn Witness>>);

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watched({})", self.0.is_some())
    }
}

impl Watched {
    fn new(config: &Config) -> Self {
        let witness = WITNESSES.with_borrow(|witnesses| witnesses.as_ref().map(|make| make()));
        let mut watched = Self(witness);
        watched.show(|witness| witness.begin(config));
        watched
    }

    fn show(&mut self, what: impl FnOnce(&mut dyn Witness)) {
        if let Some(witness) = &mut self.0 {
            what(&mut **witness);
        }
    }
}

/// One session, its clock, its peers and everything it has done so far.
#[derive(Debug)]
pub struct Sim {
    config: Arc<Config>,
    session: Session,
    /// Milliseconds since the script began.
    now: u64,
    wall_shift: i64,
    drawn: u64,
    model: Option<Model>,
    store: Store,
    restarts: bool,
    calls: VecDeque<(TicketId, Call)>,
    visits: VecDeque<Visit>,
    pages: VecDeque<(ArrivalId, Page)>,
    listening: BTreeMap<TicketId, u16>,
    no_listener: Option<Bound>,
    /// The port that whoever asks for any gets; each process another one.
    free_port: u16,
    taken_port: Option<u16>,
    silent_listener: bool,
    unsettled: BTreeMap<WaiterId, Asking>,
    settled: BTreeMap<WaiterId, Settlement>,
    settled_twice: BTreeSet<WaiterId>,
    /// The settlements that the caller that was settled last has had.
    had: Had,
    accepted: Option<Epoch>,
    published: Option<Arc<Granted>>,
    next_waiter: u64,
    next_arrival: u64,
    notes: Vec<Note>,
    requests: Vec<String>,
    forgotten: Vec<Forgotten>,
    delaying: Option<RecordKind>,
    delayed: VecDeque<(StoreRequest, Ticket<Stored>)>,
    watched: Watched,
}

/// The request of an unsettled caller, so that it can ask anew after a restart.
#[derive(Clone, Debug)]
enum Asking {
    Acquire(Acquire),
    LogIn(Acquire),
    Challenge(Challenge),
}

impl Asking {
    fn input(&self) -> Input {
        match self {
            Self::Acquire(acquire) => Input::Acquire(acquire.clone()),
            Self::LogIn(acquire) => Input::LogIn(acquire.clone()),
            Self::Challenge(challenge) => Input::Challenge(challenge.clone()),
        }
    }
}

impl Sim {
    /// A session whose peers' answers the script gives by hand.
    ///
    /// # Panics
    /// If the configuration is refused.
    #[must_use]
    pub fn by_hand(configure: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Self {
        let builder = Config::builder("https://mcp.example/mcp");
        Self::new(configure(builder), None)
    }

    /// A session against the server model.
    ///
    /// # Panics
    /// If the configuration is refused.
    #[must_use]
    pub fn against(
        settings: Settings,
        configure: impl FnOnce(ConfigBuilder) -> ConfigBuilder,
    ) -> Self {
        let builder = Config::builder(&settings.mcp_url);
        Self::new(configure(builder), Some(Model::new(settings)))
    }

    fn new(builder: ConfigBuilder, model: Option<Model>) -> Self {
        let config = builder.build().expect("the script's configuration is valid");
        Self {
            session: Session::new(Arc::clone(&config)),
            watched: Watched::new(&config),
            config,
            now: 0,
            wall_shift: 0,
            drawn: 0,
            model,
            store: Store::default(),
            restarts: false,
            calls: VecDeque::new(),
            visits: VecDeque::new(),
            pages: VecDeque::new(),
            listening: BTreeMap::new(),
            no_listener: None,
            free_port: 51_000,
            taken_port: None,
            silent_listener: false,
            unsettled: BTreeMap::new(),
            settled: BTreeMap::new(),
            settled_twice: BTreeSet::new(),
            had: Had::default(),
            accepted: None,
            published: None,
            next_waiter: 1,
            next_arrival: 1,
            notes: Vec::new(),
            requests: Vec::new(),
            forgotten: Vec::new(),
            delaying: None,
            delayed: VecDeque::new(),
        }
    }

    /// Restarts the session after each step from here on.
    pub const fn restart_after_each_step(&mut self) {
        self.restarts = true;
    }

    /// Returns true if the script runs with restarts.
    #[must_use]
    pub const fn restarting(&self) -> bool {
        self.restarts
    }

    /// A new process: the session is gone, callers and all; the store and the peers remain.
    pub fn new_process(&mut self, configure: impl FnOnce(ConfigBuilder) -> ConfigBuilder) {
        let builder = configure(Config::builder(self.config.mcp_url()));
        self.config = builder.build().expect("the script's configuration is valid");
        self.session = Session::new(Arc::clone(&self.config));
        self.watched.show(|witness| witness.begin(&self.config));
        self.free_port = self.free_port.wrapping_add(1);
        self.store.kill_ours();
        self.calls.clear();
        self.visits.clear();
        self.listening.clear();
        self.unsettled.clear();
        self.published = None;
        self.accepted = None;
    }

    /// Draws its random bytes from another place on, so that two simulators do not draw the same.
    pub const fn draw_from(&mut self, place: u64) {
        self.drawn = place;
    }

    /// The server model.
    ///
    /// # Panics
    /// If the script gives answers by hand.
    pub fn model(&mut self) -> &mut Model {
        self.model.as_mut().expect("the script runs against the model")
    }

    /// The credential store.
    pub const fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// The session, to look at.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The edges taken so far.
    #[must_use]
    pub fn edges(&self) -> BTreeSet<Edge> {
        let edge = |note: &Note| match note {
            Note::Step(edge) => Some(*edge),
            _ => None,
        };
        self.notes.iter().filter_map(edge).collect()
    }

    /// Everything noted so far.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Every request sent so far, as method and URL.
    #[must_use]
    pub fn requests(&self) -> &[String] {
        &self.requests
    }

    /// How the log-outs ended, the last one last.
    #[must_use]
    pub fn forgotten(&self) -> &[Forgotten] {
        &self.forgotten
    }

    /// The published grant.
    #[must_use]
    pub const fn published(&self) -> Option<&Arc<Granted>> {
        self.published.as_ref()
    }

    /// Callers go on without the published token, as one does who was told that it is of no use.
    pub fn lay_down_token(&mut self) {
        self.published = None;
    }

    /// Milliseconds since the Unix epoch, as the model's clock has it.
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        u64::try_from(BEGINNING).unwrap_or(0) * 1000 + self.now
    }

    /// Sets the wall clock off by some seconds, as a person or a time server might.
    pub const fn shift_wall_clock(&mut self, seconds: i64) {
        self.wall_shift += seconds;
    }

    fn env(&mut self) -> Env {
        self.drawn += 1;
        let mut bytes = [0; Entropy::BYTES];
        for (block, half) in bytes.chunks_mut(32).enumerate() {
            let hash = Sha256::new()
                .chain_update(self.drawn.to_le_bytes())
                .chain_update([u8::try_from(block).unwrap_or(0)])
                .finalize();
            half.copy_from_slice(&hash);
        }
        let seconds = i64::try_from(self.now / 1000).unwrap_or(i64::MAX);
        Env {
            wall: Timestamp::from_unix(BEGINNING + seconds + self.wall_shift),
            mono: Monotonic::from_millis(1_000_000 + self.now),
            entropy: Entropy::new(bytes),
        }
    }

    /// Gives the session one input, and does what needs no script: listens and stores.
    pub fn give(&mut self, input: Input) {
        let effects = self.step(input);
        self.perform(effects);
        if self.restarts {
            self.restart_once();
        }
    }

    fn step(&mut self, input: Input) -> Effects {
        let env = self.env();
        self.watched.show(|witness| witness.given(&env, &input));
        let effects = self.session.handle(input, env).expect("the script misuses nothing");
        self.watched.show(|witness| witness.done(&effects));
        effects
    }

    /// Gives an input that the session is expected to refuse.
    pub fn give_wrongly(&mut self, input: Input, repeat_entropy: bool) -> Misuse {
        if repeat_entropy {
            self.drawn -= 1;
        }
        let env = self.env();
        self.session.handle(input, env).expect_err("this input is a misuse")
    }

    /// Writes the session out and takes it up again, unless a code is being exchanged: that cannot
    /// be asked for again, and has scripts of its own.
    fn restart_once(&mut self) {
        let exchanging = |call: &Call| call.purpose() == Purpose::CodeExchange;
        if !self.calls.iter().any(|(_, call)| exchanging(call)) {
            self.restart();
        }
    }

    /// As [`Sim::restart`], under another configuration.
    ///
    /// # Panics
    /// If the configuration is refused.
    pub fn restart_with(&mut self, configure: impl FnOnce(ConfigBuilder) -> ConfigBuilder) {
        let builder = configure(Config::builder(self.config.mcp_url()));
        self.config = builder.build().expect("the script's configuration is valid");
        self.restart();
    }

    /// Writes the session out and takes it up again in another process.
    pub fn restart(&mut self) {
        self.take_up(&self.written());
    }

    /// The session as it is, for another process to [take up](Self::take_up).
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        serde_json::to_vec(&self.session.snapshot()).expect("snapshots serialise")
    }

    /// Takes a session up in another process, as it was when it was written out. This one is gone.
    pub fn take_up(&mut self, written: &[u8]) {
        let read: Snapshot = serde_json::from_slice(written).expect("snapshots are read back");
        let env = self.env();
        self.watched.show(|witness| {
            witness.begin(&self.config);
            witness.restored(&env, &read);
        });
        let (session, effects) =
            Session::restore(Arc::clone(&self.config), read, env).expect("snapshots restore");
        self.watched.show(|witness| witness.done(&effects));
        self.session = session;
        self.store.kill_ours();
        self.calls.clear();
        self.delayed.clear();
        self.listening.clear();
        let restarts = core::mem::replace(&mut self.restarts, false);
        self.perform(effects);
        let asking: Vec<Input> = self.unsettled.values().map(Asking::input).collect();
        for input in asking {
            let effects = self.step(input);
            self.perform(effects);
        }
        self.restarts = restarts;
    }

    fn perform(&mut self, effects: Effects) {
        let shown = format!("{effects:?}");
        assert!(!shown.contains("CANARY"), "a secret is in an effect's Debug: {shown}");
        for told in effects.told {
            self.hear(told);
        }
        for work in effects.work {
            let id = work.id();
            match work {
                Work::Call(call) => self.calls.push_back((id, call)),
                Work::Listen(listen) => self.listen(listen),
                Work::Store(op) => self.keep(op),
                Work::Sign(_) => unreachable!("nothing is signed yet"),
            }
        }
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Publish(granted) => self.published = granted,
            Told::Settle(settlement) => {
                self.unsettled.remove(&settlement.waiter);
                self.had = settlement.had;
                let waiter = settlement.waiter;
                if self.settled.insert(waiter, settlement).is_some() {
                    self.settled_twice.insert(waiter);
                }
            }
            Told::Open(visit) => {
                // A page that was shown before stays open in the person's browser.
                if !visit.reissued || self.visits.is_empty() {
                    self.visits.retain(|shown| shown.url() != visit.url());
                    self.visits.push_back(visit);
                }
            }
            Told::Page { arrival, page } => {
                let sent_on = matches!(page, Page::OneMoreStep(_));
                assert!(!sent_on || !self.visits.is_empty(), "sent on to a page that is not open");
                self.pages.push_back((arrival, page));
            }
            Told::Abandon(ticket) => {
                self.listening.remove(&ticket);
                self.calls.retain(|(id, _)| *id != ticket);
            }
            Told::Note(note) => {
                if let Note::Asked { method, url, .. } = &note {
                    self.requests.push(format!("{method} {url}"));
                }
                assert!(!matches!(note, Note::Fault(_)), "the machine reports a bug: {note}");
                self.notes.push(note);
            }
            Told::Forgotten(forgotten) => self.forgotten.push(forgotten),
            other => unreachable!("an effect the simulator does not know: {other:?}"),
        }
    }

    fn listen(&mut self, listen: Listen) {
        let (on, ticket) = listen.split();
        if self.silent_listener {
            return;
        }
        let bound = if let Some(bound) = self.no_listener {
            bound
        } else if on.port.is_some() && on.port == self.taken_port {
            Bound::Taken
        } else {
            let port = on.port.unwrap_or(self.free_port);
            self.listening.insert(ticket.id(), port);
            Bound::Port(port)
        };
        self.give(ticket.answer(bound));
    }

    fn keep(&mut self, op: StoreOp) {
        let (request, ticket) = op.split();
        let kind = match &request {
            StoreRequest::Swap { key, .. } => Some(key.kind),
            _ => None,
        };
        if kind.is_some() && kind == self.delaying {
            self.delayed.push_back((request, ticket));
        } else {
            self.keep_now(request, ticket);
        }
    }

    fn keep_now(&mut self, request: StoreRequest, ticket: Ticket<Stored>) {
        if let Some(stored) = self.store.perform(request) {
            self.give(ticket.answer(stored));
        }
    }

    /// Writes of records of this kind reach the store only when they are released.
    pub const fn delay(&mut self, kind: Option<RecordKind>) {
        self.delaying = kind;
    }

    /// The oldest delayed write reaches the store.
    pub fn release_one(&mut self) {
        if let Some((request, ticket)) = self.delayed.pop_front() {
            self.keep_now(request, ticket);
        }
    }

    /// Every delayed write reaches the store, in order, and none is delayed any more.
    pub fn release(&mut self) {
        self.delaying = None;
        while !self.delayed.is_empty() {
            self.release_one();
        }
    }

    /// Every delayed write is lost.
    pub fn lose_delayed(&mut self) {
        self.delaying = None;
        self.delayed.clear();
    }

    /// Lets every pending request reach the model, and those that follow from it.
    pub fn serve(&mut self) {
        while let Some(call) = self.next_call() {
            let (request, _, ticket) = call.split();
            let now = self.wall_ms();
            let model = self.model.as_mut().expect("the script runs against the model");
            let reply = script::model_reply(model, &request, now);
            self.give(ticket.answer(reply));
        }
    }

    /// The server lets a request in that carries the published token.
    pub fn accept(&mut self) {
        self.accepted = self.published.as_ref().map(|granted| granted.epoch());
    }

    /// The next pending request. After a restart a refresh waits a moment before it asks again;
    /// that wait is skipped here.
    fn next_call(&mut self) -> Option<Call> {
        while self.restarts && self.calls.is_empty() {
            let deadline = self.session.deadline()?;
            if !matches!(deadline.reason, Awaited::Backoff | Awaited::Pause) {
                return None;
            }
            // No restart between this sending and its answer, or there would never be one.
            self.restarts = false;
            self.wait_until(deadline.at);
            self.restarts = true;
        }
        self.calls.pop_front().map(|(_, call)| call)
    }

    fn wait_until(&mut self, at: Monotonic) {
        self.now = self.now.max(at.millis().saturating_sub(1_000_000));
        self.give(Input::Wake);
    }

    fn waiter(&mut self, asking: impl FnOnce(WaiterId) -> Asking) -> WaiterId {
        let waiter = WaiterId(self.next_waiter);
        self.next_waiter += 1;
        let asking = asking(waiter);
        self.unsettled.insert(waiter, asking.clone());
        self.give(asking.input());
        waiter
    }

    /// A caller wants a grant, and a person may be asked.
    pub fn acquire(&mut self, scopes: &str) -> WaiterId {
        self.acquire_if(scopes, true)
    }

    /// A caller wants a grant, and nobody may be asked.
    pub fn acquire_quietly(&mut self, scopes: &str) -> WaiterId {
        self.acquire_if(scopes, false)
    }

    fn acquire_if(&mut self, scopes: &str, may_ask: bool) -> WaiterId {
        let scopes = ScopeSet::read(scopes).expect("the script's scopes are scopes");
        self.waiter(|waiter| Asking::Acquire(Acquire { waiter, scopes, may_ask }))
    }

    /// A caller asks for a login by name.
    pub fn log_in_by_name(&mut self, scopes: &str) -> WaiterId {
        let scopes = ScopeSet::read(scopes).expect("the script's scopes are scopes");
        self.waiter(|waiter| Asking::LogIn(Acquire { waiter, scopes, may_ask: true }))
    }

    /// A caller's request was refused, with this status and `WWW-Authenticate`.
    pub fn refused(&mut self, status: u16, challenge: &str) -> WaiterId {
        let epoch = self.published.as_ref().map(|granted| granted.epoch());
        self.refused_with(epoch, status, challenge, "tools/list", false, true)
    }

    /// A caller's request was refused, in every detail; `again` says that it was so before, and has had
    /// what the caller that was settled last was given.
    pub fn refused_with(
        &mut self,
        epoch: Option<Epoch>,
        status: u16,
        challenge: &str,
        operation: &str,
        again: bool,
        may_ask: bool,
    ) -> WaiterId {
        let mut headers = HeaderMap::new();
        if !challenge.is_empty() {
            let value = challenge.parse().expect("the script's challenge is a header");
            headers.insert(http::header::WWW_AUTHENTICATE, value);
        }
        let status = StatusCode::from_u16(status).expect("the script's status is one");
        let operation = operation.to_owned();
        let had = if again { self.had } else { Had::default() };
        let accepted = self.accepted;
        let refusal = Refusal { epoch, status, headers, operation, accepted, had, may_ask };
        self.waiter(|waiter| Asking::Challenge(Challenge { waiter, refusal }))
    }

    /// Something reaches the redirect URI.
    pub fn arrive(&mut self, url: &str) -> ArrivalId {
        self.arrive_as(Callback::url(url))
    }

    /// Something is handed in as a callback.
    pub fn arrive_as(&mut self, callback: Callback) -> ArrivalId {
        let arrival = ArrivalId(self.next_arrival);
        self.next_arrival += 1;
        self.give(Input::Callback { arrival, callback });
        arrival
    }

    /// An answer comes whose request the session has given up.
    pub fn reply_late(&mut self, ticket: Ticket<Reply>, status: u16, document: &serde_json::Value) {
        let mut response = http::Response::new(document.to_string().into_bytes());
        *response.status_mut() = StatusCode::from_u16(status).expect("the script's status is one");
        self.give(ticket.answer(Reply::Answered(response)));
    }

    /// A caller no longer waits.
    pub fn cancel(&mut self, waiter: WaiterId) {
        self.give(Input::Cancel(waiter));
    }

    /// Logs out.
    pub fn forget(&mut self) {
        self.give(Input::Forget);
    }

    /// Another program listens on this port from here on.
    pub const fn take_port(&mut self, port: u16) {
        self.taken_port = Some(port);
    }

    /// Every port of loopback is taken from here on.
    pub const fn break_listener(&mut self) {
        self.no_listener = Some(Bound::Taken);
    }

    /// This machine has no descriptor left for a listener from here on.
    pub const fn exhaust_listener(&mut self) {
        self.no_listener = Some(Bound::Exhausted);
    }

    /// The host does not say whether it listens from here on.
    pub const fn silence_listener(&mut self, silent: bool) {
        self.silent_listener = silent;
    }
}
